//! Questions about the log of claims, and copies of the mappings, end when their clients leave.

use std::fmt::Write as _;
use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use crate::support::{PATIENCE, Running, SECRET};
use idmerge_engines::Model;

/// More claims than are folded in the time that a client needs to leave.
const CLAIMS: usize = 120_000;

const QUESTIONS: [&str; 4] = [
    "/v1/digest",
    "/v1/info",
    "/v1/simulate?engine=original",
    "/v1/mappings",
];

fn filled() -> Running {
    let server = Running::of(Model::Simplified);
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/x-ndjson"),
    ];
    for from in (0..CLAIMS).step_by(2_000) {
        let mut body = String::new();
        for n in from..from + 2_000 {
            let _infallible = writeln!(
                body,
                r#"{{"event":"A","properties":{{"token":"TOK","$device_id":"d{n}","$user_id":"u{n}","time":1700000000,"$insert_id":"event-{n}"}}}}"#
            );
        }
        let answer = server.send("POST", "/import?strict=1", &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    server
}

/// Asks, and reads nothing.
fn ask(server: &Running, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET} of TOK\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

fn cancelled(server: &Running) -> usize {
    server.metric("idmerge_cancelled_queries_total")
}

#[test]
fn a_question_ends_when_its_client_leaves() {
    let server = filled();
    let secret = format!("Bearer {SECRET} of TOK");
    let late = Instant::now() + PATIENCE;
    for path in QUESTIONS {
        let before = cancelled(&server);
        // A client that leaves before the question begins counts for nothing, so some may be needed.
        while cancelled(&server) == before {
            let client = ask(&server, path);
            std::thread::yield_now();
            drop(client);
            assert!(Instant::now() < late, "{path} goes on without its client");
        }
        // The permits are free again, and the questions about this path do not count for the next one.
        loop {
            let answer = server.get("/v1/digest", &[("authorization", &secret)]);
            if answer.status == 200 {
                break;
            }
            assert_eq!(answer.status, 429, "{}", answer.body);
            assert!(Instant::now() < late);
        }
    }
}
