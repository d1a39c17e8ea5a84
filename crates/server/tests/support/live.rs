//! A client of the live stream.

#![allow(clippy::disallowed_types, reason = "it needs a raw socket")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::{PATIENCE, Running, SECRET};

/// A stream that is open.
pub(crate) struct Live {
    pub(crate) lines: BufReader<TcpStream>,
    pub(crate) status: u16,
}

/// A message of the stream.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: Option<u64>,
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Live {
    /// Opens a stream. It has this query, such as `?after=7`, and further header lines.
    pub(crate) fn open(server: &Running, query: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // In HTTP/1.0 the body is not in chunks.
        let head = format!(
            "GET /v1/live{query} HTTP/1.0\r\nhost: x\r\nauthorization: Bearer {SECRET} of TOK\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        let mut status = String::new();
        lines.read_line(&mut status).unwrap();
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut line = String::new();
        while lines.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        Self { lines, status }
    }

    /// The next message; `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<Message> {
        let mut message = Message {
            id: None,
            event: String::new(),
            data: Value::Null,
        };
        let mut data = Vec::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let line = line.trim_end_matches('\n');
            match line.split_once(": ") {
                Some(("id", id)) => message.id = Some(id.parse().unwrap()),
                Some(("event", event)) => event.clone_into(&mut message.event),
                Some(("data", part)) => data.push(part.to_owned()),
                _ if line.is_empty() && !data.is_empty() => {
                    message.data = serde_json::from_str(&data.join("\n")).unwrap();
                    return Some(message);
                }
                _ => {}
            }
        }
    }

    /// The data of the next event.
    pub(crate) fn event(&mut self) -> Value {
        loop {
            let message = self.next().expect("the stream has ended");
            if message.event == "event" {
                assert_eq!(message.id, message.data["number"].as_u64());
                return message.data;
            }
        }
    }
}
