//! A project of Legacy over HTTP: what browser SDKs send on `alias`, and the answers to it.

use crate::support::Running;
use idmerge_engines::Model;
use serde_json::{Value, json};

const READING: &[(&str, &str)] = &[("authorization", "Bearer a long secret of TOK")];

const DEVICE: &str = "d0000000-0000-4000-8000-000000000001";

fn track(server: &Running, event: &Value) {
    let answer = server.post("/track?verbose=1", "application/json", &event.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["status"], 1, "{answer:?}");
}

fn event(name: &str, mut properties: Value) -> Value {
    properties["token"] = json!("TOK");
    json!({ "event": name, "properties": properties })
}

/// The events of the raw export: name, and the IDs that it has.
fn export(server: &Running) -> Vec<[String; 3]> {
    let path = "/api/2.0/export?from_date=0001-01-01&to_date=9998-12-31";
    let answer = server.get(path, READING);
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = answer.body.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let properties = &event["properties"];
        [
            text(&event["event"]),
            text(&properties["distinct_id"]),
            text(&properties["$distinct_id_before_identity"]),
        ]
    });
    events.collect()
}

#[test]
fn l_3_the_alias_of_a_browser_sdk_counts_for_the_events_after_it() {
    let server = Running::of(Model::Legacy);
    let marked = format!("$device:{DEVICE}");
    // The user's ID before the alias, as a server sends it.
    track(&server, &event("Early", json!({"distinct_id": "U1"})));
    // JS13: `alias('U1')`, and then an event.
    let alias = json!({"distinct_id": marked, "$device_id": DEVICE, "alias": "U1"});
    track(&server, &event("$create_alias", alias));
    let identify = json!({
        "distinct_id": "U1", "$device_id": DEVICE, "$user_id": "U1", "$anon_distinct_id": marked,
    });
    track(&server, &event("$identify", identify));
    let view = json!({"distinct_id": marked, "$device_id": DEVICE, "$user_id": "U1"});
    track(&server, &event("B", view));
    track(&server, &event("Late", json!({"distinct_id": "U1"})));
    let wanted = [
        ["Early", "U1", ""],
        ["$create_alias", DEVICE, ""],
        ["$identify", DEVICE, "U1"],
        ["B", DEVICE, ""],
        ["Late", DEVICE, "U1"],
    ];
    assert_eq!(export(&server), wanted);
    let (canonical, members) = server.identity("TOK", "U1");
    assert_eq!(
        (canonical.as_str(), members),
        (DEVICE, vec![DEVICE.to_owned(), "U1".to_owned()])
    );
}

#[test]
fn l_3_a_simulation_with_another_model_says_that_it_compares_clusters_alone() {
    let server = Running::of(Model::Legacy);
    let answer = server.get("/v1/simulate?engine=original", READING);
    assert_eq!(answer.status, 200, "{answer:?}");
    let note = answer.json()["note"].as_str().unwrap().to_owned();
    assert!(note.contains("clusters alone"), "{note}");
    let server = Running::of(Model::Original);
    let answer = server.get("/v1/simulate?engine=simplified", READING);
    assert_eq!(answer.json()["note"], Value::Null);
}
