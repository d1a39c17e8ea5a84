//! Feeds the calls of recorded requests as raw records, and compares what the connectors of Segment and RudderStack
//! send. `data/connector-vectors.jsonl` has the requests as they were written down from the sources of the
//! connectors; a text in angle brackets in them is a value that differs each time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use idmerge_adapters::{Adapted, Adapter, Format, LineKind, Options, Output, Target};
use serde_json::{Value, json};

const ANON: &str = "a1a1a1a1-0000-4000-8000-000000000001";
const MESSAGE: &str = "1662363980287-168cf720-6227-4b56-a98e-c49bdc7279e9";
const TIME: &str = "2024-05-01T12:30:00.250Z";

/// The raw record of a vector: its `calls` as JSON.
fn record(id: &str) -> Value {
    let mut record = match id {
        "SG01" => {
            json!({"type": "identify", "userId": "U1", "anonymousId": ANON, "traits": {"email": "<email>"}})
        }
        "SG02" => {
            json!({"type": "identify", "userId": null, "anonymousId": ANON, "traits": {"a": 1}})
        }
        "SG03" => json!({"type": "identify", "userId": "U1", "traits": {"a": 1}}),
        "SG04" => {
            json!({"type": "track", "event": "E", "userId": "U1", "anonymousId": ANON, "messageId": "M"})
        }
        "SG05" => json!({"type": "track", "event": "E", "anonymousId": ANON, "messageId": "M"}),
        "SG06" | "RS04" | "RS08" => json!({"type": "alias", "userId": "U1", "previousId": "P"}),
        "RS01" => {
            json!({"type": "track", "event": "E", "userId": "U1", "anonymousId": ANON, "messageId": MESSAGE})
        }
        "RS02" => json!({"type": "track", "event": "E", "anonymousId": ANON}),
        "RS03" => json!({"type": "identify", "userId": "U1", "anonymousId": ANON, "traits": {}}),
        "RS05" => json!({"type": "track", "event": "E", "userId": "U1", "anonymousId": ANON}),
        "RS06" => json!({"type": "page", "name": "Contact Us", "anonymousId": ANON}),
        "RS07" => json!({"type": "identify", "anonymousId": ANON, "traits": {}}),
        "RS09" => json!({"type": "group", "anonymousId": ANON, "traits": {"company": "c"}}),
        _ => panic!("no record for {id}"),
    };
    // A request with a time has that of the call, and one with an IP address has that of the context.
    if !["SG05", "SG06"].contains(&id) {
        record["timestamp"] = TIME.into();
    }
    match id {
        "SG01" | "SG02" => record["context"] = json!({"ip": "8.8.8.8"}),
        "RS03" | "RS09" => record["context"] = json!({"ip": "<ip>"}),
        _ => {}
    }
    record
}

/// The payload with the values of the record in place of those that differ each time.
fn filled(payload: &Value) -> Value {
    match payload {
        Value::String(text) if text == "<ms>" => json!(1_714_566_600_250_i64),
        Value::String(text) if text == "<last 36 chars of M>" => {
            json!(MESSAGE[MESSAGE.len() - 36..])
        }
        Value::Array(values) => values.iter().map(filled).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), filled(value)))
            .collect(),
        other => other.clone(),
    }
}

/// The records of the requests to these paths, in order.
fn sent(vector: &Value, paths: &[&str]) -> Vec<Value> {
    let mut sent = Vec::new();
    for request in vector["wire"].as_array().unwrap() {
        let path = request["path"].as_str().unwrap();
        if paths.iter().any(|start| path.starts_with(start)) {
            match filled(&request["data"]) {
                Value::Array(records) => sent.extend(records),
                record => sent.push(record),
            }
        }
    }
    sent
}

fn values(text: &[u8]) -> Vec<Value> {
    let lines = str::from_utf8(text).unwrap().lines();
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_4_the_calls_of_the_vectors_give_the_payloads_of_the_vectors() {
    let vectors = include_str!("data/connector-vectors.jsonl");
    let mut count = 0;
    for line in vectors.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let id = vector["id"].as_str().unwrap();
        let sdk = vector["sdk"].as_str().unwrap();
        let format = match sdk.starts_with("Segment") {
            true => Format::Segment,
            false => Format::RudderStack,
        };
        let targets = match sdk {
            _ if format == Format::Segment => vec![Target::Original, Target::Simplified],
            sdk if sdk.ends_with("original") => vec![Target::Original],
            _ => vec![Target::Simplified],
        };
        for target in targets {
            let mut options = Options::new(target);
            options.output = Output::Mixpanel;
            options.with_profiles = true;
            options.token = Some("TOK".to_owned());
            options.group_keys = vec!["company".to_owned()];
            let adapter = Adapter::new(format, options).unwrap();
            let mut adapted = Adapted::default();
            adapter.adapt(1, &record(id).to_string(), &mut adapted);
            let events = ["/track", "/import"];
            assert_eq!(values(adapted.text()), sent(&vector, &events), "{id}");
            assert_eq!(
                values(adapted.profiles()),
                sent(&vector, &["/engage"]),
                "{id}"
            );
            assert_eq!(
                values(adapted.groups()),
                sent(&vector, &["/groups"]),
                "{id}"
            );
            let lines = adapted.lines().iter();
            let mut refused = lines.filter(|line| matches!(line.kind, LineKind::Refused(_)));
            // RudderStack's transformer refuses it.
            assert_eq!(refused.next().is_some(), id == "RS08", "{id}");
        }
        count += 1;
    }
    assert_eq!(count, 15, "SG01 to SG06, RS01 to RS09");
}
