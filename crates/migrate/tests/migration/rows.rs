//! What one line becomes: rules M-1 to M-3 and M-12 to M-15.

use idmerge_migrate::{Options, UserRules, link_time_ms};

use crate::run::{migrate, options};

const D1: &str = "d1d1d1d1-0000-4000-8000-000000000001";
const D2: &str = "d2d2d2d2-0000-4000-8000-000000000002";

/// A line with these properties, a time and an insert ID. D1 and D2 are replaced by UUIDs.
fn line(name: &str, properties: &str) -> String {
    let comma = if properties.is_empty() { "" } else { "," };
    let text = format!(
        r#"{{"event":"{name}","properties":{{"time":1700000000,{properties}{comma}"$insert_id":"i"}}}}"#
    );
    text.replace("D1", D1).replace("D2", D2)
}

/// An `$identify` that joins D1 to `ada`.
fn ada() -> String {
    line("$identify", r#""$identified_id":"ada","$anon_id":"D1""#)
}

/// The properties that the last line is written with, after `time` and without `$insert_id`.
#[track_caller]
fn written_after(before: &[String], properties: &str) -> String {
    let mut lines = before.to_vec();
    lines.push(line("View", properties));
    let migrated = migrate(options(), &lines);
    let last = migrated.events.last().unwrap();
    let start = r#"{"event":"View","properties":{"time":1700000000,"#;
    let rest = last.strip_prefix(start).unwrap();
    let rest = rest.strip_suffix(r#","$insert_id":"i"}}"#).unwrap();
    rest.replace(D1, "D1").replace(D2, "D2")
}

#[track_caller]
fn is_written(before: &[String], properties: &str, wanted: &str) {
    assert_eq!(written_after(before, properties), wanted);
}

#[test]
fn m_1_the_id_before_identity_is_the_own_one() {
    // The canonical ID of an export can be an anonymous one of the cluster.
    is_written(
        &[],
        r#""distinct_id":"D2","$distinct_id_before_identity":"D1""#,
        r#""$device_id":"D1","distinct_id":"$device:D1""#,
    );
    // An exported alias whose distinct_id was replaced by the alias: both IDs are there.
    let alias = r#""distinct_id":"new","alias":"new","$distinct_id_before_identity":"D1""#;
    let lines = [
        line("$create_alias", alias),
        line("View", r#""distinct_id":"D1""#),
    ];
    let migrated = migrate(options(), &lines);
    assert_eq!(migrated.count_users(), 1);
    assert_eq!(
        migrated.mapping,
        format!("distinct_id,resolved_distinct_id\n$device:{D1},new\n")
    );
}

#[test]
fn m_2_doubles_of_an_export_count_once() {
    let view = line("View", r#""distinct_id":"ada""#);
    // The same event as another export has it: its ID was replaced since.
    let restamped = r#""distinct_id":"eve","$distinct_id_before_identity":"ada","x":1"#;
    let other = line("Buy", r#""distinct_id":"ada""#);
    let lines = [view.clone(), line("View", restamped), other, view];
    let migrated = migrate(options(), &lines);
    assert_eq!(migrated.events.len(), 2);
    assert_eq!(migrated.report["events"]["duplicates"], 2);
    // Without an insert ID nothing is a double.
    let without = r#"{"event":"View","properties":{"distinct_id":"ada","time":1700000000}}"#;
    assert_eq!(migrate(options(), &[without, without]).events.len(), 2);
}

#[test]
fn m_3_properties_of_an_export_are_dropped() {
    is_written(
        &[],
        r#""$import":true,"$mp_api_endpoint":"api","$mp_api_timestamp_ms":1,"a":[1, 2],"$mp_event_size":9,"mp_processing_time_ms":1,"$distinct_id_before_identity":"ada","$preshuffle_distinct_id":"x","$is_reshuffled":true,"$failure_reason":"x","$failure_description":"x","$identity_failure_reason":"x","$city":"Rome","distinct_id":"x","token":"old""#,
        r#""a":[1, 2],"$city":"Rome","$user_id":"ada","distinct_id":"ada""#,
    );
}

#[test]
fn m_12_a_link_for_each_device_that_no_event_carries() {
    let lines = [
        ada(),
        line("View", r#""distinct_id":"D1""#),
        // The event carries this one.
        line(
            "Buy",
            r#""distinct_id":"bob","$user_id":"bob","$device_id":"D2""#,
        ),
    ];
    let migrated = migrate(options(), &lines);
    // BLAKE3 of `ada`, a zero byte and D1; midnight before 2023-11-14.
    let id = blake3::hash(format!("ada\0{D1}").as_bytes()).to_hex()[..32].to_owned();
    let wanted = format!(
        r#"{{"event":"Identity Link","properties":{{"$device_id":"{D1}","$user_id":"ada","distinct_id":"ada","time":1699833600,"$insert_id":"{id}","idmerge_evidence":"claim"}}}}"#
    );
    assert_eq!(migrated.links, [wanted]);
    let at = Options {
        link_event: "Link".to_owned(),
        link_time_ms: Some(86_400_000_000),
        ..options()
    };
    let migrated = migrate(at, &lines);
    assert!(migrated.links[0].starts_with(r#"{"event":"Link","#));
    assert!(migrated.links[0].contains(r#""time":86400000,"#));
}

#[test]
fn m_12_the_evidence_of_a_link() {
    let merge = |a: &str, b: &str| line("$merge", &format!(r#""$distinct_ids":["{a}","{b}"]"#));
    // D2 is joined to D1 alone, and so to ada by closure.
    let migrated = migrate(options(), &[ada(), merge("D1", "D2")]);
    let evidence = migrated.links.iter().map(|link| {
        let link: serde_json::Value = serde_json::from_str(link).unwrap();
        link["properties"]["idmerge_evidence"]
            .as_str()
            .unwrap()
            .to_owned()
    });
    assert_eq!(evidence.collect::<Vec<_>>(), ["claim", "closure"]);
}

#[test]
fn m_12_the_time_of_links_is_midnight_of_the_day_before() {
    assert_eq!(link_time_ms(Some(1_700_000_000_000)), 1_699_833_600_000);
    // Never before 1971-01-02, and no event: that.
    assert_eq!(link_time_ms(Some(0)), 366 * 86_400_000);
    assert_eq!(link_time_ms(None), 366 * 86_400_000);
}

#[test]
fn m_13_both_ids() {
    let own = [
        r#""distinct_id":"ada","#,
        r#""distinct_id":"$device:D1","#,
        "",
    ];
    for own in own {
        is_written(
            &[],
            &format!(r#"{own}"$user_id":"ada","$device_id":"D1""#),
            r#""$user_id":"ada","$device_id":"D1","distinct_id":"ada""#,
        );
    }
    // The own ID is of ada's cluster.
    let merge = line("$merge", r#""$distinct_ids":["D1","D2"]"#);
    is_written(
        &[ada(), merge],
        r#""distinct_id":"D2","$user_id":"ada","$device_id":"D1""#,
        r#""$user_id":"ada","$device_id":"D1","distinct_id":"ada""#,
    );
}

#[test]
fn m_13_a_device_of_another_user_is_removed() {
    is_written(
        &[ada()],
        r#""distinct_id":"bob","$user_id":"bob","$device_id":"D1""#,
        r#""$user_id":"bob","distinct_id":"bob","$device_id_before_migration":"D1""#,
    );
}

#[test]
fn m_13_an_own_id_of_somebody_else_decides_alone() {
    is_written(
        &[],
        r#""distinct_id":"eve","$user_id":"ada","$device_id":"D1""#,
        r#""$user_id":"eve","distinct_id":"eve","$user_id_before_migration":"ada","$device_id_before_migration":"D1""#,
    );
    // Also without a `$device_id`: the source attributed the event to eve.
    is_written(
        &[],
        r#""distinct_id":"eve","$user_id":"ada""#,
        r#""$user_id":"eve","distinct_id":"eve","$user_id_before_migration":"ada""#,
    );
}

#[test]
fn m_13_one_id() {
    let user = r#""$user_id":"ada","distinct_id":"ada""#;
    is_written(&[], r#""distinct_id":"ada""#, user);
    is_written(&[], r#""$user_id":"ada""#, user);
    let device = r#""$device_id":"D1","distinct_id":"$device:D1""#;
    for properties in [
        r#""distinct_id":"D1""#,
        r#""$device_id":"D1""#,
        r#""distinct_id":"$device:D1","$device_id":"$device:D1""#,
        // S-0: a phone whose user is anonymous.
        r#""distinct_id":"$device:D1","$device_id":"D1","$user_id":"$device:D1""#,
        // No event is lost for a prefix that occurs twice.
        r#""distinct_id":"$device:$device:D1","$device_id":"$device:$device:D1""#,
    ] {
        is_written(&[], properties, device);
    }
    // Also if ada has the device: the link says so.
    is_written(&[ada()], r#""distinct_id":"D1""#, device);
}

#[test]
fn m_13_an_anonymous_id_beside_another_device() {
    let properties = r#""distinct_id":"D1","$device_id":"D2""#;
    let written =
        r#""$device_id":"D1","distinct_id":"$device:D1","$device_id_before_migration":"D2""#;
    is_written(&[], properties, written);
    // The cluster has a user: both are linked.
    let migrated = migrate(options(), &[ada(), line("View", properties)]);
    let rows = format!("$device:{D1},ada\n$device:{D2},ada\n");
    assert_eq!(
        migrated.mapping,
        format!("distinct_id,resolved_distinct_id\n{rows}")
    );
    // The other device has a user of its own.
    let bob = line("$identify", r#""$identified_id":"bob","$anon_id":"D2""#);
    let migrated = migrate(options(), &[ada(), bob, line("View", properties)]);
    let rows = format!("$device:{D1},ada\n$device:{D2},bob\n");
    assert_eq!(
        migrated.mapping,
        format!("distinct_id,resolved_distinct_id\n{rows}")
    );
}

#[test]
fn m_13_no_id_and_ids_that_are_not_valid() {
    is_written(&[], "", r#""distinct_id":"""#);
    is_written(
        &[],
        r#""distinct_id":"D1","$user_id":"undefined","$device_id":null"#,
        r#""$device_id":"D1","distinct_id":"$device:D1","$user_id_before_migration":"undefined""#,
    );
    is_written(
        &[],
        r#""distinct_id":"ada","$device_id":"00000000-0000-0000-0000-000000000000""#,
        r#""$user_id":"ada","distinct_id":"ada","$device_id_before_migration":"00000000-0000-0000-0000-000000000000""#,
    );
    // IDs that are numbers.
    is_written(
        &[],
        r#""distinct_id":12345"#,
        r#""$user_id":"12345","distinct_id":"12345""#,
    );
}

#[test]
fn m_13_identity_events_are_not_written() {
    let lines = [
        ada(),
        line("$create_alias", r#""distinct_id":"D1","alias":"D2""#),
        line("$merge", r#""$distinct_ids":["ada","x"]"#),
    ];
    assert_eq!(migrate(options(), &lines).events, [""; 0]);
}

#[test]
fn m_14_an_insert_id_that_the_target_refuses_is_replaced() {
    let with = |id: &str| {
        let line = format!(
            r#"{{"event":"A","properties":{{"time":1700000000,"distinct_id":"ada"{id}}}}}"#
        );
        let event = migrate(options(), &[line]).events.remove(0);
        let event: serde_json::Value = serde_json::from_str(&event).unwrap();
        event["properties"]["$insert_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(with(r#","$insert_id":"a-Z-9""#), "a-Z-9");
    let kept = "x".repeat(36);
    assert_eq!(with(&format!(r#","$insert_id":"{kept}""#)), kept);
    let mut made = Vec::new();
    let long = "x".repeat(37);
    for id in ["ajs-next-1:2", "a_b", "null", &long] {
        made.push(with(&format!(r#","$insert_id":"{id}""#)));
        assert_eq!(
            made.last(),
            Some(&with(&format!(r#","$insert_id":"{id}""#)))
        );
    }
    made.push(with(""));
    made.push(with(r#","b":1"#));
    for id in &made {
        assert_eq!(id.len(), 32);
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 6);
}

#[test]
fn m_15_a_line_that_strict_mode_would_refuse() {
    let long = "x".repeat(1024 * 1024);
    let many: String = (0..255).map(|n| format!(r#","k{n}":1"#)).collect();
    let list = vec!["1"; 255].join(",");
    for (properties, message) in [
        (
            r#""distinct_id":"ada""#.to_owned(),
            "must be specified as seconds since epoch",
        ),
        (
            r#""distinct_id":"ada","time":31535999"#.to_owned(),
            "must not be before 1971",
        ),
        // The migration is at 1700086400, and one hour ahead is allowed.
        (
            r#""distinct_id":"ada","time":1700090001"#.to_owned(),
            "must not be in the future",
        ),
        (
            r#""distinct_id":"ada","time":1700000000,"a":{"b":{"c":{"d":{}}}}"#.to_owned(),
            "nested at most 3 deep",
        ),
        (
            format!(r#""distinct_id":"ada","time":1700000000,"a":[{list}]"#),
            "at most 254 members",
        ),
        (
            format!(r#""distinct_id":"ada","time":1700000000{many}"#),
            "at most 254 members",
        ),
        (
            format!(r#""distinct_id":"ada","time":1700000000,"a":"{long}""#),
            "more than 1048576 bytes",
        ),
        // The source refuses it.
        (
            r#""distinct_id":"undefined","time":1700000000"#.to_owned(),
            "ID-4",
        ),
    ] {
        let line = format!(r#"{{"event":"A","properties":{{{properties}}}}}"#);
        let migrated = migrate(options(), &[line]);
        assert_eq!(migrated.events, [""; 0], "{message}");
        let [(1, said)] = &migrated.refused[..] else {
            panic!("{:?}", migrated.refused);
        };
        assert!(said.contains(message), "{said}");
    }
    // A long text is left: the vendor cuts it.
    let text = "x".repeat(300);
    let line = line("A", &format!(r#""distinct_id":"ada","a":"{text}""#));
    assert_eq!(migrate(options(), &[line]).events.len(), 1);
}

#[test]
fn m_7_not_users_are_no_users() {
    let users = UserRules {
        not_users: ["bot".to_owned()].into_iter().collect(),
        ..UserRules::default()
    };
    let lines = [line("View", r#""distinct_id":"bot","$user_id":"bot""#)];
    let migrated = migrate(Options { users, ..options() }, &lines);
    assert!(migrated.events[0].contains(r#""$device_id":"bot","distinct_id":"$device:bot""#));
}
