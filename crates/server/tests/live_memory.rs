//! Clients of the live stream that do not read take little memory, whatever comes.
//!
//! The only test of this file, because it measures the memory of its process.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and it needs raw sockets"
)]

mod support;

use std::fs;

use idmerge_engines::Model;
use serde_json::{Value, json};
use support::live::Live;
use support::{Running, SECRET};

const EVENTS: usize = 5_000;
const MAX_BYTES: u64 = 24 << 20;

/// A line of the status of this process, in bytes.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

#[test]
fn clients_that_do_not_read_take_little_memory() {
    let server = Running::of(Model::Simplified);
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    let text = "x".repeat(450);
    for from in (0..EVENTS).step_by(500) {
        let events: Vec<Value> = (from..from + 500)
            .map(|at| {
                json!({"event": "A", "properties": {"distinct_id": format!("u{}", at % 50), "time": 1_700_000_000,
                    "$insert_id": format!("i{at}"), "a": text, "b": text, "c": text, "d": text}})
            })
            .collect();
        let body = serde_json::to_vec(&events).unwrap();
        let answer = server.send("POST", "/import?strict=0", &headers, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let read_all = || {
        let mut live = Live::open(&server, "?after=0", "");
        (1..=EVENTS).for_each(|number| assert_eq!(live.event()["number"], number));
    };
    // Everything that stays in memory is there after this.
    read_all();
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    // Each has the first event of 10 MB, and reads no more.
    let mut slow: Vec<_> = (0..7)
        .map(|_| Live::open(&server, "?after=0", ""))
        .collect();
    for live in &mut slow {
        assert_eq!(live.event()["number"], 1);
    }
    // They have had time to read as much as this one.
    read_all();
    let peak = memory("VmHWM").saturating_sub(before);
    assert!(peak < MAX_BYTES, "{peak} bytes");
    // They were not forgotten.
    for live in &mut slow {
        (2..=200).for_each(|number| assert_eq!(live.event()["number"], number));
    }
}
