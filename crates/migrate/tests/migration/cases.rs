//! Who is who, and the cases that a person must decide: rules M-6 to M-11 and M-16 to M-19.

use idmerge_migrate::{OnConflict, Options, UserRules};
use serde_json::{Value, json};

use crate::run::{Beside, Migrated, migrate, migrate_with, options};

const D1: &str = "d1d1d1d1-0000-4000-8000-000000000001";
const D2: &str = "d2d2d2d2-0000-4000-8000-000000000002";
const D3: &str = "d3d3d3d3-0000-4000-8000-000000000003";

/// Lines with a time and an insert ID of their number.
fn lines(events: &[(&str, Value)]) -> Vec<String> {
    let line = |(at, (name, properties)): (u64, &(&str, Value))| {
        let mut properties = properties.clone();
        properties["time"] = json!(1_700_000_000 + at);
        properties["$insert_id"] = json!(format!("i-{at}"));
        json!({"event": name, "properties": properties}).to_string()
    };
    (1..).zip(events).map(line).collect()
}

fn identify(user: &str, anon: &str) -> (&'static str, Value) {
    (
        "$identify",
        json!({"$identified_id": user, "$anon_id": anon}),
    )
}

fn merge(a: &str, b: &str) -> (&'static str, Value) {
    ("$merge", json!({"$distinct_ids": [a, b]}))
}

fn both(user: &str, device: &str) -> (&'static str, Value) {
    (
        "View",
        json!({"distinct_id": user, "$user_id": user, "$device_id": device}),
    )
}

fn view(id: &str) -> (&'static str, Value) {
    ("View", json!({"distinct_id": id}))
}

/// The rows of the mapping, without the header, by device.
fn rows(migrated: &Migrated) -> Vec<(String, String)> {
    let rows = migrated.mapping.lines().skip(1);
    let mut rows: Vec<_> = rows
        .map(|row| {
            let (device, user) = row.split_once(',').unwrap();
            (device.to_owned(), user.to_owned())
        })
        .collect();
    rows.sort();
    rows
}

#[track_caller]
fn assert_rows(migrated: &Migrated, wanted: &[(&str, &str)]) {
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(device, user)| (format!("$device:{device}"), (*user).to_owned()))
        .collect();
    assert_eq!(rows(migrated), wanted);
}

#[test]
fn m_6_a_line_with_both_ids_joins_a_device_without_a_user() {
    // D1 and D2 are joined, and nobody is identified: the line makes both ada's.
    let migrated = migrate(
        options(),
        &lines(&[merge(D1, D2), both("ada", D1), both("bob", D1)]),
    );
    assert_rows(&migrated, &[(D1, "ada"), (D2, "ada")]);
    // The device stays hers: bob's line contradicts.
    assert_eq!(migrated.kinds(), ["contradicted"]);
    let case = &migrated.conflicts[0];
    assert_eq!(case["chosen"], "ada");
    assert_eq!(
        case["evidence"][1],
        json!({
            "file": "in", "line": 3, "insert_id": "i-3", "event": "View", "rank": 0, "ids": ["bob", D1],
        })
    );
    assert_eq!(migrated.report["contradicted_events"], 1);
}

#[test]
fn m_6_a_mapping_is_read_both_ways() {
    let migrated = migrate_with(
        options(),
        &lines(&[view(D1), view(D2), view("ada")]),
        // The head of a mapping is often anonymous.
        Beside {
            mapping: &[("ada", D1), (D2, "ada")],
            ..Beside::default()
        },
    );
    assert_rows(&migrated, &[(D1, "ada"), (D2, "ada")]);
    assert!(
        migrated
            .links
            .iter()
            .all(|link| link.contains(r#""idmerge_evidence":"mapping""#))
    );
}

#[test]
fn m_7_who_is_a_user() {
    let written = |events: &[(&str, Value)], users: UserRules| {
        let migrated = migrate(Options { users, ..options() }, &lines(events));
        let last: Value = serde_json::from_str(migrated.events.last().unwrap()).unwrap();
        last["properties"]["$user_id"].as_str().map(str::to_owned)
    };
    let none = UserRules::default;
    // a: identified, also a UUID. b: a `$user_id`. d: neither a UUID nor of the old form of browsers.
    let a_uuid = Some(D2.to_owned());
    assert_eq!(written(&[identify(D2, D1), view(D2)], none()), a_uuid);
    assert_eq!(written(&[both(D2, D1), view(D2)], none()), a_uuid);
    assert_eq!(written(&[view("ada")], none()), Some("ada".to_owned()));
    assert_eq!(written(&[view(D2)], none()), None);
    assert_eq!(
        written(&[view("18f0a-0b1c-1d2e-1fa400-18f0b")], none()),
        None
    );
    // d: it is sent as a device.
    let device = (
        "View",
        json!({"distinct_id": "session", "$device_id": "session"}),
    );
    assert_eq!(written(&[device, view("session")], none()), None);
    assert_eq!(written(&[view("$device:x"), view("x")], none()), None);
    // c: a pattern, and then the form says nothing.
    let pattern = || UserRules {
        pattern: Some(regex::Regex::new("^[0-9]+$").unwrap()),
        ..UserRules::default()
    };
    assert_eq!(written(&[view("42")], pattern()), Some("42".to_owned()));
    assert_eq!(written(&[view("ada")], pattern()), None);
}

#[test]
fn m_8_devices_without_a_user_stay_apart() {
    let migrated = migrate(options(), &lines(&[merge(D1, D2), view(D1), view(D2)]));
    assert_eq!(migrated.count_users(), 2);
    let case = &migrated.conflicts[0];
    assert_eq!(case["kind"], "anonymous");
    assert_eq!(case["ids"], json!([D1, D2]));
    assert_eq!(case["chosen"], Value::Null);
    assert_eq!(case["events"], 2);
    assert_eq!(case["evidence"][0]["event"], "$merge");
}

/// ada has D1 and bob D2; they are merged, and D3 is joined to D1 alone.
fn two_users() -> Vec<String> {
    lines(&[
        identify("ada", D1),
        identify("bob", D2),
        merge("ada", "bob"),
        merge(D1, D3),
        view("ada"),
        view("bob"),
        view("bob"),
        view(D3),
    ])
}

fn with(on_conflict: OnConflict) -> Options {
    Options {
        on_conflict,
        ..options()
    }
}

#[test]
fn m_9_users_are_never_joined() {
    let migrated = migrate(with(OnConflict::Direct), &two_users());
    assert_rows(&migrated, &[(D1, "ada"), (D2, "bob")]);
    assert_eq!(migrated.count_users(), 3);
    assert_eq!(migrated.kinds(), ["two_users"]);
    assert_eq!(migrated.conflicts[0]["events"], 4);
    assert_eq!(migrated.conflicts[0]["chosen"], Value::Null);

    for (on_conflict, chosen) in [
        (OnConflict::Oldest, "ada"),
        (OnConflict::Latest, "bob"),
        (OnConflict::MostEvents, "bob"),
    ] {
        let migrated = migrate(with(on_conflict), &two_users());
        assert_rows(&migrated, &[(D1, "ada"), (D2, "bob"), (D3, chosen)]);
        assert_eq!(migrated.conflicts[0]["chosen"], chosen);
    }
    let migrated = migrate(with(OnConflict::Report), &two_users());
    assert_rows(&migrated, &[]);
}

#[test]
fn m_9_a_line_with_both_is_better_evidence_than_a_claim() {
    let mut events = vec![
        identify("ada", D1),
        identify("bob", D2),
        merge("ada", "bob"),
    ];
    events.push(both("bob", D1));
    let migrated = migrate(options(), &lines(&events));
    assert_rows(&migrated, &[(D1, "bob"), (D2, "bob")]);
    // With `report` an event must not link either.
    let migrated = migrate(with(OnConflict::Report), &lines(&events));
    assert_rows(&migrated, &[]);
    assert!(!migrated.events[0].contains(r#""$device_id":"#));
}

#[test]
fn m_10_a_user_is_no_device() {
    // A logout without reset(): eve's browser sends the user before her as its anonymous ID.
    let migrated = migrate(
        options(),
        &lines(&[identify("ada", D1), both("eve", "ada"), view("ada")]),
    );
    assert_rows(&migrated, &[(D1, "ada")]);
    assert_eq!(migrated.kinds(), ["device_is_user"]);
    let written = &migrated.events[0];
    assert!(
        written.contains(
            r#""$user_id":"eve","distinct_id":"eve","$device_id_before_migration":"ada""#
        )
    );
    assert_eq!(migrated.count_users(), 2);
    migrated.check_cases();
}

#[test]
fn m_11_the_events_of_the_other_users_get_the_elected_one() {
    let options = Options {
        rewrites_users: true,
        ..with(OnConflict::Oldest)
    };
    let migrated = migrate(options, &two_users());
    assert_rows(&migrated, &[(D1, "ada"), (D2, "ada"), (D3, "ada")]);
    assert_eq!(migrated.count_users(), 1);
    let event = &migrated.events[1];
    assert!(
        event.contains(r#""$user_id":"ada","distinct_id":"ada","$user_id_before_migration":"bob""#),
        "{event}"
    );
}

#[test]
fn m_16_profiles_follow_their_person() {
    let profile = |id: &str, plan: &str| {
        json!({"$distinct_id": id, "$properties": {"plan": plan}}).to_string()
    };
    let events = lines(&[identify("ada", D1), identify("bob", D2), view(D3)]);
    let profiles = [
        profile(D1, "of the device"),
        profile("bob", "of the user"),
        profile(D2, "of his device"),
        profile(&format!("$device:{D3}"), "of nobody"),
    ];
    let profiles = profiles.each_ref().map(String::as_str);
    let migrated = migrate_with(
        options(),
        &events,
        Beside {
            profiles: &profiles,
            ..Beside::default()
        },
    );
    let written = |id: &str, plan: &str| {
        format!(
            r#"{{"$distinct_id":"{id}","$ignore_time":true,"$ip":"0","$set":{{"plan":"{plan}"}}}}"#
        )
    };
    assert_eq!(
        migrated.profiles,
        [
            written("ada", "of the device"),
            written("bob", "of the user"),
            written(&format!("$device:{D3}"), "of nobody"),
        ]
    );
    assert_eq!(migrated.kinds(), ["profile"]);
    let case = &migrated.conflicts[0];
    assert_eq!(
        (&case["chosen"], &case["evidence"][0]["line"]),
        (&json!("bob"), &json!(3))
    );
}

#[test]
fn m_17_the_mapping_is_that_of_the_target() {
    let migrated = migrate(
        options(),
        &lines(&[identify("Lovelace, Ada", D1), view(D2)]),
    );
    let rows = format!("distinct_id,resolved_distinct_id\n$device:{D1},\"Lovelace, Ada\"\n");
    assert_eq!(migrated.mapping, rows);
}

#[test]
fn m_18_cases_are_sorted_by_events() {
    let mut events = vec![
        merge(D1, D2),
        both("ada", D3),
        both("bob", D3),
        view(D3),
        view(D3),
    ];
    events.push(("$create_alias", json!({"distinct_id": "x", "alias": "y"})));
    events.push(("$create_alias", json!({"distinct_id": "z", "alias": "y"})));
    events.push(("$create_alias", json!({"distinct_id": "z", "alias": "z"})));
    let migrated = migrate(options(), &lines(&events));
    let kinds = [
        "contradicted",
        "two_users",
        "anonymous",
        "refused_alias",
        "loop",
    ];
    let mut found = migrated.kinds();
    assert_eq!(found[0], "contradicted");
    found.sort_unstable();
    let mut kinds = kinds.to_vec();
    kinds.sort_unstable();
    assert_eq!(found, kinds);
    migrated.check_cases();
}

#[test]
fn m_19_the_report() {
    let events = [
        identify("ada", D1),
        view(D1),
        view("ada"),
        ("Buy", json!({"distinct_id": D2})),
    ];
    let migrated = migrate(options(), &lines(&events));
    let report = &migrated.report;
    assert_eq!(report["users"], json!({"before": 2, "after": 2}));
    assert_eq!(
        report["uniques"]["View"],
        json!({"events": 2, "before": 1, "after": 1})
    );
    assert_eq!(report["association_rate"], json!(0.6667));
    assert_eq!(
        report["most_devices"],
        json!([{"user": "ada", "devices": 1}])
    );
    assert_eq!(report["events"]["identity_events"], 1);
    // An event name whose every event has a user of its own.
    let many: Vec<_> = (0..1_000).map(|n| view(&format!("user {n}"))).collect();
    let migrated = migrate(options(), &lines(&many));
    assert_eq!(migrated.report["one_event_per_user"], json!(["View"]));
}
