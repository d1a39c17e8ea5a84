//! Which senders can merge: with the secret, with the token, and without a credential (AR-4).

use crate::support::{Answer, Running, SECRET, basic, project};
use idmerge_engines::Model;
use idmerge_server::{Config, ProjectConfig};
use serde_json::{Value, json};

/// An Original project whose token may merge, or not.
fn server(token_may_merge: bool) -> Running {
    let with = |token: &str| {
        let mut project = project(token, Model::Original);
        project.token_may_merge = token_may_merge;
        project
    };
    Running::with(vec![with("TOK"), with("COPY")], |_| {})
}

fn secret(token: &str) -> String {
    format!("{SECRET} of {token}")
}

/// Sends events to `/import` with a user name of Basic authentication, strictly.
fn import(server: &Running, user: &str, events: &str) -> Answer {
    let authorization = basic(user);
    let headers = [
        ("authorization", &*authorization),
        ("content-type", "application/x-ndjson"),
    ];
    let answer = server.send("POST", "/import/?strict=1", &headers, events.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The `$merge` of RudderStack: without a time, an ID of its own and an `$insert_id`.
fn merge(first: &str, second: &str) -> Value {
    json!({"event": "$merge", "properties": {"$distinct_ids": [first, second], "token": "TOK"}})
}

/// A `$merge` that can have duplicates.
fn repeatable(first: &str, second: &str) -> Value {
    let mut event = merge(first, second);
    event["properties"]["time"] = json!(1_780_300_803_118_u64);
    event["properties"]["$insert_id"] = json!("one");
    event
}

fn members(server: &Running, token: &str, id: &str) -> Vec<String> {
    server.identity(token, id).1
}

fn export(server: &Running, token: &str) -> String {
    let authorization = format!("Bearer {}", secret(token));
    let path = "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01";
    let answer = server.get(path, &[("authorization", &authorization)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[test]
fn ar_4_a_merge_with_the_token_is_stored_and_merges_nothing() {
    let server = server(false);
    let ordinary = json!({"event": "A", "properties": {"distinct_id": "a", "token": "TOK",
        "time": 1_780_300_803_118_u64, "$insert_id": "a"}});
    let batch = format!("{}\n{ordinary}", merge("a", "b"));
    let answer = import(&server, "TOK", &batch);
    assert_eq!(answer.json()["num_records_imported"], 2, "{answer:?}");
    assert_eq!(members(&server, "TOK", "a"), ["a"]);
    assert_eq!(members(&server, "TOK", "b"), ["b"]);
    let metrics = server.get("/metrics", &[]).body;
    let wanted =
        "idmerge_records_total{project=\"TOK\",endpoint=\"import\",result=\"unweighed\"} 1\n";
    assert!(metrics.contains(wanted), "{metrics}");

    // Its export does not merge either, also with the secret of another project.
    let exported = export(&server, "TOK");
    let marks = exported.matches(r#""$idmerge_unweighed":true"#).count();
    assert_eq!(marks, 1, "{exported}");
    assert_eq!(
        exported.matches(r#""$mp_api_endpoint":"/import""#).count(),
        2
    );
    import(&server, &secret("COPY"), &exported);
    assert_eq!(members(&server, "COPY", "a"), ["a"]);
}

#[test]
fn ar_2_a_merge_with_the_secret_takes_the_place_of_one_with_the_token() {
    let server = server(false);
    let merge = repeatable("a", "b").to_string();
    import(&server, "TOK", &merge);
    assert_eq!(members(&server, "TOK", "a"), ["a"]);
    import(&server, &secret("TOK"), &merge);
    assert_eq!(members(&server, "TOK", "a"), ["a", "b"]);
    let exported = export(&server, "TOK");
    assert_eq!(exported.lines().count(), 1, "{exported}");
    assert!(!exported.contains("unweighed"), "{exported}");
    // The other way round it is a duplicate.
    import(&server, "TOK", &merge);
    assert_eq!(export(&server, "TOK"), exported);
}

#[test]
fn a_setting_lets_the_token_merge() {
    let server = server(true);
    import(&server, "TOK", &merge("a", "b").to_string());
    assert_eq!(members(&server, "TOK", "a"), ["a", "b"]);
    assert!(!export(&server, "TOK").contains("unweighed"));

    let read = |line: &str| -> ProjectConfig {
        let text = format!("[[project]]\ntoken = \"T\"\nengine = \"original\"\n{line}\n");
        Config::read("d".into(), &text).unwrap().projects.remove(0)
    };
    assert!(!read("").token_may_merge);
    assert!(read("token_may_merge = true").token_may_merge);
}

#[test]
fn identify_and_alias_need_no_credential() {
    let server = server(false);
    let device = "a1a1a1a1-0000-4000-8000-000000000001";
    let properties = [
        ("$create_alias", json!({"distinct_id": "u", "alias": "v"})),
        (
            "$identify",
            json!({"$identified_id": "w", "$anon_id": device}),
        ),
    ];
    for (name, mut properties) in properties {
        properties["token"] = json!("TOK");
        let event = json!({"event": name, "properties": properties}).to_string();
        assert_eq!(server.post("/track", "application/json", &event).body, "1");
    }
    assert_eq!(members(&server, "TOK", "u"), ["u", "v"]);
    assert_eq!(members(&server, "TOK", "w"), ["w", device]);
}
