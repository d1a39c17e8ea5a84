//! Measures how fast a project stores and reads events. Some threads submit batches of 2,000 events
//! of the workload `web-login`, and wait for each answer.
//!
//! ```sh
//! cargo run --release -p idmerge-project --example throughput -- FOLDER [EVENTS] [THREADS] [ENGINE]
//! ```

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "this program measures and prints"
)]

use std::time::Instant;

use idmerge_analysis::{FunnelQuery, Step};
use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, ExportQuery, Options, Project, Record};
use idmerge_workloads::{Stream, Workload};

const BATCH_EVENTS: usize = 2_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments
        .first()
        .ok_or("usage: throughput FOLDER [EVENTS] [THREADS] [ENGINE]")?;
    let number = |at: usize, default| match arguments.get(at) {
        Some(text) => text.parse(),
        None => Ok(default),
    };
    let (events, threads) = (number(1, 1_000_000)?, number(2, 2)?);
    let model = match arguments.get(3).map(String::as_str) {
        Some("original") => Model::Original,
        _ => Model::Simplified,
    };
    let batches = batches(events);
    let bytes: usize = batches.iter().map(|batch| batch.text.len()).sum();

    let project = Project::open(folder, Settings::of(model), Options::default())?;
    let started = Instant::now();
    let mut latencies: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                let (project, batches) = (&project, &batches);
                scope.spawn(move || {
                    let mine = batches.iter().skip(thread).step_by(threads);
                    mine.map(|batch| {
                        let batch = batch.clone();
                        let started = Instant::now();
                        let answer = project.submit_and_wait(batch);
                        assert!(answer.is_ok(), "{answer:?}");
                        started.elapsed().as_secs_f64() * 1e3
                    })
                    .collect::<Vec<_>>()
                })
            })
            .collect();
        let all = threads
            .into_iter()
            .flat_map(std::thread::ScopedJoinHandle::join);
        all.flatten().collect()
    });
    let took = started.elapsed().as_secs_f64();
    latencies.sort_by(f64::total_cmp);
    let latency = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    let figures = project.figures();
    println!(
        "{events} events, {bytes} bytes, in {took:.2} s: {:.0}/s",
        events as f64 / took
    );
    println!(
        "{} commits, {:.1} ms each; answers after {:.0} ms (p50), {:.0} ms (p99), {:.0} ms (last)",
        figures.commits,
        figures.commit_time.as_secs_f64() * 1e3 / figures.commits as f64,
        latency(50),
        latency(99),
        latency(100),
    );
    println!("{} merges, {} repeated", figures.merges, figures.repeated);

    let started = Instant::now();
    project.close()?;
    println!("closed in {:.2} s", started.elapsed().as_secs_f64());
    drop(project);
    let mut disk_bytes = 0;
    for file in std::fs::read_dir(folder)? {
        disk_bytes += file?.metadata()?.len();
    }
    println!(
        "{:.0} bytes per event on disk",
        disk_bytes as f64 / events as f64
    );

    let started = Instant::now();
    let project = Project::open(folder, Settings::of(model), Options::default())?;
    println!("opened in {:.2} s", started.elapsed().as_secs_f64());
    read(&project)
}

fn read(project: &Project) -> Result<(), Failure> {
    let mut ids = Vec::new();
    let started = Instant::now();
    let count = project.export(&ExportQuery::default(), &mut |event| {
        if event.number % 10_007 == 1 {
            ids.push(
                between(event.json, "\"distinct_id\":\"", '"')
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
        Ok(true)
    })?;
    let took = started.elapsed().as_secs_f64();
    println!(
        "exported {count} in {took:.2} s: {:.0}/s",
        count as f64 / took
    );

    let mut times = Vec::new();
    let mut events = 0;
    for id in &ids {
        let started = Instant::now();
        events += project.user_events(id, None, 100)?.events.len();
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "the latest 100 events of a user ({} users, {} events each): {:.2} ms (p50), {:.2} ms (last)",
        ids.len(),
        events / ids.len().max(1),
        times[times.len() / 2],
        times[times.len() - 1],
    );

    let started = Instant::now();
    let query = FunnelQuery::new(["Page View", "Log In"].map(Step::named).to_vec());
    let report = project.funnel(&query.funnel()?)?;
    println!(
        "a funnel in {:.2} s: {:?}",
        started.elapsed().as_secs_f64(),
        report.steps
    );
    Ok(())
}

fn batches(events: usize) -> Vec<Batch> {
    let mut stream = Stream::new(Workload::WebLogin, events as u64, 42);
    let mut line = Vec::new();
    let mut batches = Vec::new();
    let mut batch = Batch::new("/import", 1_700_000_000_000);
    let mut is_more = true;
    while is_more {
        line.clear();
        is_more = stream.next_event(&mut line);
        let time = between(&line, "\"time\":", ',').and_then(|time| time.parse::<f64>().ok());
        let time_ms = time.map(|time| (time * 1e3) as i64);
        let insert_id = between(&line, "\"$insert_id\":\"", '"');
        if let Ok(json) = str::from_utf8(&line) {
            batch.push(json.trim_end(), Record::event(time_ms, insert_id));
        }
        if batch.records.len() == BATCH_EVENTS || !is_more {
            batches.push(std::mem::replace(
                &mut batch,
                Batch::new("/import", 1_700_000_000_000),
            ));
        }
    }
    batches
}

fn between<'l>(line: &'l [u8], before: &str, after: char) -> Option<&'l str> {
    let (_, rest) = str::from_utf8(line).ok()?.split_once(before)?;
    Some(rest.split_once([after, '}'])?.0)
}
