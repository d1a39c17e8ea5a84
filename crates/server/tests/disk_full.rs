//! A server whose disk fails is not ready, until the disk is good again.
//!
//! The tests have a process of their own, because the limit on the size of files is the process's.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and runs a server on a thread"
)]

mod support;

use std::fs;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use idmerge_engines::Model;
use rlimit::Resource;
use serde_json::json;
use support::privacy::{
    ADA, DELETIONS, TABLET, event, import_many, request, stored, task, wait_for,
};
use support::{Answer, PATIENCE, Running, SECRET, backups, privacy, project, wait_until};

/// One test at a time has a full disk.
static DISK: Mutex<()> = Mutex::new(());

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
    let _disk = DISK.lock().unwrap_or_else(PoisonError::into_inner);
    let _is_full = notice_full_disk();
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

/// Whether the disk was full since this was called.
fn notice_full_disk() -> Arc<AtomicBool> {
    let is_full = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(FILE_TOO_LARGE, is_full.clone()).unwrap();
    is_full
}

/// A client that does not read its backup keeps the deletion waiting until the disk is full.
#[test]
fn a_deletion_that_finds_no_room_is_tried_again_and_carried_out_once_there_is_room() {
    let _disk = DISK.lock().unwrap_or_else(PoisonError::into_inner);
    let mut server = Running::with(vec![project("TOK", Model::Simplified)], |bounds| {
        bounds.erasure_delay = Duration::ZERO;
        bounds.erasure_retry = Duration::from_millis(20);
    });
    let of_ada: Vec<_> = (0..100).map(|number| event(ADA, TABLET, number)).collect();
    assert_eq!(privacy::import(&server, "TOK", &of_ada).status, 200);
    let of_others = import_many(&server);
    let (mut backup, _) = backups::ask(&server);
    let id = request(&server, DELETIONS, &[ADA]);
    let is_full = notice_full_disk();
    let (_, hard) = rlimit::getrlimit(Resource::FSIZE).unwrap();
    rlimit::setrlimit(Resource::FSIZE, 64 * 1024, hard).unwrap();
    backup.read_to_end(&mut Vec::new()).unwrap();
    wait_until("the disk is full", || is_full.load(Ordering::SeqCst));
    // It has not failed for good, and is tried more than once.
    is_full.store(false, Ordering::SeqCst);
    wait_until("the disk is full", || is_full.load(Ordering::SeqCst));
    let found = task(&server, DELETIONS, &id);
    assert!(
        found["status"] == "PENDING" || found["status"] == "STARTED",
        "{found}"
    );
    assert_eq!(found["distinct_ids"], json!([ADA]));

    rlimit::setrlimit(Resource::FSIZE, hard, hard).unwrap();
    wait_for(&server, &id, "SUCCESS");
    wait_until_ready_says(&server, "ready\n");
    wait_until("the project is open again", || {
        server.metric("idmerge_erasing{project=\"TOK\"}") == 0
    });
    let found: Vec<_> = stored(&server, "TOK").into_keys().collect();
    assert!(
        found == of_others.collect::<Vec<_>>(),
        "{} events",
        found.len()
    );
    server.stop();
    let mut names: Vec<_> = fs::read_dir(server.folder.as_ref().unwrap().path().join("TOK"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["store.redb"]);
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
