//! The order in which the events of a request are weighed (rule AR-1).

use crate::support::{Running, SECRET};
use idmerge_engines::Model;
use serde_json::{Value, json};

const DEVICE: &str = "$device:kiosk";

/// An event that links the device to a user. `time` is in seconds.
fn log_in(user: &str, time: u64) -> Value {
    json!({"event": "Login", "properties": {"token": "TOK", "distinct_id": user,
        "$device_id": "kiosk", "$user_id": user, "time": time, "$insert_id": user}})
}

/// Sends these events to `/import` as one request.
fn import(server: &Running, events: &[Value]) {
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/x-ndjson"),
    ];
    let lines: Vec<_> = events.iter().map(Value::to_string).collect();
    let body = lines.join("\n");
    let answer = server.send("POST", "/import?strict=1", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["num_records_imported"], events.len());
}

fn assert_first_owns_the_device(server: &Running) {
    let members = vec!["first-by-arrival".to_owned(), DEVICE.to_owned()];
    let wanted = ("first-by-arrival".to_owned(), members);
    assert_eq!(server.identity("TOK", DEVICE), wanted);
}

#[test]
fn ar_1_an_import_is_weighed_in_the_order_given_in_one_request_as_in_two() {
    let events = [
        log_in("first-by-arrival", 1_700_000_200),
        log_in("first-by-time", 1_700_000_100),
    ];
    let two = Running::of(Model::Simplified);
    import(&two, &events[..1]);
    import(&two, &events[1..]);
    assert_first_owns_the_device(&two);
    let one = Running::of(Model::Simplified);
    import(&one, &events);
    assert_first_owns_the_device(&one);
}

#[test]
fn ar_1_tracked_events_are_weighed_by_time_within_a_request_and_ties_as_sent() {
    let server = Running::of(Model::Simplified);
    let batch = json!([
        log_in("later", 1_700_000_009),
        log_in("first", 1_700_000_000_000),
        log_in("tie", 1_700_000_000),
        log_in("never", 1_700_000_001),
    ]);
    let answer = server.post("/track", "application/json", &batch.to_string());
    assert_eq!(answer.body, "1");
    assert_eq!(server.identity("TOK", DEVICE).0, "first");
}
