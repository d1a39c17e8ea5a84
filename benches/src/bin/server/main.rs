//! Measures a server: the events and the requests that it takes in a second, and how long a request waits.
//!
//! The server and its clients are two processes that share the cores of the machine.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    reason = "a benchmark starts a server, uses clocks, sockets and threads, and prints its results"
)]

mod load;
mod serving;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use idmerge_benches::measure::Samples;
use idmerge_benches::programs;
use idmerge_benches::report::{Report, grouped};

use crate::load::{Kind, Load};
use crate::serving::Serving;

/// Measures the events and requests that `idmerge serve` takes in a second, and their latency
#[derive(Debug, Parser)]
struct Args {
    /// A small run, for a test of the program
    #[arg(long)]
    quick: bool,
    /// Another `idmerge`, such as that of the first edition, to compare with in the same rounds
    #[arg(long, value_name = "PROGRAM")]
    baseline: Option<PathBuf>,
}

/// The events of a request of `/import`.
const BATCH_EVENTS: u64 = 2_000;

/// The connections of `/track`. With fewer, the server would wait for the clients between two commits.
const TRACK_CONNECTIONS: u64 = 64;

/// What is sent to a server with an empty folder.
struct Row {
    name: &'static str,
    engine: &'static str,
    load: Load,
    /// Whether the same requests are sent again.
    has_again: bool,
}

const TRACK: &str = "/track of one event, 64 connections";
const SIMPLIFIED: &str = "/import, Simplified, 4 connections";
const ORIGINAL: &str = "/import, Original, 4 connections";

fn rows(quick: bool) -> [Row; 5] {
    let row = |name, engine, kind, connections, events: u64, requests: u64| Row {
        name,
        engine,
        load: Load {
            kind,
            connections,
            events,
            requests: if quick {
                requests.div_ceil(20)
            } else {
                requests
            },
        },
        has_again: kind == Kind::Import && connections > 1,
    };
    let import =
        |name, engine, connections| row(name, engine, Kind::Import, connections, BATCH_EVENTS, 250);
    [
        import("/import, Simplified, 1 connection", "simplified", 1),
        import(SIMPLIFIED, "simplified", 4),
        import("/import, Original, 1 connection", "original", 1),
        import(ORIGINAL, "original", 4),
        row(
            TRACK,
            "simplified",
            Kind::Track,
            TRACK_CONNECTIONS,
            1,
            2_000,
        ),
    ]
}

/// The measurements of one row and one program.
#[derive(Default)]
struct Figures {
    new: Sending,
    again: Sending,
    /// The processor time of the server for an event that is new, in microseconds. Times with a second sending are
    /// of both.
    cpu_us: Samples,
    peak_megabytes: Samples,
}

#[derive(Default)]
struct Sending {
    events_each_second: Samples,
    p50_ms: Samples,
    p99_ms: Samples,
    most_ms: Samples,
    refused: Samples,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let rounds = if args.quick { 1 } else { 3 };
    let idmerge = programs::beside("idmerge", "idmerge")?;
    // On the disk of the target folder, because a folder for temporary files may be in memory.
    let folder = programs::folder()?.join("bench-server");
    fs::create_dir_all(&folder)?;

    let mut versions = vec![("", idmerge)];
    versions.extend(args.baseline.map(|program| (", baseline", program)));
    let rows = rows(args.quick);
    let mut figures: Vec<Figures> = Vec::new();
    figures.resize_with(rows.len() * versions.len(), Figures::default);
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        let mut figures = figures.iter_mut();
        for row in &rows {
            for ((version, program), figures) in versions.iter().zip(&mut figures) {
                eprintln!("{}{version}", row.name);
                measure(row, program, &folder, figures)
                    .with_context(|| format!("{}{version}", row.name))?;
            }
        }
    }
    let mut report = Report::default();
    targets(&rows, &figures, versions.len(), &mut report);
    let names: Vec<_> = versions.iter().map(|(version, _)| *version).collect();
    method(&rows, rounds, &mut report);
    tables(&rows, &figures, &names, &mut report);
    print!("{report}");
    Ok(())
}

/// Runs a row in a server of its own, and checks that the server has each event once.
fn measure(row: &Row, program: &Path, folder: &Path, figures: &mut Figures) -> Result<()> {
    let data = tempfile::tempdir_in(folder)?;
    let serving = Serving::start(program, data.path(), row.engine)?;
    let lost = "the server does not have the events that it has acknowledged";
    let doubled = "the server has stored an event twice";
    let sendings = [(&mut figures.new, lost), (&mut figures.again, doubled)];
    let mut events = 0;
    for (sending, wrong) in sendings.into_iter().take(1 + usize::from(row.has_again)) {
        let mut batches = row.load.batches();
        sending.push(&row.load, &row.load.send(&mut batches, serving.address())?);
        ensure!(serving.stored_events()? == row.load.all_events(), wrong);
        events += row.load.all_events();
    }
    let used = serving.stop()?;
    let cpu = (used.utime + used.stime).as_secs_f64();
    figures.cpu_us.push(cpu * 1e6 / events as f64);
    figures.peak_megabytes.push(used.maxrss as f64 / 1e6);
    Ok(())
}

impl Sending {
    fn push(&mut self, load: &Load, sent: &load::Sent) {
        self.events_each_second
            .push(load.all_events() as f64 / sent.seconds);
        self.p50_ms.push(sent.percentile_ms(50));
        self.p99_ms.push(sent.percentile_ms(99));
        self.most_ms.push(sent.percentile_ms(100));
        self.refused.push(sent.refused as f64);
    }
}

/// `figures` has those of each row, for as many versions.
fn targets(rows: &[Row], figures: &[Figures], versions: usize, report: &mut Report) {
    for (row, figures) in rows.iter().zip(figures.chunks(versions)) {
        let [ours, baseline @ ..] = figures else {
            continue;
        };
        let each_second = ours.new.events_each_second.median();
        if row.load.kind == Kind::Track {
            let target = format!("{}: requests", row.name);
            report.at_least(&target, 20_000.0, each_second, "/s");
            let target = format!("{}: p99", row.name);
            report.at_most(&target, 10.0, ours.new.p99_ms.median(), " ms");
        }
        if row.has_again {
            let target = format!("{}: times the first edition", row.name);
            match baseline {
                [baseline, ..] => {
                    let ratio = each_second / baseline.new.events_each_second.median();
                    report.at_least(&target, 1.6, ratio, " ×");
                }
                [] => report.unknown(&target, "no program of it was given (`--baseline`)"),
            }
            let again = ours.again.events_each_second.median();
            let target = format!("{}, old events again", row.name);
            report.at_least(&target, 150_000.0, again, " events/s");
        }
    }
}

/// How the figures came about.
fn method(rows: &[Row], rounds: u32, report: &mut Report) {
    let [.., of_import, of_track] = rows else {
        return;
    };
    report.text(format_args!(
        "The server and its clients are two processes on the same machine. A connection sends its next request when \
         it has the answer to the last one, which comes once the events are durable. Each row has a server with an \
         empty folder: {} events through `/import`, {} a request, as many as that for each connection, one login in \
         ten events, and {} requests of `/track` for each connection. The median of {rounds} interleaved rounds. \
         After each sending, the export has each event once. The latency of a request that was answered with 429 \
         counts from its first attempt.",
        grouped(of_import.load.requests * of_import.load.events),
        grouped(of_import.load.events),
        grouped(of_track.load.requests),
    ));
}

fn tables(rows: &[Row], figures: &[Figures], versions: &[&str], report: &mut Report) {
    let cell = |name: String, sending: &Sending, own: Option<&Figures>| {
        let one = |samples: &Samples| format!("{:.1}", samples.median());
        let of_server = own.map_or([String::new(), String::new()], |own| {
            [
                one(&own.cpu_us),
                format!("{:.0}", own.peak_megabytes.median()),
            ]
        });
        let cells = [
            name,
            format!("{:.0}", sending.events_each_second.median()),
            sending.events_each_second.spread(),
            one(&sending.p50_ms),
            one(&sending.p99_ms),
            one(&sending.most_ms),
            format!("{:.0}", sending.refused.median()),
        ];
        cells.into_iter().chain(of_server).collect::<Vec<_>>()
    };
    let mut cells = Vec::new();
    for (row, figures) in rows.iter().zip(figures.chunks(versions.len())) {
        for (version, figures) in versions.iter().zip(figures) {
            let name = format!("{}{version}", row.name);
            cells.push(cell(name.clone(), &figures.new, Some(figures)));
            if row.has_again {
                cells.push(cell(
                    format!("{name}, old events again"),
                    &figures.again,
                    None,
                ));
            }
        }
    }
    let head = [
        "row",
        "events/s",
        "least to greatest",
        "p50, ms",
        "p99, ms",
        "slowest, ms",
        "answers 429",
        "processor time of the server, µs an event",
        "peak memory of the server, MB",
    ];
    report.table("A server under load", &head, &cells);
}
