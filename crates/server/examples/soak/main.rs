//! Sends a server good, broken and hostile traffic for a while, and checks afterwards that each
//! acknowledged event is stored exactly once and that memory did not grow.
//!
//! `cargo xtask soak` builds and starts the server that this needs, and runs it.
//!
//! Arguments: address, process of the server, seconds, folder for exports.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "it measures, so it needs clocks, sockets, threads and output"
)]

mod check;
mod client;
mod good;
mod hostile;
mod meter;
mod stored;

use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use good::Sender;
use meter::Meter;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A project of the server. Its secret is `secret-of-` and its token.
pub(crate) const PROJECTS: [&str; 3] = ["soak-simplified", "soak-original", "soak-legacy"];

/// The number of threads that attack.
const ATTACKERS: usize = 3;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, process, seconds, folder] = &args[..] else {
        return Err("usage: soak ADDRESS PROCESS SECONDS FOLDER".into());
    };
    let seconds = seconds.parse()?;
    let folder = PathBuf::from(folder);
    let meter = Meter::new(address, process.parse()?, Duration::from_secs(seconds));
    let senders: Vec<Sender> = PROJECTS
        .iter()
        .flat_map(|token| Sender::of(token))
        .collect();
    let is_over = AtomicBool::new(false);
    let started = Instant::now();

    let mut failed = thread::scope(|threads| {
        let running: Vec<_> = senders
            .iter()
            .map(|sender| threads.spawn(|| sender.run(address, &is_over, &meter)))
            .collect();
        let reading: Vec<_> = PROJECTS
            .iter()
            .map(|token| threads.spawn(|| good::read(address, token, &is_over, &meter)))
            .collect();
        for attacker in 0..ATTACKERS {
            let (is_over, meter) = (&is_over, &meter);
            threads.spawn(move || hostile::attack(address, attacker, is_over, meter));
        }
        while started.elapsed().as_secs() < seconds {
            thread::sleep(Duration::from_secs(1));
            meter.sample();
        }
        is_over.store(true, Ordering::SeqCst);
        let ended = running
            .into_iter()
            .chain(reading)
            .map(thread::ScopedJoinHandle::join);
        let failures = ended.filter_map(|ended| match ended {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("a thread of the soak panicked".to_owned()),
        });
        failures.collect::<Vec<_>>()
    });

    meter.print();
    failed.extend(meter.growth());
    for token in PROJECTS {
        let client = Client::new(address, token);
        let senders = senders.iter().filter(|sender| sender.token == token);
        let file = folder.join(format!("{token}.ndjson"));
        let found = check::check(&client, &senders.collect::<Vec<_>>(), &file)?;
        println!("{token}: {found}");
        failed.extend(found.failure());
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(failed.join("; ").into())
}
