//! Large events and profiles take little memory, however many clients ask for them and however they read.
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
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;

use idmerge_engines::Model;
use serde_json::{Map, json};
use support::{Running, SECRET};

const CLIENTS: usize = 16;
const EVENTS: usize = 8;
const PROFILES: usize = 6;
const EVENT_BYTES: usize = 1_000_000;
/// Lists of 250 KB: a list has at most 256 KB, and an update 1 MB.
const LISTS: usize = 12;
const LIST_BYTES: usize = 250_000;
const MAX_BYTES: u64 = 100 << 20;

fn post(server: &Running, path: &str, body: &serde_json::Value) {
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    let answer = server.send("POST", path, &headers, body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// A server with 8 MB of events of one user, and 18 MB of profiles.
fn server() -> Running {
    let server = Running::of(Model::Simplified);
    for number in 0..EVENTS {
        let event = json!({"event": "A", "properties": {"time": 1_700_000_000 + number,
            "distinct_id": "U1", "$insert_id": format!("i{number}"), "text": "x".repeat(EVENT_BYTES)}});
        post(&server, "/import?strict=0", &json!([event]));
    }
    let list: Vec<_> = (0..LIST_BYTES / 250)
        .map(|at| format!("{at:0250}"))
        .collect();
    for lists in (0..LISTS).collect::<Vec<_>>().chunks(3) {
        let lists: Map<_, _> = lists
            .iter()
            .map(|at| (format!("list {at}"), json!(list)))
            .collect();
        for number in 0..PROFILES {
            let update =
                json!({"$token": "TOK", "$distinct_id": format!("P{number}"), "$set": lists});
            post(&server, "/engage", &json!([update]));
        }
    }
    server
}

/// A line of the status of this process, in bytes.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

/// Asks, waits until all clients have the beginning of an answer, and reads the rest without keeping it.
/// Returns its bytes.
fn read_slowly(server: &Running, path: &str, all_have_begun: &Barrier) -> u64 {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET} of TOK\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut start = [0; 12];
    let has_begun = stream.read_exact(&mut start);
    // First, so that a client that fails does not leave the others waiting.
    all_have_begun.wait();
    has_begun.unwrap();
    assert_eq!(str::from_utf8(&start).unwrap(), "HTTP/1.1 200");
    std::io::copy(&mut stream, &mut std::io::sink()).unwrap()
}

/// Fails if the process needs too much memory while many clients ask the same.
fn check(server: &Running, path: &str, min_bytes: usize) {
    // Resets the peak.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    let all_have_begun = Barrier::new(CLIENTS);
    thread::scope(|threads| {
        for _ in 0..CLIENTS {
            threads.spawn(|| {
                let bytes = read_slowly(server, path, &all_have_begun);
                assert!(bytes >= min_bytes as u64, "{path}: {bytes}");
            });
        }
    });
    let peak = memory("VmHWM").saturating_sub(before);
    assert!(peak < MAX_BYTES, "{path}: {peak} bytes");
}

#[test]
fn large_events_and_profiles_take_little_memory_however_many_ask() {
    let server = server();
    // A page ends when it has 2 MiB.
    check(&server, "/v1/users/U1/events?limit=1000", 2 * EVENT_BYTES);
    check(&server, "/v1/users/P1/profile", LISTS * LIST_BYTES);
    let profiles = PROFILES * LISTS * LIST_BYTES;
    check(&server, "/api/query/engage", profiles);
    let ids = json!(
        (0..PROFILES)
            .map(|number| format!("P{number}"))
            .collect::<Vec<_>>()
    );
    let ids =
        percent_encoding::utf8_percent_encode(&ids.to_string(), percent_encoding::NON_ALPHANUMERIC)
            .to_string();
    check(
        &server,
        &format!("/api/query/engage?distinct_ids={ids}"),
        profiles,
    );
    // They read profiles and events of that size, and answer with a name. A search does so for one client at a time.
    for path in [
        "/v1/users",
        "/v1/users/P1",
        "/v1/search?q=P",
        "/v1/event-names",
    ] {
        check(&server, path, "{}".len());
    }
    let export = "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01";
    check(&server, export, EVENTS * EVENT_BYTES);
}
