//! `idmerge serve` that gets SIGTERM while more is queued than can be written in time.

use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::run::{Folder, signal, wait};
use crate::serve::{SERVE, address, ask, started};

/// The updates of a profile that are sent by each connection.
const UPDATES: usize = 400;

/// Connections that send heavy requests. 16 of them took 20 s to be written after the signal, in a build
/// without optimisation.
const CONNECTIONS: usize = 16;

/// 9 s are promised, on a machine that has time.
const PATIENCE: Duration = Duration::from_secs(40);

fn request(connection: usize, round: usize) -> String {
    let properties: Vec<String> = (0..250).map(|at| format!("\"p{at}\":{at}")).collect();
    let properties = properties.join(",");
    let updates: Vec<String> = (0..UPDATES)
        .map(|at| {
            format!(
                r#"{{"$token":"TOK","$distinct_id":"u{connection}-{round}-{at}","$set":{{{properties}}}}}"#
            )
        })
        .collect();
    let body = format!("[{}]", updates.join(","));
    let length = body.len();
    format!(
        "POST /engage HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Sends requests until the server stops. Returns how many of them it left without an answer.
fn send(address: &str, connection: usize) -> usize {
    use std::io::Write;
    let Ok(mut stream) = TcpStream::connect(address) else {
        return 0;
    };
    for round in 0.. {
        if stream
            .write_all(request(connection, round).as_bytes())
            .is_err()
        {
            return 0;
        }
        let mut answer = [0; 4_096];
        let Ok(read @ 1..) = stream.read(&mut answer) else {
            return 1;
        };
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        let status = answer.split(' ').nth(1).unwrap_or("").to_owned();
        assert!(["200", "429", "503"].contains(&&*status), "{answer}");
        if status == "503" || answer.contains("connection: close") {
            return 0;
        }
    }
    0
}

fn queued_batches(address: &str) -> u64 {
    let metrics = ask(address, "GET /metrics HTTP/1.0\r\nhost: x\r\n\r\n");
    let line = metrics
        .lines()
        .find(|line| line.starts_with("idmerge_queued_batches{"));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_server_with_a_full_queue_stops_in_time_and_answers_every_request() {
    let folder = Folder::new();
    let args = format!("{SERVE} --engine original --token TOK --secret secret-of-tok");
    let (child, said) = started(&folder, &args, 1);
    let address = address(&said);
    let (took, unanswered) = thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|connection| scope.spawn(move || send(address, connection)))
            .collect();
        while queued_batches(address) < 3 {
            thread::yield_now();
        }
        let started = Instant::now();
        signal("TERM", child.id());
        wait(child).ok();
        let took = started.elapsed();
        let unanswered = senders.into_iter().map(|it| it.join().unwrap());
        (took, unanswered.sum::<usize>())
    });
    assert!(took < PATIENCE, "{took:?}");
    // Requests that the server reads at the end may be cut off, but not those that it has taken.
    assert!(unanswered < CONNECTIONS / 2, "{unanswered}");
}
