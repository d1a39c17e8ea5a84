//! A server whose disk fails is not ready.
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

use idmerge_engines::Model;
use rlimit::Resource;
use serde_json::json;
use support::{Running, SECRET, project};
use tokio::signal::unix::{SignalKind, signal};

/// SIGXFSZ, which kills a process that writes above the limit, unless it is handled.
const FILE_TOO_LARGE: SignalKind = SignalKind::from_raw(25);

#[test]
fn a_server_is_not_ready_once_a_project_cannot_write() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _handled = runtime.block_on(async { signal(FILE_TOO_LARGE).unwrap() });
    let projects = ["ONE", "TWO"].map(|token| project(token, Model::Simplified));
    let server = Running::with(projects.into(), |_| {});
    assert_eq!(server.get("/readyz", &[]).body, "ready\n");

    let secret = format!("Bearer {SECRET} of TWO");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    let import = |of: usize| {
        let text = "0123456789abcdef".repeat(8_000);
        let event = json!([{"event": "A", "properties": {
            "distinct_id": format!("u{of}"), "time": 1_700_000_000 + of, "$insert_id": format!("i{of}"),
            "text": format!("{of} {text}"),
        }}]);
        server
            .send("POST", "/import", &headers, event.to_string().as_bytes())
            .status
    };
    assert_eq!(import(0), 200);
    let (_, hard) = rlimit::getrlimit(Resource::FSIZE).unwrap();
    rlimit::setrlimit(Resource::FSIZE, 64 * 1024, hard).unwrap();
    let status = (1..100).map(import).find(|&status| status != 200);
    rlimit::setrlimit(Resource::FSIZE, hard, hard).unwrap();
    assert_eq!(status, Some(503));

    let answer = server.get("/readyz", &[]);
    assert_eq!(
        (answer.status, &*answer.body),
        (503, "a project cannot write\n")
    );
    assert_eq!(server.get("/healthz", &[]).status, 200);
    // It stays so when there is room again: the project must be opened again.
    assert_eq!(import(100), 503);
    assert_eq!(server.get("/readyz", &[]).status, 503);
}
