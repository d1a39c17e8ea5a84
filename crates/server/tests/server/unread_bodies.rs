//! Requests whose response is known before their body is read. A client that keeps its connection can send
//! the next request, or is told that it cannot.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::support::{Running, project};
use idmerge_engines::Model;

/// Requests that are refused by their heads, and the status.
const REFUSED: [(&str, &str); 4] = [
    ("POST /v1/retract", "401"),
    ("POST /no/such/path", "404"),
    ("PUT /track", "405"),
    ("POST /v1/ids/U1", "405"),
];

/// Reads a response, and returns its status and whether the connection closes after it.
fn read_response(reader: &mut BufReader<TcpStream>) -> (String, bool) {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let length = lines
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let status = lines.first().and_then(|line| line.split(' ').nth(1));
    let closes = lines.iter().any(|line| line == "connection: close");
    (status.unwrap_or("none").to_owned(), closes)
}

fn connect(server: &Running) -> (TcpStream, BufReader<TcpStream>) {
    let stream = TcpStream::connect(server.address).unwrap();
    let reader = BufReader::new(stream.try_clone().unwrap());
    (stream, reader)
}

#[test]
fn a_refused_request_leaves_its_connection_usable() {
    let server = Running::of(Model::Original);
    let body = vec![b'x'; 1 << 20];
    let (mut stream, mut reader) = connect(&server);
    for (target, status) in REFUSED {
        let chunks = format!(
            "{:x}\r\n{}\r\n0\r\n\r\n",
            body.len(),
            "x".repeat(body.len())
        );
        for (head, body) in [
            (format!("content-length: {}", body.len()), &*body),
            ("transfer-encoding: chunked".to_owned(), chunks.as_bytes()),
        ] {
            let head = format!("{target} HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(body).unwrap();
            let answer = read_response(&mut reader);
            assert_eq!(answer, (status.to_owned(), false), "{target}");
        }
    }
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    assert_eq!(read_response(&mut reader), ("200".to_owned(), false));
}

#[test]
fn a_client_is_told_if_its_connection_closes() {
    let server = Running::of(Model::Original);
    for head in [
        // More than the server takes.
        "POST /import HTTP/1.1\r\nhost: x\r\nauthorization: Basic TOK:\r\ncontent-length: 10737418240",
        // The client sends the body only if it is asked to.
        "POST /v1/retract HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 100",
    ] {
        let (mut stream, mut reader) = connect(&server);
        stream
            .write_all(format!("{head}\r\n\r\n").as_bytes())
            .unwrap();
        let (status, closes) = read_response(&mut reader);
        assert!(["401", "413"].contains(&&*status), "{head}: {status}");
        assert!(closes, "{head}");
        assert_eq!(reader.read(&mut [0]).unwrap(), 0, "{head}");
    }
}

#[test]
fn a_client_that_was_asked_for_a_body_sends_all_of_it_and_keeps_its_connection() {
    let server = Running::with(vec![project("TOK", Model::Original)], |bounds| {
        bounds.limits.max_body_bytes = 1_000;
    });
    let (mut stream, mut reader) = connect(&server);
    let head = "POST /import HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_response(&mut reader), ("100".to_owned(), false));
    // The second chunk is too much, and the response is known before the last one.
    for chunk in ["258\r\n", "258\r\n", "12c\r\n"] {
        let bytes = usize::from_str_radix(chunk.trim_end(), 16).unwrap();
        let text = format!("{chunk}{}\r\n", "x".repeat(bytes));
        stream.write_all(text.as_bytes()).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut reader), ("413".to_owned(), false));
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    assert_eq!(read_response(&mut reader), ("200".to_owned(), false));
}
