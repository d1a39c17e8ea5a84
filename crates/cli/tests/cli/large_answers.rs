//! What a server keeps of its memory after it has sent large answers.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use crate::run::{Folder, signal, wait};
use crate::serve::{SERVE, address, ask, started};

const CLIENTS: usize = 16;
const PROFILES: usize = 8;
/// The bytes of a profile: 15 lists of 1,000 texts of 250 bytes.
const PROFILE_BYTES: usize = 15 * 250_000;
/// The pages of the database that stay in memory, and 16 MiB.
const MAX_BYTES: u64 = (PROFILES * PROFILE_BYTES) as u64 + (16 << 20);

/// The memory of a process, without the files that it has mapped, such as its program.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

fn write_profiles(address: &str) {
    let values: Vec<String> = (0..1_000)
        .map(|value| format!("\"{value:0250}\""))
        .collect();
    let list = format!("[{}]", values.join(","));
    for profile in 0..PROFILES {
        let mut body = String::from("[");
        for at in 0..15 {
            let comma = if at == 0 { "" } else { "," };
            write!(
                body,
                r#"{comma}{{"$token":"SHOP","$distinct_id":"P{profile}","$set":{{"l{at}":{list}}}}}"#
            )
            .unwrap();
        }
        body.push(']');
        let length = body.len();
        let head = format!("POST /engage HTTP/1.0\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        let answer = ask(address, &(head + &body));
        assert!(answer.ends_with("\r\n\r\n1"), "{answer}");
    }
}

/// Reads all profiles without keeping them.
fn read_profiles(address: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request =
        "GET /api/query/engage HTTP/1.0\r\nhost: x\r\nauthorization: Bearer secret-of-shop\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.0 200");
    let bytes = std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    assert!(bytes > (PROFILES * PROFILE_BYTES) as u64, "{bytes}");
}

#[test]
fn a_server_gives_the_memory_of_large_answers_back() {
    let folder = Folder::new();
    let serve = format!("{SERVE} --engine simplified --token SHOP --secret secret-of-shop");
    let (child, said) = started(&folder, &serve, 1);
    write_profiles(address(&said));
    signal("TERM", child.id());
    wait(child).ok();

    let (child, said) = started(&folder, &serve, 1);
    let before = memory(child.id());
    thread::scope(|threads| {
        for _ in 0..CLIENTS {
            threads.spawn(|| read_profiles(address(&said)));
        }
    });
    let kept = memory(child.id()).saturating_sub(before);
    signal("TERM", child.id());
    wait(child).ok();
    assert!(kept < MAX_BYTES, "{kept} bytes");
}
