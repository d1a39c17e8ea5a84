//! Compares a store with `SQLite`, and measures a large store.
//!
//! Each measurement that is compared with another runs in a process of its own, because what one has freed would
//! make the next one faster or slower.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its results, and has a process for each measurement"
)]

mod commits;
mod inputs;
mod large;
mod opening;
mod snapshots;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use idmerge_benches::report::Report;

/// Compares a store with `SQLite` at the same durability, and measures a large store
#[derive(Debug, Parser)]
struct Args {
    /// A small run, for a test of the program
    #[arg(long)]
    quick: bool,
    /// Only the large store
    #[arg(long)]
    large: bool,
    /// Measure one run of commits into an empty folder, and print its seconds
    #[arg(long, hide = true, requires = "folder")]
    commits: Option<commits::Run>,
    /// Open the store in the folder, which has claims of this many devices, and print the seconds
    #[arg(long, hide = true, requires = "folder")]
    opens: Option<u64>,
    #[arg(long, hide = true)]
    folder: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let folder = args.folder.unwrap_or_default();
    if let Some(run) = args.commits {
        println!("{}", run.seconds(&folder)?);
        return Ok(());
    }
    if let Some(devices) = args.opens {
        println!("{}", opening::seconds(&folder, devices)?);
        return Ok(());
    }
    let mut report = Report::default();
    report.text(
        "Each claim links a new device, with `$insert_id` (a UUID), time and source. \
         SQLite: one row per claim, a prepared statement, WAL, `synchronous=FULL`. Rows are \
         interleaved, each in a process of its own; a figure is the median of its rounds.",
    );
    let (scale, rounds) = if args.quick { (20, 1) } else { (1, 5) };
    if !args.large {
        commits::compare(scale, rounds, &mut report)?;
    }
    large::measure(10_000_000 / scale, rounds.min(3), &mut report)?;
    print!("{report}");
    Ok(())
}
