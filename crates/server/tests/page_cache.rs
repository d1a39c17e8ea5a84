//! The page caches of all projects share one budget, however many projects are used.
//!
//! The only test of this file, because it counts the memory of its process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and runs a server on a thread"
)]

mod support;

use std::alloc::System;
use std::fmt::Write;

use cap::Cap;
use idmerge_engines::Model;
use idmerge_server::Config;
use serde_json::json;
use support::{Running, SECRET, project};

#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

const PROJECTS: usize = 8;
const EVENTS: usize = 4;
const EVENT_BYTES: usize = 3 << 18;
const MIB: usize = 1 << 20;

/// Text that compresses to half of its bytes.
fn noise(seed: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut text = String::with_capacity(EVENT_BYTES);
    while text.len() < EVENT_BYTES {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // The low bits of such a number repeat.
        write!(text, "{:08x}", state >> 32).unwrap();
    }
    text
}

/// How much memory a server needs after each of its projects has taken 3 MiB of events and has exported
/// them.
fn memory_bytes(page_cache_bytes: Option<usize>) -> usize {
    let before = ALLOCATED.allocated();
    let token = |number: usize| format!("T{number}");
    let projects = (0..PROJECTS).map(|number| project(&token(number), Model::Simplified));
    let server = Running::with(projects.collect(), |bounds| {
        bounds.max_page_cache_bytes = page_cache_bytes;
    });
    for number in 0..PROJECTS {
        let secret = format!("Bearer {SECRET} of {}", token(number));
        let mut headers = vec![("authorization", &*secret)];
        let path = "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01";
        headers.push(("content-type", "application/json"));
        for event in 0..EVENTS {
            let seed = number * EVENTS + event;
            let event = json!([{"event": "A", "properties": {"time": 1_700_000_000 + event,
                "distinct_id": "U", "$insert_id": format!("i{event}"), "text": noise(seed)}}]);
            let body = event.to_string();
            let answer = server.send("POST", "/import?strict=0", &headers, body.as_bytes());
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let answer = server.get(path, &headers);
        assert!(answer.body.len() > EVENTS * EVENT_BYTES);
    }
    ALLOCATED.allocated() - before
}

#[test]
fn the_page_caches_of_all_projects_share_a_budget() {
    let read = |line: &str| {
        let text = format!("{line}\n[[project]]\ntoken = \"T\"\nengine = \"original\"\n");
        let config = Config::read("d".into(), &text);
        config.map(|config| config.bounds.max_page_cache_bytes)
    };
    assert_eq!(read("").unwrap(), None);
    assert_eq!(read("page_cache_mib_max = 8").unwrap(), Some(8 * MIB));
    let error = read("page_cache_mib_max = 0").unwrap_err().to_string();
    assert!(error.contains("page_cache_mib_max"), "{error}");

    let [small, large] = [4 * MIB, 1 << 30].map(|bytes| memory_bytes(Some(bytes)));
    println!("{small} bytes with 4 MiB for all page caches, {large} bytes with 64 MiB for each");
    // The large caches have every page; the small ones have 4 MiB together.
    let pages = PROJECTS * EVENTS * EVENT_BYTES / 2;
    assert!(large > pages, "{large}");
    assert!(small + pages < large + 4 * MIB, "{small} and {large}");
}
