//! Bodies that decompress to much more hold nobody up, and their text takes bounded memory. Every request
//! gets an answer.
//!
//! One test, because it counts the threads and the memory of its process.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and a process reads about itself in a file"
)]

mod support;

use std::fs;
use std::sync::Barrier;
use std::thread;

use idmerge_engines::Model;
use support::{Running, bomb, gzip, project};

const CLIENTS: usize = 32;
const MAX_BODY_BYTES: usize = 2 << 20;
/// The most memory that the clients and the server may need in addition. The text of all bodies together has
/// 64 MiB.
const MAX_BYTES: usize = 40 << 20;

/// An event and as much white space as a body may have. The body as sent has more than 64 KiB.
fn large_bomb() -> Vec<u8> {
    let body = bomb(140_000, MAX_BODY_BYTES);
    assert!(
        (64 << 10..128 << 10).contains(&body.len()),
        "{}",
        body.len()
    );
    body
}

/// A line of the status of this process: a number of threads, or of KiB.
fn status(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends a body from many clients at once, and calls `meanwhile` until all of them have an answer: the body
/// was taken, or it is to be sent again.
fn send_at_once(server: &Running, body: &[u8], mut meanwhile: impl FnMut()) {
    let all_are_ready = Barrier::new(CLIENTS);
    thread::scope(|threads| {
        let send = || {
            all_are_ready.wait();
            let answer = server.send("POST", "/track?verbose=1", &[], body);
            let is_taken = answer.status == 200;
            let is_told_to_wait = answer.status == 429 && answer.header("retry-after").is_some();
            assert!(is_taken || is_told_to_wait, "{answer:?}");
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| threads.spawn(send)).collect();
        while clients.iter().any(|client| !client.is_finished()) {
            meanwhile();
        }
    });
}

/// Sends bodies at once while a small body is answered again and again, and returns the most threads and
/// KiB that the server needed in addition.
fn needed(server: &Running, body: &[u8]) -> (usize, usize) {
    let event = r#"[{"event":"A","properties":{"token":"TOK","distinct_id":"V"}}]"#;
    let small = gzip(event.as_bytes());
    assert_eq!(server.send("POST", "/track", &[], &small).body, "1");
    // What many clients need anyway does not count.
    send_at_once(server, &small, || {});
    // Resets the peak.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (threads, kib) = (status("Threads:"), status("VmRSS:"));
    let mut max_threads = threads;
    let mut rounds = 0;
    send_at_once(server, body, || {
        assert_eq!(server.post("/track", "application/json", event).body, "1");
        assert_eq!(server.send("POST", "/track", &[], &small).body, "1");
        max_threads = max_threads.max(status("Threads:"));
        rounds += 1;
    });
    assert!(rounds > 0);
    (max_threads - threads, status("VmHWM:").saturating_sub(kib))
}

fn check_threads_and_memory() {
    let server = Running::with(vec![project("TOK", Model::Original)], |bounds| {
        bounds.limits.max_body_bytes = MAX_BODY_BYTES;
        bounds.max_body_bytes_in_memory = 8 * MAX_BODY_BYTES;
    });
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (threads, kib) = needed(&server, &large_bomb());
    // The clients are threads of this process, too.
    assert!(threads <= CLIENTS + cores + 8, "{threads} threads");
    assert!(kib << 10 <= MAX_BYTES, "{kib} KiB");
    assert_eq!(server.metric("idmerge_bodies_in_memory_bytes"), 0);
}

fn check_that_refused_text_gives_its_memory_back() {
    let server = Running::with(vec![project("TOK", Model::Original)], |bounds| {
        bounds.limits.max_body_bytes = MAX_BODY_BYTES;
        bounds.max_body_bytes_in_memory = 4 * MAX_BODY_BYTES;
    });
    // Not JSON, too large, and damaged. All of it would fit only a few times.
    let mut not_json = vec![b' '; MAX_BODY_BYTES - 1];
    not_json.push(b'[');
    let mut damaged = gzip(&not_json);
    damaged.truncate(damaged.len() - 1);
    let bodies = [
        (gzip(&not_json), 400),
        (gzip(vec![b' '; MAX_BODY_BYTES + 1]), 413),
        (damaged, 400),
    ];
    for _ in 0..4 {
        for (body, status) in &bodies {
            let answer = server.send("POST", "/import", &[("authorization", "Basic TOK:")], body);
            assert_eq!(answer.status, *status, "{answer:?}");
        }
    }
    assert_eq!(server.metric("idmerge_bodies_in_memory_bytes"), 0);
    let answer = server.send("POST", "/track", &[], &large_bomb());
    assert_eq!(answer.body, "1");
}

#[test]
fn bodies_that_decompress_to_much_are_answered_with_few_threads_and_little_memory() {
    check_threads_and_memory();
    check_that_refused_text_gives_its_memory_back();
}
