//! Clients that stall, fill and lock out, one attack after another.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::meter::Meter;
use crate::{PROJECTS, Result};

/// An attack. It may fail at any point, since a server may close the connections of an attacker.
type Attack = fn(&str, token: &str, round: usize) -> Result<()>;

const ATTACKS: [(&str, Attack); 16] = [
    ("connections that never read", never_read),
    ("exports that are not read", unread_exports),
    ("heads that drip", dripping_heads),
    ("bodies that drip", dripping_bodies),
    ("wrong secrets", wrong_secrets),
    ("decompression bombs", bombs),
    ("many additions to a profile", additions),
    ("many unions of a profile", unions),
    ("large profiles", large_profiles),
    ("large events", large_events),
    ("large clusters", large_clusters),
    ("explanations of a large cluster", explanations),
    ("forged merges", forged_merges),
    ("broken requests", broken_requests),
    ("floods of connections", flood),
    ("pages of large profiles and events", large_pages),
];

/// How long an attack holds what it has got.
const HOLD: Duration = Duration::from_secs(8);

/// Attacks until it is over.
pub(crate) fn attack(address: &str, attacker: usize, is_over: &AtomicBool, meter: &Meter) {
    // Each attacker begins elsewhere, so that different attacks coincide.
    let first = attacker * 5;
    for round in first.. {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        let (name, attack) = ATTACKS[round % ATTACKS.len()];
        let token = PROJECTS[round / ATTACKS.len() % PROJECTS.len()];
        // An attack fails where the server defends itself. Whether that holds is measured by others.
        drop(attack(address, token, round));
        meter.attacked(name);
        thread::sleep(Duration::from_secs(1));
    }
}

fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

fn get(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: soak\r\nauthorization: Bearer secret-of-{token}\r\n\r\n")
}

/// Posts a body on a connection of its own, and reads the answer.
fn post(address: &str, path: &str, headers: &str, body: &[u8]) -> Result<()> {
    let mut stream = connect(address)?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: soak\r\nconnection: close\r\ncontent-type: application/json\r\n\
         {headers}content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

const EXPORT: &str = "/api/2.0/export?from_date=2000-01-01&to_date=2099-12-31";

fn hold(address: &str, connections: usize, request: &str) -> Result<()> {
    let mut held = Vec::new();
    for _ in 0..connections {
        let mut stream = connect(address)?;
        stream.write_all(request.as_bytes())?;
        held.push(stream);
    }
    thread::sleep(HOLD);
    Ok(())
}

fn never_read(address: &str, token: &str, _: usize) -> Result<()> {
    hold(address, 50, &get("/api/query/engage", token).repeat(20))
}

fn unread_exports(address: &str, token: &str, _: usize) -> Result<()> {
    hold(address, 40, &get(EXPORT, token))
}

/// Sends the bytes of a text to many connections, one a second.
fn drip(address: &str, text: &str) -> Result<()> {
    let streams: Result<Vec<_>> = (0..100).map(|_| connect(address)).collect();
    let mut streams = streams?;
    let began = Instant::now();
    for byte in text.bytes() {
        streams.retain_mut(|stream| stream.write_all(&[byte]).is_ok());
        if began.elapsed() > HOLD || streams.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(500));
    }
    Ok(())
}

fn dripping_heads(address: &str, _: &str, _: usize) -> Result<()> {
    drip(address, "POST /track HTTP/1.1\r\nhost: soak\r\n")
}

fn dripping_bodies(address: &str, _: &str, _: usize) -> Result<()> {
    let head = "POST /track HTTP/1.1\r\nhost: soak\r\ncontent-length: 9000000\r\n\r\n";
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = connect(address)?;
        stream.write_all(head.as_bytes())?;
        streams.push(stream);
    }
    for _ in 0..16 {
        streams.retain_mut(|stream| stream.write_all(b" ").is_ok());
        thread::sleep(HOLD / 16);
    }
    Ok(())
}

fn wrong_secrets(address: &str, _: &str, round: usize) -> Result<()> {
    let mut stream = connect(address)?;
    let began = Instant::now();
    for number in 0..2_000 {
        let request = get("/v1/changes", &format!("nobody-{round}-{number}"));
        stream.write_all(request.as_bytes())?;
        if stream.read(&mut [0; 4_096])? == 0 || began.elapsed() > HOLD {
            break;
        }
    }
    Ok(())
}

fn bombs(address: &str, _: &str, _: usize) -> Result<()> {
    let bomb = gzip(&vec![b' '; 12 << 20])?;
    for path in ["/track", "/engage", "/import"] {
        post(address, path, "content-encoding: gzip\r\n", &bomb)?;
    }
    Ok(())
}

/// Posts an update of one profile many times in one request.
fn engage(address: &str, update: impl FnMut(usize) -> Value, times: usize) -> Result<()> {
    let updates: Vec<Value> = (0..times).map(update).collect();
    let body = gzip(Value::Array(updates).to_string().as_bytes())?;
    post(address, "/engage", "content-encoding: gzip\r\n", &body)
}

fn additions(address: &str, token: &str, round: usize) -> Result<()> {
    let id = format!("evil-{}", round % 10);
    let update = |_| json!({"$token": token, "$distinct_id": id, "$add": {"n": 1}});
    for _ in 0..5 {
        engage(address, update, 2_000)?;
    }
    Ok(())
}

fn unions(address: &str, token: &str, round: usize) -> Result<()> {
    let id = format!("evil-{}", round % 10);
    let update = |number: usize| json!({"$token": token, "$distinct_id": id, "$union": {"l": [number, number + 1]}});
    engage(address, update, 2_000)
}

fn large_profiles(address: &str, token: &str, round: usize) -> Result<()> {
    let id = format!("evil-{}", round % 10);
    let update = |number: usize| {
        let name = format!("p{}", number % 500);
        json!({"$token": token, "$distinct_id": id, "$set": {name: "x".repeat(8_000)}})
    };
    for _ in 0..2 {
        engage(address, update, 500)?;
    }
    Ok(())
}

/// Sends ten events of 900 KB, the same each time.
fn large_events(address: &str, token: &str, _: usize) -> Result<()> {
    for number in 0..10 {
        let properties = json!({
            "token": token, "distinct_id": "evil-0", "time": 1_600_000_000, "$insert_id": format!("evil-{number}"),
            "text": "y".repeat(900_000),
        });
        let body = json!({"event": "Large", "properties": properties}).to_string();
        post(address, "/track", "", body.as_bytes())?;
    }
    Ok(())
}

/// Links the same 20,000 devices to one user, 2,000 a round.
fn large_clusters(address: &str, token: &str, round: usize) -> Result<()> {
    let first = round % 10 * 2_000;
    let events: Vec<Value> = (first..first + 2_000)
        .map(|number| {
            let device = format!("00000000-0000-4000-9000-{number:012}");
            let properties = json!({
                "token": token, "distinct_id": "evil-user", "time": 1_600_000_000,
                "$insert_id": format!("evil-{number}"), "$device_id": device, "$user_id": "evil-user",
                "$identified_id": "evil-user", "$anon_id": device, "alias": device,
            });
            let event = match token {
                "soak-original" => "$identify",
                "soak-legacy" => "$create_alias",
                _ => "Log In",
            };
            json!({"event": event, "properties": properties})
        })
        .collect();
    post(
        address,
        "/track",
        "",
        Value::Array(events).to_string().as_bytes(),
    )
}

fn explanations(address: &str, token: &str, _: usize) -> Result<()> {
    hold(address, 8, &get("/v1/ids/evil-user?explain=true", token))
}

fn forged_merges(address: &str, token: &str, round: usize) -> Result<()> {
    for path in ["/track", "/import"] {
        let merges: Vec<Value> = (0..50)
            .map(|number| {
                let ids = [
                    format!("user-{number}@shop.example"),
                    "evil-user".to_owned(),
                ];
                json!({"event": "$merge", "properties": {
                    "token": token, "$distinct_ids": ids, "time": 1_600_000_000,
                    "$insert_id": format!("evil-merge-{path}-{number}"),
                }})
            })
            .collect();
        let token = base64(&format!("{token}:"));
        let headers = format!("authorization: Basic {token}\r\n");
        post(
            address,
            path,
            &headers,
            Value::Array(merges).to_string().as_bytes(),
        )?;
    }
    post(address, &format!("/track?ip={round}"), "", b"[[[[[[")
}

fn base64(text: &str) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(text)
}

fn broken_requests(address: &str, token: &str, _: usize) -> Result<()> {
    let secret = format!("authorization: Bearer secret-of-{token}\r\n");
    let requests = [
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(),
        "POST /track HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        "POST /track HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n".to_owned(),
        "\0\u{1}\u{2}\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(200_000)),
        format!("GET /v1/changes?since=x&limit=-1 HTTP/1.1\r\nhost: a\r\n{secret}\r\n"),
        format!("GET /v1/users/%00%ff/events HTTP/1.1\r\nhost: a\r\n{secret}\r\n"),
        format!("GET {EXPORT}&event=%5B HTTP/1.1\r\nhost: a\r\n{secret}\r\n"),
    ];
    for request in requests {
        let mut stream = connect(address)?;
        // The server may close the connection before it has read everything.
        let _is_sent = stream.write_all(request.as_bytes());
        let _answer = stream.read(&mut [0; 4_096]);
    }
    Ok(())
}

fn flood(address: &str, _: &str, _: usize) -> Result<()> {
    for _ in 0..2_000 {
        drop(connect(address)?);
    }
    Ok(())
}

/// Asks several times at once for the largest pages that there are, and reads them.
fn large_pages(address: &str, token: &str, _: usize) -> Result<()> {
    let mut streams = Vec::new();
    for path in ["/v1/users/evil-0/events?limit=1000", "/api/query/engage"] {
        for _ in 0..4 {
            let mut stream = connect(address)?;
            stream.write_all(get(path, token).as_bytes())?;
            streams.push(stream);
        }
    }
    let began = Instant::now();
    while began.elapsed() < HOLD && !streams.is_empty() {
        streams.retain_mut(|stream| stream.read(&mut [0; 1 << 16]).is_ok_and(|read| read > 0));
    }
    Ok(())
}
