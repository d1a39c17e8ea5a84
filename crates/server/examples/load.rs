//! Measures how many events per second a server takes through `/import`, and the latency of a batch.
//!
//! ```text
//! idmerge serve --data data --engine simplified --token shop --secret secret-of-shop &
//! cargo run --release -p idmerge-server --example load -- 127.0.0.1:8080 secret-of-shop 20
//! ```
//!
//! Arguments: address, secret, seconds [10], connections [4], events per batch [2000].

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "it measures, so it needs clocks, sockets, threads and output"
)]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A counter of hexadecimal digits, overwritten in each batch so that no event is sent twice.
const COUNTER: &str = "0000000000000000";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, secret, rest @ ..] = &args[..] else {
        return Err("usage: load ADDRESS SECRET [SECONDS [CONNECTIONS [EVENTS]]]".into());
    };
    let number = |place: usize, default: usize| match rest.get(place) {
        Some(text) => text.parse(),
        None => Ok(default),
    };
    let (seconds, connections, events) = (number(0, 10)?, number(1, 4)?, number(2, 2_000)?);
    let start_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let end = Instant::now() + Duration::from_secs(seconds.try_into()?);
    let started = Instant::now();
    let senders: Vec<_> = (0..connections)
        .map(|sender| {
            let mut batch = Batch::new(secret, events, start_ms, sender);
            let address = address.clone();
            std::thread::spawn(move || send(&mut batch, &address, end))
        })
        .collect();
    let mut sent = Sent::default();
    for sender in senders {
        let one = sender.join().map_err(|_| "a sender panicked")?;
        let one = one.map_err(|error| error.to_string())?;
        sent.latencies.extend(one.latencies);
        sent.refused += one.refused;
    }
    let took = started.elapsed().as_secs_f64();
    sent.latencies.sort_unstable();
    let batches = sent.latencies.len();
    let at = |percent: usize| {
        let place = (batches * percent / 100).min(batches.saturating_sub(1));
        sent.latencies.get(place).copied().unwrap_or_default()
    };
    println!(
        "{:.0} events/s: {batches} batches of {events} in {took:.1} s on {connections} connections; \
         latency p50 {:?}, p99 {:?}, max {:?}; {} answered with 429",
        (batches * events) as f64 / took,
        at(50),
        at(99),
        at(100),
        sent.refused,
    );
    Ok(())
}

#[derive(Default)]
struct Sent {
    latencies: Vec<Duration>,
    refused: u64,
}

/// A whole request, and the positions of its counters.
struct Batch {
    request: Vec<u8>,
    counters: Vec<usize>,
    next: u64,
}

impl Batch {
    fn new(secret: &str, events: usize, start_ms: u128, sender: usize) -> Self {
        let mut body = String::from("[");
        for event in 0..events {
            if event > 0 {
                body.push(',');
            }
            // A user has ten events. The last one is the login.
            let device = format!("{:08x}-0000-4000-8000-{COUNTER:.12}", event / 10);
            let user = if event % 10 == 9 {
                format!(r#""$user_id":"user-{sender}-{}-{COUNTER}","#, event / 10)
            } else {
                String::new()
            };
            body += &format!(
                r#"{{"event":"Page View","properties":{{"time":{start_ms},"distinct_id":"$device:{device}","$device_id":"{device}",{user}"$insert_id":"{sender:02x}-{event:06x}-{COUNTER}","$browser":"Firefox","$os":"Linux","$current_url":"https://shop.example/articles/{event}","$screen_height":1080,"$screen_width":1920,"mp_lib":"web","$lib_version":"2.82.1"}}}}"#
            );
        }
        body.push(']');
        let head = format!(
            "POST /import?strict=1 HTTP/1.1\r\nhost: load\r\nauthorization: Bearer {secret}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), body.as_bytes()].concat();
        let text = head + &body;
        // A device ID has twelve digits of the counter.
        let counters = text
            .match_indices(&COUNTER[..12])
            .map(|(position, _)| position)
            .collect();
        Self {
            request,
            counters,
            next: (sender as u64) << 40,
        }
    }

    /// The next batch. All its events are new.
    fn renew(&mut self) -> &[u8] {
        self.next += 1;
        let digits = format!("{:012x}", self.next);
        for &position in &self.counters {
            self.request[position..position + 12].copy_from_slice(digits.as_bytes());
        }
        &self.request
    }
}

fn send(
    batch: &mut Batch,
    address: &str,
    end: Instant,
) -> Result<Sent, Box<dyn Error + Send + Sync>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut sent = Sent::default();
    while Instant::now() < end {
        let request = batch.renew();
        let started = Instant::now();
        stream.write_all(request)?;
        match answer(&mut answers)? {
            200 => sent.latencies.push(started.elapsed()),
            429 => {
                sent.refused += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            status => return Err(format!("answered with {status}").into()),
        }
    }
    Ok(sent)
}

/// Reads a response to its end, and returns its status.
fn answer(answers: &mut impl BufRead) -> Result<u16, Box<dyn Error + Send + Sync>> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .ok_or("the server closed the connection")?
        .parse()?;
    let mut length = 0;
    loop {
        line.clear();
        answers.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    std::io::copy(&mut answers.take(length), &mut std::io::sink())?;
    Ok(status)
}
