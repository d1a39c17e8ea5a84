//! Queries of clients that have closed their connections end, and give their permits back.

use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use crate::support::{PATIENCE, Running, SECRET, project};
use idmerge_engines::Model;

#[test]
fn others_are_answered_when_the_clients_of_all_permits_have_left() {
    let server = Running::with(vec![project("TOK", Model::Original)], |bounds| {
        bounds.max_queries = 2;
        bounds.max_streams = 2;
    });
    let secret = format!("Bearer {SECRET} of TOK");
    let text = "x".repeat(1_000);
    for batch in 0..4 {
        let events: Vec<String> = (0..1_000)
            .map(|at| {
                format!(
                    r#"{{"event":"A","properties":{{"token":"TOK","distinct_id":"u{batch}-{at}","x":"{text}"}}}}"#
                )
            })
            .collect();
        let body = format!("[{}]", events.join(","));
        let answer = server.post("/track", "application/json", &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let late = Instant::now() + PATIENCE;
    for round in 0..5 {
        // Nobody reads these.
        let paths = [
            "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01",
            "/v1/funnel?steps=%5B%22A%22%5D",
        ];
        for path in paths {
            let mut stream = TcpStream::connect(server.address).unwrap();
            let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: {secret}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
        }
        loop {
            let answer = server.get(paths[1], &[("authorization", &secret)]);
            if answer.status == 200 {
                break;
            }
            assert_eq!(answer.status, 429, "{}", answer.body);
            assert!(Instant::now() < late, "round {round}");
        }
    }
}
