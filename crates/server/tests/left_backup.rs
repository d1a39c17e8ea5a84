//! A backup and a retraction end when their client leaves.
//!
//! A program of its own, because it counts the files that its process has open.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and talks to a server as a client does"
)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use idmerge_engines::Model;
use support::{PATIENCE, Running, SECRET, wait_until};

/// How many devices and events there are: enough that a copy of them, and a retraction that is connected with them,
/// take longer than a client needs to leave.
const DEVICES: usize = 19_000;

/// 500 digits that hardly compress.
fn noise(seed: usize) -> String {
    let mut state = seed as u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(0x9e37_79b9);
        state ^ (state >> 29)
    };
    (0..32).map(|_| format!("{:016x}", next())).collect()
}

/// A server with a project in which all devices are of one user.
fn filled() -> Running {
    let server = Running::of(Model::Simplified);
    let event = |at: usize| {
        let noise = noise(at);
        format!(
            r#"{{"event":"A","properties":{{"token":"TOK","$device_id":"d{at}","$user_id":"U","x":"{noise}"}}}}"#
        )
    };
    for from in (0..DEVICES).step_by(1_000) {
        let events: Vec<String> = (from..from + 1_000).map(event).collect();
        let body = format!("[{}]", events.join(","));
        let answer = server.post("/track", "application/json", &body);
        assert_eq!(answer.body, "1");
    }
    server
}

fn secret() -> String {
    format!("Bearer {SECRET} of TOK")
}

/// How many temporary files without a name are open in the folder of the project.
fn unnamed_files(server: &Running) -> usize {
    let folder = server.folder.as_ref().unwrap().path().join("TOK");
    let folder = folder.to_str().unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    let names = targets.map(|target| target.to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with(folder) && name.ends_with(" (deleted)"))
        .count()
}

fn cancelled(server: &Running) -> usize {
    server.metric("idmerge_cancelled_queries_total")
}

/// Lets clients leave during their backups, until a backup has ended for it. `connect` asks for a backup, on a stream
/// that does not wait.
fn leave<C: Read>(server: &Running, connect: impl Fn() -> C) {
    let late = Instant::now() + PATIENCE;
    while cancelled(server) == 0 {
        let mut client = connect();
        // The answer may be that the copy for the client before is not gone yet.
        while unnamed_files(server) == 0 && client.read(&mut [0; 64]).is_err() {
            assert!(Instant::now() < late, "no backup begins");
            std::thread::yield_now();
        }
        drop(client);
        assert!(
            Instant::now() < late,
            "the backup goes on without its client"
        );
    }
    wait_until("the copy is gone", || unnamed_files(server) == 0);
    // The next one is whole.
    wait_until("another backup can be made", || {
        let answer = server.get("/v1/backup", &[("authorization", &secret())]);
        assert!(matches!(answer.status, 200 | 429), "{}", answer.status);
        answer.status == 200
    });
}

#[test]
fn a_backup_ends_when_its_client_leaves() {
    let server = filled();
    leave(&server, || {
        let mut client = TcpStream::connect(server.address).unwrap();
        let head = "GET /v1/backup HTTP/1.1\r\nhost: x\r\nauthorization: ";
        let head = format!("{head}{}\r\n\r\n", secret());
        client.write_all(head.as_bytes()).unwrap();
        client.set_nonblocking(true).unwrap();
        client
    });
}

#[test]
fn a_backup_through_the_socket_ends_when_its_client_leaves() {
    let server = filled();
    let folder = server.folder.as_ref().unwrap().path().join("TOK");
    leave(&server, || {
        let client = UnixStream::connect(folder.join("backup.sock")).unwrap();
        client.set_nonblocking(true).unwrap();
        client
    });
}

#[test]
fn a_retraction_ends_when_its_client_leaves() {
    let server = filled();
    let late = Instant::now() + PATIENCE;
    for dry_run in [true, false] {
        let before = cancelled(&server);
        let mut sequence = 0;
        // A client that leaves before the retraction begins counts for nothing, so some may be needed.
        while cancelled(&server) == before {
            sequence += 1;
            let body =
                format!(r#"{{"sequence":{sequence},"who":"a","why":"b","dry_run":{dry_run}}}"#);
            let mut client = TcpStream::connect(server.address).unwrap();
            let head = format!(
                "POST /v1/retract HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                secret(),
                body.len()
            );
            client.write_all(head.as_bytes()).unwrap();
            std::thread::yield_now();
            drop(client);
            assert!(
                Instant::now() < late,
                "the retraction goes on without its client"
            );
        }
    }
    // The next one is carried out.
    let headers = [
        ("authorization", &*secret()),
        ("content-type", "application/json"),
    ];
    let body = format!(r#"{{"sequence":{DEVICES},"who":"a","why":"b"}}"#);
    wait_until("the next retraction is carried out", || {
        let answer = server.send("POST", "/v1/retract", &headers, body.as_bytes());
        assert!(matches!(answer.status, 200 | 429), "{}", answer.body);
        answer.status == 200
    });
    assert_eq!(
        server.identity("TOK", &format!("$device:d{}", DEVICES - 1)),
        (
            format!("$device:d{}", DEVICES - 1),
            vec![format!("$device:d{}", DEVICES - 1)]
        )
    );
}
