//! `/v1/mappings` with many rows, and with a client that does not read them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::support::{Running, SECRET};
use idmerge_engines::Model;
use serde_json::json;

/// More bytes than the buffers of two sockets hold: each row has two IDs of 200 bytes.
const USERS: usize = 40_000;

fn id(prefix: &str, number: usize) -> String {
    format!("{prefix}{number:0>199}")
}

fn event(device: &str, user: &str) -> serde_json::Value {
    json!({"event": "A", "properties": {
        "token": "TOK", "$device_id": device, "$user_id": user, "time": 1_700_000_000,
        "$insert_id": format!("{:.30}", device.chars().rev().collect::<String>()),
    }})
}

fn filled() -> Running {
    let server = Running::of(Model::Simplified);
    let secret = format!("Bearer {SECRET} of TOK");
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    let numbers: Vec<_> = (0..USERS).collect();
    for numbers in numbers.chunks(2_000) {
        let events = numbers.iter().map(|&n| event(&id("d", n), &id("u", n)));
        let body = json!(events.collect::<Vec<_>>()).to_string();
        let answer = server.send("POST", "/import?strict=1", &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    server
}

/// The rows that must be there, in the order in which the users got their first device.
fn rows() -> impl Iterator<Item = String> {
    (0..USERS).map(|n| {
        let (device, user) = (id("d", n), id("u", n));
        format!("{{\"distinct_id\":\"$device:{device}\",\"resolved_distinct_id\":\"{user}\"}}")
    })
}

/// Asks for the mappings.
fn request(server: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "GET /v1/mappings HTTP/1.0\r\nhost: x\r\nauthorization: Bearer {SECRET} of TOK\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Asks for the mappings, and reads the head of the response alone.
fn ask(server: &Running) -> BufReader<TcpStream> {
    let mut stream = BufReader::with_capacity(16, request(server));
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0);
        let is_status = line.starts_with("HTTP/");
        assert!(!is_status || line.contains(" 200 "), "{line}");
    }
    stream
}

#[test]
fn a_client_that_does_not_read_holds_nothing_up_and_gets_the_rows_of_one_moment() {
    let server = filled();
    let slow = ask(&server);
    // Claims are taken, and resolve at once.
    let late = event("late device", "late user").to_string();
    assert_eq!(server.post("/track", "application/json", &late).body, "1");
    let (canonical, _) = server.identity("TOK", "$device:late device");
    assert_eq!(canonical, "late user");
    // A client that goes away ends its query.
    drop(ask(&server));
    // The slow one gets the rows from before the late claim.
    let mut count = 0;
    for (line, row) in slow.lines().zip(rows()) {
        assert!(line.unwrap() == row);
        count += 1;
    }
    assert_eq!(count, USERS);
    // The next one gets one row more, after the others.
    let mut text = String::new();
    ask(&server).read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), USERS + 1);
    assert!(text.lines().zip(rows()).all(|(line, row)| line == row));
    // The copies are gone.
    let folder = server.folder.as_ref().unwrap().path().join("TOK");
    let names = std::fs::read_dir(folder).unwrap();
    assert!(names.count() <= 2);
}

#[test]
fn a_project_has_two_copies_of_its_mappings_at_a_time() {
    let server = filled();
    let held = [ask(&server), ask(&server)];
    for _ in 0..5 {
        let mut answer = String::new();
        request(&server).read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 429 "), "{answer:.100}");
        assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer:.300}");
    }
    // The first one is read to its end, and so makes room for another.
    let [first, _second] = held;
    assert_eq!(first.lines().count(), USERS);
    let is_served = (0..1_000).any(|_| {
        let mut status = [0; 12];
        request(&server).read_exact(&mut status).unwrap();
        status.ends_with(b"200")
    });
    assert!(is_served);
}
