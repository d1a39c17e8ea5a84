//! The requests of all kinds of clients over a socket, and the response that each expects.

use std::fs;

use crate::support::{Answer, Running, SECRET, gzip, project};
use idmerge_engines::Model;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const VERBOSE: &str = r#"{"error":null,"status":1}"#;

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// An `$identify` that links a device to a user.
fn link(user: &str, device: &str) -> String {
    json!({"event": "$identify", "properties": {
        "token": "TOK", "distinct_id": user, "$anon_distinct_id": device,
    }})
    .to_string()
}

const DEVICE: &str = "d0000000-0000-4000-8000-000000000001";

#[test]
fn every_encoding_leads_to_the_same_cluster() {
    assert_every_encoding(Model::Original, &link("U1", DEVICE), DEVICE);
    let event = json!({"event": "A", "properties": {
        "token": "TOK", "$user_id": "U1", "$device_id": DEVICE,
    }});
    let device = format!("$device:{DEVICE}");
    assert_every_encoding(Model::Simplified, &event.to_string(), &device);
}

/// TR01 to TR07, and similar encodings.
fn assert_every_encoding(model: Model, event: &str, device: &str) {
    let array = format!("[{event}]");
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, event);
    let json_form = format!("data={}", escaped(&array));
    let coded_form = format!("data={}", escaped(&base64));
    let bare_form = format!("data={base64}");
    let python_form = format!("data={}&verbose=1&ip=0", escaped(event));
    let zipped = gzip(&array);
    let zipped_form = gzip(&coded_form);
    let by_get = format!("/track?ip=0&verbose=0&{coded_form}");
    let requests: [(&str, &str, &str, &[u8], &str); 10] = [
        (
            "POST",
            "/track/?verbose=1&ip=1&_=1",
            FORM,
            json_form.as_bytes(),
            VERBOSE,
        ),
        ("POST", "/track/?ip=1&_=1", FORM, coded_form.as_bytes(), "1"),
        (
            "POST",
            "/track/?verbose=1",
            "text/plain;charset=UTF-8",
            json_form.as_bytes(),
            VERBOSE,
        ),
        ("GET", &by_get, "", b"", "1"),
        (
            "POST",
            "/track?ip=0&verbose=0",
            FORM,
            bare_form.as_bytes(),
            "1",
        ),
        ("POST", "/track", FORM, python_form.as_bytes(), VERBOSE),
        ("POST", "/track/?ip=1", JSON, array.as_bytes(), "1"),
        ("POST", "/track/?ip=1", JSON, &zipped, "1"),
        ("POST", "/track", FORM, &zipped_form, "1"),
        (
            "POST",
            "/track/?verbose=1",
            "application/x-ndjson",
            event.as_bytes(),
            VERBOSE,
        ),
    ];
    for (method, path, content_type, body, wanted) in requests {
        let server = Running::of(model);
        let mut headers = vec![];
        if !content_type.is_empty() {
            headers.push(("content-type", content_type));
        }
        let answer = server.send(method, path, &headers, body);
        assert_eq!(
            (answer.status, &*answer.body),
            (200, wanted),
            "{method} {path}"
        );
        let members = vec!["U1".to_owned(), device.to_owned()];
        assert_eq!(
            server.identity("TOK", device),
            ("U1".to_owned(), members),
            "{path}"
        );
    }
}

#[test]
fn each_credential_lets_a_merge_be_imported() {
    let merge = |ids: [&str; 2]| {
        json!({"event": "$merge", "properties": {"$distinct_ids": ids, "token": "TOK"}}).to_string()
    };
    let basic = |pair: &str| format!("Basic {pair}");
    let secret = format!("{SECRET} of TOK");
    let account = format!("TOK-account:account {SECRET}");
    let server = Running::of(Model::Original);
    let mut last = "id0".to_owned();
    for (at, (path, authorization, rest, wanted)) in [
        // TR09, TR10
        (
            "/import",
            basic(&format!("{secret}:")),
            "&verbose=1&ip=0",
            VERBOSE,
        ),
        ("/import", basic(&format!("{secret}:")), "", "1"),
        (
            "/import/?project_id=123",
            basic(&account),
            "&verbose=1",
            VERBOSE,
        ),
        ("/import", basic(&format!("{secret}:")), "&verbose=0", "1"),
        ("/import", format!("Bearer {secret}"), "", "1"),
        (
            "/import",
            String::new(),
            &format!("&api_key={}", escaped(&secret)),
            "1",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let next = format!("id{}", at + 1);
        let body = format!("data={}{rest}", escaped(&merge([&last, &next])));
        let mut headers = vec![("content-type", FORM), ("accept", "text/plain")];
        if !authorization.is_empty() {
            headers.push(("authorization", &authorization));
        }
        let answer = server.send("POST", path, &headers, body.as_bytes());
        assert_eq!(
            (answer.status, &*answer.body),
            (200, wanted),
            "{authorization}"
        );
        assert_eq!(server.identity("TOK", &next).0, "id0", "{authorization}");
        last = next;
    }

    // By GET, as the Node SDK does.
    let path = format!(
        "/import?ip=0&data={}&api_key={}",
        escaped(&merge(["id0", "x"])),
        escaped(&secret)
    );
    assert_eq!(server.get(&path, &[]).body, "1");
    assert_eq!(server.identity("TOK", "x").0, "id0");
}

#[test]
fn a_merge_needs_a_credential() {
    let server = Running::of(Model::Original);
    let merge = r#"{"event":"$merge","properties":{"$distinct_ids":["a","b"],"token":"TOK"}}"#;
    let body = format!("data={}", escaped(merge));
    let account = format!("Basic TOK-account:wrong {SECRET}");
    for authorization in [
        None,
        Some("Basic wrong:"),
        Some("Bearer TOK"),
        Some("Basic :"),
        Some(&*account),
    ] {
        let mut headers = vec![("content-type", FORM)];
        headers.extend(authorization.map(|value| ("authorization", value)));
        let answer = server.send("POST", "/import", &headers, body.as_bytes());
        assert_eq!(answer.status, 401, "{authorization:?}");
        assert_eq!(answer.json()["status"], "Unauthorized");
        headers[0].1 = JSON;
        let answer = server.send("POST", "/import", &headers, merge.as_bytes());
        assert_eq!(
            (answer.status, answer.json()["code"].as_u64()),
            (401, Some(401))
        );
    }
    // Without a credential, /track stores the event, and it merges nothing.
    assert_eq!(server.post("/track", FORM, &body).body, "1");
    assert_eq!(
        server.identity("TOK", "a"),
        ("a".to_owned(), vec!["a".to_owned()])
    );
}

/// An event for `/import`. `time` is JSON.
fn import_event(name: &str, time: &str, insert_id: &str) -> String {
    format!(
        r#"{{"event":"{name}","properties":{{"time":{time},"distinct_id":"U1","$insert_id":"{insert_id}"}}}}"#
    )
}

fn import(server: &Running, path: &str, content_type: &str, body: &[u8]) -> Answer {
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [("authorization", &*secret), ("content-type", content_type)];
    server.send("POST", path, &headers, body)
}

#[test]
fn tr08_import_takes_compressed_lines() {
    let server = Running::of(Model::Original);
    let lines = [
        import_event("A", "1700000000", "a"),
        import_event("B", "1700000000123", "b"),
    ]
    .join("\n");
    let body = gzip(&lines);
    let answer = import(&server, "/import?strict=1", "application/x-ndjson", &body);
    let wanted = r#"{"code":200,"num_records_imported":2,"status":"OK"}"#;
    assert_eq!((answer.status, &*answer.body), (200, wanted));
    assert_eq!(answer.header("content-type"), Some(JSON));
}

#[test]
fn import_reports_each_failed_record() {
    let server = Running::of(Model::Original);
    let bad = [
        import_event("C", "1700000000", "c"),
        import_event("C", "\"today\"", "d"),
        import_event("", "1700000000", "e"),
        import_event("C", "1700000000", "e_f"),
        import_event("C", "1700000000", "f").replace("U1", "undefined"),
    ];
    let body = format!("[{}]", bad.join(","));
    let answer = import(&server, "/import", JSON, body.as_bytes());
    assert_eq!(answer.status, 400);
    let json = answer.json();
    assert_eq!(json["num_records_imported"], 1);
    assert_eq!(
        json["error"],
        "some data points in the request failed validation"
    );
    let failed: Vec<_> = json["failed_records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| {
            assert_eq!(record["insert_id"], record["$insert_id"]);
            (
                record["index"].as_u64().unwrap(),
                record["field"].as_str().unwrap(),
            )
        })
        .collect();
    let wanted = [
        (1, "properties.time"),
        (2, "event"),
        (3, "$insert_id"),
        (4, "properties.distinct_id"),
    ];
    assert_eq!(failed, wanted);
    let ids = |json: &Value| {
        let failed = json["failed_records"].as_array().unwrap();
        let ids = failed.iter().map(|record| record["insert_id"].clone());
        Value::Array(ids.collect())
    };
    assert_eq!(ids(&json), json!(["d", "e", "e_f", "f"]));
    // RudderStack finds the records that failed by it, also those that are no events.
    let bad = [
        r#"{"event":"  ","properties":{"$insert_id":"blank"}}"#,
        r#"{"properties":{"$insert_id":"missing"}}"#,
        r#"{"event":7,"properties":{"$insert_id":"number"}}"#,
        r#"{"event":"A","properties":7}"#,
    ];
    let answer = import(
        &server,
        "/import",
        JSON,
        format!("[{}]", bad.join(",")).as_bytes(),
    );
    assert_eq!(
        ids(&answer.json()),
        json!(["blank", "missing", "number", ""])
    );
    let lenient = import(&server, "/import?strict=0", JSON, body.as_bytes());
    assert_eq!(
        (
            lenient.status,
            lenient.json()["num_records_imported"].as_u64()
        ),
        (200, Some(2))
    );
}

#[test]
fn importers_can_tell_the_engines_apart() {
    let event = r#"[{"event":"A","properties":{"time":1700000000,"$device_id":"d","$user_id":"u","$insert_id":"a"}}]"#;
    let identify = r#"[{"event":"A","properties":{"time":1700000000,"distinct_id":"u","$insert_id":"a"}},{"event":"$identify","properties":{"$identified_id":"u","$anon_id":"d"}}]"#;
    for (model, status) in [(Model::Simplified, 200), (Model::Original, 400)] {
        let server = Running::of(model);
        let headers = [("authorization", "Basic TOK:"), ("content-type", JSON)];
        let answer = server.send("POST", "/import?strict=1", &headers, event.as_bytes());
        assert_eq!(answer.status, status);
        if model == Model::Original {
            let message = &answer.json()["failed_records"][0]["message"];
            assert_eq!(
                message,
                "'properties.distinct_id' is invalid: must not be missing"
            );
            continue;
        }
        assert_eq!(server.identity("TOK", "$device:d").0, "u");
        let answer = server.send("POST", "/import", &headers, identify.as_bytes());
        let text =
            "identity events are not allowed when project is using simplified identity management";
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json()["failed_records"], json!([text]));
        assert_eq!(answer.json()["num_records_imported"], 0);
        // Browsers always send $identify to /track, and get a success.
        let tracked = identify.replace("\"properties\":{", "\"properties\":{\"token\":\"TOK\",");
        assert_eq!(
            server.post("/track?verbose=1", JSON, &tracked).body,
            VERBOSE
        );
    }
}

#[test]
fn profiles_are_updated() {
    let server = Running::of(Model::Original);
    // TR11
    let answer = server.post(
        "/engage/?verbose=2",
        JSON,
        r#"[{"$token":"TOK","$set":{"a":1}}]"#,
    );
    let wanted = r#"{"error":"$distinct_id, missing or empty","status":0}"#;
    assert_eq!((answer.status, &*answer.body), (200, wanted));
    let update = r#"{"$token":"TOK","$distinct_id":"U1","$set":{"a":1}}"#;
    assert_eq!(server.post("/engage", JSON, update).body, "1");
    assert_eq!(
        server
            .post(
                "/engage/?verbose=1",
                FORM,
                &format!("data={}", escaped(update))
            )
            .body,
        VERBOSE
    );
    let group = r#"{"$token":"TOK","$group_key":"company","$group_id":"c","$set":{"a":1}}"#;
    assert_eq!(
        server
            .post("/groups/?verbose=2", JSON, &format!("[{group}]"))
            .body,
        VERBOSE
    );
    assert_eq!(server.post("/engage", JSON, "").body, "0");
}

#[test]
fn track_reports_failures_in_the_body_alone() {
    let server = Running::of(Model::Original);
    for (body, wanted) in [
        ("", "data, missing or empty"),
        ("data=", "data, missing or empty"),
        ("[]", "data, missing or empty"),
        (
            "data=%7B%7D&data=%7B%7D",
            "data is there twice; send all records in one data, as an array",
        ),
        (r#"{"properties":{"token":"TOK"}}"#, "event, missing"),
        (
            r#"{"event":"A","properties":{}}"#,
            "token, missing or empty",
        ),
        (
            r#"{"event":"$identify","properties":{"token":"TOK","distinct_id":""}}"#,
            "distinct_id, missing or empty",
        ),
    ] {
        let answer = server.post("/track/?verbose=1", JSON, body);
        assert_eq!(answer.status, 200, "{body}");
        assert_eq!(
            answer.json(),
            json!({"error": wanted, "status": 0}),
            "{body}"
        );
        assert_eq!(server.post("/track/", JSON, body).body, "0", "{body}");
    }
    // The response does not reveal whether a token is known.
    let unknown = r#"{"event":"A","properties":{"token":"WHO"}}"#;
    assert_eq!(server.post("/track", JSON, unknown).body, "1");
    // /track ignores a credential.
    let headers = [("authorization", "Basic x:y"), ("content-type", JSON)];
    let event = link("U1", DEVICE);
    assert_eq!(
        server
            .send("POST", "/track", &headers, event.as_bytes())
            .body,
        "1"
    );
}

#[test]
fn tr12_pages_of_any_origin_may_send_and_none_may_query() {
    let server = Running::of(Model::Original);
    let origin = ("origin", "https://shop.example");
    let headers = [origin, ("content-type", FORM), ("cookie", "a=b")];
    let body = format!("data={}", escaped(&link("U1", DEVICE)));
    for path in [
        "/track/?verbose=1",
        "/track",
        "/engage/",
        "/groups/",
        "/record/?x=1",
    ] {
        let answer = server.send("POST", path, &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://shop.example")
        );
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            Some("true")
        );
        assert!(
            answer
                .header("vary")
                .unwrap()
                .to_ascii_lowercase()
                .contains("origin")
        );
    }
    for path in ["/flags/", "/settings/", "/record/", "/track/"] {
        let asked = [
            origin,
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,content-type,traceparent",
            ),
        ];
        let answer = server.send("OPTIONS", path, &asked, b"");
        assert_eq!(answer.status, 200, "{path}");
        let allowed = answer.header("access-control-allow-headers").unwrap();
        assert!(
            ["authorization", "content-type", "traceparent"]
                .iter()
                .all(|name| allowed.contains(name))
        );
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(methods.contains("GET") && methods.contains("POST"));
    }
    let secret = format!("Bearer {SECRET} of TOK");
    let answer = server.get("/v1/ids/U1", &[origin, ("authorization", &secret)]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn stubs_answer_with_an_empty_success() {
    let server = Running::of(Model::Simplified);
    let answer = server.send(
        "POST",
        "/record/?seq=0",
        &[("authorization", "Basic TOK:")],
        b"\x00\x01",
    );
    assert_eq!(
        (answer.status, answer.json()["code"].as_u64()),
        (200, Some(200))
    );
    let answer = server.get(
        "/flags/?context=%7B%7D&token=TOK",
        &[("traceparent", "00-1-1-00")],
    );
    assert_eq!((answer.status, answer.json()), (200, json!({"flags": {}})));
    assert_eq!(server.get("/settings/?sdk_config=1", &[]).json(), json!({}));
    assert_eq!(server.get("/decide/", &[]).status, 200);
    assert_eq!(server.get("/healthz", &[]).body, "ok\n");
    assert_eq!(server.get("/readyz", &[]).body, "ready\n");
}

/// What a project writes into a file without a name is lost when the server stops.
#[cfg(unix)]
#[test]
fn a_project_whose_file_was_removed_is_not_ready() {
    let projects = ["TOK", "OTHER"].map(|token| project(token, Model::Simplified));
    let server = Running::with(projects.into(), |_| {});
    assert_eq!(server.get("/readyz", &[]).status, 200);
    fs::remove_dir_all(server.folder.as_ref().unwrap().path().join("TOK")).unwrap();
    let answer = server.get("/readyz", &[]);
    assert_eq!(
        (answer.status, &*answer.body),
        (503, "project TOK has lost the file of its store\n")
    );
    // A restart would lose more, so the server goes on.
    assert_eq!(server.get("/healthz", &[]).status, 200);
}

#[test]
fn metrics_count_requests_and_records() {
    let server = Running::with(vec![project("TOK", Model::Original)], |_| {});
    server.post("/track", JSON, &link("U1", DEVICE));
    server.post("/track", JSON, &link("U2", DEVICE));
    server.post("/track", JSON, &link("U3", "not a guid"));
    server.post(
        "/track",
        JSON,
        r#"{"event":"$identify","properties":{"token":"TOK"}}"#,
    );
    let text = server.get("/metrics", &[]).body;
    for line in [
        r#"idmerge_requests_total{endpoint="track",status="200"} 4"#,
        r#"idmerge_records_total{project="TOK",endpoint="track",result="stored"} 3"#,
        r#"idmerge_merges_total{project="TOK"} 1"#,
        r#"idmerge_events_kept{project="TOK"} 3"#,
        r#"idmerge_rejected_claims_total{project="TOK",code="errAnonDistinctIdAssignedAlready"} 1"#,
        r#"idmerge_rejected_claims_total{project="TOK",code="errAnonDistinctIdNonGUIDForm"} 1"#,
        r#"idmerge_refused_records_total{project="TOK",rule="O-3"} 1"#,
        "idmerge_request_seconds_count 4",
        r#"idmerge_commit_seconds_bucket{le="+Inf",project="TOK"} "#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn every_metric_that_the_documents_name_is_there() {
    let server = Running::of(Model::Original);
    // Some metrics are there once something was counted.
    server.post("/track", JSON, &link("U1", DEVICE));
    let text = server.get("/metrics", &[]).body;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let metrics: Vec<_> = types
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect();
    let docs = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).unwrap();
    let mut named = 0;
    for entry in docs {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("`idmerge_").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let name = format!("idmerge_{}", &rest[..end.unwrap()]);
            // A property of migrated events (M-12).
            if name != "idmerge_evidence" {
                assert!(
                    metrics.contains(&name),
                    "{}: {name}: {metrics:?}",
                    path.display()
                );
                named += 1;
            }
        }
    }
    assert!(named > 9, "only {named} metrics are named");
}
