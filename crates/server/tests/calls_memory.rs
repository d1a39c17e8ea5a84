//! The memory and the work of calls are bounded by their body, whatever a sender writes into it.
//!
//! One test, because it counts what its process allocates.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and runs a server on a thread"
)]

mod support;

use std::alloc::System;
use std::time::{Duration, Instant};

use cap::Cap;
use idmerge_engines::Model;
use support::{Running, gzip};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const MIB: usize = 1 << 20;

/// Sends a body compressed, and returns the status and the most bytes that were allocated so far.
fn send(server: &Running, body: &str) -> (u16, usize) {
    let body = gzip(body);
    let answer = server.send("POST", "/v1/batch?writeKey=TOK", &[], &body);
    (answer.status, ALLOCATOR.max_allocated())
}

#[test]
fn calls_take_memory_and_work_in_proportion_to_their_body() {
    let server = Running::of(Model::Simplified);
    let call = r#"{"type":"track","event":"A","userId":"U"}"#;
    let body = format!(r#"{{"batch":[{call}]}}"#);
    let (status, idle) = send(&server, &body);
    assert_eq!(status, 200);

    // A context of 30 KB, which each of 700 calls takes over: 21 MB of events. The body is short.
    let context = "x".repeat(30_000);
    let calls = vec![call; 700].join(",");
    let body = format!(r#"{{"context":{{"a":"{context}"}},"batch":[{calls}]}}"#);
    let (status, peak) = send(&server, &body);
    assert_eq!(status, 413);
    let peak = peak - idle;
    assert!(peak < 3 * MIB, "{peak} bytes for {} bytes", body.len());

    // A million calls without anything in them, and as many members besides them.
    let calls = vec!["{}"; 1_000_000].join(",");
    let (status, peak) = send(&server, &format!(r#"{{"batch":[{calls}]}}"#));
    assert_eq!(status, 400);
    assert!(peak - idle < 32 * MIB, "{} bytes", peak - idle);
    let members = vec![r#""a":1"#; 500_000].join(",");
    let (status, peak) = send(&server, &format!(r#"{{{members},"batch":[{call}]}}"#));
    assert_eq!(status, 200);
    assert!(peak - idle < 32 * MIB, "{} bytes", peak - idle);

    // The body has two lists of names. Every name of one list is looked up in the other.
    let names = |prefix: &str| {
        let name = |number| format!(r#""{prefix}{number}":1"#);
        (0..30_000).map(name).collect::<Vec<_>>().join(",")
    };
    let (fields, properties) = (names("f"), names("p"));
    let call = format!(
        r#"{{"type":"track","event":"A","userId":"U",{fields},"properties":{{{properties}}}}}"#
    );
    let started = Instant::now();
    let (status, peak) = send(&server, &format!(r#"{{"batch":[{call}]}}"#));
    assert_eq!(status, 200);
    assert!(peak - idle < 32 * MIB, "{} bytes", peak - idle);
    // All pairs of names take minutes.
    let took = started.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}
