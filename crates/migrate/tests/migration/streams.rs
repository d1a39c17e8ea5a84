//! Random streams of Original, compared with the plain model.

use std::collections::BTreeSet;

use idmerge_conformance::EngineSettings;
use idmerge_conformance::oracle::SimplifiedOracle;
use idmerge_migrate::OnConflict;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::model;
use crate::run::{migrate, options};

const UUIDS: [&str; 4] = [
    "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
    "00000001-0000-4000-b000-000000000000",
    "00000002-0000-4000-8000-000000000000",
    "00000001-0000-1000-8000-000000000000",
];

fn user() -> impl Strategy<Value = String> {
    select(&["u1", "u2", "42", UUIDS[0]][..]).prop_map(str::to_owned)
}

fn device() -> impl Strategy<Value = String> {
    let id = select(
        &[
            UUIDS[0],
            UUIDS[1],
            UUIDS[2],
            UUIDS[3],
            "session",
            "18f0a-0b1c--1d2e-1fa400-18f0b",
        ][..],
    );
    (id, any::<bool>()).prop_map(|(id, has_prefix)| match has_prefix {
        true => format!("$device:{id}"),
        false => id.to_owned(),
    })
}

fn any_id() -> impl Strategy<Value = String> {
    prop_oneof![user(), device()]
}

fn event() -> impl Strategy<Value = Value> {
    let maybe = |id: BoxedStrategy<String>| prop::option::of(id);
    let ordinary = (
        maybe(any_id().boxed()),
        maybe(prop_oneof![5 => user(), 1 => device()].boxed()),
        maybe(device().boxed()),
        maybe(any_id().boxed()),
    );
    let ordinary = ordinary.prop_map(|(distinct_id, user, device, before)| {
        let mut properties = serde_json::Map::new();
        let mut set = |key: &str, id: Option<String>| {
            properties.extend(id.map(|id| (key.to_owned(), json!(id))));
        };
        set("distinct_id", distinct_id);
        set("$user_id", user);
        set("$device_id", device);
        // Exports have it on few events.
        set(
            "$distinct_id_before_identity",
            before.filter(|id| id.contains('4')),
        );
        json!({"event": "View", "properties": properties})
    });
    prop_oneof![
        6 => ordinary,
        2 => (any_id(), device()).prop_map(|(user, anon)| {
            json!({"event": "$identify", "properties": {"$identified_id": user, "$anon_id": anon}})
        }),
        1 => (user(), device()).prop_map(|(user, anon)| {
            json!({"event": "$identify", "properties": {
                "distinct_id": user, "$user_id": user, "$anon_distinct_id": anon, "$device_id": anon,
            }})
        }),
        1 => (any_id(), any_id()).prop_map(|(id, alias)| {
            json!({"event": "$create_alias", "properties": {"distinct_id": id, "alias": alias}})
        }),
        1 => (any_id(), any_id()).prop_map(|(a, b)| {
            json!({"event": "$merge", "properties": {"$distinct_ids": [a, b]}})
        }),
    ]
}

/// Up to 25 lines, each with a time and an insert ID.
pub(crate) fn lines() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(event(), 0..25).prop_map(|events| {
        let with_time = |(at, mut event): (u64, Value)| {
            event["properties"]["time"] = json!(1_700_000_000 + at);
            event["properties"]["$insert_id"] = json!(format!("i-{at}"));
            event.to_string()
        };
        (0..).zip(events).map(with_time).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn m_20_the_target_finds_the_persons_of_the_model(lines in lines()) {
        let migrated = migrate(options(), &lines);
        let wanted = model::persons(&lines);
        let mut oracle = SimplifiedOracle::new(EngineSettings::default());
        prop_assert_eq!(migrated.users(&mut oracle), wanted);
        prop_assert_eq!(&migrated.refused, &[]);
        migrated.check_cases();
        prop_assert_eq!(&migrate(options(), &lines), &migrated);
    }

    #[test]
    fn m_20_never_differs_whatever_the_options(
        lines in lines(),
        on_conflict in select(&[
            OnConflict::Report,
            OnConflict::Direct,
            OnConflict::Oldest,
            OnConflict::Latest,
            OnConflict::MostEvents,
        ][..]),
        is_beyond in any::<bool>(),
        rewrites in any::<bool>(),
    ) {
        let options = idmerge_migrate::Options {
            on_conflict,
            rewrites_users: rewrites && on_conflict.elects_one(),
            ..options()
        };
        let options = match is_beyond {
            true => options.beyond_limits(),
            false => options,
        };
        let migrated = migrate(options.clone(), &lines);
        migrated.check_cases();
        // Every event is there once.
        let names = |name: &str| lines.iter().filter(|line| line.contains(name)).count();
        prop_assert_eq!(migrated.events.len(), names("\"View\""));
        let ids: BTreeSet<&String> = migrated.events.iter().collect();
        prop_assert_eq!(ids.len(), migrated.events.len());
        // M-12: links and events agree about each device.
        let mut oracle = SimplifiedOracle::new(EngineSettings::default());
        let after = migrated.users(&mut oracle).into_iter().flatten();
        let after: BTreeSet<String> = after.collect();
        let reported = migrated.report["users"]["after"].as_u64().unwrap();
        prop_assert_eq!(after.len() as u64, reported);
    }
}
