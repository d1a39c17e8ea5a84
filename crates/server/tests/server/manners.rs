//! What the server answers to requests that are wrong as HTTP, and to wrong parameters of queries.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Answer, READING, Running, SECRET, project};
use idmerge_engines::Model;

const JSON: &str = "application/json";

/// Sends bytes to the server, and reads until it closes the connection.
fn send_raw(server: &Running, text: &str) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // If the connection is reset, what arrived before still counts.
    let _result = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn query(server: &Running, path: &str) -> Answer {
    let secret = format!("Bearer {SECRET} of TOK");
    server.get(path, &[("authorization", &secret)])
}

/// The body of a `/track` request with one event.
fn event(id: &str) -> String {
    format!(r#"{{"event":"A","properties":{{"token":"TOK","distinct_id":"{id}","time":1}}}}"#)
}

fn stored_events(server: &Running) -> usize {
    let path = "/api/2.0/export?from_date=0000-01-01&to_date=9999-12-31";
    let answer = query(server, path);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body.lines().count()
}

#[test]
fn a_request_that_breaks_the_rules_of_http_gets_400_and_stores_nothing() {
    let server = Running::of(Model::Original);
    let body = event("x");
    let length = body.len();
    let plain = format!("content-length: {length}\r\n\r\n{body}");
    for (what, text) in [
        (
            "two hosts",
            format!("POST /track HTTP/1.1\r\nhost: a\r\nhost: b\r\n{plain}"),
        ),
        (
            "one host twice",
            format!("POST /track HTTP/1.1\r\nhost: a\r\nhost: a\r\n{plain}"),
        ),
        ("no host", format!("POST /track HTTP/1.1\r\n{plain}")),
        (
            "a user",
            format!("POST /track HTTP/1.1\r\nhost: a@b\r\n{plain}"),
        ),
        (
            "a path",
            format!("POST /track HTTP/1.1\r\nhost: a/b\r\n{plain}"),
        ),
        (
            "a space",
            format!("POST /track HTTP/1.1\r\nhost: a b\r\n{plain}"),
        ),
        (
            "a chunk without a length",
            format!(
                "POST /track HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n{body}\r\n0\r\n\r\n"
            ),
        ),
        (
            "a chunk that is longer than its length",
            format!(
                "POST /track HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}z\r\n0\r\n\r\n"
            ),
        ),
        (
            "a broken chunk after a whole event",
            format!(
                "POST /track HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\nq\r\n"
            ),
        ),
        (
            "another encoding than chunks",
            format!("POST /track HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n{body}"),
        ),
        (
            "a broken chunk of a recording",
            "POST /record HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nq\r\n"
                .to_owned(),
        ),
    ] {
        let answer = send_raw(&server, &text);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{what}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 400 ").count(),
            1,
            "{what}: {answer}"
        );
    }
    assert_eq!(stored_events(&server), 0);
    // The other forms that HTTP allows.
    for text in [
        format!("POST /track HTTP/1.0\r\n{plain}"),
        format!("POST http://other/track HTTP/1.1\r\nhost: other\r\nconnection: close\r\n{plain}"),
        format!("POST /track HTTP/1.1\r\nhost: [::1]:8080\r\nconnection: close\r\n{plain}"),
        format!("POST /track HTTP/1.1\r\nhost:\r\nconnection: close\r\n{plain}"),
    ] {
        let answer = send_raw(&server, &text);
        assert!(answer.contains(" 200 OK\r\n"), "{text}: {answer}");
    }
    assert_eq!(stored_events(&server), 4);
}

#[test]
fn a_request_with_two_lengths_ends_its_connection() {
    let server = Running::of(Model::Original);
    let body = event("x");
    let length = body.len();
    let smuggled = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n";
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
    ] {
        let text = format!(
            "POST /track HTTP/1.1\r\nhost: a\r\n{lengths}\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n{smuggled}"
        );
        // RFC 9112, section 6.3: the chunks count, and the connection is closed after the response.
        let answer = send_raw(&server, &text);
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
}

#[test]
fn a_401_says_how_to_authenticate() {
    let server = Running::of(Model::Original);
    let mut answers: Vec<_> = READING.iter().map(|path| server.get(path, &[])).collect();
    answers.push(server.post("/import", JSON, "[]"));
    answers.push(server.send("HEAD", "/v1/changes", &[], b""));
    for answer in answers {
        assert_eq!(answer.status, 401);
        let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
        assert_eq!(
            challenges,
            [
                r#"Basic realm="idmerge", charset="UTF-8""#,
                r#"Bearer realm="idmerge""#
            ]
        );
    }
}

#[test]
fn every_404_and_405_says_why() {
    let server = Running::of(Model::Original);
    for (path, status) in [
        ("/v1", "error"),
        ("/v1/nothing", "error"),
        ("/api/2.0/nothing", "error"),
        ("/nothing", "Not Found"),
        ("/track/nothing", "Not Found"),
    ] {
        let answer = server.get(path, &[]);
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["status"], status, "{path}");
        assert!(answer.body.contains("/openapi.json"), "{answer:?}");
        assert_eq!(answer.header("content-type"), Some(JSON), "{path}");
    }
    for (method, path, allow) in [
        ("POST", "/v1/changes", "GET,HEAD,OPTIONS"),
        ("DELETE", "/v1/ids/U1", "GET,HEAD,OPTIONS"),
        ("PUT", "/api/query/engage", "GET,HEAD,POST,OPTIONS"),
        ("POST", "/healthz", "GET,HEAD,OPTIONS"),
        ("PUT", "/track", "GET,HEAD,POST,OPTIONS"),
        ("DELETE", "/import/", "GET,HEAD,POST,OPTIONS"),
        ("GET", "/record", "POST,OPTIONS"),
    ] {
        let answer = server.send(method, path, &[], b"");
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        assert!(answer.json()["error"].is_string(), "{answer:?}");
        let is_v1 = path.starts_with("/v1") || path.starts_with("/api");
        let status = if is_v1 { "error" } else { "Method Not Allowed" };
        assert_eq!(answer.json()["status"], status, "{answer:?}");
    }
}

#[test]
fn every_path_answers_head_and_options() {
    let server = Running::of(Model::Original);
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [("authorization", &*secret)];
    let others = [
        "/",
        "/openapi.json",
        "/healthz",
        "/readyz",
        "/metrics",
        "/track",
        "/flags",
    ];
    for path in READING.iter().chain(&others) {
        let get = server.get(path, &headers);
        let head = server.send("HEAD", path, &headers, b"");
        assert_eq!((head.status, &*head.body), (get.status, ""), "{path}");
        assert_eq!(
            head.header("content-type"),
            get.header("content-type"),
            "{path}"
        );
        let options = server.send("OPTIONS", path, &[], b"");
        assert!([200, 204].contains(&options.status), "{path}: {options:?}");
    }
    let options = server.send("OPTIONS", "/v1/changes", &[], b"");
    assert_eq!(
        (options.status, options.header("allow")),
        (204, Some("GET,HEAD,OPTIONS"))
    );
    let text = "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    assert!(send_raw(&server, text).starts_with("HTTP/1.1 204 "));
}

#[test]
fn a_wrong_parameter_is_named_with_what_is_accepted() {
    let server = Running::of(Model::Original);
    for (path, wanted) in [
        (
            "/v1/ids/U1?explain=yes",
            r#"explain is "yes"; give true or false"#,
        ),
        (
            "/v1/ids/%FF",
            "the ID in the path is not UTF-8; percent-encode the UTF-8 bytes of the ID",
        ),
        (
            "/v1/changes?since=x",
            r#"since is "x"; give a whole number from 0 to 18446744073709551615"#,
        ),
        (
            "/v1/changes?since=-1",
            r#"since is "-1"; give a whole number from 0 to 18446744073709551615"#,
        ),
        (
            "/v1/changes?since=1&since=2",
            "the parameter since is given more than once; give it once",
        ),
        (
            "/v1/changes?limit=",
            r#"limit is ""; give a whole number from 0 to 18446744073709551615"#,
        ),
        (
            "/v1/mappings?format=xml",
            r#"format is "xml"; give ndjson or csv"#,
        ),
        (
            "/v1/users/U1/events?limit=1.5",
            r#"limit is "1.5"; give a whole number from 0 to 18446744073709551615"#,
        ),
        ("/v1/funnel", "the parameter steps is missing"),
        (
            "/v1/funnel?steps=View",
            r#"steps is "View"; give a JSON array of strings, such as ["A","B"]"#,
        ),
        (
            "/v1/funnel?steps=[]",
            "there are 0 steps; give 1 to 100 (F-8)",
        ),
        (
            "/v1/funnel?steps=[%22A%22]&window_days=99999999999",
            r#"window_days is "99999999999"; give a whole number from 0 to 4294967295"#,
        ),
        (
            "/v1/funnel?steps=[%22A%22]&window_days=367",
            "a window of 31708800000 ms is not more than 0 and at most 366 days (F-8)",
        ),
        (
            "/v1/funnel?steps=[%22A%22]&window_days=1&window_ms=1",
            "window_days and window_ms are both given; give one of them",
        ),
        (
            "/v1/funnel?steps=[%22A%22]&reentry=all",
            r#"reentry is "all"; give first or optimized"#,
        ),
        (
            "/v1/funnel?steps=[%22A%22]&reentry=optimized&count=totals",
            "totals count each entry of a user, and optimized re-entry one of them: choose one (F-4)",
        ),
        (
            "/v1/funnel?steps=[%22A%22]&exclude=[{%22event%22:%22B%22}]",
            r#"exclude is "[{\"event\":\"B\"}]"; give a JSON array of events, such as ["A",{"event":"B","between":[2,3]}]"#,
        ),
        (
            "/v1/funnel?steps=[%22A%22]&exclude=[{%22event%22:%22B%22,%22between%22:[1,2]}]",
            "there are no steps 1 and 2 to exclude an event between: give two of the 1 steps (F-6)",
        ),
        (
            "/v1/funnel?steps=[%22A%22]&from_date=2026-02-30",
            r#"from_date is "2026-02-30"; give a date, such as 2026-01-31"#,
        ),
        (
            "/api/2.0/export?from_date=2020-01-01",
            "the parameter to_date is missing",
        ),
        (
            "/api/2.0/export?from_date=2020-01-01&to_date=10000-01-01",
            r#"to_date is "10000-01-01"; give a date, such as 2026-01-31"#,
        ),
        (
            "/api/2.0/export?from_date=2020-01-01&to_date=2020-01-01&event=A",
            r#"event is "A"; give a JSON array of strings, such as ["A","B"]"#,
        ),
        (
            "/api/query/engage?page=a",
            r#"page is "a"; give a whole number from 0 to 4294967295"#,
        ),
        (
            "/api/query/engage?distinct_ids={}",
            r#"distinct_ids is "{}"; give a JSON array of strings, such as ["A","B"]"#,
        ),
        (
            "/v1/changes?project_id=1&project_id=2",
            "the parameter project_id is given more than once; give it once",
        ),
    ] {
        let path = path
            .replace('[', "%5B")
            .replace(']', "%5D")
            .replace('{', "%7B")
            .replace('}', "%7D");
        let answer = query(&server, &path);
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        assert_eq!(answer.json()["error"], wanted, "{path}");
        assert_eq!(answer.json()["status"], "error", "{path}");
    }
    // A long value is cut, and control characters are escaped.
    let path = format!("/v1/changes?since=%0a{}", "9".repeat(500));
    let error = query(&server, &path).json()["error"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        error.len() < 200 && error.starts_with(r#"since is "\n999"#),
        "{error}"
    );
    let headers = |content_type| {
        [
            ("authorization", "Bearer a long secret of TOK"),
            ("content-type", content_type),
        ]
    };
    let form = "application/x-www-form-urlencoded";
    let answer = server.send("POST", "/api/query/engage", &headers(form), b"page=a");
    assert_eq!(
        answer.json()["error"],
        r#"page is "a"; give a whole number from 0 to 4294967295"#
    );
    let answer = server.send("POST", "/api/query/engage", &headers(JSON), b"{}");
    assert_eq!(answer.status, 400);
    assert!(
        answer.json()["error"].as_str().unwrap().contains(form),
        "{answer:?}"
    );
    let answer = server.send("POST", "/api/query/engage", &headers(form), b"page=0");
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn the_last_day_of_the_calendar_is_a_day() {
    let server = Running::of(Model::Original);
    server.post("/track", JSON, &event("x"));
    assert_eq!(stored_events(&server), 1);
    let path =
        "/v1/funnel?steps=%5B%22A%22%5D&from_date=0000-01-01&to_date=9999-12-31&window_days=366";
    let answer = query(&server, path);
    assert_eq!(answer.json()["steps"][0]["users"], 1, "{answer:?}");
}

/// A slow body of a query holds no permit: 32 of them would otherwise keep all queries out.
#[test]
fn bodies_of_queries_that_never_end_hold_no_query_up() {
    let server = Running::with(vec![project("TOK", Model::Original)], |bounds| {
        bounds.max_queries = 2;
    });
    let held: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            let head = format!(
                "POST /api/query/engage HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET} of TOK\r\n\
                 content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\
                 expect: 100-continue\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            // The server has begun to read the body.
            stream.read_exact(&mut [0; 25]).unwrap();
            stream
        })
        .collect();
    assert_eq!(query(&server, "/v1/changes").status, 200);
    drop(held);
}
