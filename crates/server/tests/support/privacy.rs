//! Requests to erase people, and to retrieve what is stored about them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use idmerge_engines::Model;
use serde_json::{Value, json};

use super::backups::padding;
use super::{Answer, Running, SECRET, project, wait_until};

pub(crate) const DELETIONS: &str = "/api/app/data-deletions/v3.0";
pub(crate) const RETRIEVALS: &str = "/api/app/data-retrievals/v3.0";

pub(crate) const ADA: &str = "ada.lovelace@example.com";
pub(crate) const TABLET: &str = "7e57ab1e-0000-4000-8000-00000000ada1";
/// 2023-11-14.
pub(crate) const START: usize = 1_700_000_000;

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {SECRET} of {token}")
}

pub(crate) fn ask(server: &Running, method: &str, path: &str, body: &Value) -> Answer {
    let bearer = bearer("TOK");
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    // As the example of the vendor's documentation, which declares no type.
    let headers = [("authorization", &*bearer)];
    server.send(method, path, &headers, body.as_bytes())
}

pub(crate) fn request(server: &Running, path: &str, ids: &[&str]) -> String {
    let answer = ask(
        server,
        "POST",
        &format!("{path}/?token=TOK"),
        &json!({"distinct_ids": ids, "compliance_type": "GDPR"}),
    );
    assert_eq!(answer.status, 201, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["status"], "ok");
    json["results"]["task_id"].as_str().unwrap().to_owned()
}

pub(crate) fn task(server: &Running, path: &str, id: &str) -> Value {
    let answer = ask(
        server,
        "GET",
        &format!("{path}/{id}?token=TOK"),
        &Value::Null,
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["status"], "ok");
    json["results"].clone()
}

/// Waits until a deletion has this status, and has not failed meanwhile.
pub(crate) fn wait_for(server: &Running, id: &str, status: &str) -> Value {
    let mut last = Value::Null;
    wait_until(&format!("{id} is {status}"), || {
        last = task(server, DELETIONS, id);
        assert_ne!(last["status"], "FAILURE", "{last}");
        last["status"] == status
    });
    last
}

/// An event that joins a user and a device.
pub(crate) fn event(user: &str, device: &str, number: usize) -> Value {
    json!({"event": "Log In", "properties": {
        "$user_id": user, "$device_id": device, "distinct_id": user, "time": START + number,
        "$insert_id": format!("insert-{number}"), "number": number, "padding": "x".repeat(100),
    }})
}

pub(crate) fn import(server: &Running, token: &str, events: &[Value]) -> Answer {
    let bearer = bearer(token);
    let headers = [
        ("authorization", &*bearer),
        ("content-type", "application/json"),
    ];
    let body = Value::from(events.to_vec()).to_string();
    server.send("POST", "/import?strict=1", &headers, body.as_bytes())
}

pub(crate) fn set(server: &Running, id: &str, value: &str) {
    let update = json!([{"$token": "TOK", "$distinct_id": id, "$set": {"name": value}}]);
    let answer = server.post("/engage", "application/json", &update.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// How often each number is stored in a project, and under which ID.
pub(crate) fn stored(server: &Running, token: &str) -> BTreeMap<usize, Vec<String>> {
    let answer = server.get(
        "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01",
        &[("authorization", &bearer(token))],
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut stored: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for line in answer.body.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let properties = &event["properties"];
        let number = usize::try_from(properties["number"].as_u64().unwrap()).unwrap();
        let id = properties["distinct_id"].as_str().unwrap().to_owned();
        stored.entry(number).or_default().push(id);
    }
    stored
}

/// A server with one project, `TOK`, that erases after this time.
pub(crate) fn with_delay(seconds: u64) -> Running {
    Running::with(vec![project("TOK", Model::Simplified)], |bounds| {
        bounds.erasure_delay = Duration::from_secs(seconds);
    })
}

/// Sends events of ten others to the project `TOK`, so many that a client that does not read a backup of it holds the
/// backup. Returns their numbers.
pub(crate) fn import_many(server: &Running) -> Range<usize> {
    let numbers = 100_000..101_000;
    let events = numbers.clone().map(|number| {
        let other = number % 10;
        let mut event = event(
            &format!("other-{other}"),
            &format!("device-{other}"),
            number,
        );
        let parts = (0..12).map(|part| padding(&format!("{number} {part}")));
        event["properties"]["padding"] = parts.collect::<String>().into();
        event
    });
    for part in events.collect::<Vec<_>>().chunks(100) {
        assert_eq!(import(server, "TOK", part).status, 200);
    }
    numbers
}
