//! `GET /v1/backup`: of one moment, for a client that does not read too, and never without a secret.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::backups::{PATH, ask, padding, request};
use crate::support::{PATIENCE, Running, SECRET, project};
use idmerge_engines::Model;
use serde_json::{Value, json};
use tempfile::TempDir;

fn secret() -> String {
    format!("Bearer {SECRET} of TOK")
}

fn log_in(device: &str, user: &str) -> Value {
    json!({ "event": "Log In", "properties": {
        "token": "TOK", "time": 1_700_000_000, "$insert_id": format!("{device}-{user}"),
        "$device_id": device, "$user_id": user, "distinct_id": user, "padding": padding(device),
    } })
}

/// A server with this many events of a device and a user of its own each, and a profile.
fn filled(model: Model, events: usize) -> Running {
    fill(Running::of(model), events)
}

fn fill(server: Running, events: usize) -> Running {
    let events: Vec<_> = (0..events)
        .map(|n| log_in(&format!("d{n}"), &format!("u{n}")))
        .collect();
    for part in events.chunks(1_000) {
        let body = json!(part).to_string();
        let headers = [
            ("authorization", &*secret()),
            ("content-type", "application/json"),
        ];
        let answer = server.send("POST", "/import?strict=0", &headers, body.as_bytes());
        assert_eq!(answer.status, 200);
    }
    let update = json!([{ "$token": "TOK", "$distinct_id": "u1", "$set": { "a": 1 } }]);
    server.post("/engage", "application/json", &update.to_string());
    server
}

const EXPORT: &str = "/api/2.0/export?from_date=2000-01-01&to_date=2100-01-01";

/// The answers about everything that a project has.
fn answers(server: &Running) -> Vec<String> {
    [
        EXPORT,
        "/v1/mappings",
        "/v1/users/u1/profile",
        "/v1/changes",
    ]
    .map(|path| answer(server, path))
    .into()
}

fn answer(server: &Running, path: &str) -> String {
    let answer = server.get(path, &[("authorization", &secret())]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// A server on what a backup has.
fn restored(backup: &[u8], model: Model) -> Running {
    let folder = TempDir::new().unwrap();
    let saved = folder.path().join("saved");
    fs::write(&saved, backup).unwrap();
    idmerge_store::restore(&saved, folder.path().join("TOK")).unwrap();
    Running::in_folder(folder, vec![project("TOK", model)], |_| {})
}

fn folder(server: &Running) -> &Path {
    server.folder.as_ref().unwrap().path()
}

#[test]
fn a_restored_project_answers_as_the_one_that_was_backed_up() {
    for model in [Model::Simplified, Model::Original] {
        let server = filled(model, 1_000);
        let before = answers(&server);
        let (mut stream, length) = ask(&server);
        let mut backup = Vec::new();
        stream.read_to_end(&mut backup).unwrap();
        assert_eq!(backup.len() as u64, length);
        assert_eq!(answers(&server), before);
        let again = restored(&backup, model);
        assert_eq!(answers(&again), before, "{model:?}");
        // It still knows what it has.
        let event = json!([log_in("d7", "u7")]).to_string();
        assert_eq!(again.post("/track", "application/json", &event).body, "1");
        assert_eq!(answers(&again), before, "{model:?}");
    }
}

#[test]
fn a_client_that_does_not_read_holds_nothing_up_and_gets_the_project_of_one_moment() {
    let server = filled(Model::Simplified, 12_000);
    let mappings = |server: &Running| answer(server, "/v1/mappings");
    let before = mappings(&server);
    let (slow, length) = ask(&server);
    // More than the buffers of two sockets hold.
    assert!(length > 8 << 20, "{length}");
    // Claims are taken, and resolve at once.
    let late = json!([log_in("late device", "late user")]).to_string();
    assert_eq!(server.post("/track", "application/json", &late).body, "1");
    assert_eq!(server.identity("TOK", "$device:late device").0, "late user");
    // There is one backup at a time, and so one copy on the disk.
    let answer = server.get(PATH, &[("authorization", &secret())]);
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let mut slow = slow;
    let mut backup = Vec::new();
    slow.read_to_end(&mut backup).unwrap();
    assert_eq!(backup.len() as u64, length);
    assert!(mappings(&restored(&backup, Model::Simplified)) == before);
    assert!(mappings(&server) != before);
    // The copy has no name, so nothing is left of it.
    let mut names: Vec<_> = fs::read_dir(folder(&server).join("TOK"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["backup.sock", "store.redb"]);
}

#[test]
fn a_download_that_breaks_off_is_refused_and_frees_the_copy() {
    let server = filled(Model::Simplified, 12_000);
    let (stream, length) = ask(&server);
    let mut part = Vec::new();
    stream.take(length / 2).read_to_end(&mut part).unwrap();
    let saved = folder(&server).join("part");
    fs::write(&saved, &part).unwrap();
    let to = folder(&server).join("restored");
    let error = idmerge_store::restore(&saved, &to).unwrap_err();
    assert!(error.to_string().contains("broken off"), "{error}");
    assert!(!to.exists());
    // The client is gone, and so is its copy: the next one is served, at once or a moment later.
    let is_served = (0..1_000).any(|_| {
        let mut stream = request(&server);
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert!(matches!(
            &status,
            b"HTTP/1.0 200" | b"HTTP/1.0 429" | b"HTTP/1.1 200" | b"HTTP/1.1 429"
        ));
        status.ends_with(b"200")
    });
    assert!(is_served);
}

#[test]
fn a_backup_needs_a_secret() {
    let server = filled(Model::Simplified, 10);
    let token = "Basic VE9LOg==";
    for headers in [
        &[][..],
        &[("authorization", token)],
        &[("authorization", "Bearer TOK")],
    ] {
        let answer = server.get(PATH, headers);
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(!answer.body.contains("u1"));
    }
    let described = server.get("/openapi.json", &[]).json();
    assert!(described["paths"][PATH]["get"].is_object());
}

#[test]
fn a_client_of_the_socket_that_does_not_read_holds_the_backup_for_a_while_only() {
    let server = Running::with(vec![project("TOK", Model::Simplified)], |bounds| {
        bounds.write_timeout = Duration::from_secs(2);
    });
    let server = fill(server, 3_000);
    let socket = folder(&server)
        .join("TOK")
        .join(idmerge_store::BACKUP_SOCKET);
    let mut slow = BufReader::with_capacity(16, UnixStream::connect(socket).unwrap());
    let mut head = String::new();
    slow.read_line(&mut head).unwrap();
    let head: Value = serde_json::from_str(&head).unwrap();
    let started = Instant::now();
    loop {
        let answer = server.get(PATH, &[("authorization", &secret())]);
        if answer.status == 200 {
            break;
        }
        assert_eq!(answer.status, 429, "{answer:?}");
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut part = Vec::new();
    slow.read_to_end(&mut part).unwrap();
    assert!((part.len() as u64) < head["bytes"].as_u64().unwrap());
}
