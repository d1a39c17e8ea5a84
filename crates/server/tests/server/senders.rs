//! Requests of real senders that are not quite as they should be: bytes that are not UTF-8 (IN-7,
//! IN-8), forms without escapes (IN-9), and slashes in a row.

use crate::support;
use crate::support::{Answer, Running, SECRET};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use idmerge_engines::Model;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const VERBOSE: &str = r#"{"error":null,"status":1}"#;
const ORIGIN: (&str, &str) = ("origin", "https://shop.example");

/// 🍔 as browser SDKs write it: each half of the UTF-16 pair in three bytes.
const BURGER: &[u8] = b"\xed\xa0\xbc\xed\xbd\x94";

/// JSON with these bytes in place of each `@`.
fn with(json: &str, bytes: &[u8]) -> Vec<u8> {
    let parts: Vec<_> = json.split('@').map(str::as_bytes).collect();
    parts.join(bytes)
}

fn track(server: &Running, path: &str, json: &[u8]) -> Answer {
    let data = STANDARD.encode(json);
    let data = percent_encode(data.as_bytes(), NON_ALPHANUMERIC);
    server.post(path, FORM, &format!("data={data}"))
}

fn import(server: &Running, path: &str, content_type: &str, body: &[u8]) -> Answer {
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [("authorization", &*secret), ("content-type", content_type)];
    server.send("POST", path, &headers, body)
}

/// The exported events, each a name and its properties.
fn exported(server: &Running) -> Vec<(String, Value)> {
    let secret = format!("Bearer {SECRET} of TOK");
    let path = "/api/2.0/export?from_date=2000-01-01&to_date=2100-01-01";
    let answer = server.get(path, &[("authorization", &secret)]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let lines = answer.body.lines();
    lines
        .map(|line| {
            let mut event: Value = serde_json::from_str(line).unwrap();
            let name = event["event"].as_str().unwrap().to_owned();
            (name, event["properties"].take())
        })
        .collect()
}

#[test]
fn in_8_an_event_with_an_emoji_from_a_browser_is_exported() {
    let server = Running::of(Model::Simplified);
    let first = r#"{"event":"Page View","properties":{"token":"TOK","$device_id":"d1","time":1700000000,"title":"Shop @"}}"#;
    let second =
        r#"{"event":"Other","properties":{"token":"TOK","$device_id":"d1","time":1700000001}}"#;
    let body = with(&format!("[{first},{second}]"), BURGER);
    let answer = track(&server, "/track/?verbose=1&ip=1&_=1", &body);
    assert_eq!((answer.status, &*answer.body), (200, VERBOSE));
    let events = exported(&server);
    assert_eq!(events[0].1["title"], "Shop 🍔");
    assert_eq!((&*events[1].0, events.len()), ("Other", 2));
}

#[test]
fn in_8_an_id_from_a_browser_is_the_id_in_utf_8() {
    let server = Running::of(Model::Simplified);
    let link = r#"{"event":"A","properties":{"token":"TOK","$device_id":"@","$user_id":"U@"}}"#;
    assert_eq!(track(&server, "/track", &with(link, BURGER)).body, "1");
    let utf8 = link.replace("\"@\"", "\"e\"").replace('@', "🍔");
    assert_eq!(track(&server, "/track", utf8.as_bytes()).body, "1");
    let members = ["U🍔", "$device:🍔", "$device:e"].map(str::to_owned);
    assert_eq!(
        server.identity("TOK", "$device:🍔"),
        ("U🍔".to_owned(), members.to_vec())
    );

    let update = r#"{"$token":"TOK","$distinct_id":"U@","$set":{"k@":"@"}}"#;
    assert_eq!(track(&server, "/engage", &with(update, BURGER)).body, "1");
    let secret = format!("Bearer {SECRET} of TOK");
    let answer = server.get(
        "/v1/users/U%F0%9F%8D%94/profile",
        &[("authorization", &secret)],
    );
    assert_eq!(answer.json()["properties"]["k🍔"], "🍔", "{answer:?}");
}

#[test]
fn in_8_an_id_with_lost_bytes_is_refused_only_if_it_is_read() {
    let id = |name: &str, properties: &str| {
        format!(r#"{{"event":"{name}","properties":{{"token":"TOK",{properties}}}}}"#)
    };
    for (model, name, properties, refused) in [
        (
            Model::Simplified,
            "A",
            r#""$user_id":"U@","$device_id":"d""#,
            Some("$user_id"),
        ),
        (
            Model::Simplified,
            "A",
            r#""$user_id":"U","$device_id":"@""#,
            Some("$device_id"),
        ),
        (
            Model::Simplified,
            "A",
            r#""distinct_id":"@""#,
            Some("distinct_id"),
        ),
        (
            Model::Simplified,
            "A",
            r#""$device_id":"d","distinct_id":"@","x":"@""#,
            None,
        ),
        // IN-5: the ID before identity is read in its place.
        (
            Model::Simplified,
            "A",
            r#""distinct_id":"U","$distinct_id_before_identity":"@""#,
            Some("distinct_id"),
        ),
        (
            Model::Simplified,
            "A",
            r#""distinct_id":"@","$distinct_id_before_identity":"d","x":"@""#,
            None,
        ),
        (
            Model::Simplified,
            "A",
            r#""$device_id":"d","alias":"@""#,
            None,
        ),
        (
            Model::Simplified,
            "A",
            r#""$device_id":"d","x":"@","y":"�""#,
            None,
        ),
        (Model::Simplified, "A", r#""$device_id":"�","x":"@""#, None),
        (
            Model::Original,
            "A",
            r#""distinct_id":"@""#,
            Some("distinct_id"),
        ),
        (
            Model::Original,
            "A",
            r#""distinct_id":"U","$user_id":"@""#,
            None,
        ),
        (
            Model::Original,
            "$identify",
            r#""$identified_id":"U","$anon_id":"@""#,
            Some("$anon_id"),
        ),
        (
            Model::Original,
            "$create_alias",
            r#""distinct_id":"U","alias":"@""#,
            Some("alias"),
        ),
        (
            Model::Original,
            "$merge",
            r#""$distinct_ids":["U","@"]"#,
            Some("$distinct_ids"),
        ),
        (
            Model::Original,
            "$merge",
            r#""$distinct_ids":["U","V"],"x":"@""#,
            None,
        ),
        (
            Model::Original,
            "A",
            r#""distinct_id":"U@","distinct_id":"U","x":"@""#,
            None,
        ),
    ] {
        for bytes in [&b"\xed\xa0\xbc"[..], b"\xed\xbd\x94", b"\xe9", b"caf\xc3"] {
            let server = Running::of(model);
            let event = with(&id(name, properties), bytes);
            let answer = track(&server, "/track?verbose=1", &event).json();
            let Some(property) = refused else {
                assert_eq!(answer, json!({"error": null, "status": 1}), "{properties}");
                let (_, stored) = exported(&server).remove(0);
                assert!(stored.to_string().contains('\u{fffd}'), "{stored}");
                continue;
            };
            let error = format!("'properties.{property}' is invalid: string should be valid utf8");
            assert_eq!(answer, json!({"error": error, "status": 0}));
            // The others of the request are stored.
            let good = id("B", r#""distinct_id":"good""#);
            let batch = [b"[", &*event, b",", good.as_bytes(), b"]"].concat();
            assert_eq!(track(&server, "/track", &batch).body, "1");
            let metrics = server.get("/metrics", &[]).body;
            let refused = r#"idmerge_refused_records_total{project="TOK",rule="ID-3"} 2"#;
            assert!(metrics.contains(refused), "{metrics}");
            let names: Vec<_> = exported(&server)
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            assert_eq!(names, ["B"], "{properties}");
        }
    }
}

#[test]
fn in_7_import_reports_each_record_that_is_not_utf_8() {
    let event = |insert_id: &str, rest: &str| {
        format!(
            r#"{{"event":"T","properties":{{"distinct_id":"u1","$insert_id":"{insert_id}","time":1700000000{rest}}}}}"#
        )
    };
    let records = [
        event("u8-1", r#","utm_source":"caf@""#),
        event("u8-2", r#","utm_source":"café""#),
        event("u8-3", r#","na@me":1"#),
        event("u8-4", ""),
    ];
    for (content_type, body) in [
        ("application/x-ndjson", format!("{}\n", records.join("\n"))),
        (JSON, format!("[{}]", records.join(","))),
    ] {
        for bytes in [&b"\xe9"[..], b"\xc3", b"\xed\xa0\xbc", BURGER] {
            let server = Running::of(Model::Simplified);
            let body = with(&body, bytes);
            let answer = import(&server, "/import?strict=1", content_type, &body);
            let json = answer.json();
            assert_eq!(answer.status, 400, "{json}");
            assert_eq!(
                (&json["code"], &json["num_records_imported"]),
                (&json!(400), &json!(2))
            );
            assert_eq!(
                json["failed_records"][0],
                json!({
                    "index": 0, "insert_id": "u8-1", "$insert_id": "u8-1",
                    "field": "properties.utm_source",
                    "message": "'properties.utm_source' is invalid: string should be valid utf8",
                })
            );
            assert_eq!(json["failed_records"][1]["index"], 2);
            assert_eq!(json["failed_records"].as_array().unwrap().len(), 2);
            assert_eq!(exported(&server).len(), 2);
            // Without `strict` too.
            let lenient = import(&server, "/import?strict=0", content_type, &body);
            assert_eq!(
                (lenient.status, &lenient.json()["num_records_imported"]),
                (200, &json!(2))
            );
        }
    }
}

#[test]
fn in_9_a_form_with_json_that_is_not_escaped_is_taken() {
    let server = Running::of(Model::Simplified);
    let event =
        r#"{"event":"A&B","properties":{"token":"TOK","$device_id":"d+1","url":"?a=1&b=100%25"}}"#;
    let body = format!("data=[{event}]");
    assert_eq!(
        server.post("/track/?ip=1&verbose=1", FORM, &body).body,
        VERBOSE
    );
    let (name, properties) = exported(&server).remove(0);
    assert_eq!(
        (&*name, &properties["url"]),
        ("A&B", &json!("?a=1&b=100%25"))
    );
    assert_eq!(properties["distinct_id"], "$device:d+1");
}

#[test]
fn slashes_in_a_row_are_one() {
    let server = Running::of(Model::Simplified);
    let event = json!({"event": "A", "properties": {"token": "TOK", "$device_id": "d//e", "$user_id": "U"}});
    let event = event.to_string();
    for path in [
        "//track/?verbose=1",
        "/track//?verbose=1",
        "///track?verbose=1&u=a//b",
    ] {
        let headers = [ORIGIN, ("content-type", JSON)];
        let answer = server.send("POST", path, &headers, event.as_bytes());
        assert_eq!((answer.status, &*answer.body), (200, VERBOSE), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN.1));
        let asked = [ORIGIN, ("access-control-request-method", "POST")];
        let answer = server.send("OPTIONS", path, &asked, b"");
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN.1));
    }
    let secret = format!("Bearer {SECRET} of TOK");
    // Slashes in an ID are escaped, and are kept.
    let answer = server.get(
        "//v1//ids/%24device%3Ad%2F%2Fe",
        &[("authorization", &secret)],
    );
    assert_eq!(answer.json()["distinct_id"], "U");
    let answer = server.get(
        "//api/2.0//export?from_date=2000-01-01&to_date=2100-01-01",
        &[("authorization", &secret)],
    );
    assert_eq!(answer.status, 200);
    // The credential is still needed.
    assert_eq!(server.get("//v1//ids/U", &[]).status, 401);
    for path in ["//", "//healthz", "/readyz//", "//metrics", "/readyz/?a=/"] {
        assert_eq!(server.get(path, &[]).status, 200, "{path}");
    }
}

#[test]
fn every_path_can_end_with_a_slash() {
    let server = Running::of(Model::Simplified);
    let event =
        json!({"event": "A", "properties": {"token": "TOK", "$device_id": "d", "$user_id": "U"}});
    server.send(
        "POST",
        "/track/",
        &[("content-type", JSON)],
        event.to_string().as_bytes(),
    );
    let secret = format!("Bearer {SECRET} of TOK");
    let secret = [("authorization", &*secret)];
    for path in [
        "/v1/users/",
        "/v1/users/U/",
        "/v1/ids/U/",
        "/v1/info/",
        "/api/2.0/export/?from_date=2000-01-01&to_date=2100-01-01",
        "/api/query/engage/",
        "/api/2.0/engage/",
        "/healthz/",
        "/readyz/",
        "/metrics/",
        "/openapi.json/",
    ] {
        let other = path.replacen("/?", "?", 1);
        let other = other.strip_suffix('/').unwrap_or(&other);
        let answer = server.get(path, &secret);
        assert_eq!(answer.status, 200, "{path}");
        // These answers are never the same twice.
        if !path.contains("metrics") && !path.contains("engage") {
            assert_eq!(answer.body, server.get(other, &secret).body, "{path}");
        }
    }
    // An ID keeps its slash, and the credential is still needed.
    let unknown = server.get("/v1/users/U%2F/", &secret).json();
    assert_ne!(unknown, server.get("/v1/users/U", &secret).json());
    assert_eq!(server.get("/v1/users/", &[]).status, 401);
    assert_eq!(server.get("/no/", &secret).status, 404);
}

#[test]
fn a_path_that_does_not_exist_has_cors_headers() {
    let server = Running::of(Model::Simplified);
    for (method, path) in [
        ("POST", "/trak/"),
        ("GET", "/lib.min.js"),
        ("POST", "/v1/nothing"),
    ] {
        let answer = server.send(method, path, &[ORIGIN], b"");
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some(ORIGIN.1),
            "{path}"
        );
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            Some("true")
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.json()["error"].is_string(), "{path}");
    }
    // The paths that answer queries have none, whatever they answer.
    for path in support::READING {
        let answer = server.get(path, &[ORIGIN]);
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (401, None)
        );
    }
}
