//! The summary at the end.

use serde_json::{Value, json};

use crate::run::Folder;

const EVENTS: &str = r#"{"event":"A","properties":{"$device_id":"D1"}}
{"event":"A","properties":{"$device_id":"D2"}}
{"event":"A","properties":{"$device_id":"D1","$user_id":"U1"}}
{"event":"A","properties":{"$device_id":"D1","$user_id":"U2"}}
{"event":"A","properties":{"$device_id":"D1","$user_id":"U1"}}
{"event":"A","properties":{}}
{"event":"$identify","properties":{"distinct_id":"U1","$anon_id":"D1"}}
{"event":"$merge","properties":{"$distinct_ids":["U1","U2"]}}
{"event":"$merge","properties":{"$distinct_ids":["U1","U1"]}}
{"event":"$merge","properties":{"$distinct_ids":["U2","U2"]}}
no event
"#;

#[test]
fn the_summary_of_simplified() {
    // Own distinct_ids: $device:D1, $device:D2, U1, U2; the $identify is an event of U1 (S-3). Four
    // events have no user. After the link, $device:D1 is U1.
    let done = Folder::new()
        .pipe(EVENTS, "resolve --engine simplified")
        .code(0);
    assert_eq!(done.stdout.lines().count(), 10);
    let (_, summary) = done.stderr.split_once("the rules\n").unwrap();
    assert_eq!(
        summary,
        "\
events                  10
  without ID             4
users before             4
users after              3
merges                   1
rejections               1
                         1 errAnonDistinctIdAssignedAlready
refused                  1
"
    );
}

#[test]
fn the_summary_of_original() {
    // Own distinct_ids: D1, D2, U1, U2; U1 and U2 are merged.
    let folder = Folder::with(&[("in", EVENTS)]);
    let done = folder
        .run("resolve in --engine original -o out --refused refused")
        .code(0);
    assert_eq!(
        (done.stdout.as_str(), done.stderr.as_str()),
        (
            "",
            "\
events                  10
  without ID             1
users before             4
users after              3
merges                   1
rejections               3
                         1 errAnonDistinctIdNonGUIDForm
                         2 errSameIDs
refused                  1
"
        )
    );
}

#[test]
fn the_summary_as_json_is_all_of_stderr() {
    let folder = Folder::with(&[("in", EVENTS)]);
    let first = "in, line 11: not JSON: expected a JSON value at byte 1 (IN-1)";
    let json = |stderr: &str| -> Value {
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        let mut json: Value = serde_json::from_str(stderr).unwrap();
        let refused = json["first_refused"].take();
        let start = first.split_once("not JSON").unwrap().0;
        assert!(refused.as_str().unwrap().starts_with(start), "{refused}");
        json
    };
    // With the option the figures are those of the text.
    let rejections = json!({"errAnonDistinctIdAssignedAlready": 1});
    let expected = json!({
        "events": 10, "events_without_id": 4, "users_before": 4, "users_after": 3, "merges": 1,
        "rejections": 1, "rejections_by_code": rejections, "refused": 1, "first_refused": null,
    });
    for quiet in ["", "-q"] {
        let done = folder
            .run(&format!(
                "resolve in {quiet} --engine simplified --summary json"
            ))
            .code(0);
        assert_eq!(done.stdout.lines().count(), 10);
        assert_eq!(json(&done.stderr), expected);
    }
    #[cfg(feature = "store")]
    {
        let done = folder.run("ingest people in --engine simplified --summary json");
        let ingested = json(&done.code(0).stderr);
        assert_eq!(ingested["events"], 10);
        assert_eq!(ingested["rejections_by_code"], rejections);
        let entries: Value = serde_json::from_str(&folder.run("store info people").ok()).unwrap();
        assert_eq!(ingested["new_entries"], entries["entries"]);
        let done = folder
            .run("resolve in --store people --summary json")
            .code(0);
        let by_store = json(&done.stderr);
        for name in ["events", "users_before", "users_after", "refused"] {
            assert_eq!(by_store[name], expected[name], "{name}");
        }
    }
    // A failure is told in words.
    let done = folder.run("resolve in --engine simplified --summary json --strict");
    let done = done.code(1);
    assert!(
        done.stderr.starts_with("idmerge: 1 line was refused"),
        "{}",
        done.stderr
    );
}

#[test]
fn quiet_shows_only_refused_lines() {
    let done = Folder::new()
        .pipe(EVENTS, "resolve -q --engine simplified")
        .code(0);
    assert_eq!(done.stderr.lines().count(), 3);
    let folder = Folder::with(&[("in", EVENTS)]);
    for args in [
        "resolve in --quiet --engine simplified --refused refused",
        "generate --workload cap --events 9",
    ] {
        assert_eq!(folder.run(args).code(0).stderr, "");
    }
}

#[test]
fn large_figures_have_commas() {
    let events = "{\"event\":\"A\",\"properties\":{\"$user_id\":\"U1\"}}\n".repeat(1_234);
    let done = Folder::new()
        .pipe(events, "resolve --engine original")
        .code(0);
    done.says("events               1,234\nusers before             1\n");
}

#[test]
fn no_bar_is_drawn_if_stderr_is_not_a_terminal() {
    let folder = Folder::new();
    folder
        .run("generate --workload web-login --events 10000 -o in")
        .ok();
    let done = folder.run("resolve in --engine simplified -o out").code(0);
    assert!(done.stderr.starts_with("events "), "{}", done.stderr);
    assert!(!done.stderr.contains('\u{1b}') && !done.stderr.contains('\r'));
}
