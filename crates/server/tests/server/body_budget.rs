//! Clients that fill the memory of request bodies. Others, whose requests are small, are answered meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Running, SECRET, bomb, padded, project, wait_until};
use idmerge_engines::Model;
use idmerge_server::Bounds;

const JSON: &str = "application/json";
const EVENT: &str = r#"{"event":"A","properties":{"token":"TOK","distinct_id":"U"}}"#;
const MIB: usize = 1 << 20;
/// A body with more bytes is large.
const SMALL_BYTES: usize = 64 << 10;

fn server(change: impl FnOnce(&mut Bounds)) -> Running {
    Running::with(vec![project("TOK", Model::Original)], change)
}

fn bytes_used(server: &Running) -> usize {
    server.metric("idmerge_bodies_in_memory_bytes")
}

/// Begins a request, and sends all of its body but the last byte.
fn send_without_end(server: &Running, path: &str, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&vec![b' '; bytes - 1]).unwrap();
    stream
}

/// Fills the memory of bodies but for a few bytes, with bodies that never end.
fn fill(server: &Running) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for (count, bytes) in [(7, MIB), (16, SMALL_BYTES)] {
        held.extend((0..count).map(|_| send_without_end(server, "/track", bytes)));
    }
    wait_until("the memory is full", || {
        bytes_used(server) == 8 * MIB - held.len()
    });
    held
}

/// There is memory for 8 MiB of bodies, and none is slow because of its age.
fn with_8_mib(bounds: &mut Bounds) {
    bounds.limits.max_body_bytes = MIB;
    bounds.max_body_bytes_in_memory = 8 * MIB;
    bounds.slow_body_after = Duration::from_secs(3_600);
    bounds.body_timeout = Duration::from_secs(3_600);
}

#[test]
fn small_requests_are_taken_while_bodies_that_never_end_fill_the_memory() {
    let server = server(with_8_mib);
    let held = fill(&server);
    for _ in 0..50 {
        assert_eq!(server.post("/track", JSON, EVENT).body, "1");
        // One that has 64 KiB is small too.
        let full = padded(EVENT, SMALL_BYTES);
        assert_eq!(server.post("/track", JSON, &full).body, "1");
    }
    drop(held);
    wait_until("the memory is given back", || bytes_used(&server) == 0);
}

#[test]
fn bodies_that_have_stopped_to_arrive_give_way_to_large_ones() {
    let server = server(with_8_mib);
    let held = fill(&server);
    let large = padded(EVENT, MIB);
    wait_until("a large body is taken", || {
        server.post("/track", JSON, &large).body == "1"
    });
    drop(held);
    wait_until("the memory is given back", || bytes_used(&server) == 0);
}

/// How many requests were answered with 429.
fn refused(server: &Running) -> usize {
    let text = server.get("/metrics", &[]).body;
    let line = text
        .lines()
        .find(|line| line.starts_with("idmerge_requests_total") && line.contains("\"429\""));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// More small bodies arrive at one moment than the memory has room for. The clients that get 429 are told when
/// to come back, and are served then.
#[test]
fn a_burst_of_small_bodies_is_stored_by_clients_that_come_back_after_retry_after() {
    const CLIENTS: usize = 40;
    const ROOM: usize = 8;
    let server = server(|bounds| {
        with_8_mib(bounds);
        bounds.limits.max_body_bytes = ROOM * SMALL_BYTES;
        bounds.max_body_bytes_in_memory = ROOM * SMALL_BYTES;
    });
    let body = |client: usize| {
        let event = format!(
            r#"{{"event":"A","properties":{{"token":"TOK","distinct_id":"U","$insert_id":"i{client}"}}}}"#
        );
        padded(&event, SMALL_BYTES)
    };
    let head = format!(
        "POST /track HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {SMALL_BYTES}\r\n\r\n"
    );
    let mut streams: Vec<TcpStream> = Vec::new();
    for client in 0..CLIENTS {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let request = head.clone() + &body(client);
        stream
            .write_all(&request.as_bytes()[..request.len() - 1])
            .unwrap();
        streams.push(stream);
    }
    wait_until("those without room are refused", || {
        refused(&server) >= CLIENTS - ROOM
    });
    thread::scope(|scope| {
        for (client, mut stream) in streams.into_iter().enumerate() {
            let (server, body) = (&server, body(client));
            scope.spawn(move || {
                let mut answer = String::new();
                stream.write_all(b" ").unwrap();
                stream.read_to_string(&mut answer).unwrap();
                if answer.starts_with("HTTP/1.1 200 ") {
                    return;
                }
                assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
                assert!(answer.contains("\r\nretry-after: 2\r\n"), "{answer}");
                let mut retries = 0;
                loop {
                    // As the server has asked.
                    thread::sleep(Duration::from_secs(2));
                    let answer = server.post("/track", JSON, &body);
                    if answer.status == 200 {
                        return;
                    }
                    assert_eq!(
                        (answer.status, answer.header("retry-after")),
                        (429, Some("2"))
                    );
                    retries += 1;
                    assert!(retries < 20, "{client} is not served");
                }
            });
        }
    });
    let secret = format!("Bearer {SECRET} of TOK");
    let export = "/api/2.0/export?from_date=2000-01-01&to_date=2100-01-01";
    let exported = server.get(export, &[("authorization", &secret)]).body;
    assert_eq!(exported.lines().count(), CLIENTS, "{exported}");
}

/// Sends a request on a connection of its own, and returns the whole response.
fn answer(server: &Running, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Fills the memory of large bodies with complete ones that wait to be decoded, and sends small requests
/// while more of them come and until all are answered.
fn check_small_beside(body: &[u8]) {
    let server = server(|bounds| {
        with_8_mib(bounds);
        bounds.limits.max_body_bytes = 4 * MIB;
    });
    let head = format!(
        "POST /track HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), body].concat();
    let full = padded(EVENT, SMALL_BYTES);
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        let mut clients = Vec::new();
        // Small bodies that still arrive give way to others, and nobody can know what they will decompress
        // to. So the next one comes once this one has arrived.
        let mut send = || {
            clients.push(scope.spawn(|| {
                let answer = answer(&server, &request);
                answered.fetch_add(1, Ordering::Release);
                answer
            }));
            wait_until("a body has arrived", || {
                let waiting = bytes_used(&server) / body.len();
                waiting + answered.load(Ordering::Acquire) >= clients.len()
            });
        };
        wait_until("the memory of large bodies is full", || {
            send();
            bytes_used(&server) + body.len() > 7 * MIB
        });
        for round in 0..20 {
            send();
            assert_eq!(server.post("/track", JSON, &full).body, "1", "{round}");
        }
        while clients.iter().any(|client| !client.is_finished()) {
            assert_eq!(server.post("/track", JSON, &full).body, "1");
        }
        for client in clients {
            let answer = client.join().unwrap();
            let status = answer.get(..12);
            assert!(
                matches!(status, Some("HTTP/1.1 200" | "HTTP/1.1 429")),
                "{answer}"
            );
        }
    });
    assert_eq!(bytes_used(&server), 0);
}

#[test]
fn small_requests_are_taken_while_compressed_bodies_wait_to_be_decoded() {
    let large = bomb(400_000, 4 * MIB);
    assert!(large.len() > SMALL_BYTES);
    check_small_beside(&large);
}

#[test]
fn small_requests_are_taken_while_small_bodies_with_a_long_text_wait_to_be_decoded() {
    let small = bomb(90_000, 4 * MIB);
    assert!(small.len() < SMALL_BYTES);
    check_small_beside(&small);
}

/// Begins a retraction, and sends all of its body but the last byte.
fn retract_without_end(server: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /v1/retract HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET} of TOK\r\n\
         content-type: application/json\r\ncontent-length: 100000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&[b' '; 99_999]).unwrap();
    stream
}

#[test]
fn the_body_of_a_retraction_counts() {
    let server = server(with_8_mib);
    let stream = retract_without_end(&server);
    wait_until("the body is counted", || bytes_used(&server) == 99_999);
    drop(stream);
    wait_until("the memory is given back", || bytes_used(&server) == 0);
}

#[test]
fn the_body_of_a_retraction_has_a_time_limit() {
    let server = server(|bounds| bounds.body_timeout = Duration::from_secs(1));
    let mut answer = String::new();
    let mut stream = retract_without_end(&server);
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(bytes_used(&server), 0);
}
