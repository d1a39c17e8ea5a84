//! `/v1/health`, with the truth counted by hand from what was sent.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and talks to a server as a client does"
)]

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use idmerge_engines::Model;
use serde_json::{Value, json};
use support::{Running, SECRET};

const DAY_S: u64 = 24 * 60 * 60;

fn device(number: u64) -> String {
    format!("5f1ed002-ab5e-4c1d-9bd1-{number:012}")
}

/// The health of a server, which has log-ins of these users on these devices, so many seconds ago.
fn health(model: Model, log_ins: &[(u64, &str, u64)]) -> (Running, Value) {
    let server = Running::of(model);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // Any event with both IDs joins them in Simplified, and `$identify` in Original.
    let name = match model {
        Model::Simplified => "Log In",
        _ => "$identify",
    };
    let events = log_ins.iter().map(|(number, user, seconds_ago)| {
        let device = device(*number);
        json!({"event": name, "properties": {
            "token": "TOK", "distinct_id": user, "$user_id": user, "$device_id": device,
            "$identified_id": user, "$anon_id": device, "$anon_distinct_id": device,
            "time": now.as_secs() - seconds_ago,
        }})
    });
    // One request each: events of one request are ordered by their times.
    for event in events {
        let answer = server.post("/track", "application/json", &json!([event]).to_string());
        assert_eq!(answer.body, "1");
    }
    let health = get(&server);
    (server, health)
}

fn get(server: &Running) -> Value {
    let secret = format!("Bearer {SECRET} of TOK");
    let answer = server.get("/v1/health", &[("authorization", &secret)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn total(health: &Value, kind: &str) -> u64 {
    let days = health["days"].as_array().unwrap();
    assert_eq!(days.len(), 14);
    days.iter().map(|day| day[kind].as_u64().unwrap()).sum()
}

#[test]
fn shared_devices_and_missing_resets_are_counted() {
    for model in [Model::Simplified, Model::Original] {
        let (_server, health) = health(
            model,
            &[
                // Before the last 14 days: in no day, and still a device that was shared.
                (1, "ada", 20 * DAY_S),
                (1, "eve", 19 * DAY_S),
                (2, "ben", 3_000),
                (2, "cat", 2_950),
                (2, "dan", 1_000),
                (3, "eve", 500),
            ],
        );
        assert_eq!(total(&health, "merges"), 2, "{model:?}");
        assert_eq!(total(&health, "rejections"), 2, "{model:?}");
        assert_eq!(health["shared_devices"], 2);
        // Fifty seconds after ben came cat. Eve came a day after ada.
        assert_eq!(health["missing_resets"], 1);
        let examples = health["shared_device_examples"].as_array().unwrap();
        assert!(
            examples[0]["distinct_id"]
                .as_str()
                .unwrap()
                .ends_with(&device(2))
        );
        assert_eq!(examples[0]["holder"]["distinct_id"], "ben");
        let others =
            json!([{"distinct_id": "cat", "name": null}, {"distinct_id": "dan", "name": null}]);
        assert_eq!(examples[0]["others"], others);
        assert_eq!(examples[1]["holder"]["distinct_id"], "ada");
    }
}

#[test]
fn large_users_refused_ids_and_unknown_tokens_are_named() {
    let log_ins: Vec<_> = (0..99).map(|number| (number, "robot", 1_000)).collect();
    let (server, health) = health(Model::Simplified, &log_ins);
    assert_eq!(
        health["large_users"],
        json!([{"distinct_id": "robot", "name": null, "ids": 100}])
    );
    assert_eq!(health["max_cluster_ids"], Value::Null);
    assert_eq!(health["refused"], json!({}));
    assert_eq!(health["unknown_tokens"], json!([]));
    let commits = &health["commits"];
    assert_eq!(
        (&commits["failure"], &commits["waiting"]),
        (&Value::Null, &json!(0))
    );
    assert!(commits["count"].as_u64().unwrap() >= 99);

    let junk = json!([{"event": "A", "properties": {"token": "TOK", "distinct_id": "undefined", "$user_id": "undefined"}}]);
    server.post("/track", "application/json", &junk.to_string());
    let mistyped = json!([{"event": "A", "properties": {"token": "T0K", "distinct_id": "ada"}}]);
    server.post("/track", "application/json", &mistyped.to_string());
    let health = get(&server);
    assert_eq!(health["refused"]["ID-4"], 1, "{health}");
    assert_eq!(health["unknown_tokens"][0]["token"], "T0K");
    assert_eq!(health["unknown_tokens"][0]["events"], 1);
}

#[test]
fn an_empty_project_is_well() {
    let (_server, health) = health(Model::Legacy, &[]);
    assert_eq!(health["entries"], 0);
    assert_eq!(total(&health, "merges"), 0);
    assert_eq!(health["large_users"], json!([]));
}
