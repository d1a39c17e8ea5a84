//! Measures what many projects of one process need: threads, memory, open files, and the time to open them
//! and to write to some of them at once.
//!
//! ```sh
//! cargo run --release -p idmerge-project --example many -- FOLDER [PROJECTS] [WRITTEN] [WRITERS]
//! ```

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "this program measures and prints"
)]

use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, Options, Project, Record, Workers};

/// How often each project that is written gets a batch.
const BATCHES: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments
        .first()
        .ok_or("usage: many FOLDER [PROJECTS] [WRITTEN] [WRITERS]")?;
    let number = |at: usize, default| match arguments.get(at) {
        Some(text) => text.parse(),
        None => Ok(default),
    };
    let (projects, written): (usize, usize) = (number(1, 500)?, number(2, 50)?);
    let options = Options {
        workers: Some(match number(3, 0)? {
            0 => Workers::for_cores()?,
            writers => Workers::new(writers, 1)?,
        }),
        ..Options::default()
    };
    print("before")?;
    for what in ["made", "opened"] {
        let started = Instant::now();
        let open = |at: usize| {
            let folder = Path::new(folder).join(at.to_string());
            Project::open(folder, Settings::of(Model::Simplified), options.clone())
        };
        let opened: Vec<_> = (0..projects).map(open).collect::<Result<_, _>>()?;
        let took = started.elapsed().as_secs_f64();
        print(&format!("{projects} projects {what} in {took:.1} s"))?;
        write(&opened[..written.min(projects)]);
        print("after writing")?;
    }
    Ok(())
}

/// Each project always has a batch to write.
fn write(projects: &[Project]) {
    let (sender, receiver) = mpsc::channel();
    let submit = |at: usize, number: usize| {
        let mut batch = Batch::new("/track", 1_700_000_000_000);
        for event in 0..20 {
            let json = format!(
                r#"{{"event":"A","properties":{{"$device_id":"D{event}","$user_id":"U{number}"}}}}"#
            );
            batch.push(&json, Record::event(None, None));
        }
        let (sender, started) = (sender.clone(), Instant::now());
        let submitted = projects[at].submit(batch, move |answer| {
            assert!(answer.is_ok(), "{answer:?}");
            let took = started.elapsed().as_secs_f64() * 1e3;
            assert!(sender.send((at, number, took)).is_ok());
        });
        assert!(submitted.is_ok(), "{submitted:?}");
    };
    let started = Instant::now();
    for at in 0..projects.len() {
        submit(at, 1);
    }
    let mut latencies = Vec::new();
    while latencies.len() < projects.len() * BATCHES
        && let Ok((at, number, took)) = receiver.recv()
    {
        latencies.push(took);
        if number < BATCHES {
            submit(at, number + 1);
        }
    }
    let took = started.elapsed().as_secs_f64();
    latencies.sort_by(f64::total_cmp);
    let latency = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    println!(
        "{} projects at once: {:.0} commits/s; answers after {:.0} ms (p50), {:.0} ms (p99), {:.0} ms (last)",
        projects.len(),
        latencies.len() as f64 / took,
        latency(50),
        latency(99),
        latency(100),
    );
}

fn print(what: &str) -> std::io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    let files = std::fs::read_dir("/proc/self/fd")?.count();
    let (threads, memory) = (of("Threads:"), of("VmRSS:"));
    println!("{what}: {threads} threads, {memory}, {files} open files");
    Ok(())
}
