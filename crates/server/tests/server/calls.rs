//! The HTTP API of Segment and RudderStack, with bodies that their SDKs have sent
//! (`cargo xtask e2e cdp` runs the SDKs themselves).

use crate::support;
use std::collections::BTreeMap;

use crate::support::{Answer, Running, SECRET, basic, gzip, project};
use idmerge_engines::Model;
use idmerge_server::{Config, Output};
use serde_json::{Value, json};

const DEVICE: &str = "a1a1a1a1-0000-4000-8000-000000000001";

/// A request that an SDK has sent. Its write key is `TOK`.
struct Recorded(Value);

impl Recorded {
    fn sdk(&self) -> &str {
        self.0["sdk"].as_str().unwrap()
    }

    fn send(&self, server: &Running) -> Answer {
        let headers = self.0["headers"].as_object().unwrap();
        let mut headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let body = self.0["body"].as_str().unwrap().as_bytes().to_vec();
        let body = match self.0["gzip"].as_bool().unwrap() {
            true => {
                headers.push(("content-encoding", "gzip"));
                gzip(body)
            }
            false => body,
        };
        server.send("POST", self.0["path"].as_str().unwrap(), &headers, &body)
    }

    /// The calls of the body.
    fn calls(&self) -> Vec<Value> {
        let body: Value = serde_json::from_str(self.0["body"].as_str().unwrap()).unwrap();
        match body["batch"].as_array() {
            Some(calls) => calls.clone(),
            None => vec![body],
        }
    }
}

/// The requests of each SDK, in the order in which it sent them.
fn recorded() -> BTreeMap<String, Vec<Recorded>> {
    let mut by_sdk = BTreeMap::<_, Vec<_>>::new();
    for line in include_str!("../data/calls.jsonl").lines() {
        let request = Recorded(serde_json::from_str(line).unwrap());
        by_sdk
            .entry(request.sdk().to_owned())
            .or_default()
            .push(request);
    }
    by_sdk
}

fn exported(server: &Running, token: &str) -> Vec<Value> {
    let secret = format!("Bearer {SECRET} of {token}");
    let path = "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01";
    let answer = server.get(path, &[("authorization", &secret)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let event = |line: &str| serde_json::from_str(line).unwrap();
    answer.body.lines().map(event).collect()
}

fn profile(server: &Running, token: &str, id: &str) -> Value {
    let secret = format!("Bearer {SECRET} of {token}");
    let path = format!("/v1/users/{id}/profile");
    let answer = server.get(&path, &[("authorization", &secret)]);
    match answer.status {
        200 => answer.json()["properties"].clone(),
        _ => Value::Null,
    }
}

/// Sends a body with a write key in its header.
fn send(server: &Running, path: &str, key: &str, body: impl AsRef<[u8]>) -> Answer {
    let authorization = basic(key);
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
    ];
    server.send("POST", path, &headers, body.as_ref())
}

/// What a call becomes, by rule A-5.
fn event_name(model: Model, call: &Value) -> String {
    let has_both = call["userId"].as_str().is_some_and(|id| !id.is_empty())
        && call["anonymousId"].as_str().is_some();
    let is_simplified = model == Model::Simplified;
    match call["type"].as_str().unwrap() {
        "track" => call["event"].as_str().unwrap(),
        "page" => "Page",
        "screen" => "Screen",
        "group" => "Group",
        "identify" if has_both && !is_simplified => "$identify",
        "identify" => "Identify",
        "alias" if is_simplified => "Alias",
        "alias" => "$create_alias",
        other => panic!("{other}"),
    }
    .to_owned()
}

#[test]
fn a_5_what_sdks_send_becomes_events_clusters_and_profiles() {
    for (sdk, requests) in recorded() {
        for model in [Model::Simplified, Model::Original] {
            let server = Running::of(model);
            let calls: Vec<_> = requests.iter().flat_map(Recorded::calls).collect();
            // A retry of each request, as after a lost answer, adds nothing (AR-2).
            for _ in 0..2 {
                for request in &requests {
                    let answer = request.send(&server);
                    assert_eq!(answer.status, 200, "{sdk}: {answer:?}");
                    assert_eq!(answer.json(), json!({"success": true}));
                }
            }
            let mut found: Vec<_> = exported(&server, "TOK")
                .into_iter()
                .map(|event| event["event"].as_str().unwrap().to_owned())
                .collect();
            let mut wanted: Vec<_> = calls.iter().map(|call| event_name(model, call)).collect();
            found.sort();
            wanted.sort();
            assert_eq!(found, wanted, "{sdk}, {model}");

            let identify = calls
                .iter()
                .find(|call| call["type"] == "identify")
                .unwrap();
            let user = identify["userId"].as_str().unwrap();
            let device = identify["anonymousId"].as_str().unwrap();
            let (canonical, members) = server.identity("TOK", user);
            assert_eq!(canonical, user, "{sdk}");
            let device = match model {
                Model::Simplified => format!("$device:{device}"),
                _ => device.to_owned(),
            };
            assert!(members.contains(&device), "{sdk}: {members:?}");
            // The SDKs of RudderStack for browsers have the traits in the context.
            let traits = match &identify["traits"] {
                Value::Null => &identify["context"]["traits"],
                traits => traits,
            };
            assert_eq!(&profile(&server, "TOK", user), traits, "{sdk}");
        }
    }
}

#[test]
fn a_8_each_call_says_which_product_sent_it() {
    for (sdk, requests) in recorded() {
        let server = Running::of(Model::Simplified);
        for request in requests {
            request.send(&server);
        }
        let events = exported(&server, "TOK");
        let properties = |event: &Value| event["properties"].clone();
        for properties in events.iter().map(properties) {
            let source = match sdk.starts_with("rudder") {
                true => "rudderstack",
                false => "segment",
            };
            assert_eq!(properties["$source"], source, "{sdk}: {properties}");
            assert_eq!(properties["writeKey"], Value::Null);
            assert_eq!(properties["$mp_api_endpoint"], "/v1/batch");
        }
    }
}

#[test]
fn a_write_key_is_a_token_and_reads_nothing() {
    let server = Running::with(
        vec![
            project("ONE", Model::Simplified),
            project("TWO", Model::Original),
        ],
        |_| {},
    );
    let track = |more: &str| format!(r#"{{"event":"A","userId":"U1"{more}}}"#);
    for token in ["ONE", "TWO"] {
        let key = format!(r#","writeKey":"{token}""#);
        // In the header, in the body, in the body of a batch, and in the query.
        assert_eq!(send(&server, "/v1/track", token, track("")).status, 200);
        assert_eq!(server.post("/v1/t", "text/plain", &track(&key)).status, 200);
        let batch = format!(r#"{{"batch":[{{"type":"track","event":"A","userId":"U1"}}]{key}}}"#);
        assert_eq!(server.post("/v1/batch/", "text/plain", &batch).status, 200);
        let beacon = format!("/beacon/v1/batch?writeKey={token}");
        assert_eq!(server.post(&beacon, "text/plain", &batch).status, 200);
        assert_eq!(exported(&server, token).len(), 4);
    }
    for path in support::READING {
        let answer = server.get(path, &[("authorization", &basic("ONE"))]);
        assert_eq!(answer.status, 401, "{path}");
    }
    let wrong_before = server.metric("idmerge_wrong_secrets_total");
    for answer in [
        send(&server, "/v1/track", "THREE", track("")),
        server.post("/v1/track", "text/plain", &track(r#","writeKey":"THREE""#)),
        server.post("/v1/track", "text/plain", &track("")),
        server.send(
            "POST",
            "/v1/track",
            &[("authorization", "Bearer ONE")],
            track("").as_bytes(),
        ),
        server.post("/beacon/v1/batch?writeKey=", "text/plain", "{}"),
    ] {
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.json()["code"], "unauthorized");
        assert!(
            answer.json()["message"]
                .as_str()
                .unwrap()
                .contains("write key")
        );
    }
    // A secret can be sent in place of the write key, and its wrong guesses are counted as elsewhere.
    let secret = format!("{SECRET} of ONE");
    assert_eq!(send(&server, "/v1/track", &secret, track("")).status, 200);
    assert_eq!(
        server.metric("idmerge_wrong_secrets_total"),
        wrong_before + 2
    );
}

#[test]
fn ar_2_a_call_with_a_secret_takes_the_place_of_one_without() {
    let server = Running::of(Model::Simplified);
    let call = |plan: &str| {
        json!({"type": "track", "event": "A", "userId": "U1", "messageId": "m1",
            "timestamp": "2026-01-01T00:00:00.000Z", "properties": {"plan": plan}})
        .to_string()
    };
    send(&server, "/v1/track", "TOK", call("forged"));
    send(
        &server,
        "/v1/track",
        &format!("{SECRET} of TOK"),
        call("true"),
    );
    send(&server, "/v1/track", "TOK", call("late"));
    let events = exported(&server, "TOK");
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["properties"]["plan"], "true");
    assert_eq!(events[0]["properties"]["$insert_id"], "m1");
}

/// RS03 as a call: RudderStack's destination sends a `$merge` for it, which needs a credential.
#[test]
fn ar_4_a_merge_of_calls_needs_a_credential_unless_the_project_says_otherwise() {
    let identify =
        json!({"type": "identify", "userId": "U1", "anonymousId": DEVICE, "channel": "web",
            "originalTimestamp": "2026-01-01T00:00:00.000Z", "messageId": "m1"})
        .to_string();
    for (key, token_may_merge, merges) in [
        ("TOK".to_owned(), false, false),
        ("TOK".to_owned(), true, true),
        (format!("{SECRET} of TOK"), false, true),
    ] {
        let mut project = project("TOK", Model::Original);
        project.calls_as = Output::Mixpanel;
        project.token_may_merge = token_may_merge;
        let server = Running::with(vec![project], |_| {});
        let answer = send(&server, "/v1/identify", &key, &identify);
        assert_eq!(answer.status, 200, "{answer:?}");
        let members = match merges {
            true => vec!["U1".to_owned(), DEVICE.to_owned()],
            false => vec!["U1".to_owned()],
        };
        assert_eq!(server.identity("TOK", "U1"), ("U1".to_owned(), members));
        let events = exported(&server, "TOK");
        assert_eq!(events[0]["event"], "$merge");
        let is_unweighed = events[0]["properties"]["$idmerge_unweighed"] == true;
        assert_eq!(is_unweighed, !merges, "{events:?}");
    }
}

#[test]
fn a_request_with_a_usable_call_is_a_success_and_others_are_errors_that_are_not_retried() {
    let server = Running::of(Model::Simplified);
    let refused = |path: &str, body: &[u8], wanted: &str| {
        let answer = send(&server, path, "TOK", body);
        assert_eq!(answer.status, 400, "{answer:?}");
        let answer = answer.json();
        assert_eq!(answer["success"], false);
        assert_eq!(answer["code"], "invalid_request");
        let message = answer["message"].as_str().unwrap().to_owned();
        assert!(message.contains(wanted), "{message}");
        assert!(!message.contains("data is not valid JSON"), "{message}");
    };
    refused("/v1/track", b"", "data, missing or empty");
    refused("/v1/track", b"{\"event\":", "not JSON");
    refused("/v1/track", b"[]", "is not a JSON object");
    refused(
        "/v1/track",
        b"{}",
        "\"event\" is missing: a track call needs the name of its event (A-2)",
    );
    refused("/v1/track", br#"{"event":"A","userId":true}"#, "\"userId\"");
    refused(
        "/v1/track",
        br#"{"event":"A","userId":"U","timestamp":"soon"}"#,
        "which is not a time",
    );
    refused(
        "/v1/batch",
        b"{}",
        "\"batch\" is missing: a batch has its calls in this array",
    );
    refused(
        "/v1/batch",
        br#"{"batch":[{}, 7]}"#,
        "\"batch\"[0]: \"type\" is missing",
    );
    refused(
        "/v1/alias",
        br#"{"userId":"U","previousId":"V"}"#,
        "two users cannot be one in Simplified",
    );
    // IN-8: an ID with bytes that are not UTF-8 is refused (ID-3), and other text is replaced.
    refused(
        "/v1/track",
        b"{\"event\":\"A\",\"userId\":\"U\xff\"}",
        "utf8",
    );
    let replaced = b"{\"event\":\"A\",\"userId\":\"U\",\"properties\":{\"a\":\"\xff\"}}";
    assert_eq!(send(&server, "/v1/track", "TOK", replaced).status, 200);

    let batch = json!({"batch": [
        {"type": "track"}, {"type": "track", "event": "B", "userId": "U"}, {"type": "delete", "userId": "U"},
    ]});
    assert_eq!(
        send(&server, "/v1/batch", "TOK", batch.to_string()).status,
        200
    );
    let delete = json!({"type": "delete", "userId": "U"});
    let passed_over = json!({"batch": [delete, delete, delete]});
    assert_eq!(
        send(&server, "/v1/batch", "TOK", passed_over.to_string()).status,
        200
    );
    assert_eq!(
        send(&server, "/v1/batch", "TOK", r#"{"batch":[]}"#).status,
        200
    );
    // The path says the type, whatever the call says.
    assert_eq!(
        send(
            &server,
            "/v1/page",
            "TOK",
            r#"{"type":"track","userId":"U"}"#
        )
        .status,
        200
    );
    let names: Vec<_> = exported(&server, "TOK")
        .into_iter()
        .map(|event| event["event"].clone())
        .collect();
    assert_eq!(names, ["A", "B", "Page"]);
    let refused = r#"idmerge_records_total{project="TOK",endpoint="v1/batch",result="refused"}"#;
    assert_eq!(server.metric(refused), 10);
    let ignored = r#"idmerge_records_total{project="TOK",endpoint="v1/batch",result="ignored"}"#;
    assert_eq!(server.metric(ignored), 4);
}

#[test]
fn bodies_have_the_limits_of_track() {
    let server = Running::with(vec![project("TOK", Model::Simplified)], |bounds| {
        bounds.limits.max_body_bytes = 1_000_000;
        bounds.limits.max_records = 3;
        bounds.limits.max_record_bytes = 100_000;
    });
    let call = r#"{"type":"track","event":"A","userId":"U"}"#;
    let batch = |calls: usize| format!(r#"{{"batch":[{}]}}"#, vec![call; calls].join(","));
    assert_eq!(send(&server, "/v1/batch", "TOK", batch(3)).status, 200);
    let answer = send(&server, "/v1/batch", "TOK", batch(4));
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("more than 3 records"), "{answer:?}");

    let body = gzip(support::padded(&batch(1), 1_000_001));
    let answer = send(&server, "/v1/batch", "TOK", body);
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(answer.json()["code"], "payload_too_large");

    let long = "x".repeat(100_000);
    let long = format!(r#"{{"event":"A","userId":"U","properties":{{"a":"{long}"}}}}"#);
    let answer = send(&server, "/v1/track", "TOK", long);
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("more than 100000 bytes"), "{answer:?}");
    assert_eq!(exported(&server, "TOK").len(), 3);
}

#[test]
fn pages_of_any_origin_may_send_calls() {
    let server = Running::of(Model::Simplified);
    let origin = ("origin", "https://shop.example");
    for path in [
        "/v1/t",
        "/v1/batch",
        "/beacon/v1/batch",
        "/v1/m",
        "/sourceConfig/",
        "/v1/projects/TOK/settings",
    ] {
        let asked = [
            origin,
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,anonymousid,content-type",
            ),
        ];
        let answer = server.send("OPTIONS", path, &asked, b"");
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://shop.example")
        );
        let headers = answer.header("access-control-allow-headers").unwrap();
        assert_eq!(headers, "authorization,anonymousid,content-type");
    }
    // An error too, so that a page sees what is wrong. The query of IDs is no such path.
    let answer = server.send("POST", "/v1/t", &[origin], b"{}");
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://shop.example")
    );
    assert_eq!(
        server
            .get("/v1/ids/U", &[origin])
            .header("access-control-allow-origin"),
        None
    );
    assert_eq!(server.get("/v1/t", &[origin]).status, 405);
    assert_eq!(
        server
            .post("/v1/m", "text/plain", r#"{"series":[]}"#)
            .status,
        200
    );
}

#[test]
fn sdks_get_settings_that_name_no_other_destination() {
    let server = Running::of(Model::Simplified);
    let settings = server.get("/v1/projects/TOK/settings", &[]);
    assert_eq!(settings.status, 200);
    let integrations = &settings.json()["integrations"];
    assert_eq!(integrations.as_object().unwrap().len(), 1);
    assert_eq!(integrations["Segment.io"]["apiKey"], "TOK");

    let by_header = server.get("/sourceConfig/?p=npm", &[("authorization", &basic("TOK"))]);
    let by_query = server.get("/sourceConfig?p=npm&writeKey=TOK", &[]);
    assert_eq!(by_header.json(), by_query.json());
    let source = &by_query.json()["source"];
    assert_eq!(
        (&source["writeKey"], &source["enabled"]),
        (&json!("TOK"), &json!(true))
    );
    assert_eq!(source["destinations"], json!([]));

    for path in [
        "/v1/projects/OTHER/settings",
        "/sourceConfig?writeKey=OTHER",
        "/sourceConfig",
    ] {
        let answer = server.get(path, &[]);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("the token of a project"), "{answer:?}");
    }
}

#[test]
fn a_4_what_calls_become_is_a_setting_of_the_project() {
    let read = |line: &str| {
        let text = format!("[[project]]\ntoken = \"T\"\nengine = \"original\"\n{line}\n");
        Config::read("data".into(), &text).map(|config| config.projects[0].calls_as)
    };
    assert_eq!(read("").unwrap(), Output::Direct);
    assert_eq!(read("calls_as = \"direct\"").unwrap(), Output::Direct);
    assert_eq!(read("calls_as = \"mixpanel\"").unwrap(), Output::Mixpanel);
    let error = read("calls_as = \"segment\"").unwrap_err().to_string();
    assert!(error.contains("`direct` or `mixpanel`"), "{error}");
}
