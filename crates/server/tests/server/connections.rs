//! Clients that hold connections: they read slowly or not at all, and open many.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Running, SECRET, project, wait_until};
use idmerge_engines::{Model, Overrides, Settings};
use idmerge_server::{Bounds, ProjectConfig};
use tokio::net::TcpSocket;

const EXPORT: &str = "/api/2.0/export?from_date=2020-01-01&to_date=2100-01-01";

const MAPPINGS: &str = "/v1/mappings";

const EVENTS: usize = 100;

/// The bytes of each ID. All mappings together do not fit the buffers of the system.
const ID_BYTES: usize = 30_000;

fn long_ids(token: &str) -> ProjectConfig {
    let overrides = Overrides {
        max_id_bytes: Some(u16::MAX),
        ..Overrides::default()
    };
    let mut project = project(token, Model::Simplified);
    project.settings = Settings::new(Model::Simplified, &overrides).unwrap();
    project
}

/// Links a device to each of some users.
fn fill(server: &Running, token: &str) {
    let pad = "x".repeat(ID_BYTES);
    let secret = format!("Bearer {SECRET} of {token}");
    let event = |index: usize| {
        format!(
            r#"{{"event":"E","properties":{{"time":1700000000,"$insert_id":"id-{index}","$device_id":"d{index}{pad}","$user_id":"u{index}{pad}"}}}}"#
        )
    };
    let events: Vec<_> = (0..EVENTS).map(event).collect();
    let body = format!("[{}]", events.join(","));
    let headers = [
        ("authorization", &*secret),
        ("content-type", "application/json"),
    ];
    let answer = server.send("POST", "/import", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn request(path: &str, token: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {SECRET} of {token}\r\n\r\n"
    )
}

/// Opens a connection and asks for something, without reading the response.
fn ask(server: &Running, path: &str, token: &str) -> TcpStream {
    let mut stream = connect_from("127.0.0.1", server.address);
    stream.write_all(request(path, token).as_bytes()).unwrap();
    stream
}

/// Reads what there is. Returns the bytes, and whether the response is complete.
fn read_rest(mut stream: TcpStream) -> (usize, bool) {
    let mut response = Vec::new();
    // A connection that is reset gives an error, after what arrived before it.
    let result = stream.read_to_end(&mut response);
    let is_complete = result.is_ok() && response.ends_with(b"\r\n0\r\n\r\n");
    (response.len(), is_complete)
}

fn status(server: &Running, path: &str, token: &str) -> u16 {
    let secret = format!("Bearer {SECRET} of {token}");
    server.get(path, &[("authorization", &secret)]).status
}

#[test]
fn fifty_connections_that_never_read_keep_nobody_out_and_are_closed() {
    let projects = vec![long_ids("A"), project("B", Model::Original)];
    let server = Running::with(projects, |bounds| {
        bounds.write_timeout = Duration::from_secs(1);
    });
    fill(&server, "A");
    let held: Vec<_> = (0..50).map(|_| ask(&server, EXPORT, "A")).collect();
    for token in ["B", "A"] {
        // A may be busy for the moment that it reads events.
        wait_until("a query beside unread responses", || {
            status(&server, "/v1/ids/u1", token) == 200
        });
    }
    assert_eq!(status(&server, "/healthz", "B"), 200);
    // The connection of this test's own client stays.
    wait_until("unread responses are closed", || {
        server.metric("idmerge_open_connections") <= 1
    });
    for stream in held {
        let (bytes, is_complete) = read_rest(stream);
        assert!(!is_complete && bytes < EVENTS * 2 * ID_BYTES, "{bytes}");
    }
}

#[test]
fn one_byte_at_a_time_is_no_progress() {
    let server = Running::with(vec![long_ids("A")], |bounds| {
        bounds.write_timeout = Duration::from_secs(1);
    });
    fill(&server, "A");
    let stop = Arc::new(AtomicBool::new(false));
    let mut stream = ask(&server, MAPPINGS, "A");
    let drip = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) && stream.read(&mut [0; 1]).is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    wait_until("the client that reads single bytes is cut", || {
        server.metric("idmerge_open_connections") <= 1
    });
    stop.store(true, Ordering::Relaxed);
    drip.join().unwrap();
}

#[test]
fn a_slow_and_steady_reader_gets_the_same_export() {
    let server = Running::with(vec![long_ids("TOK")], |_| {});
    fill(&server, "TOK");
    let secret = format!("Bearer {SECRET} of TOK");
    let wanted = server.get(EXPORT, &[("authorization", &secret)]).body;
    for path in [EXPORT.to_owned(), format!("{EXPORT}&limit=50")] {
        let mut stream = ask(&server, &path, "TOK");
        let mut response = Vec::new();
        let mut piece = vec![0; 96 << 10];
        loop {
            let count = stream.read(&mut piece).unwrap();
            if count == 0 {
                break;
            }
            response.extend_from_slice(&piece[..count]);
            // Some pauses are longer than the server keeps a thread waiting for a client.
            if response.len() % 3 == 0 {
                std::thread::sleep(Duration::from_millis(60));
            }
        }
        let body = unchunked(&response);
        let lines = body.lines().count();
        assert_eq!(
            lines,
            if path == EXPORT {
                wanted.lines().count()
            } else {
                50
            }
        );
        assert!(wanted.starts_with(&body), "{} bytes", body.len());
    }
}

/// The body of a chunked response.
fn unchunked(response: &[u8]) -> String {
    let end = response
        .windows(4)
        .position(|it| it == b"\r\n\r\n")
        .unwrap();
    let mut rest = &response[end + 4..];
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|it| it == b"\r\n").unwrap();
        let bytes = usize::from_str_radix(str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if bytes == 0 {
            return String::from_utf8(body).unwrap();
        }
        body.extend_from_slice(&rest[end + 2..][..bytes]);
        rest = &rest[end + 2 + bytes + 2..];
    }
}

#[test]
fn a_project_has_a_limit_of_unread_responses() {
    let projects = vec![long_ids("A"), project("B", Model::Original)];
    let server = Running::with(projects, |bounds| {
        bounds.max_streams = 16;
    });
    fill(&server, "A");
    let mut held = Vec::new();
    let mut refused = None;
    while refused.is_none() {
        assert!(held.len() < 20, "responses without a limit");
        let mut stream = ask(&server, EXPORT, "A");
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        match &head {
            b"HTTP/1.1 200" => held.push(stream),
            b"HTTP/1.1 429" if held.len() >= 4 => refused = Some(stream),
            // The queries of A are limited too, and end in a moment.
            b"HTTP/1.1 429" => {}
            _ => panic!("{}", String::from_utf8_lossy(&head)),
        }
    }
    let mut answer = String::new();
    refused.unwrap().read_to_string(&mut answer).unwrap();
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    assert_eq!(status(&server, EXPORT, "B"), 200);
    assert_eq!(status(&server, MAPPINGS, "B"), 200);
}

#[test]
fn a_server_stops_with_connections_that_are_stuck() {
    let mut server = Running::with(vec![long_ids("A")], |bounds| {
        bounds.drain_timeout = Duration::from_millis(500);
    });
    fill(&server, "A");
    let mut held: Vec<_> = (0..50).map(|_| ask(&server, EXPORT, "A")).collect();
    for part in [
        "POST /track HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n[",
        "POST /api/query/engage HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nho",
    ] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(part.as_bytes()).unwrap();
        held.push(stream);
    }
    let started = Instant::now();
    server.stop();
    assert!(started.elapsed() < PATIENCE);
    // With the time to close the projects, this is within the ten seconds that systemd and Docker give.
    assert!(Bounds::STANDARD.drain_timeout <= Duration::from_secs(5));
    assert!(TcpStream::connect(server.address).is_err());
}

/// Opens a connection from another address of this machine.
fn connect_from(from: &str, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        // The system would else take megabytes for a client that does not read.
        socket.set_recv_buffer_size(64 << 10).unwrap();
        socket
            .bind(SocketAddr::new(from.parse().unwrap(), 0))
            .unwrap();
        socket.connect(to).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

#[test]
fn one_address_leaves_connections_to_the_others() {
    let server = Running::with(vec![project("A", Model::Original)], |bounds| {
        bounds.max_connections = 8;
    });
    let mut greedy: Vec<_> = (0..12)
        .map(|_| connect_from("127.0.0.9", server.address))
        .collect();
    // Three quarters of the connections are open, and the others are refused.
    let mut refused = String::new();
    greedy.pop().unwrap().read_to_string(&mut refused).unwrap();
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: "), "{refused}");
    let length: usize = refused
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.lines().next()?.parse().ok())
        .unwrap();
    assert_eq!(refused.split("\r\n\r\n").nth(1).unwrap().len(), length);
    assert_eq!(status(&server, "/healthz", "A"), 200);
    assert_eq!(server.metric("idmerge_refused_connections_total"), 6);
    drop(greedy);
    wait_until("the connections of the address are free again", || {
        let mut stream = connect_from("127.0.0.9", server.address);
        stream
            .write_all(request("/healthz", "A").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200 ")
    });
}

#[test]
fn bodies_that_never_end_give_way_if_the_memory_is_used_up() {
    let server = Running::with(vec![project("A", Model::Original)], |bounds| {
        bounds.max_body_bytes_in_memory = bounds.limits.max_body_bytes;
        bounds.slow_body_after = Duration::ZERO;
    });
    let mut large = TcpStream::connect(server.address).unwrap();
    let head = "POST /track HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n";
    large.write_all(head.as_bytes()).unwrap();
    large.write_all(&vec![b' '; 9_999_999]).unwrap();
    wait_until("the body is in memory", || {
        server.metric("idmerge_bodies_in_memory_bytes") == 9_999_999
    });
    // Another client is served, and the slow one is told to send again.
    let body = " ".repeat(1_000_000);
    let answer = server.post("/track", "application/json", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    large.write_all(b" ").unwrap();
    let mut answer = [0; 12];
    large.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 429");
}
