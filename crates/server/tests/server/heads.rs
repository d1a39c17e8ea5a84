//! Clients that send large heads of requests, and never the end of them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Running, project};
use idmerge_engines::Model;
use idmerge_server::Bounds;

fn server(change: impl FnOnce(&mut Bounds)) -> Running {
    Running::with(vec![project("TOK", Model::Simplified)], change)
}

/// Sends the head of a request without its end.
fn send_head(server: &Running, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let start = "GET /healthz HTTP/1.1\r\nhost: x\r\nx-padding: ";
    let head = format!("{start}{}", "a".repeat(bytes - start.len()));
    // The server may close the connection before it has read everything.
    drop(stream.write_all(head.as_bytes()));
    stream
}

/// Sends the end of the head, and reads the response.
fn finish(mut stream: TcpStream) -> String {
    stream.set_nonblocking(false).unwrap();
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut answer = [0; 4096];
    let count = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..count]).to_ascii_lowercase()
}

fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = (&mut &*stream).read(&mut [0; 1]);
    matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Waits until the server has closed connections and at most this many are left.
#[track_caller]
fn close_all_but(max_open: usize, streams: &mut Vec<TcpStream>) {
    let started = Instant::now();
    while streams.len() > max_open {
        let open = streams.len();
        assert!(started.elapsed() < PATIENCE, "{open} open");
        std::thread::sleep(Duration::from_millis(10));
        streams.retain(is_open);
    }
}

#[test]
fn slow_heads_give_way_if_their_memory_is_used_up() {
    let server = server(|bounds| {
        bounds.max_head_bytes_in_memory = 256 << 10;
        bounds.slow_body_after = Duration::ZERO;
    });
    let mut held: Vec<_> = (0..20).map(|_| send_head(&server, 100_000)).collect();
    close_all_but(2, &mut held);
    let answer = finish(send_head(&server, 100_000));
    assert!(answer.starts_with("http/1.1 200 "), "{answer}");
    // The memory of a large head is free again when its connection is closed.
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[test]
fn a_large_head_has_time_to_arrive() {
    let server = server(|bounds| bounds.max_head_bytes_in_memory = 256 << 10);
    let mut held: Vec<_> = (0..3).map(|_| send_head(&server, 100_000)).collect();
    // There is memory for two of them, and none is slow, so the last one to arrive is refused.
    close_all_but(2, &mut held);
    assert_eq!(held.len(), 2);
    for stream in held {
        let answer = finish(stream);
        assert!(answer.starts_with("http/1.1 200 "), "{answer}");
    }
}

#[test]
fn small_heads_and_large_bodies_need_no_memory_for_heads() {
    let server = server(|bounds| bounds.max_head_bytes_in_memory = 0);
    let held: Vec<_> = (0..50).map(|_| send_head(&server, 7_000)).collect();
    for stream in held {
        let answer = finish(stream);
        assert!(answer.starts_with("http/1.1 200 "), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    // One connection serves many requests, each with its body right behind its head.
    let mut stream = TcpStream::connect(server.address).unwrap();
    let padding = "a".repeat(4_000);
    let head = format!(
        "POST /track HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\nx-padding: {padding}\r\n\r\n"
    );
    let request = format!("{head}{}", " ".repeat(300_000));
    for _ in 0..10 {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let count = stream.read(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains("\r\n\r\n"), "{answer}");
    }
}
