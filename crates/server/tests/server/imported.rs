//! What came with a credential is never dropped for what came without (rule AR-2).

use crate::support::{Answer, Running, SECRET};
use idmerge_engines::Model;
use serde_json::{Value, json};

const PHONE: &str = "6c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e";

fn purchase(price: u32) -> Value {
    json!({"event": "Purchase", "properties": {"token": "TOK", "distinct_id": "U1",
        "time": 1_700_000_000, "$insert_id": "order-1", "price": price}})
}

fn track(server: &Running, event: &Value) {
    let answer = server.post("/track", "application/json", &event.to_string());
    assert_eq!((answer.status, &*answer.body), (200, "1"));
}

fn import(server: &Running, credential: &str, event: &Value) -> Answer {
    let headers = [
        ("authorization", credential),
        ("content-type", "application/json"),
    ];
    server.send(
        "POST",
        "/import?strict=1",
        &headers,
        event.to_string().as_bytes(),
    )
}

fn import_with_secret(server: &Running, event: &Value) {
    let answer = import(server, &format!("Bearer {SECRET} of TOK"), event);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["num_records_imported"], 1);
}

/// A property of each event of an export.
fn exported(server: &Running, property: &str) -> Vec<Value> {
    let secret = format!("Bearer {SECRET} of TOK");
    let answer = server.get(
        "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01",
        &[("authorization", &secret)],
    );
    properties(&answer, property)
}

fn properties(exported: &Answer, property: &str) -> Vec<Value> {
    let lines = exported.body.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["properties"][property].clone()
    });
    lines.collect()
}

#[test]
fn ar_2_a_forged_track_does_not_keep_the_import_out() {
    for model in [Model::Simplified, Model::Original, Model::Legacy] {
        let server = Running::of(model);
        track(&server, &purchase(1));
        import_with_secret(&server, &purchase(50));
        assert_eq!(exported(&server, "price"), [50], "{model:?}");
        // Neither does sending it again.
        track(&server, &purchase(1));
        import_with_secret(&server, &purchase(50));
        assert_eq!(exported(&server, "price"), [50], "{model:?}");

        let secret = format!("Bearer {SECRET} of TOK");
        let of_user = server.get("/v1/users/U1/events", &[("authorization", &secret)]);
        let events = of_user.json();
        assert_eq!(events["events"].as_array().unwrap().len(), 1);
        assert_eq!(events["events"][0]["event"]["properties"]["price"], 50);
        let metrics = server.get("/metrics", &[]).body;
        let kept = metrics
            .lines()
            .find(|line| line.starts_with("idmerge_events_kept"));
        assert!(kept.is_some_and(|line| line.ends_with(" 1")), "{kept:?}");
    }
}

/// The import belongs to another user than the forged event, because an alias came in between (L-3).
#[test]
fn ar_2_a_forged_track_before_an_alias_does_not_keep_the_import_out() {
    let server = Running::of(Model::Legacy);
    let alias = json!({"event": "$create_alias", "properties": {"token": "TOK", "distinct_id": "U0",
        "alias": "U1"}});
    for event in [purchase(1), alias, purchase(2)] {
        track(&server, &event);
    }
    import_with_secret(&server, &purchase(50));
    assert_eq!(exported(&server, "price"), [Value::Null, json!(50)]);
    assert_eq!(exported(&server, "distinct_id"), ["U0", "U0"]);
}

/// An export is made in runs of 65,536 events. The import comes in another run than what it replaces.
#[test]
fn ar_2_a_long_export_does_not_have_the_replaced_event() {
    const RUN_EVENTS: usize = 1 << 16;
    const BODY_EVENTS: usize = 2_000;
    let server = Running::of(Model::Legacy);
    let secret = format!("Bearer {SECRET} of TOK");
    let other = |number| {
        format!(
            r#"{{"event":"Read","properties":{{"distinct_id":"U2","time":1700000000,"$insert_id":"r-{number}"}}}}"#
        )
    };
    let others: Vec<String> = (1..RUN_EVENTS).map(other).collect();
    for body in others.chunks(BODY_EVENTS) {
        let body = format!("[{}]", body.join(","));
        let headers = [
            ("authorization", &*secret),
            ("content-type", "application/json"),
        ];
        let answer = server.send("POST", "/import", &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    track(&server, &purchase(1));
    import_with_secret(&server, &purchase(50));
    // With a filter, all events of a run are read, however fast the client reads.
    let purchases = server.get(
        "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01&event=%5B%22Purchase%22%5D",
        &[("authorization", &secret)],
    );
    assert_eq!(properties(&purchases, "price"), [50]);
}

#[test]
fn ar_2_the_token_is_not_a_credential() {
    let server = Running::of(Model::Simplified);
    track(&server, &purchase(1));
    // `VE9LOg==` is the token as the user, without a password.
    let answer = import(&server, "Basic VE9LOg==", &purchase(2));
    assert_eq!(answer.status, 200);
    assert_eq!(exported(&server, "price"), [1]);
    import_with_secret(&server, &purchase(3));
    assert_eq!(exported(&server, "price"), [3]);
}

#[test]
fn ar_2_the_claim_of_the_import_is_weighed_though_the_track_made_none() {
    let identify = |anon: Value| {
        json!({"event": "$identify", "properties": {"token": "TOK", "distinct_id": "U1",
            "$identified_id": "U1", "$anon_id": anon, "time": 1_700_000_000, "$insert_id": "i"}})
    };
    let server = Running::of(Model::Original);
    let other = "7c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e";
    track(&server, &identify(json!(other)));
    import_with_secret(&server, &identify(json!(PHONE)));
    assert_eq!(server.identity("TOK", PHONE).0, "U1");
    assert_eq!(exported(&server, "$anon_id"), [PHONE]);
}

#[test]
fn ar_2_a_phone_that_sends_again_is_known_by_its_event_id() {
    let sent = |event_id: Value| {
        json!({"event": "Open", "properties": {"token": "TOK", "distinct_id": "U1",
            "time": 1_700_000_000_000_u64}, "$mp_metadata": {"$mp_event_id": event_id}})
    };
    let server = Running::of(Model::Original);
    track(&server, &sent(json!("8d2f")));
    track(&server, &sent(json!("8d2f")));
    track(&server, &sent(json!("8d30")));
    assert_eq!(exported(&server, "time").len(), 2);
    // Without an ID an event is never a duplicate.
    for id in [json!(""), Value::Null] {
        let before = exported(&server, "time").len();
        track(&server, &sent(id.clone()));
        track(&server, &sent(id));
        assert_eq!(exported(&server, "time").len(), before + 2);
    }
}
