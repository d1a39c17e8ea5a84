//! The files of the page are compressed for clients that accept it. Answers with data are not.

use crate::support;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Running, basic};
use flate2::read::GzDecoder;
use idmerge_engines::Model;

/// The head and the body of an answer, as they are sent.
fn ask(server: &Running, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    // HTTP/1.0 has no chunks, so the body ends with the connection.
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: idmerge\r\n{headers}\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let body = answer.split_off(end);
    (
        String::from_utf8(answer).unwrap().to_ascii_lowercase(),
        body,
    )
}

#[test]
fn a_file_of_the_page_is_compressed_for_those_who_accept_it() {
    let server = Running::of(Model::Simplified);
    let html = server.get("/", &[]).body;
    let named = html.split('"').filter(|text| text.starts_with("/page/"));
    let main = ["main.js", "style.css"];
    let main = named.filter(|path| main.iter().any(|file| path.ends_with(file)));
    let paths: Vec<_> = ["/", "/users/ada/events"].into_iter().chain(main).collect();
    assert_eq!(paths.len(), 4);
    for path in paths {
        let (head, whole) = ask(&server, path, "");
        assert!(head.starts_with("http/1.0 200"), "{head}");
        assert!(!head.contains("content-encoding"), "{head}");
        // A cache must not give the compressed file to somebody else.
        assert!(head.contains("vary: accept-encoding"), "{head}");
        for refused in ["gzip;q=0, identity", "br", "gzip; q=0.000", "identity"] {
            let headers = format!("Accept-Encoding: {refused}\r\n");
            let (head, plain) = ask(&server, path, &headers);
            assert!(!head.contains("content-encoding"), "{refused}: {head}");
            assert_eq!(plain, whole);
        }
        for accepted in ["gzip", "GZIP;q=0.5", "br;q=1.0, gzip;q=0.8"] {
            let headers = format!("Accept-Encoding: {accepted}\r\n");
            let (head, _) = ask(&server, path, &headers);
            assert!(
                head.contains("content-encoding: gzip"),
                "{accepted}: {head}"
            );
        }

        let (head, compressed) = ask(&server, path, "Accept-Encoding: br, gzip\r\n");
        assert!(head.contains("content-encoding: gzip"), "{head}");
        assert!(head.contains("vary: accept-encoding"), "{head}");
        assert!(compressed.len() * 10 < whole.len() * 7, "{path}");
        let mut inflated = Vec::new();
        let read = GzDecoder::new(&*compressed).read_to_end(&mut inflated);
        assert!(read.is_ok() && inflated == whole, "{path}");
    }
}

#[test]
fn an_answer_with_data_is_not_compressed() {
    let server = Running::of(Model::Simplified);
    let secret = basic(&format!("{} of TOK", support::SECRET));
    let headers = format!("Accept-Encoding: gzip\r\nAuthorization: {secret}\r\n");
    for path in [
        "/v1/users",
        "/v1/search?q=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "/v1/health",
        "/v1/project",
    ] {
        let (head, _) = ask(&server, path, &headers);
        assert!(head.starts_with("http/1.0 200"), "{head}");
        assert!(!head.contains("content-encoding"), "{path}: {head}");
    }
}
