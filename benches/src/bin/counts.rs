//! The gate: compares instructions, allocations and bytes with `counts.toml`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark prints its results, and runs itself under callgrind"
)]

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use idmerge_benches::counts::{
    Counts, Kind, OPERATIONS, RUN, allocations, bytes, counted_operation, file_text, kept,
    regressions,
};
use idmerge_benches::report::Report;

/// Compares instructions, allocations and bytes with counts.toml; more is a failure
#[derive(Debug, Parser)]
struct Args {
    /// Write the counts to counts.toml
    #[arg(long)]
    update: bool,
    /// Ignored: counts are quick
    #[arg(long)]
    quick: bool,
    /// Run one operation
    #[arg(long, hide = true)]
    operation: Option<usize>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if let Some(operation) = args.operation {
        let (_, prepare) = OPERATIONS.get(operation).context("no such operation")?;
        counted_operation(&mut *prepare());
        return Ok(ExitCode::SUCCESS);
    }

    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("counts.toml");
    let text = fs::read_to_string(&file).unwrap_or_default();
    let mut report = Report::default();
    let mut tables = count(&mut report)?;
    let complaints = compare(&args, &text, &tables, &mut report)?;
    let regressed = if args.update { 0 } else { complaints.len() };
    report.at_most("counts that regressed", 0.0, regressed as f64, "");
    print!("{report}");
    if args.update {
        if !tables.iter().any(|(kind, _)| *kind == Kind::Instructions) {
            let before = kept(&text, Kind::Instructions).unwrap_or_default();
            tables.insert(0, (Kind::Instructions, before));
        }
        fs::write(&file, file_text(&tables)).context("cannot write counts.toml")?;
        return Ok(ExitCode::SUCCESS);
    }
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    Ok(if complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Counts everything; instructions only if valgrind is installed.
fn count(report: &mut Report) -> Result<Vec<(Kind, Counts)>> {
    let measure = |run: &mut dyn FnMut()| {
        let info = allocation_counter::measure(run);
        (info.count_total, info.bytes_current)
    };
    let mut tables = vec![
        (Kind::Allocations, allocations(measure)),
        (Kind::Bytes, bytes(measure)),
    ];
    if has_callgrind() {
        tables.insert(0, (Kind::Instructions, instructions()?));
    } else {
        eprintln!("valgrind is missing: INSTRUCTIONS ARE NOT COUNTED. Install it to count them");
        report.unknown("instructions", "valgrind is missing");
    }
    Ok(tables)
}

/// Adds a table for each kind to the report, and returns one complaint for each regression.
fn compare(
    args: &Args,
    text: &str,
    tables: &[(Kind, Counts)],
    report: &mut Report,
) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for (kind, counts) in tables {
        // A kind that is counted for the first time has nothing to be compared with.
        let kept = if args.update {
            kept(text, *kind).unwrap_or_default()
        } else {
            kept(text, *kind).map_err(anyhow::Error::msg)?
        };
        complaints.extend(regressions(*kind, &kept, counts));
        let row = |(name, count): (&String, &f64)| {
            let before = kept.get(name).map(|kept| format!("{kept:.1}"));
            vec![
                name.clone(),
                before.unwrap_or_default(),
                format!("{count:.1}"),
            ]
        };
        let heading = format!("{} {}", kind.name(), kind.description());
        let rows: Vec<_> = counts.iter().map(row).collect();
        report.table(&heading, &["count", "before", "now"], &rows);
    }
    Ok(complaints)
}

fn has_callgrind() -> bool {
    let output = Command::new("valgrind").arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

/// The instructions of each operation, each counted in a separate process.
fn instructions() -> Result<Counts> {
    let mut counts = Counts::new();
    for (number, (name, _)) in OPERATIONS.iter().enumerate() {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            // Counts only the operation, and not its preparation.
            .arg("--toggle-collect=*counted_operation*")
            .arg(env::current_exe()?)
            .args(["--operation", &number.to_string()])
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{name} failed under valgrind:\n{said}"
        );
        let collected = said.lines().find_map(|line| {
            line.split_once("Collected : ")?
                .1
                .trim()
                .parse::<u64>()
                .ok()
        });
        let collected = collected.with_context(|| format!("callgrind counted nothing:\n{said}"))?;
        ensure!(collected > RUN, "callgrind did not see {name}:\n{said}");
        counts.insert((*name).to_owned(), collected as f64 / RUN as f64);
    }
    Ok(counts)
}
