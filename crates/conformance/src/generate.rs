//! Random claims and events for proptest. The alphabets are tiny, so collisions, stolen devices and
//! full clusters are common.

use idmerge_core::{DistinctIds, Event, IdentityResolver, RuleBook, Value};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use crate::check::Make;
use crate::settings::{AnonIdFormat, EngineSettings};
use crate::vectors::OwnedClaim;

/// The longest random sequence of claims in most trials.
pub(crate) const CLAIMS_MAX: usize = 40;

/// The user IDs. "u1" and `UUID` are also device IDs.
const USERS: [&str; 5] = ["u1", "u2", "u3", "U1", UUID];

/// Device IDs of several kinds. The two spellings of one UUID are two IDs, and one setting accepts
/// the old form of browsers as anonymous.
const DEVICES: [&str; 6] = [
    UUID,
    "5C7F0E7C-6A52-4B26-9FB8-6C5A9F0F4C1E",
    "00000001-0000-4000-b000-000000000000",
    "00000001-0000-1000-8000-000000000000",
    "18f0a-0b1c--1d2e-1fa400-18f0b",
    "u1",
];

/// The same devices with the prefix, in the same order.
const PREFIXED_DEVICES: [&str; 6] = [
    "$device:5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "$device:5C7F0E7C-6A52-4B26-9FB8-6C5A9F0F4C1E",
    "$device:00000001-0000-4000-b000-000000000000",
    "$device:00000001-0000-1000-8000-000000000000",
    "$device:18f0a-0b1c--1d2e-1fa400-18f0b",
    "$device:u1",
];

const UUID: &str = "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e";

/// Every ID that a random claim can name.
pub(crate) fn all_ids() -> impl Iterator<Item = &'static str> {
    let only_devices = DEVICES.iter().filter(|id| !USERS.contains(id));
    USERS.iter().chain(only_devices).copied()
}

/// Settings with a small limit, so that it is reached, and any form of anonymous IDs.
pub(crate) fn settings() -> impl Strategy<Value = EngineSettings> {
    let max_cluster_ids = prop_oneof![4 => Just(3), 2 => 2_u32..6, 1 => Just(500)];
    let anon_id_format = select(&[AnonIdFormat::UuidV4, AnonIdFormat::Guid, AnonIdFormat::Sdk]);
    (max_cluster_ids, anon_id_format).prop_map(|(max_cluster_ids, anon_id_format)| EngineSettings {
        max_cluster_ids,
        anon_id_format,
        ..EngineSettings::default()
    })
}

/// Settings, and up to `max` claims.
///
/// The claims of a built-in rule book are made up, mostly of the kinds that it weighs. For a custom
/// rule book the suite does not know which kinds those are: most of its claims are the ones that the
/// engine itself reads from random events.
pub(crate) fn claims(
    rule_book: RuleBook,
    make: &Make,
    max: usize,
) -> impl Strategy<Value = (EngineSettings, Vec<OwnedClaim>)> {
    let inputs = prop::collection::vec(input(rule_book), 0..=max);
    (settings(), inputs).prop_map(move |(settings, inputs)| {
        let engine = make(&settings);
        let claims = inputs.iter().filter_map(|input| input.claim(&*engine));
        let claims = claims.collect();
        (settings, claims)
    })
}

/// A claim, or an event that an engine may read one from.
#[derive(Clone, Debug)]
enum Input {
    Claim(OwnedClaim),
    // Boxed, because an event is much larger than a claim.
    Event(Box<Event<'static>>),
}

impl Input {
    fn claim(&self, engine: &dyn IdentityResolver) -> Option<OwnedClaim> {
        match self {
            Self::Claim(claim) => Some(claim.clone()),
            Self::Event(event) => Some(engine.read(event).ok()?.claim?.into()),
        }
    }
}

fn input(rule_book: RuleBook) -> BoxedStrategy<Input> {
    let claim = claim(rule_book).prop_map(Input::Claim);
    match rule_book {
        RuleBook::Simplified | RuleBook::Original | RuleBook::Legacy => claim.boxed(),
        _ => prop_oneof![
            1 => claim,
            4 => event_with_two_ids().prop_map(|event| Input::Event(Box::new(event))),
        ]
        .boxed(),
    }
}

fn user() -> impl Strategy<Value = &'static str> {
    select(&USERS)
}

fn device() -> impl Strategy<Value = &'static str> {
    select(&DEVICES)
}

fn user_or_device() -> impl Strategy<Value = &'static str> {
    prop_oneof![user(), device()]
}

fn claim(rule_book: RuleBook) -> impl Strategy<Value = OwnedClaim> {
    let (link, alias, others) = match rule_book {
        RuleBook::Simplified => (40, 1, 1),
        RuleBook::Original => (1, 10, 10),
        RuleBook::Legacy => (1, 40, 1),
        _ => (20, 10, 10),
    };
    let any = user_or_device;
    prop_oneof![
        link => (device(), user()).prop_map(|(d, u)| OwnedClaim::Link(d.into(), u.into())),
        2 * others => (any(), device()).prop_map(|(i, a)| OwnedClaim::Identify(i.into(), a.into())),
        alias => (any(), any()).prop_map(|(d, a)| OwnedClaim::Alias(d.into(), a.into())),
        others => (any(), any()).prop_map(|(a, b)| OwnedClaim::Merge(a.into(), b.into())),
    ]
}

/// Events of every shape from which a model may read that two IDs are one user: `$identify` as
/// browsers and as servers send it, `$create_alias`, `$merge`, and ordinary events that carry a
/// user and a device.
pub(crate) fn event_with_two_ids() -> impl Strategy<Value = Event<'static>> {
    let place = 0..DEVICES.len();
    prop_oneof![
        2 => (user_or_device(), place.clone(), any::<bool>()).prop_map(|(user, place, prefixed)| {
            let anon = if prefixed { PREFIXED_DEVICES } else { DEVICES }[place];
            Event {
                distinct_id: user.into(),
                user_id: user.into(),
                anon_distinct_id: anon.into(),
                device_id: DEVICES[place].into(),
                ..Event::named(Event::IDENTIFY)
            }
        }),
        2 => (user_or_device(), device()).prop_map(|(user, device)| Event {
            identified_id: user.into(),
            anon_id: device.into(),
            ..Event::named(Event::IDENTIFY)
        }),
        2 => (user_or_device(), user_or_device()).prop_map(|(id, alias)| Event {
            distinct_id: id.into(),
            alias: alias.into(),
            ..Event::named(Event::CREATE_ALIAS)
        }),
        2 => (user_or_device(), user_or_device()).prop_map(|(first, second)| Event {
            distinct_id: first.into(),
            distinct_ids: DistinctIds::Two([first.into(), second.into()]),
            ..Event::named(Event::MERGE)
        }),
        2 => (user(), place).prop_map(|(user, place)| Event {
            distinct_id: user.into(),
            user_id: user.into(),
            device_id: DEVICES[place].into(),
            ..Event::named("A")
        }),
    ]
}

/// The events as an export may have them: with the canonical ID of another run in `distinct_id` and
/// their own in `$distinct_id_before_identity` (IN-5), or with the mark of an event that was stored
/// unweighed (AR-4).
pub(crate) fn exported(
    events: impl Strategy<Value = Event<'static>>,
) -> impl Strategy<Value = Event<'static>> {
    let canonical = prop::option::of(user_or_device());
    let parts = (events, canonical, prop::bool::weighted(0.2));
    parts.prop_map(|(event, canonical, is_unweighed)| {
        let event = Event {
            is_unweighed,
            ..event
        };
        match canonical {
            Some(canonical) if !event.distinct_id.is_absent() => Event {
                distinct_id: canonical.into(),
                distinct_id_before_identity: event.distinct_id,
                ..event
            },
            _ => event,
        }
    })
}

/// Values of identity properties: IDs, prefixed IDs, and values of every kind that is not an ID.
const VALUES: [Value<'static>; 24] = [
    Value::Absent,
    Value::Absent,
    Value::Absent,
    Value::Text(""),
    Value::Text("u1"),
    Value::Text("U1"),
    Value::Text("x"),
    Value::Text("42"),
    Value::Text(UUID),
    Value::Text("$device:x"),
    Value::Text("$device:5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e"),
    Value::Text("$device:"),
    Value::Text("$device:$device:x"),
    Value::Text("$device:$device:"),
    Value::Text("$device:Null"),
    Value::Text("$Device:x"),
    Value::Text("NULL"),
    Value::Text("null "),
    Value::Text("0"),
    Value::Text("00000000-0000-0000-0000-000000000000"),
    Value::Text("\u{fc}\u{fc}"),
    Value::Text("$device:\u{fc}\u{fc}\u{fc}"),
    Value::NotAnId("1.5"),
    Value::NotAnId("{}"),
];

/// Random events, and a limit in bytes that some of their IDs exceed.
pub(crate) fn events() -> impl Strategy<Value = (EngineSettings, Event<'static>)> {
    // The lengths of the IDs above, and one less.
    let max_id_bytes = prop_oneof![Just(255_u16), select(&[0, 1, 2, 3, 4, 5, 6, 35, 36_u16])];
    let event = prop_oneof![3 => event(), 1 => exported(event_with_two_ids())];
    (max_id_bytes, event).prop_map(|(max_id_bytes, event)| {
        let settings = EngineSettings {
            max_id_bytes,
            ..EngineSettings::default()
        };
        (settings, event)
    })
}

/// An event with any value in each identity property.
pub(crate) fn event() -> impl Strategy<Value = Event<'static>> {
    let value = || select(&VALUES);
    let distinct_ids = prop_oneof![
        1 => Just(DistinctIds::Absent),
        1 => Just(DistinctIds::NotTwo("[\"a\"]")),
        8 => (value(), value()).prop_map(|(a, b)| DistinctIds::Two([a, b])),
    ];
    let name = select(&["A", "", "$identify", "$create_alias", "$merge", "$Merge"]);
    let properties = (
        (name, value(), value(), value(), value()),
        (value(), value(), value(), distinct_ids),
        (value(), prop::bool::weighted(0.2)),
    );
    properties.prop_map(|(first, second, third)| {
        let (name, distinct_id, user_id, device_id, identified_id) = first;
        let (anon_id, anon_distinct_id, alias, distinct_ids) = second;
        let (distinct_id_before_identity, is_unweighed) = third;
        Event {
            name,
            distinct_id,
            distinct_id_before_identity,
            user_id,
            device_id,
            identified_id,
            anon_id,
            anon_distinct_id,
            alias,
            distinct_ids,
            is_unweighed,
        }
    })
}

/// Tries random values until one fails, and then shrinks it. The environment variable
/// `PROPTEST_CASES` sets the number of values.
pub(crate) fn for_all<S: Strategy>(
    strategy: &S,
    holds: impl Fn(&S::Value) -> Result<(), String>,
    show: impl Fn(&S::Value) -> String,
) -> Result<(), String> {
    for_all_times(1, strategy, holds, show)
}

/// The same as [`for_all`] with `times` as many values, for checks that are quick and whose mistakes
/// are rare.
pub(crate) fn for_all_times<S: Strategy>(
    times: u32,
    strategy: &S,
    holds: impl Fn(&S::Value) -> Result<(), String>,
    show: impl Fn(&S::Value) -> String,
) -> Result<(), String> {
    let default = Config::default();
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        cases: default.cases.saturating_mul(times),
        ..default
    });
    let run = runner.run(strategy, |value| holds(&value).map_err(TestCaseError::fail));
    run.map_err(|error| match error {
        TestError::Fail(what, value) => format!("{what}\n{}", show(&value)),
        TestError::Abort(why) => format!("no values to try: {why}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree;

    use super::*;
    use crate::compare::comparable;
    use crate::oracle::oracle;

    /// An event as an engine with one mistake takes it.
    type Mistake = fn(Event<'static>) -> Event<'static>;

    const EVENTS: usize = 10_000;

    /// The number of random events that an engine with this mistake reads differently.
    fn read_differently(rule_book: RuleBook, mistake: Mistake) -> usize {
        let mut runner = TestRunner::deterministic();
        let events = events();
        let differs = (0..EVENTS).filter(|_| {
            let (settings, event) = events.new_tree(&mut runner).unwrap().current();
            let oracle = oracle(rule_book, &settings).unwrap();
            let (right, wrong) = (oracle.read(&event), mistake(event));
            comparable(right) != comparable(oracle.read(&wrong))
        });
        differs.count()
    }

    /// Reads `$distinct_id_before_identity` never.
    fn without_before(event: Event<'static>) -> Event<'static> {
        Event {
            distinct_id_before_identity: Value::Absent,
            ..event
        }
    }

    /// Reads `$distinct_id_before_identity` whenever it is present, valid or not.
    fn always_before(event: Event<'static>) -> Event<'static> {
        if event.distinct_id_before_identity.is_absent() {
            return event;
        }
        Event {
            distinct_id: event.distinct_id_before_identity,
            ..without_before(event)
        }
    }

    fn without_mark(event: Event<'static>) -> Event<'static> {
        Event {
            is_unweighed: false,
            ..event
        }
    }

    /// The mistake in events of this name alone.
    macro_rules! only {
        ($name:expr, $mistake:expr) => {
            |event| {
                if event.name == $name {
                    $mistake(event)
                } else {
                    event
                }
            }
        };
    }

    /// A trial reads 5,120 events, so it sees a mistake in 1 event of 200 about 25 times.
    #[test]
    fn mistakes_with_events_of_exports_show_in_one_event_of_200() {
        let (simplified, original) = (RuleBook::Simplified, RuleBook::Original);
        let mistakes: [(&str, RuleBook, Mistake); 11] = [
            ("never before", simplified, without_before),
            ("invalid before", simplified, always_before),
            ("weighs marked", simplified, without_mark),
            ("never before", original, only!("A", without_before)),
            (
                "never before, $identify",
                original,
                only!(Event::IDENTIFY, without_before),
            ),
            (
                "never before, $create_alias",
                original,
                only!(Event::CREATE_ALIAS, without_before),
            ),
            ("invalid before", original, only!("A", always_before)),
            (
                "invalid before, $create_alias",
                original,
                only!(Event::CREATE_ALIAS, always_before),
            ),
            (
                "weighs marked $identify",
                original,
                only!(Event::IDENTIFY, without_mark),
            ),
            (
                "weighs marked $create_alias",
                original,
                only!(Event::CREATE_ALIAS, without_mark),
            ),
            (
                "weighs marked $merge",
                original,
                only!(Event::MERGE, without_mark),
            ),
        ];
        for (what, rule_book, mistake) in mistakes {
            let found = read_differently(rule_book, mistake);
            println!("{rule_book}, {what}: {found} of {EVENTS} events");
            assert!(found >= EVENTS / 200, "{rule_book}, {what}: {found}");
        }
    }
}
