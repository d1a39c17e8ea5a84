//! An event is scanned once, from the body of the request to the stored event.
//!
//! The test has a process of its own, because the scans of the whole process are counted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and runs a server on a thread"
)]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use idmerge_engines::Model;
use idmerge_events::probe::{self, Scanned};
use support::{Answer, Running, SECRET, basic, gzip, project};

/// Events with names that are unique in the test, so that none is a duplicate.
fn events(token: &str, of: &str) -> Vec<String> {
    let event = |name: &str, properties: &str| {
        let time = r#""time":1600000000"#;
        format!(r#"{{"event":"{name}","properties":{{"token":"{token}",{time},{properties}}}}}"#)
    };
    let insert_id = format!(r#""$insert_id":"{of}""#);
    vec![
        event(
            &format!("{of} 1"),
            &format!(r#"{insert_id},"distinct_id":"U1""#),
        ),
        event(
            &format!("{of} 2 \\n"),
            &format!(r#"{insert_id},"$user_id":"U\u0031","distinct_id":"","$device_id":"D1""#),
        ),
        event(
            &format!("{of} 3"),
            &format!(
                r#"{insert_id},"distinct_id":"U2","a":[{{"b":[1,2]}}],"$mp_metadata":{{"$mp_event_id":"m"}}"#
            ),
        ),
        event(
            "$identify",
            r#""$identified_id":"U3","$anon_id":"00000000-0000-4000-8000-000000000000""#,
        ),
    ]
}

/// Sends events, and asserts that each is accepted and scanned once.
fn assert_scanned_once(events: &[String], send: impl FnOnce() -> Answer) {
    let before = probe::of_process().unwrap();
    let answer = send();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.body == "1" || answer.json()["num_records_imported"] == events.len(),
        "{answer:?}"
    );
    let after = probe::of_process().unwrap();
    let scanned = Scanned {
        events: after.events - before.events,
        bytes: after.bytes - before.bytes,
    };
    let sent = Scanned {
        events: events.len() as u64,
        bytes: events.iter().map(|event| event.len() as u64).sum(),
    };
    assert_eq!(scanned, sent);
}

#[test]
fn an_event_is_scanned_once_on_its_way_into_a_project() {
    if probe::of_process().is_none() {
        // A release build does not count.
        return;
    }
    let projects = ["ONE", "TWO"].map(|token| project(token, Model::Original));
    let server = Running::with(projects.into(), |_| {});

    let one = events("ONE", "track json");
    let body = format!(" [ {} ] ", one.join(" , "));
    assert_scanned_once(&one, || server.post("/track", "text/plain", &body));

    // A request for two projects is split.
    let both = [events("ONE", "track form"), events("TWO", "track form")].concat();
    let body = format!("data={}", STANDARD.encode(format!("[{}]", both.join(","))));
    let form = "application/x-www-form-urlencoded";
    assert_scanned_once(&both, || server.post("/track", form, &body));

    let alone = events("ONE", "track alone");
    for event in &alone {
        let event = std::slice::from_ref(event);
        assert_scanned_once(event, || {
            server.post("/track", "application/json", &event[0])
        });
    }

    let authorization = basic(&format!("{SECRET} of ONE"));
    let import = |content_type: &str, encoding: &str, body: &[u8]| {
        let headers = [
            ("authorization", &*authorization),
            ("content-type", content_type),
            ("content-encoding", encoding),
        ];
        server.send("POST", "/import?strict=1", &headers, body)
    };
    let array = events("ONE", "import-array");
    let body = format!("[{}]", array.join(",\n"));
    assert_scanned_once(&array, || import("application/json", "", body.as_bytes()));

    let lines = events("ONE", "import-lines");
    let body = gzip(lines.join("\r\n"));
    assert_scanned_once(&lines, || import("application/x-ndjson", "gzip", &body));

    // More than one block of the archive.
    let many: Vec<_> = (0..400)
        .flat_map(|number| events("ONE", &format!("many-{number}")))
        .collect();
    let body = format!("[{}]", many.join(","));
    assert_scanned_once(&many, || import("application/json", "", body.as_bytes()));
}
