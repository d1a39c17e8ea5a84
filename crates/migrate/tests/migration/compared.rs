//! The comparison with the source's own count, and the events that a product gives to another user (M-19), beside
//! a plain model of them.

use std::collections::{BTreeMap, BTreeSet};

use idmerge_engines::{Model, Settings};
use idmerge_migrate::{AnonymousEvents, Options};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::run::{Migrated, NOW_MS, migrate};

/// An event: its device, its user, and its person by the source's own count.
type Line = (Option<u8>, Option<u8>, Option<u8>);

fn device(number: u8) -> String {
    format!("0000000{number}-0000-4000-8000-000000000000")
}

fn text(at: usize, (device_number, user, person): Line) -> String {
    let mut properties = json!({"time": 1_700_000_000 + at, "$insert_id": format!("line-{at}")});
    if let Some(number) = device_number {
        properties["$device_id"] = json!(device(number));
        properties["distinct_id"] = json!(device(number));
    }
    if let Some(user) = user {
        properties["$user_id"] = json!(format!("user-{user}"));
        properties["distinct_id"] = json!(format!("user-{user}"));
    }
    if let Some(person) = person {
        properties["person"] = json!(person);
    }
    json!({"event": "View", "properties": properties}).to_string()
}

/// Migrates the lines, and returns the person of each of them in the new project.
fn migrated(
    lines: &[Line],
    to: Model,
    anonymous: AnonymousEvents,
) -> (Migrated, Vec<Option<String>>) {
    let options = Options {
        compare: Some("person".to_owned()),
        anonymous_events: Some(anonymous),
        ..Options::new(Settings::of(Model::Original), Settings::of(to), NOW_MS)
    };
    let lines: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| text(at, *line))
        .collect();
    let migrated = migrate(options, &lines);
    let users = migrated.users(&mut *Settings::of(to).engine());
    assert_eq!(users.len(), lines.len());
    (migrated, users)
}

/// How many events the product gives to another user: those of a device that name no user.
fn reattributed(lines: &[Line], ours: &[Option<String>], anonymous: AnonymousEvents) -> usize {
    let users_of = |lines: &[Line], device| {
        let of_device = lines.iter().filter(move |line| line.0 == Some(device));
        of_device.filter_map(|line| line.1).next_back()
    };
    let is_elsewhere = |&at: &usize| {
        let (Some(device), None, _) = lines[at] else {
            return false;
        };
        let theirs = match anonymous {
            AnonymousEvents::UserBefore => users_of(&lines[..at], device),
            AnonymousEvents::LatestUser => users_of(lines, device),
        };
        theirs.is_some_and(|user| ours[at].as_deref() != Some(&*format!("user-{user}")))
    };
    (0..lines.len()).filter(is_elsewhere).count()
}

/// The figures of the comparison that do not depend on which person is the same.
fn counts(lines: &[Line], ours: &[Option<String>]) -> Value {
    let mut of_theirs: BTreeMap<u8, BTreeSet<&str>> = BTreeMap::new();
    let mut of_ours: BTreeMap<&str, BTreeSet<u8>> = BTreeMap::new();
    let (mut events, mut without) = (0, 0);
    for ((.., theirs), ours) in lines.iter().zip(ours) {
        let Some(ours) = ours else { continue };
        let Some(theirs) = theirs else {
            without += 1;
            continue;
        };
        events += 1;
        of_theirs.entry(*theirs).or_default().insert(ours);
        of_ours.entry(ours).or_default().insert(*theirs);
    }
    json!({
        "events": events,
        "without_field": without,
        "persons": {"theirs": of_theirs.len(), "ours": of_ours.len()},
        "split": of_theirs.values().filter(|ours| ours.len() > 1).count(),
        "joined": of_ours.values().filter(|theirs| theirs.len() > 1).count(),
    })
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let maybe = |count: u8| prop::option::of(0..count);
    prop::collection::vec((maybe(4), maybe(3), maybe(4)), 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn m_19_the_figures_are_those_of_a_plain_model(
        lines in lines(),
        to in prop::sample::select(&[Model::Simplified, Model::Original][..]),
        anonymous in prop::sample::select(&[AnonymousEvents::UserBefore, AnonymousEvents::LatestUser][..]),
    ) {
        let (migrated, ours) = migrated(&lines, to, anonymous);
        let wanted = reattributed(&lines, &ours, anonymous);
        prop_assert_eq!(&migrated.report["events"]["reattributed"], &json!(wanted));
        let mut compared = migrated.report["compare"].clone();
        let compared = compared.as_object_mut().unwrap();
        let elsewhere = compared.remove("events_elsewhere").unwrap();
        let differences = compared.remove("differences").unwrap();
        compared.remove("field");
        let counts = counts(&lines, &ours);
        prop_assert_eq!(&Value::from(compared.clone()), &counts);
        // The two counts are one partition exactly if no person is split or joined.
        let is_same = counts["split"] == 0 && counts["joined"] == 0;
        prop_assert_eq!(is_same, elsewhere == 0);
        let shown: u64 = differences.as_array().unwrap().iter().map(|it| it["events"].as_u64().unwrap()).sum();
        prop_assert_eq!(elsewhere, json!(shown));
    }
}

#[test]
fn m_19_most_events_say_which_person_is_the_same() {
    let both = |device, user, person| (Some(device), Some(user), Some(person));
    // Person 1 is user 1 three times, and user 2 once; person 2 is user 2 twice.
    let lines = [
        both(1, 1, 1),
        both(1, 1, 1),
        both(1, 1, 1),
        both(2, 2, 1),
        both(2, 2, 2),
        both(2, 2, 2),
    ];
    let (migrated, _) = migrated(&lines, Model::Simplified, AnonymousEvents::UserBefore);
    let compared = &migrated.report["compare"];
    assert_eq!(compared["events_elsewhere"], 1);
    assert_eq!(
        compared["differences"],
        json!([{"theirs": "1", "ours": "user-2", "events": 1}])
    );
}
