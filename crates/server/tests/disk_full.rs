//! A server whose disk fails is not ready, until the disk is good again.
//!
//! The test has a process of its own, because the limit on the size of files is the process's.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and runs a server on a thread"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use idmerge_engines::Model;
use rlimit::Resource;
use serde_json::json;
use support::{Answer, PATIENCE, Running, SECRET, project};

/// SIGXFSZ, which kills a process that writes above the limit, unless it is handled.
const FILE_TOO_LARGE: i32 = 25;

/// Waits until the server says this about its readiness.
fn wait_until_ready_says(server: &Running, wanted: &str) {
    let late = Instant::now() + PATIENCE;
    loop {
        let body = server.get("/readyz", &[]).body;
        if body == wanted {
            return;
        }
        assert!(Instant::now() < late, "{body}");
        std::thread::yield_now();
    }
}

#[test]
fn a_server_is_not_ready_while_a_project_cannot_write_and_recovers_by_itself() {
    let is_handled = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(FILE_TOO_LARGE, is_handled).unwrap();
    let projects = ["ONE", "TWO"].map(|token| project(token, Model::Simplified));
    let server = Running::with(projects.into(), |_| {});
    assert_eq!(server.get("/readyz", &[]).body, "ready\n");
    assert_eq!(import(&server, 0).status, 200);
    let (_, hard) = rlimit::getrlimit(Resource::FSIZE).unwrap();
    rlimit::setrlimit(Resource::FSIZE, 64 * 1024, hard).unwrap();
    let mut refused = 1;
    while import(&server, refused).status == 200 {
        refused += 1;
    }
    let answer = import(&server, refused);
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("2"))
    );
    let answer = server.get("/readyz", &[]);
    assert_eq!(
        (answer.status, &*answer.body),
        (503, "project TWO cannot write\n")
    );
    assert_eq!(server.get("/healthz", &[]).status, 200);
    assert_measured(
        &server,
        [r#"failed{project="ONE"} 0"#, r#"failed{project="TWO"} 1"#],
    );

    rlimit::setrlimit(Resource::FSIZE, hard, hard).unwrap();
    wait_until_ready_says(&server, "ready\n");
    // Neither the link nor the event of the refused request is there until it is sent again.
    let device = format!("$device:d{refused}");
    assert_eq!(server.identity("TWO", &device).0, device);
    assert_eq!(exported(&server), refused);
    for _ in 0..2 {
        assert_eq!(import(&server, refused).status, 200);
    }
    assert_eq!(exported(&server), refused + 1);
    assert_eq!(server.identity("TWO", &device).0, "U");
    assert_measured(
        &server,
        [
            r#"failed{project="TWO"} 0"#,
            r#"recoveries_total{project="TWO"} 1"#,
        ],
    );
}

/// Imports the event of this number into the second project.
fn import(server: &Running, number: usize) -> Answer {
    let text = "0123456789abcdef".repeat(8_000);
    let event = json!([{"event": "A", "properties": {
        "$user_id": "U", "$device_id": format!("d{number}"), "time": 1_700_000_000 + number,
        "$insert_id": format!("i{number}"), "text": format!("{number} {text}"),
    }}]);
    let secret = format!("Bearer {SECRET} of TWO");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    server.send("POST", "/import", &headers, event.to_string().as_bytes())
}

/// How many events the second project exports.
fn exported(server: &Running) -> usize {
    let path = "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01";
    let secret = format!("Bearer {SECRET} of TWO");
    server
        .get(path, &[("authorization", &secret)])
        .body
        .lines()
        .count()
}

fn assert_measured(server: &Running, lines: [&str; 2]) {
    let metrics = server.get("/metrics", &[]).body;
    for line in lines {
        assert!(
            metrics.contains(&format!("idmerge_{line}\n")),
            "{line}: {metrics}"
        );
    }
}
