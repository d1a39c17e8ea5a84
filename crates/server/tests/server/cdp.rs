//! The requests that RudderStack sends, and the profile updates in the vectors of SDKs. The code of
//! Segment runs in `tests/e2e/segment`.

use crate::support::{Answer, Running, SECRET, basic, project};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use idmerge_engines::Model;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

const ANONYMOUS: &str = "a1a1a1a1-0000-4000-8000-000000000001";
const VERBOSE: &str = r#"{"error":null,"status":1}"#;
const TIME: u64 = 1_780_300_803_118;

/// Sends a batch to `/import/` with the token as the credential. RudderStack has no other.
fn import(server: &Running, strict: bool, events: &Value) -> Answer {
    let authorization = basic("TOK");
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
    ];
    let path = format!("/import/?strict={}", u8::from(strict));
    server.send("POST", &path, &headers, events.to_string().as_bytes())
}

fn assert_imports(server: &Running, events: &Value) {
    let answer = import(server, true, events);
    assert_eq!(answer.status, 200, "{answer:?}");
    let records = events.as_array().unwrap().len();
    assert_eq!(answer.json()["num_records_imported"], records, "{answer:?}");
}

fn assert_updates(server: &Running, path: &str, updates: &Value) {
    let answer = server.post(path, "application/json", &updates.to_string());
    assert_eq!((answer.status, &*answer.body), (200, VERBOSE), "{updates}");
}

/// The properties of a profile, if there is one.
fn profile(server: &Running, id: &str) -> Option<Value> {
    let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
    let secret = format!("Bearer {SECRET} of TOK");
    let answer = server.get(
        &format!("/v1/users/{id}/profile"),
        &[("authorization", &secret)],
    );
    match answer.status {
        200 => Some(answer.json()["properties"].clone()),
        404 => None,
        _ => panic!("{answer:?}"),
    }
}

#[track_caller]
fn assert_cluster(server: &Running, members: &[&str]) {
    let wanted: Vec<_> = members.iter().map(|&member| member.to_owned()).collect();
    for member in members {
        let found = server.identity("TOK", member);
        assert_eq!(found, (members[0].to_owned(), wanted.clone()), "{member}");
    }
}

#[test]
fn rudderstack_for_original() {
    // RudderStack merges with the token.
    let mut project = project("TOK", Model::Original);
    project.token_may_merge = true;
    let server = Running::with(vec![project], |_| {});
    // RS02, RS01: an event before the login, and one after it.
    assert_imports(
        &server,
        &json!([
            {"event": "E", "properties": {
                "token": "TOK", "distinct_id": ANONYMOUS, "time": TIME,
                "$insert_id": "b3a1c9c2-77f7-4c1e-9d70-1f2c3d4e5f60"}},
            {"event": "E", "properties": {
                "$user_id": "U1", "$insert_id": "b3a1c9c2-77f7-4c1e-9d70-1f2c3d4e5f61",
                "token": "TOK", "distinct_id": "U1", "time": TIME}},
        ]),
    );
    assert_cluster(&server, &["U1"]);
    assert_cluster(&server, &[ANONYMOUS]);

    // RS03: a profile update, and a `$merge` with the token among ordinary events, with strict=1.
    let update = json!([{"$set": {"plan": "gold"}, "$token": "TOK", "$distinct_id": "U1",
        "$ip": "8.8.8.8", "$time": TIME}]);
    assert_updates(&server, "/engage/?verbose=2", &update);
    assert_imports(
        &server,
        &json!([
            {"event": "$merge", "properties": {"$distinct_ids": ["U1", ANONYMOUS], "token": "TOK"}},
            {"event": "E", "properties": {
                "token": "TOK", "distinct_id": "U1", "time": TIME,
                "$insert_id": "b3a1c9c2-77f7-4c1e-9d70-1f2c3d4e5f62"}},
        ]),
    );
    assert_cluster(&server, &["U1", ANONYMOUS]);
    let gold = Some(json!({"plan": "gold"}));
    assert_eq!(profile(&server, ANONYMOUS), gold);

    // RS04
    assert_imports(
        &server,
        &json!([{"event": "$create_alias", "properties": {
            "distinct_id": "P", "alias": "U2", "token": "TOK"}}]),
    );
    assert_cluster(&server, &["P", "U2"]);
}

#[test]
fn rudderstack_for_simplified() {
    let server = Running::of(Model::Simplified);
    let device = format!("$device:{ANONYMOUS}");
    // RS06, RS07, RS09: an anonymous visitor.
    assert_imports(
        &server,
        &json!([{"event": "Loaded a Page", "properties": {
            "token": "TOK", "distinct_id": device, "$device_id": ANONYMOUS,
            "$insert_id": "b3a1c9c2-77f7-4c1e-9d70-1f2c3d4e5f60",
            "name": "Contact Us", "time": TIME}}]),
    );
    let update = json!([{"$set": {"seen": "yes"}, "$token": "TOK", "$distinct_id": device,
        "$time": TIME}]);
    assert_updates(&server, "/engage/?verbose=2", &update);
    let update = json!([{"$token": "TOK", "$distinct_id": device,
        "$set": {"company": ["c"]}, "$ip": "8.8.8.8"}]);
    assert_updates(&server, "/engage/?verbose=2", &update);
    let group = json!([{"$token": "TOK", "$group_key": "company", "$group_id": "c",
        "$set": {"company": "c"}}]);
    assert_updates(&server, "/groups/?verbose=2", &group);
    let properties = Some(json!({"seen": "yes", "company": ["c"]}));
    assert_eq!(profile(&server, &device), properties);

    // RS05: the login. The profile of the device is not carried over (P-2).
    assert_imports(
        &server,
        &json!([{"event": "E", "properties": {
            "token": "TOK", "distinct_id": "U1", "$device_id": ANONYMOUS, "$user_id": "U1",
            "$insert_id": "b3a1c9c2-77f7-4c1e-9d70-1f2c3d4e5f61", "time": TIME}}]),
    );
    assert_cluster(&server, &["U1", &device]);
    assert_eq!(profile(&server, "U1"), None);
    assert_eq!(profile(&server, &device), None);
}

#[test]
fn rudderstack_finds_failed_records_by_insert_id() {
    for model in [Model::Simplified, Model::Original] {
        let server = Running::of(model);
        // The $insert_id of page events is the whole messageId, which may be too long.
        let long = "b3a1c9c2-77f7-4c1e-9d70-1f2c3d4e5f60-and-more";
        let event = |insert_id: &str| {
            json!({"event": "E", "properties": {"token": "TOK", "distinct_id": "U1",
                "$user_id": "U1", "time": TIME, "$insert_id": insert_id}})
        };
        let events = json!([event("one"), event(long), event("two")]);
        let answer = import(&server, true, &events);
        assert_eq!(answer.status, 400, "{answer:?}");
        let answer = answer.json();
        assert_eq!(answer["num_records_imported"], 2);
        let failed = answer["failed_records"].as_array().unwrap();
        assert_eq!(failed.len(), 1, "{answer}");
        assert_eq!(failed[0]["$insert_id"], long);
        // With strict=0 the long $insert_id is accepted, and no record fails.
        let answer = import(&server, false, &events);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn profiles_of_the_vectors() {
    for model in [Model::Simplified, Model::Original] {
        let server = Running::of(model);
        let coded = |update: &Value| STANDARD.encode(update.to_string());
        // JS25: a profile update before the login.
        let device = format!("$device:{ANONYMOUS}");
        let update = json!({"$set": {"plan": "x"}, "$token": "TOK", "$distinct_id": device,
            "$device_id": ANONYMOUS});
        let form = format!(
            "data={}",
            utf8_percent_encode(&coded(&update), NON_ALPHANUMERIC)
        );
        let form_type = "application/x-www-form-urlencoded";
        let answer = server.post("/engage/?verbose=1&ip=1&_=1", form_type, &form);
        assert_eq!((answer.status, &*answer.body), (200, VERBOSE));
        assert_eq!(profile(&server, &device), Some(json!({"plan": "x"})));

        // PY08, ND05, GO04: three ways to delete a profile.
        let deletions: [&dyn Fn(&str) -> Answer; 3] = [
            &|id| {
                let update = json!({"$token": "TOK", "$time": 1_780_300_803.118,
                    "$distinct_id": id, "$delete": "", "$ignore_alias": true});
                let escaped =
                    utf8_percent_encode(&update.to_string(), NON_ALPHANUMERIC).to_string();
                server.post(
                    "/engage",
                    form_type,
                    &format!("data={escaped}&verbose=1&ip=0"),
                )
            },
            &|id| {
                let update = json!({"$delete": "", "$token": "TOK", "$distinct_id": id,
                    "$ignore_alias": true});
                let data = coded(&update);
                let data = utf8_percent_encode(&data, NON_ALPHANUMERIC);
                server.get(&format!("/engage?ip=0&verbose=0&data={data}"), &[])
            },
            &|id| {
                let update = json!([{"$token": "TOK", "$distinct_id": id, "$delete": "null",
                    "$ignore_alias": "true"}]);
                let headers = [
                    ("accept", "text/plain"),
                    ("content-type", "application/json"),
                ];
                server.send("POST", "/engage", &headers, update.to_string().as_bytes())
            },
        ];
        for (delete, wanted) in deletions.iter().zip([VERBOSE, "1", "1"]) {
            // SG03, as a form.
            let update = json!({"$token": "TOK", "$distinct_id": "U1", "$set": {"a": 1}});
            let escaped = utf8_percent_encode(&update.to_string(), NON_ALPHANUMERIC).to_string();
            assert_eq!(
                server
                    .post("/engage", form_type, &format!("data={escaped}"))
                    .body,
                "1"
            );
            assert_eq!(profile(&server, "U1"), Some(json!({"a": 1})));
            let answer = delete("U1");
            assert_eq!((answer.status, &*answer.body), (200, wanted));
            assert_eq!(profile(&server, "U1"), None);
        }
    }
}
