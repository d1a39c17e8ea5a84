//! Compares whole programs: `idmerge resolve`, its peers, and the limit of the machine.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    reason = "a benchmark starts other programs and prints its results"
)]

mod answers;
mod formats;
mod peers;
mod rows;
mod run;
mod targets;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Parser;
use idmerge_benches::measure::Samples;
use idmerge_benches::programs;
use idmerge_benches::report::{Report, grouped};

use crate::answers::{
    ensure_as_long, ensure_equal, ensure_equal_in_any_order, ensure_same, ensure_same_funnel,
};
use crate::peers::Python;
use crate::rows::{IDMERGE, Maker, RECORDS};
use crate::run::{Compare, Contender, least_peak_bytes, measure};
use crate::targets::Measured;

/// Compares `idmerge resolve` with a program at the limit of the machine, and with `DuckDB`, `ClickHouse`, Polars, a
/// Python loop and `cat`
#[derive(Debug, Parser)]
struct Args {
    /// A small run, for a test of the program
    #[arg(long)]
    quick: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let (events, rounds) = if args.quick {
        (100_000, 2)
    } else {
        (1_000_000, 5)
    };
    let idmerge = programs::beside("idmerge", "idmerge")?;
    let limit = programs::beside("limit", "idmerge-benches")?;
    let folder = programs::folder()?.join("bench-outside");
    fs::create_dir_all(&folder)?;

    let mut report = Report::default();
    let python = Python::install(&folder);
    let mut maker = Maker {
        idmerge,
        limit,
        folder: &folder,
        events,
        python,
        report: &mut report,
    };
    let contenders = maker.rows()?;
    check(&contenders, &folder)?;

    let mut figures = Vec::new();
    figures.resize_with(contenders.len(), run::Figures::default);
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for (contender, figures) in contenders.iter().zip(&mut figures) {
            measure(contender, &folder, figures)?;
        }
    }
    let measured = Measured {
        contenders: &contenders,
        figures: &figures,
    };
    measured.targets(&mut report);
    table(events, rounds, &measured, &mut report)?;
    print!("{report}");
    Ok(())
}

/// Runs each program once and compares the answers. This also brings all files into memory.
fn check(contenders: &[Contender], folder: &Path) -> Result<()> {
    let [ours, theirs] = ["ours.ndjson", "theirs.ndjson"].map(|name| folder.join(name));
    let mut reference = "";
    for contender in contenders {
        eprintln!("check {}", contender.name);
        let is_reference = matches!(contender.compare, Compare::Reference);
        run::run(contender, if is_reference { &ours } else { &theirs })?;
        match &contender.compare {
            Compare::Reference => {
                reference = contender.name;
                Ok(())
            }
            Compare::InOrder => ensure_equal(&ours, &theirs),
            Compare::InAnyOrder => ensure_equal_in_any_order(&ours, &theirs),
            Compare::SameBytes => ensure_same(&ours, &theirs),
            Compare::CopyOf(input) => ensure_same(input, &theirs),
            Compare::AsLong => ensure_as_long(&ours, &theirs),
            Compare::SameFunnel => ensure_same_funnel(&ours, &theirs),
        }
        .with_context(|| format!("{} does not do the same as {reference}", contender.name))?;
    }
    Ok(())
}

fn table(events: u64, rounds: u32, measured: &Measured<'_>, report: &mut Report) -> Result<()> {
    let ours = measured.wall(IDMERGE);
    let row = |(contender, figures): (&Contender, &run::Figures)| {
        let seconds = |samples: &Samples| format!("{:.2}", samples.median());
        vec![
            contender.name.to_owned(),
            seconds(&figures.wall_seconds),
            figures.wall_seconds.spread(),
            seconds(&figures.cpu_seconds),
            format!("{:.0}", figures.peak_megabytes.median()),
            format!("{:.2}", figures.wall_seconds.median() / ours),
        ]
    };
    report.text(format_args!(
        "{} events per file, in memory; the median of {rounds} interleaved rounds. The disk is \
         idle when a program starts. Answers are equal, event by event, and in the same order \
         except for ClickHouse and the first DuckDB. The rows of other products have {} events (CSV: {}), and \
         their answers are equal, byte by byte, and so are the figures of the two funnels. No peak can be less \
         than {:.0} MB, that of this benchmark. Versions: {}.",
        grouped(events),
        grouped(RECORDS.min(events)),
        grouped(events),
        least_peak_bytes()? as f64 / 1e6,
        peers::versions(),
    ));
    let head = [
        "program",
        "wall, s",
        "least to greatest",
        "user + system, s",
        "peak memory, MB",
        "wall, times idmerge",
    ];
    let rows: Vec<_> = measured
        .contenders
        .iter()
        .zip(measured.figures)
        .map(row)
        .collect();
    report.table("Whole programs", &head, &rows);
    Ok(())
}
