//! Asks for the backup of a project, and may leave it unread.

#![allow(clippy::disallowed_types, reason = "a client that reads slowly")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::{Running, SECRET};

pub(crate) const PATH: &str = "/v1/backup";

/// Asks for a backup of the project `TOK`.
pub(crate) fn request(server: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head =
        format!("GET {PATH} HTTP/1.0\r\nhost: x\r\nauthorization: Bearer {SECRET} of TOK\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Sends the request, and reads the head of the response. Returns the length of the body. As long as the body is longer
/// than the buffers of two sockets and is not read, the backup is being made.
pub(crate) fn ask(server: &Running) -> (BufReader<TcpStream>, u64) {
    let stream = request(server);
    let mut stream = BufReader::with_capacity(16, stream);
    let (mut length, mut line) = (None, String::new());
    while line != "\r\n" {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0);
        assert!(
            !line.starts_with("HTTP/") || line.contains(" 200 "),
            "{line}"
        );
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = Some(value.trim().parse().unwrap());
        }
    }
    (stream, length.unwrap())
}

/// 1,600 digits that hardly compress.
pub(crate) fn padding(seed: &str) -> String {
    let mut state = seed.bytes().fold(0x9e37_79b9_u64, |state, byte| {
        state.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state ^ (state >> 29)
    };
    (0..100).map(|_| format!("{:016x}", next())).collect()
}
