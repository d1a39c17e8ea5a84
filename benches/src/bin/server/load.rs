//! The clients of a server: threads that send requests and wait for the answers.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::panic;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};

use crate::serving::{SECRET, TOKEN};

/// A counter of hexadecimal digits, overwritten in each request so that no event is sent twice.
const COUNTER: &str = "0000000000000000";

/// Digits that are overwritten: the last part of a device ID has no more.
const DIGITS: usize = 12;

/// Where events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `/import`, with the secret.
    Import,
    /// `/track`, as an SDK sends it.
    Track,
}

/// What all clients send together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) kind: Kind,
    pub(crate) connections: u64,
    /// The events of a request.
    pub(crate) events: u64,
    /// The requests of a connection.
    pub(crate) requests: u64,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) seconds: f64,
    /// From the first attempt to the answer, sorted.
    latencies: Vec<Duration>,
    /// How often the answer was 429.
    pub(crate) refused: u64,
}

impl Sent {
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        let place =
            (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies
            .get(place)
            .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    }
}

impl Load {
    pub(crate) fn all_events(&self) -> u64 {
        self.connections * self.events * self.requests
    }

    /// A template of requests for each connection. The same load has the same requests in each run of this process.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        (0..self.connections)
            .map(|sender| Batch::new(self, sender))
            .collect()
    }

    /// Sends all requests, and waits for their answers.
    pub(crate) fn send(&self, batches: &mut [Batch], address: SocketAddr) -> Result<Sent> {
        let mut sent = Sent::default();
        let started = Instant::now();
        thread::scope(|scope| -> Result<()> {
            let senders: Vec<_> = batches
                .iter_mut()
                .map(|batch| scope.spawn(move || batch.send(self.requests, address)))
                .collect();
            for sender in senders {
                let one = sender
                    .join()
                    .unwrap_or_else(|panic| panic::resume_unwind(panic))?;
                sent.latencies.extend(one.latencies);
                sent.refused += one.refused;
            }
            Ok(())
        })?;
        sent.seconds = started.elapsed().as_secs_f64();
        sent.latencies.sort_unstable();
        Ok(sent)
    }
}

/// A whole request, and the positions of its counters.
pub(crate) struct Batch {
    request: Vec<u8>,
    counters: Vec<usize>,
    next: u64,
    /// What the answer must contain.
    wanted: String,
}

impl Batch {
    fn new(load: &Load, sender: u64) -> Self {
        // All events are of today, as in an import of what has just happened.
        let today = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let time = today.as_secs() / 86_400 * 86_400;
        let mut body = String::from("[");
        for event in 0..load.events {
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
                r#"{{"event":"Page View","properties":{{"token":"{TOKEN}","time":{time},"distinct_id":"$device:{device}","$device_id":"{device}",{user}"$insert_id":"{sender:02x}-{event:06x}-{COUNTER}","$browser":"Firefox","$os":"Linux","$current_url":"https://shop.example/articles/{event}","$screen_height":1080,"$screen_width":1920,"mp_lib":"web","$lib_version":"2.82.1"}}}}"#
            );
        }
        body.push(']');
        let (path, authorization, wanted) = match load.kind {
            Kind::Import => (
                "/import?strict=1",
                format!("authorization: Bearer {SECRET}\r\n"),
                format!(r#""num_records_imported":{}"#, load.events),
            ),
            Kind::Track => ("/track", String::new(), "1".to_owned()),
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: load\r\n{authorization}content-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let text = head + &body;
        let counters = text
            .match_indices(&COUNTER[..DIGITS])
            .map(|(position, _)| position);
        Self {
            counters: counters.collect(),
            request: text.into_bytes(),
            next: sender << 40,
            wanted,
        }
    }

    /// The next request. All its events are new.
    fn renew(&mut self) {
        self.next += 1;
        let digits = format!("{:012x}", self.next);
        for &position in &self.counters {
            self.request[position..position + DIGITS].copy_from_slice(digits.as_bytes());
        }
    }

    fn send(&mut self, requests: u64, address: SocketAddr) -> Result<Sent> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut answers = BufReader::new(stream.try_clone()?);
        let mut sent = Sent::default();
        for _ in 0..requests {
            self.renew();
            let started = Instant::now();
            loop {
                stream.write_all(&self.request)?;
                let (status, body) = answer(&mut answers)?;
                if status == 429 {
                    sent.refused += 1;
                    thread::sleep(Duration::from_millis(100));
                    continue;
                }
                ensure!(
                    status == 200 && body.contains(&self.wanted),
                    "answered with {status}: {body}"
                );
                sent.latencies.push(started.elapsed());
                break;
            }
        }
        Ok(sent)
    }
}

/// Reads a response to its end, and returns its status and its body.
fn answer(answers: &mut impl BufRead) -> Result<(u16, String)> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .context("the server closed the connection")?;
    let status = status.parse()?;
    let mut length = 0;
    loop {
        line.clear();
        if answers.read_line(&mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = String::new();
    answers.take(length).read_to_string(&mut body)?;
    Ok((status, body))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_event_comes_twice_and_a_load_is_the_same_again() {
        let load = Load {
            kind: Kind::Import,
            connections: 3,
            events: 20,
            requests: 4,
        };
        let all = || {
            let mut requests = Vec::new();
            for mut batch in load.batches() {
                for _ in 0..load.requests {
                    batch.renew();
                    requests.push(String::from_utf8(batch.request.clone()).unwrap());
                }
            }
            requests
        };
        let requests = all();
        assert_eq!(requests, all());
        let ids = requests
            .iter()
            .flat_map(|text| text.split(r#""$insert_id":""#).skip(1));
        let ids: Vec<_> = ids.map(|rest| rest.split('"').next().unwrap()).collect();
        let different: BTreeSet<_> = ids.iter().collect();
        assert_eq!(different.len() as u64, load.all_events());
        assert_eq!(ids.len() as u64, load.all_events());
    }

    #[test]
    fn an_answer_ends_where_it_says() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 429 Busy\r\ncontent-length: 0\r\n\r\n";
        let mut answers = BufReader::new(text.as_bytes());
        assert_eq!(answer(&mut answers).unwrap(), (200, "1".to_owned()));
        assert_eq!(answer(&mut answers).unwrap(), (429, String::new()));
        assert!(answer(&mut answers).is_err());
    }

    #[test]
    fn the_ninety_ninth_percentile_is_that_of_a_hundred() {
        let sent = Sent {
            latencies: (1..=200).map(Duration::from_millis).collect(),
            ..Sent::default()
        };
        let found = [50, 99, 100].map(|percent| sent.percentile_ms(percent).round());
        assert_eq!(found, [101.0, 199.0, 200.0]);
    }
}
