//! `idmerge resolve`: the properties it writes, and the order of events.

use crate::run::Folder;

const SIMPLIFIED: &str = "resolve - -q --engine simplified";
const ORIGINAL: &str = "resolve - -q --engine original";

/// Resolves lines of stdin.
#[track_caller]
fn resolve(args: &str, lines: &str) -> String {
    Folder::new().pipe(lines, args).ok()
}

const LOGIN: &str = r#"{"event":"L","properties":{"$device_id":"D1","$user_id":"U1"}}"#;

/// The output for an event that comes before the login of U1 on device D1.
#[track_caller]
fn before_login(line: &str) -> String {
    let out = resolve(SIMPLIFIED, &format!("{line}\n{LOGIN}\n"));
    let (first, rest) = out.split_once('\n').unwrap();
    let login =
        r#"{"event":"L","properties":{"$device_id":"D1","$user_id":"U1","distinct_id":"U1"}}"#;
    assert_eq!(rest, format!("{login}\n"));
    first.to_owned()
}

#[test]
fn w_1_w_2_new_properties_come_last() {
    assert_eq!(
        before_login(r#"{"event":"A","properties":{"$device_id":"D1","n":1.50}}"#),
        r#"{"event":"A","properties":{"$device_id":"D1","n":1.50,"distinct_id":"U1","$distinct_id_before_identity":"$device:D1","$is_reshuffled":true}}"#
    );
}

#[test]
fn w_6_everything_else_is_kept_byte_for_byte() {
    // White space, an unnecessary escape, a long number, a key besides `properties`.
    assert_eq!(
        before_login(
            "  {\"a\" : [ 1e400 ],\"event\":\"\\u0041\", \"properties\" :{ \"distinct_id\" :\"x\" ,\"$device_id\":\"D1\"} }\t"
        ),
        "  {\"a\" : [ 1e400 ],\"event\":\"\\u0041\", \"properties\" :{ \"distinct_id\" :\"U1\" ,\"$device_id\":\"D1\",\"$distinct_id_before_identity\":\"$device:D1\",\"$is_reshuffled\":true} }\t"
    );
}

#[test]
fn w_6_in_2_the_last_of_two_equal_keys_is_replaced() {
    assert_eq!(
        before_login(
            r#"{"event":"A","properties":{"distinct_id":"x","$device_id":"D9","\u0024device_id":"D1","distinct\u005fid":7}}"#
        ),
        r#"{"event":"A","properties":{"distinct_id":"x","$device_id":"D9","\u0024device_id":"D1","distinct\u005fid":"U1","$distinct_id_before_identity":"$device:D1","$is_reshuffled":true}}"#
    );
}

#[test]
fn w_6_a_distinct_id_that_is_right_keeps_its_spelling() {
    let line =
        "{\"event\":\"A\",\"properties\":{\"$user_id\":\"U1\",\"distinct_id\":\"\\u00551\"}}\n";
    assert_eq!(resolve(SIMPLIFIED, line), line);
    assert_eq!(resolve(ORIGINAL, line), line);
}

#[test]
fn w_2_properties_of_an_earlier_run_are_replaced() {
    // The output of a run is valid input for the next, and properties are not added twice.
    let line = r#"{"event":"A","properties":{"$device_id":"D1"}}"#;
    let once = resolve(SIMPLIFIED, &format!("{line}\n{LOGIN}\n"));
    assert_eq!(resolve(SIMPLIFIED, &once), once);
}

#[test]
fn w_5_a_distinct_id_alone_adds_the_user_or_device_that_it_names() {
    let lines = r#"{"event":"A","properties":{"distinct_id":"U1"}}
{"event":"A","properties":{"distinct_id":"$device:D1"}}
"#;
    assert_eq!(
        resolve(SIMPLIFIED, lines),
        r#"{"event":"A","properties":{"distinct_id":"U1","$user_id":"U1"}}
{"event":"A","properties":{"distinct_id":"$device:D1","$device_id":"D1"}}
"#
    );
    assert_eq!(
        resolve(ORIGINAL, lines),
        r#"{"event":"A","properties":{"distinct_id":"U1"}}
{"event":"A","properties":{"distinct_id":"D1"}}
"#
    );
}

#[test]
fn w_7_an_event_without_ids_gets_an_empty_distinct_id() {
    let lines = r#"{"event":"A","properties":{}}
{"event":"A","properties":{"distinct_id":null,"a":1}}
{"event":"A","properties":{"distinct_id":""}}
"#;
    let expected = r#"{"event":"A","properties":{"distinct_id":""}}
{"event":"A","properties":{"distinct_id":"","a":1}}
{"event":"A","properties":{"distinct_id":""}}
"#;
    assert_eq!(resolve(SIMPLIFIED, lines), expected);
    assert_eq!(resolve(ORIGINAL, lines), expected);
}

#[test]
fn w_3_a_rejected_link_is_noted_on_its_own_event_only() {
    let lines = r#"{"event":"1","properties":{"$device_id":"D1","$user_id":"U1","distinct_id":"U1"}}
{"event":"2","properties":{"$device_id":"D1","$user_id":"U2","distinct_id":"U2"}}
{"event":"3","properties":{"$device_id":"D1","$user_id":"U1","distinct_id":"U1"}}
{"event":"4","properties":{"$device_id":"D1","$user_id":"U2","distinct_id":"U2"}}
{"event":"5","properties":{"$device_id":"D2","$user_id":"U2","distinct_id":"U2"}}
"#;
    let failed = r#","$identity_failure_reason":"errAnonDistinctIdAssignedAlready"}}"#;
    let expected: String = lines
        .lines()
        .map(|line| {
            let rejected = line.contains("\"2\"") || line.contains("\"4\"");
            let line = if rejected {
                line.replace("}}", failed)
            } else {
                line.to_owned()
            };
            line + "\n"
        })
        .collect();
    assert_eq!(resolve(SIMPLIFIED, lines), expected);
}

#[test]
fn w_4_each_rejection_of_original_names_its_ids() {
    let g = "a1a1a1a1-0000-4000-8000-00000000000";
    // U1 has two IDs, and the limit is two.
    let lines = format!(
        r#"{{"event":"$identify","properties":{{"$identified_id":"U1","$anon_id":"{g}1"}}}}
{{"event":"$identify","properties":{{"$identified_id":"U1","$anon_id":"U1"}}}}
{{"event":"$identify","properties":{{"$identified_id":"U1","$anon_id":"x"}}}}
{{"event":"$identify","properties":{{"$identified_id":"U2","$anon_id":"{g}1"}}}}
{{"event":"$identify","properties":{{"$identified_id":"U1","$anon_id":"{g}2"}}}}
{{"event":"$create_alias","properties":{{"distinct_id":"P","alias":"Q"}}}}
{{"event":"$create_alias","properties":{{"distinct_id":"R","alias":"Q"}}}}
{{"event":"$merge","properties":{{"$distinct_ids":["m","m"]}}}}
"#
    );
    let out = resolve(&format!("{ORIGINAL} --max-cluster-ids 2"), &lines);
    let holder = format!("{g}1");
    let expected: [Option<(&str, &[&str])>; 8] = [
        None,
        Some(("errSameIDs", &["U1"])),
        Some(("errAnonDistinctIdNonGUIDForm", &["x"])),
        Some(("errAnonDistinctIdAssignedAlready", &[&holder, "U1"])),
        Some(("errManyIDs", &["3", "2"])),
        None,
        Some(("errAliasAlreadyExists", &["Q"])),
        Some(("errSameIDs", &["m"])),
    ];
    assert_eq!(out.lines().count(), expected.len());
    for (line, expected) in out.lines().zip(expected) {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| event["properties"][key].as_str();
        let Some((reason, about)) = expected else {
            assert_eq!(
                (text("$failure_reason"), text("$failure_description")),
                (None, None)
            );
            continue;
        };
        assert_eq!(text("$failure_reason"), Some(reason));
        let description = text("$failure_description").unwrap();
        assert!(
            about.iter().all(|about| description.contains(about)),
            "{line}"
        );
        assert_eq!(text("$identity_failure_reason"), None);
    }
}

#[test]
fn o_12_o_18_a_cluster_has_at_most_500_members() {
    let merge = |n| {
        format!("{{\"event\":\"$merge\",\"properties\":{{\"$distinct_ids\":[\"U\",\"m{n}\"]}}}}\n")
    };
    let lines: String = (1..=500).map(merge).collect();
    let out = resolve(ORIGINAL, &lines);
    let failed: Vec<_> = out
        .lines()
        .filter(|line| line.contains("errManyIDs"))
        .collect();
    // U and 499 others make 500.
    assert_eq!(failed.len(), 1);
    assert!(
        failed[0].contains("\"m500\"") && failed[0].contains("501"),
        "{}",
        failed[0]
    );
}

#[test]
fn s_7_any_number_of_rejections_is_kept() {
    // More than is held in memory between the two passes.
    let mut lines = LOGIN.to_owned() + "\n";
    for n in 0..12_000 {
        lines += &format!(
            "{{\"event\":\"{n}\",\"properties\":{{\"$device_id\":\"D1\",\"$user_id\":\"U{n}\"}}}}\n"
        );
    }
    let out = resolve(SIMPLIFIED, &lines);
    let failed = out.lines().filter(|line| {
        line.contains("\"$identity_failure_reason\":\"errAnonDistinctIdAssignedAlready\"")
    });
    // All but the login and the event of U1.
    assert_eq!(failed.count(), 11_999);
}

#[test]
fn output_order_is_input_order() {
    let folder = Folder::new();
    folder
        .run("generate --workload identify --events 3000 -o in")
        .ok();
    let events = folder.read("in");
    for engine in ["simplified", "original"] {
        let out = folder.run(&format!("resolve in -q --engine {engine}")).ok();
        let insert_id = |line: &str| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            event["properties"]["$insert_id"]
                .as_str()
                .map(str::to_owned)
        };
        let ids = |text: &str| text.lines().map(insert_id).collect::<Vec<_>>();
        assert_eq!(ids(&out), ids(&events));
        assert!(ids(&out).iter().all(Option::is_some));
    }
}

#[test]
fn rules_go_by_arrival_not_by_time() {
    // U2 logs in first by `time`, U1 by arrival.
    let lines = r#"{"event":"A","properties":{"$device_id":"D1","$user_id":"U1","time":9}}
{"event":"B","properties":{"$device_id":"D1","$user_id":"U2","time":1}}
{"event":"C","properties":{"$device_id":"D1","time":0}}
"#;
    let out = resolve(SIMPLIFIED, lines);
    let last = out.lines().last().unwrap();
    assert!(last.contains("\"distinct_id\":\"U1\""), "{last}");
}
