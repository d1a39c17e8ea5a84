//! The threads of a server do not grow with the number of its projects.
//!
//! A program of its own, because it counts the threads of its process.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests, and a process reads about itself in a file"
)]

mod support;

use idmerge_engines::Model;
use support::{Running, SECRET, project};

/// How many threads this process has.
fn threads() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.unwrap().trim().parse().unwrap()
}

/// The threads of a server with this many projects, after each of them has stored an event and answered
/// a query.
fn threads_with(projects: usize) -> usize {
    let tokens: Vec<_> = (0..projects).map(|number| format!("T{number}")).collect();
    let configs = tokens.iter().map(|token| project(token, Model::Simplified));
    let server = Running::with(configs.collect(), |_| {});
    for token in &tokens {
        let secret = format!("Bearer {SECRET} of {token}");
        let headers = [
            ("authorization", &*secret),
            ("content-type", "application/json"),
        ];
        let event =
            br#"[{"event":"A","properties":{"time":1700000000,"distinct_id":"U1","$insert_id":"I"}}]"#;
        let answer = server.send("POST", "/import?strict=1", &headers, event);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(server.identity(token, "U1").0, "U1");
    }
    threads()
}

#[test]
fn a_hundred_projects_need_no_more_threads_than_one() {
    let one = threads_with(1);
    let hundred = threads_with(100);
    // The runtime starts threads for queries when it needs them.
    assert!(
        hundred <= one + 4,
        "{one} with one project, {hundred} with 100"
    );
}
