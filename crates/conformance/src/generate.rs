//! Random claims and events for proptest. The alphabets are tiny, so that collisions, stolen
//! devices and full clusters are the common case and not the rare one.

use idmerge_core::{DistinctIds, Event, RuleBook, Value};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use crate::settings::{AnonIdFormat, EngineSettings};
use crate::vectors::OwnedClaim;

/// Three users, and devices of several kinds: one UUID in both cases is two ids, the old form of
/// browsers is anonymous under one setting, and "u1" and the first UUID stand in both lists.
const USERS: [&str; 5] = ["u1", "u2", "u3", "U1", UUID];
const DEVICES: [&str; 6] = [
    UUID,
    "5C7F0E7C-6A52-4B26-9FB8-6C5A9F0F4C1E",
    "00000001-0000-4000-b000-000000000000",
    "00000001-0000-1000-8000-000000000000",
    "18f0a-0b1c--1d2e-1fa400-18f0b",
    "u1",
];
const UUID: &str = "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e";

/// Every id that a random claim can name.
pub(crate) fn all_ids() -> impl Iterator<Item = &'static str> {
    let only_devices = DEVICES.iter().filter(|id| !USERS.contains(id));
    USERS.iter().chain(only_devices).copied()
}

/// A small limit, so that it is reached, and any form of anonymous ids.
pub(crate) fn settings() -> impl Strategy<Value = EngineSettings> {
    let max_cluster_ids = prop_oneof![4 => Just(3), 2 => 2_u32..6, 1 => Just(500)];
    let anon_id_format = select(&[AnonIdFormat::UuidV4, AnonIdFormat::Guid, AnonIdFormat::Sdk]);
    (max_cluster_ids, anon_id_format).prop_map(|(max_cluster_ids, anon_id_format)| EngineSettings {
        max_cluster_ids,
        anon_id_format,
        ..EngineSettings::default()
    })
}

/// Settings, and up to `max` claims, mostly of this rule book.
pub(crate) fn claims(
    rule_book: RuleBook,
    max: usize,
) -> impl Strategy<Value = (EngineSettings, Vec<OwnedClaim>)> {
    (settings(), prop::collection::vec(claim(rule_book), 0..=max))
}

fn claim(rule_book: RuleBook) -> impl Strategy<Value = OwnedClaim> {
    let user = || select(&USERS).prop_map(str::to_owned);
    let device = || select(&DEVICES).prop_map(str::to_owned);
    let any = || prop_oneof![user(), device()];
    let (link, others) = match rule_book {
        RuleBook::Simplified => (40, 1),
        RuleBook::Original => (1, 10),
        _ => (20, 10),
    };
    prop_oneof![
        link => (device(), user()).prop_map(|(d, u)| OwnedClaim::Link(d, u)),
        2 * others => (any(), device()).prop_map(|(i, a)| OwnedClaim::Identify(i, a)),
        others => (any(), any()).prop_map(|(d, a)| OwnedClaim::Alias(d, a)),
        others => (any(), any()).prop_map(|(a, b)| OwnedClaim::Merge(a, b)),
    ]
}

/// What identity properties hold: ids, marked ids, and everything that is none.
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

/// Random events, and a limit of bytes that some of their ids pass.
pub(crate) fn events() -> impl Strategy<Value = (EngineSettings, Event<'static>)> {
    let value = || select(&VALUES);
    let distinct_ids = prop_oneof![
        1 => Just(DistinctIds::Absent),
        1 => Just(DistinctIds::NotTwo("[\"a\"]")),
        8 => (value(), value()).prop_map(|(a, b)| DistinctIds::Two([a, b])),
    ];
    let name = select(&["A", "", "$identify", "$create_alias", "$merge", "$Merge"]);
    let event = (
        (name, value(), value(), value(), value()),
        (value(), value(), value(), distinct_ids),
    )
        .prop_map(|(first, second)| {
            let (name, distinct_id, user_id, device_id, identified_id) = first;
            let (anon_id, anon_distinct_id, alias, distinct_ids) = second;
            Event {
                name,
                distinct_id,
                user_id,
                device_id,
                identified_id,
                anon_id,
                anon_distinct_id,
                alias,
                distinct_ids,
            }
        });
    // The lengths of the ids above, and one less.
    let max_id_bytes = prop_oneof![Just(255_u16), select(&[0, 1, 2, 3, 4, 5, 6, 35, 36_u16])];
    (max_id_bytes, event).prop_map(|(max_id_bytes, event)| {
        let settings = EngineSettings {
            max_id_bytes,
            ..EngineSettings::default()
        };
        (settings, event)
    })
}

/// Tries random values until one fails, and then finds a small one that does. `PROPTEST_CASES`
/// says how many.
pub(crate) fn for_all<S: Strategy>(
    strategy: &S,
    holds: impl Fn(&S::Value) -> Result<(), String>,
    show: impl Fn(&S::Value) -> String,
) -> Result<(), String> {
    for_all_times(1, strategy, holds, show)
}

/// As [`for_all`], with so many times as many values: for what is tried in no time and seldom
/// comes up.
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
