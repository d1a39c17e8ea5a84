//! One event in every encoding that SDKs use, and the response that each expects.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use idmerge_wire::{
    Credentials, Dialect, Endpoint, FailedRecord, Fault, Head, Limits, Message, Problem, Report,
    RequestParts, Response, Time,
};

const LIMITS: &Limits = &Limits::DOCUMENTED;
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

const EVENT: &str = r#"{"event":"A","properties":{"token":"TOK","distinct_id":"U1"}}"#;
const BASE64: &str =
    "eyJldmVudCI6IkEiLCJwcm9wZXJ0aWVzIjp7InRva2VuIjoiVE9LIiwiZGlzdGluY3RfaWQiOiJVMSJ9fQ==";
const MERGE: &str = r#"{"event":"$merge","properties":{"$distinct_ids":["a","b"],"token":"TOK"}}"#;

fn head(address: &str, content_type: &str, authorization: Option<&str>) -> Head {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    Head::read(RequestParts {
        endpoint: match path.trim_end_matches('/') {
            "/track" => Endpoint::Track,
            "/import" => Endpoint::Import,
            "/engage" => Endpoint::Engage,
            "/groups" => Endpoint::Groups,
            other => panic!("{other}"),
        },
        query,
        content_type: (!content_type.is_empty()).then_some(content_type),
        content_encoding: None,
        authorization,
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Percent-encodes every byte that is not a letter or a digit.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[track_caller]
fn assert_is_the_event(message: &Message<'_>) {
    let events = message.events(LIMITS).unwrap();
    assert_eq!(events.len(), 1);
    let event = events[0].as_ref().unwrap();
    assert_eq!(event.text, EVENT);
    assert_eq!((&*event.name, event.token.as_deref()), ("A", Some("TOK")));
    assert_eq!(
        (event.time, event.insert_id.as_deref()),
        (Time::Absent, None)
    );
}

fn success(dialect: &Dialect) -> Response {
    dialect.report(&Report {
        taken: 1,
        ..Report::default()
    })
}

#[track_caller]
fn check(address: &str, content_type: &str, body: &[u8], answer: &str) {
    let head = head(address, content_type, None);
    let message = head.decode(body, LIMITS).unwrap();
    assert_is_the_event(&message);
    let found = success(&message.dialect);
    assert_eq!(found.status, 200);
    assert_eq!(String::from_utf8_lossy(&found.body), answer);
}

const VERBOSE: &str = r#"{"error":null,"status":1}"#;

#[test]
fn tr01_to_tr06_forms() {
    let array = format!("data={}", escaped(&format!("[{EVENT}]")));
    let object = format!("data={}&verbose=1&ip=0", escaped(EVENT));
    let coded = format!("data={}", escaped(BASE64));
    let bare = format!("data={BASE64}");
    check(
        "/track/?verbose=1&ip=1&_=1",
        FORM,
        array.as_bytes(),
        VERBOSE,
    );
    check("/track/?ip=1&_=1", FORM, coded.as_bytes(), "1");
    let beacon = "text/plain;charset=UTF-8";
    check(
        "/track/?verbose=1&ip=1&_=1",
        beacon,
        array.as_bytes(),
        VERBOSE,
    );
    check(&format!("/track?ip=0&verbose=0&{coded}"), "", b"", "1");
    check("/track?ip=0&verbose=0", FORM, bare.as_bytes(), "1");
    check("/track", FORM, object.as_bytes(), VERBOSE);
    check("/track", "", object.as_bytes(), VERBOSE);
    // The whole form compressed, as Android can send it.
    check("/track/?ip=1", FORM, &gzip(coded.as_bytes()), "1");
    let unpadded = coded.trim_end_matches("%3D");
    check("/track", FORM, unpadded.as_bytes(), "1");
}

#[test]
fn tr07_json_compressed_or_not() {
    let array = format!("[{EVENT}]");
    for body in [array.as_bytes(), EVENT.as_bytes(), &*gzip(array.as_bytes())] {
        check("/track/?ip=1", JSON, body, "1");
        check("/track?verbose=2", "", body, VERBOSE);
    }
    // A plus sign in JSON is not a space, and base64 with one survives a form.
    let text = r#"{"event":"a+b","properties":{"x":"~~~???>>>"}}"#;
    let coded = "eyJldmVudCI6ImErYiIsInByb3BlcnRpZXMiOnsieCI6In5+fj8/Pz4+PiJ9fQ==";
    for (body, content_type) in [
        (text.to_owned(), JSON),
        (format!("data={coded}"), FORM),
        (format!("data={}", escaped(text)), FORM),
    ] {
        let head = head("/track", content_type, None);
        let message = head.decode(body.as_bytes(), LIMITS).unwrap();
        let events = message.events(LIMITS).unwrap();
        assert_eq!(events[0].as_ref().unwrap().text, text);
    }
}

#[test]
fn tr08_lines_to_import() {
    let body = gzip(format!("{EVENT}\n{EVENT}\n").as_bytes());
    let head = head(
        "/import?strict=1",
        "application/x-ndjson",
        Some("Basic VE9LOg=="),
    );
    let message = head.decode(&body, LIMITS).unwrap();
    assert_eq!(message.events(LIMITS).unwrap().len(), 2);
    assert!(message.is_strict);
    let token = Credentials::Basic {
        user: "TOK".to_owned(),
        password: String::new(),
    };
    assert_eq!(message.credentials, token);
    let answer = message.dialect.report(&Report {
        taken: 2,
        ..Report::default()
    });
    let wanted = br#"{"code":200,"num_records_imported":2,"status":"OK"}"#.as_slice();
    assert_eq!((answer.status, &*answer.body), (200, wanted));
}

#[test]
fn tr09_and_tr10_forms_to_import() {
    for (rest, answer) in [("&verbose=1&ip=0", VERBOSE), ("", "1")] {
        let body = format!("data={}{rest}", escaped(MERGE));
        let head = head("/import", FORM, Some("Basic SECRET:"));
        let message = head.decode(body.as_bytes(), LIMITS).unwrap();
        let events = message.events(LIMITS).unwrap();
        let event = events[0].as_ref().unwrap();
        assert!(event.is_identity_event() && event.text == MERGE);
        assert!(!message.is_strict);
        assert_eq!(&*success(&message.dialect).body, answer.as_bytes());
    }
    // By GET, with the parameter api_key of old SDKs.
    let address = format!("/import?ip=0&verbose=0&data={}&api_key=KEY", escaped(MERGE));
    let message_head = head(&address, "", None);
    let message = message_head.decode(b"", LIMITS).unwrap();
    assert_eq!(message.credentials, Credentials::ApiKey("KEY".to_owned()));
    // A header takes precedence over a parameter.
    let both = head(&address, "", Some("Basic SECRET:"));
    let message = both.decode(b"", LIMITS).unwrap();
    assert!(matches!(message.credentials, Credentials::Basic { .. }));
}

#[test]
fn the_range_of_a_record_is_in_the_whole_text() {
    let body = format!("[1, {EVENT},{EVENT}]").into_bytes();
    let message = head("/track", JSON, None).decode(body, LIMITS).unwrap();
    let events = message.events(LIMITS).unwrap();
    let ranges: Vec<_> = events
        .iter()
        .flatten()
        .map(|event| message.range(event.text))
        .collect();
    assert_eq!(message.range("1"), 0..0);
    let text = message.clone().into_text();
    assert_eq!(ranges.len(), 2);
    assert!(ranges.iter().all(|range| &text[range.clone()] == EVENT));
    assert!(ranges[0] != ranges[1]);
}

#[test]
fn tr11_an_update_without_an_id() {
    let body = br#"[{"$token":"TOK","$set":{}}]"#;
    for (address, status, wanted) in [
        (
            "/engage/?verbose=2",
            200,
            r#"{"error":"$distinct_id, missing or empty","status":0}"#,
        ),
        ("/engage", 200, "0"),
        (
            "/engage?strict=1",
            400,
            r#"{"code":400,"error":"some data points in the request failed validation","status":"Bad Request","num_records_imported":0,"failed_records":[{"index":0,"insert_id":"","$insert_id":"","field":"$distinct_id","message":"'$distinct_id' is invalid: must not be missing or empty"}]}"#,
        ),
    ] {
        let head = head(address, JSON, None);
        let message = head.decode(body, LIMITS).unwrap();
        let fault = message.updates(LIMITS).unwrap().remove(0).unwrap_err();
        let answer = message.dialect.report(&Report {
            taken: 0,
            failed: vec![FailedRecord {
                index: 0,
                insert_id: None,
                fault,
            }],
            is_strict: message.is_strict,
        });
        assert_eq!(answer.status, status, "{address}");
        assert_eq!(String::from_utf8_lossy(&answer.body), wanted);
    }
}

#[test]
fn pixels_and_callbacks() {
    let answer = |query: &str| {
        let address = format!("/track/?data={}&{query}", escaped(BASE64));
        let head = head(&address, "", None);
        let answer = success(&head.decode(b"", LIMITS).unwrap().dialect);
        (answer.content_type, answer.body.into_owned())
    };
    let (content_type, body) = answer("img=1");
    assert_eq!(content_type, "image/gif");
    assert!(body.starts_with(b"GIF89a\x01\x00\x01\x00") && body.ends_with(b";"));
    for (query, wanted) in [
        ("callback=mp._f1", "/**/mp._f1(1);"),
        (
            "callback=$f&verbose=1",
            "/**/$f({\"error\":null,\"status\":1});",
        ),
    ] {
        let (content_type, body) = answer(query);
        assert_eq!(content_type, "text/javascript; charset=utf-8");
        assert_eq!(String::from_utf8_lossy(&body), wanted);
    }
    // A callback that is not the name of a function is not written into a script.
    let long = "a".repeat(129);
    for name in [
        "alert(1)//",
        "a%0d%0ab",
        "%3Cscript%3E",
        "a..b",
        ".a",
        "1a",
        "",
        "a b",
        "%C3%BC",
        &long,
    ] {
        let (content_type, body) = answer(&format!("callback={name}"));
        assert_eq!(
            (content_type, &*body),
            ("text/plain; charset=utf-8", &b"1"[..]),
            "{name}"
        );
    }
}

#[test]
fn a_strict_request_gets_each_failure_reported() {
    let failed = vec![FailedRecord {
        index: 3,
        insert_id: Some("i\"1".to_owned()),
        fault: Fault::NoTime,
    }];
    let report = |is_strict| Report {
        taken: 7,
        failed: failed.clone(),
        is_strict,
    };
    let answer = Dialect::Modern.report(&report(true));
    let wanted = r#"{"code":400,"error":"some data points in the request failed validation","status":"Bad Request","num_records_imported":7,"failed_records":[{"index":3,"insert_id":"i\"1","$insert_id":"i\"1","field":"properties.time","message":"'properties.time' is invalid: must be specified as seconds since epoch"}]}"#;
    assert_eq!(answer.status, 400);
    assert_eq!(String::from_utf8_lossy(&answer.body), wanted);
    let answer = Dialect::Modern.report(&report(false));
    assert_eq!(answer.status, 200);
    assert_eq!(
        &*answer.body,
        br#"{"code":200,"num_records_imported":7,"status":"OK"}"#
    );
    // In other dialects, one record that was taken makes a success.
    assert_eq!(&*Dialect::Plain.report(&report(true)).body, b"1");
}

#[test]
fn missing_data_is_reported_in_the_body() {
    for (body, wanted) in [
        ("", "data, missing or empty"),
        ("data=&verbose=1", "data, missing or empty"),
        ("verbose=1&ip=1", ""),
        (
            "data=***",
            "data is not valid JSON: it is not base64 either",
        ),
        ("data=%7B", ""),
        (
            "data=%7B%ff",
            "data is not valid JSON: key must be a string",
        ),
        ("[{]", ""),
    ] {
        let head = head("/track?verbose=1", FORM, None);
        let message = head.decode(body.as_bytes(), LIMITS);
        let problem = match &message {
            Ok(message) => message.events(LIMITS).unwrap_err(),
            Err(problem) => problem.clone(),
        };
        assert!(problem.is_about_data(), "{body}");
        assert!(problem.to_string().contains(wanted), "{body}: {problem}");
        let answer = head.dialect().refuse(&problem);
        assert_eq!(answer.status, 200, "{body}");
        assert!(answer.body.ends_with(br#","status":0}"#), "{body}");
    }
}

#[test]
fn problems_have_the_vendors_messages() {
    let text = |dialect: &Dialect, problem: &Problem| {
        let answer = dialect.refuse(problem);
        format!(
            "{} {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        )
    };
    let rate = "Project exceeded rate limits. Please retry the request with exponential backoff.";
    let large = Problem::TooLarge {
        max_body_bytes: 10_485_760,
    };
    let too_large = r#"413 {"code":413,"error":"request exceeds max limit of 10485760 bytes","status":"Request Entity Too Large"}"#;
    let unauthorized = r#"401 {"code":401,"error":"Invalid credentials","status":"Unauthorized"}"#;
    for dialect in [Dialect::Modern, Dialect::Plain, Dialect::Verbose] {
        assert_eq!(text(&dialect, &large), too_large);
        assert_eq!(text(&dialect, &Problem::INVALID_CREDENTIALS), unauthorized);
    }
    assert_eq!(
        text(&Dialect::Modern, &Problem::RateLimited),
        format!(r#"429 {{"code":429,"error":"{rate}","status":"Too Many Requests"}}"#)
    );
    assert_eq!(
        text(&Dialect::Plain, &Problem::RateLimited),
        format!(r#"429 {{"error":"{rate}","status":0}}"#)
    );
    let work = Problem::TooMuchWork {
        reason: "too many profiles".to_owned(),
    };
    let rate = "Project exceeded rate limits: too many profiles. Please retry the request with exponential backoff.";
    assert_eq!(
        text(&Dialect::Modern, &work),
        format!(r#"429 {{"code":429,"error":"{rate}","status":"Too Many Requests"}}"#)
    );
    assert_eq!(
        text(&Dialect::Plain, &work),
        format!(r#"429 {{"error":"{rate}","status":0}}"#)
    );
    let identity =
        "identity events are not allowed when project is using simplified identity management";
    assert_eq!(
        text(&Dialect::Modern, &Problem::IdentityEvents),
        format!(
            r#"400 {{"code":400,"error":"{identity}","status":"Bad Request","num_records_imported":0,"failed_records":["{identity}"]}}"#
        )
    );
    assert_eq!(
        text(&Dialect::Verbose, &Problem::IdentityEvents),
        format!(r#"200 {{"error":"{identity}","status":0}}"#)
    );
    assert_eq!(text(&Dialect::Plain, &Problem::NoData), "200 0");
    assert_eq!(
        text(&Dialect::Modern, &Problem::NoData),
        r#"400 {"code":400,"error":"data, missing or empty","status":"Bad Request","num_records_imported":0,"failed_records":[]}"#
    );
    let unavailable =
        "the service is unavailable; please retry the request with exponential backoff";
    assert_eq!(
        text(&Dialect::Modern, &Problem::Unavailable),
        format!(r#"503 {{"code":503,"error":"{unavailable}","status":"Service Unavailable"}}"#)
    );
    assert_eq!(
        text(&Dialect::Plain, &Problem::Unavailable),
        format!(r#"503 {{"error":"{unavailable}","status":0}}"#)
    );
}

#[test]
fn the_limits_are_those_that_the_vendor_documents() {
    let documented = Limits {
        max_body_bytes: 10_485_760,
        max_records: 2_000,
        max_record_bytes: 1_048_576,
        max_members: 254,
        max_depth: 3,
        max_insert_id_bytes: 36,
        // 1971-01-01T00:00:00Z
        min_time_ms: 31_536_000_000,
        // An hour.
        max_ahead_ms: 3_600_000,
    };
    assert_eq!(Limits::DOCUMENTED, documented);
}

#[test]
fn an_endpoint_has_a_path_and_a_name() {
    let endpoints = [
        (Endpoint::Track, "/track", "track"),
        (Endpoint::Import, "/import", "import"),
        (Endpoint::Engage, "/engage", "engage"),
        (Endpoint::Groups, "/groups", "groups"),
    ];
    for (endpoint, path, name) in endpoints {
        assert_eq!((endpoint.path(), endpoint.name()), (path, name));
    }
}

#[test]
fn a_service_account_names_its_project() {
    let project_id = |address: &str| {
        let head = head(address, JSON, None);
        head.decode(EVENT.as_bytes(), LIMITS).unwrap().project_id
    };
    assert_eq!(project_id("/import?project_id=7"), Some("7".to_owned()));
    assert_eq!(project_id("/import?project_id="), None);
    assert_eq!(project_id("/import"), None);
}

#[test]
fn a_head_with_data_in_its_query_or_of_a_form_is_that_of_a_form() {
    // A form to `/import` gets the short response, JSON the long one.
    for (address, content_type, dialect) in [
        ("/import", JSON, Dialect::Modern),
        ("/import", FORM, Dialect::Plain),
        ("/import?data=e30=", "", Dialect::Plain),
    ] {
        assert_eq!(head(address, content_type, None).dialect(), dialect);
    }
}
