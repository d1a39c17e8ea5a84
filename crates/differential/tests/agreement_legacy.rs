//! Law 8-L: on clean streams Legacy and Original give the same partition of events into users, although
//! Legacy answers for each event when it arrives, and Original at the end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use idmerge_conformance::EngineSettings;
use idmerge_core::{Event, IdentityResolver, IdentityResolverExt, Outcome};
use idmerge_differential::{groups, legacy, original};
use proptest::prelude::*;

/// What a user does. A user has one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// An event of the device, in one of its two spellings.
    OnDevice { is_marked: bool },
    /// The alias, at sign-up. Once more, it says what is known.
    SignUp,
    /// An event with the user's ID. Before the alias it is left out.
    AsUser,
    /// `$identify` of the user and the device. Before the alias it is left out.
    LogIn,
}

fn acts() -> impl Strategy<Value = Vec<(usize, Act)>> {
    let act = prop_oneof![
        3 => any::<bool>().prop_map(|is_marked| Act::OnDevice { is_marked }),
        2 => Just(Act::SignUp),
        2 => Just(Act::AsUser),
        1 => Just(Act::LogIn),
    ];
    prop::collection::vec((0..5_usize, act), 0..60)
}

fn user_id(user: usize) -> String {
    format!("user-{user}")
}

/// UUIDs, so that Original accepts `$identify`.
fn device_id(user: usize) -> String {
    format!("$device:0000000{user}-0000-4000-8000-000000000000")
}

/// Gives the events to an engine. Returns the own ID of each event, and what it resolved to when it
/// arrived.
fn play(engine: &mut dyn IdentityResolver, acts: &[(usize, Act)]) -> (Vec<String>, Vec<String>) {
    let (mut own_ids, mut at_arrival) = (Vec::new(), Vec::new());
    let mut has_alias = [false; 5];
    for &(user, act) in acts {
        let (user_id, device_id) = (user_id(user), device_id(user));
        let bare = device_id.trim_start_matches("$device:");
        let event = match act {
            Act::OnDevice { is_marked } => Event {
                distinct_id: if is_marked { &*device_id } else { bare }.into(),
                ..Event::named("View")
            },
            Act::SignUp => Event {
                distinct_id: (&*device_id).into(),
                alias: (&*user_id).into(),
                ..Event::named(Event::CREATE_ALIAS)
            },
            Act::AsUser | Act::LogIn if !has_alias[user] => continue,
            Act::AsUser => Event {
                distinct_id: (&*user_id).into(),
                ..Event::named("View")
            },
            Act::LogIn => Event {
                distinct_id: (&*user_id).into(),
                anon_distinct_id: (&*device_id).into(),
                ..Event::named(Event::IDENTIFY)
            },
        };
        has_alias[user] |= act == Act::SignUp;
        let (reading, outcome) = engine.apply_event(&event).unwrap();
        let is_rejected = matches!(outcome, Some(Outcome::Rejected(_)));
        assert!(!is_rejected, "{event:?}");
        let own = reading.distinct_id.unwrap();
        own_ids.push(own.to_string());
        at_arrival.push(engine.resolve(own).to_string());
    }
    (own_ids, at_arrival)
}

proptest! {
    #[test]
    fn law_8_l_legacy_and_original_agree_on_clean_streams(acts in acts()) {
        let settings = EngineSettings::default();
        let (_, by_legacy) = play(&mut *legacy(&settings), &acts);
        let mut original = original(&settings);
        let (own_ids, _) = play(&mut *original, &acts);
        let now = |id: &String| original.resolve(original.read_id(id).unwrap()).to_string();
        let by_original: Vec<_> = own_ids.iter().map(now).collect();
        prop_assert_eq!(
            groups(by_legacy.iter().map(Some)),
            groups(by_original.iter().map(Some))
        );
    }
}

/// One of the conditions of the law counts: without it, the two models differ. The tests of the
/// oracle try the others.
#[test]
fn law_8_l_an_event_of_the_user_before_the_alias_parts_the_models() {
    let settings = EngineSettings::default();
    let answers = |engine: &mut dyn IdentityResolver| {
        let view = Event::with_distinct_id("user-1");
        let alias = Event {
            distinct_id: "device-1".into(),
            alias: "user-1".into(),
            ..Event::named(Event::CREATE_ALIAS)
        };
        let (reading, _) = engine.apply_event(&view).unwrap();
        let own = reading.distinct_id.unwrap();
        let at_arrival = engine.resolve(own).to_string();
        engine.apply_event(&alias).unwrap();
        [at_arrival, engine.resolve(own).to_string()]
    };
    assert_eq!(answers(&mut *legacy(&settings)), ["user-1", "device-1"]);
    assert_eq!(answers(&mut *original(&settings))[1], "device-1");
}
