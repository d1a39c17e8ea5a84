//! Compares engines with their peers, and with the memory of the machine.
//!
//! Each row is measured in a process of its own: a row that has freed its memory would make the next one slower.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark prints its results, and has a process for each row"
)]

mod figures;
mod limits;
mod own_process;
mod sharing;

use anyhow::{Result, bail};
use clap::Parser;
use idmerge_benches::ROWS;
use idmerge_benches::measure::Asking;
use idmerge_benches::report::{Report, grouped};

use crate::figures::Figures;
use crate::own_process::{LOOKUPS_EACH, PERCENT_MISSING, Run};

/// Compares engines with their peers: apply, resolve, and the distance to the limit of the memory
#[derive(Debug, Parser)]
struct Args {
    /// A small run, for a test of the program
    #[arg(long)]
    quick: bool,
    /// Print only the bytes that the first engine takes with this many devices
    #[arg(long, hide = true)]
    bytes_of: Option<u64>,
    /// Measure one row, and print its figures
    #[arg(long, hide = true)]
    run: Option<Run>,
    /// Measure one writer and some readers of a type, and print their figures
    #[arg(long, hide = true)]
    sharing: Option<sharing::Run>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(devices) = args.bytes_of {
        println!("{}", limits::bytes_of(devices));
        return Ok(());
    }
    if let Some(run) = args.run {
        return run.measure();
    }
    if let Some(run) = args.sharing {
        return run.measure();
    }
    let mut report = Report::default();
    report.text(format_args!(
        "UUID devices, four per user, in random order. Rows take texts and give texts. Rows are \
         interleaved, each in a process of its own, one by one and in batches apart; a figure is the median of its \
         rounds, in nanoseconds per operation. Missing: {PERCENT_MISSING} of 100 IDs were never linked."
    ));
    if args.quick {
        measure(400_000, 2, &mut report)?;
        sharing::measure(400_000, &mut report)?;
    } else {
        measure(1_600_000, 5, &mut report)?;
        measure(10_000_000, 3, &mut report)?;
        sharing::measure(1_600_000, &mut report)?;
    }
    print!("{report}");
    Ok(())
}

fn measure(devices: u64, rounds: u64, report: &mut Report) -> Result<()> {
    let mut figures: Vec<Figures> = ROWS.iter().map(|_| Figures::default()).collect();
    for round in 0..rounds {
        eprintln!(
            "{} devices, round {} of {rounds}",
            grouped(devices),
            round + 1
        );
        // What each row has seen in the answers must be the same.
        let mut all_saw = [None; LOOKUPS_EACH];
        for (number, figures) in figures.iter_mut().enumerate() {
            for asking in [Asking::OneByOne, Asking::InBatches] {
                let run = Run {
                    row: number,
                    devices,
                    round,
                    asking,
                };
                let Some(measured) = run.in_own_process()? else {
                    continue;
                };
                for (saw, seen) in all_saw.iter_mut().zip(&measured.seen) {
                    if saw.get_or_insert(*seen) != seen {
                        let (name, _) = ROWS[number];
                        bail!("{name} gives other answers than the rows before it");
                    }
                }
                figures.push(asking, &measured);
            }
        }
    }
    figures::tables(devices, &figures, report);
    limits::compare(devices, &figures, report)
}
