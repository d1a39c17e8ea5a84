//! Clients that attack the server, are slow, or disconnect.
//!
//! A program of its own, because it raises the limit on the open files of its process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and these tests need raw sockets"
)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use idmerge_engines::Model;
use support::{Running, SECRET, gzip, project};

const JSON: &str = "application/json";
const EVENT: &str = r#"{"event":"A","properties":{"token":"TOK","distinct_id":"U1"}}"#;

/// Sends bytes to the server, and reads until it closes the connection.
fn send_raw(server: &Running, text: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(text).unwrap();
    read_to_end(&mut stream)
}

fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // If the connection is reset, what arrived before still counts.
    let _result = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn assert_serves(server: &Running) {
    assert_eq!(server.post("/track", JSON, EVENT).body, "1");
}

#[test]
fn ten_gigabytes_are_refused_before_they_are_sent() {
    let server = Running::of(Model::Original);
    let head = "POST /import HTTP/1.1\r\nhost: x\r\nauthorization: Basic TOK:\r\n\
                connection: close\r\ncontent-length: 10737418240\r\n\r\n";
    let answer = send_raw(&server, head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("request exceeds max limit of 10485760 bytes"));
    assert_serves(&server);
}

#[test]
fn an_endless_body_is_read_up_to_the_limit() {
    let server = Running::of(Model::Original);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = "POST /track HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut chunk = b"10000\r\n".to_vec();
    chunk.resize(7 + 0x1_0000, b' ');
    chunk.extend_from_slice(b"\r\n");
    let mut sent = 0_u64;
    while sent < 10_u64 << 30 && stream.write_all(&chunk).is_ok() {
        sent += 0x1_0000;
    }
    // The buffers of the system add to what the server reads.
    assert!(sent < 64 << 20, "{sent}");
    assert_serves(&server);
}

#[test]
fn a_decompression_bomb_is_refused() {
    let server = Running::of(Model::Original);
    let bomb = gzip(vec![b' '; 12 << 20]);
    assert!(bomb.len() < 1 << 20);
    for path in ["/track", "/import", "/engage"] {
        let headers = [
            ("content-encoding", "gzip"),
            ("authorization", "Basic TOK:"),
        ];
        let answer = server.send("POST", path, &headers, &bomb);
        assert_eq!(answer.status, 413, "{path}");
    }
    assert_serves(&server);
}

#[test]
fn slow_clients_are_disconnected() {
    let server = Running::with(vec![project("TOK", Model::Original)], |bounds| {
        bounds.head_timeout = Duration::from_secs(1);
        bounds.body_timeout = Duration::from_secs(1);
    });
    // No bytes at all, half a head, and an idle connection after a good request.
    let silent = send_raw(&server, b"");
    assert!(!silent.contains("200"), "{silent}");
    let half = send_raw(&server, b"POST /track HTTP/1.1\r\nhost: x\r\ncontent-le");
    assert!(!half.contains("200"), "{half}");
    let idle = send_raw(&server, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
    let body = send_raw(
        &server,
        b"POST /track HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[{",
    );
    assert!(body.starts_with("HTTP/1.1 408 "), "{body}");
    assert_serves(&server);
}

#[test]
fn ten_thousand_idle_connections_block_no_request() {
    // This process has a file descriptor for each end of each connection.
    let files = rlimit::increase_nofile_limit(21_000).unwrap_or(1_024);
    let count = usize::try_from((files - 500) / 2).unwrap().min(10_000);
    assert!(
        count > 200,
        "the limit of open files is too low for this test: {files}"
    );
    let server = Running::of(Model::Original);
    let idle: Vec<_> = (0..count)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    for _ in 0..3 {
        assert_serves(&server);
    }
    drop(idle);
    assert_serves(&server);
}

#[test]
fn connections_above_the_limit_wait() {
    let server = Running::with(vec![project("TOK", Model::Original)], |bounds| {
        bounds.max_connections = 3;
    });
    let ask = |stream: &mut TcpStream| {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
    };
    let mut held: Vec<_> = (0..3)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    for stream in &mut held {
        ask(stream);
        stream.read_exact(&mut [0; 12]).unwrap();
    }
    let mut waiting = TcpStream::connect(server.address).unwrap();
    ask(&mut waiting);
    waiting
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    assert!(waiting.read(&mut [0; 12]).is_err());
    drop(held.pop());
    waiting.set_read_timeout(None).unwrap();
    let mut start = [0; 12];
    waiting.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
}

#[test]
fn bodies_stay_within_the_memory_for_them() {
    let server = Running::with(vec![project("TOK", Model::Original)], |bounds| {
        bounds.max_body_bytes_in_memory = bounds.limits.max_body_bytes;
    });
    let bytes_used = |bytes: &str| {
        let line = format!("\nidmerge_bodies_in_memory_bytes {bytes}\n");
        (0..1_000).any(|_| {
            thread::sleep(Duration::from_millis(5));
            server.get("/metrics", &[]).body.contains(&line)
        })
    };
    let mut large = TcpStream::connect(server.address).unwrap();
    large
        .write_all(b"POST /track HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n")
        .unwrap();
    large.write_all(&vec![b' '; 9_999_999]).unwrap();
    assert!(bytes_used("9999999"));
    let body = " ".repeat(1_000_000);
    let answer = server.post("/track", JSON, &body);
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("2"));
    assert!(
        answer.body.contains("Project exceeded rate limits."),
        "{answer:?}"
    );
    // A small body still fits, and the memory is given back.
    assert_serves(&server);
    drop(large);
    assert!(bytes_used("0"));
    assert_eq!(server.post("/track", JSON, &body).status, 200);
}

#[test]
fn queries_need_a_credential() {
    let server = Running::of(Model::Original);
    assert_serves(&server);
    let right = format!("Bearer {SECRET} of TOK");
    let wrong = [
        None,
        Some("Basic TOK:"),
        Some("Bearer TOK"),
        Some("Bearer "),
        Some("Basic"),
        Some("Basic TOK-account:"),
    ];
    // At the same time: each answer to a wrong secret waits, once there were some.
    thread::scope(|clients| {
        for path in support::READING {
            for authorization in wrong {
                let server = &server;
                clients.spawn(move || {
                    let headers = authorization.map(|value| ("authorization", value));
                    let answer = server.get(path, headers.as_slice());
                    assert_eq!(answer.status, 401, "{path} {authorization:?}");
                    assert!(!answer.body.contains("U1"), "{answer:?}");
                });
            }
        }
    });
    for path in support::READING {
        let answer = server.get(path, &[("authorization", &right)]);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    // A secret in the URL gives no access, because URLs are logged.
    let key = SECRET.replace(' ', "%20");
    let answer = server.get(&format!("/v1/ids/U1?api_key={key}%20of%20TOK"), &[]);
    assert_eq!(answer.status, 401);
}

#[test]
fn other_paths_are_not_found() {
    let server = Running::of(Model::Original);
    for path in [
        "/..%2f..%2fetc/passwd",
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/",
        "/track/../import",
        "//track//..//import",
        "/tra//ck",
        "/TRACK",
        "/v1/ids",
        "/v1/ids/",
        "/v1/ids/a/b",
        "/v1/users/../ids/a",
        "/api/2.0/",
        "/page/index.html",
        "/track%00",
    ] {
        let text = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = send_raw(&server, text.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    // An ID in a path can contain any character.
    let odd = "../..\u{0}\r\n<b>ü%2f";
    assert_eq!(
        server.identity("TOK", odd),
        (odd.to_owned(), vec![odd.to_owned()])
    );
}

#[test]
fn headers_cannot_be_injected() {
    let server = Running::of(Model::Original);
    for head in [
        "POST /track HTTP/1.1\r\nhost: x\r\norigin: https://a\rset-cookie: b=c\r\n\r\n",
        "POST /track HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n12",
        "POST /track\u{0} HTTP/1.1\r\nhost: x\r\n\r\n",
        "GARBAGE\r\n\r\n",
    ] {
        let answer = send_raw(&server, head.as_bytes());
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{head:?}: {answer}"
        );
    }
    let large = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "a".repeat(300_000)
    );
    assert!(!send_raw(&server, large.as_bytes()).contains(" 200 "));
    // The values that a response repeats in a header or a script are validated first.
    let data = "data=eyJldmVudCI6IkEiLCJwcm9wZXJ0aWVzIjp7InRva2VuIjoiVE9LIn19";
    let answer = server.get(
        &format!("/track?{data}&callback=a%0d%0aset-cookie:%20b=c"),
        &[],
    );
    assert_eq!(
        (answer.status, &*answer.body, answer.header("set-cookie")),
        (200, "1", None)
    );
    let answer = server.get(
        &format!("/track?{data}&callback=%3Cscript%3E"),
        &[("origin", "null")],
    );
    assert_eq!(answer.body, "1");
    assert_eq!(answer.header("access-control-allow-origin"), Some("null"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_serves(&server);
}

#[test]
fn an_open_request_is_answered_before_the_server_stops() {
    let mut server = Running::of(Model::Original);
    let address = server.address;
    let mut open = TcpStream::connect(address).unwrap();
    let length = EVENT.len();
    let head = format!(
        "POST /track HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
    );
    open.write_all(head.as_bytes()).unwrap();
    // Wait until the server has started to read the body.
    open.read_exact(&mut [0; 25]).unwrap();
    let finish = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        open.write_all(EVENT.as_bytes()).unwrap();
        read_to_end(&mut open)
    });
    server.stop();
    let answer = finish.join().unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n1"),
        "{answer}"
    );
    assert!(TcpStream::connect(address).is_err());
}
