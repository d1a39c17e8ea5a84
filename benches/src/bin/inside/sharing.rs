//! One thread applies while others resolve.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Error, Result};
use idmerge_benches::inputs::ids::Spelling;
use idmerge_benches::inputs::links::Plan;
use idmerge_benches::programs::{numbers, run_this};
use idmerge_benches::report::{Report, grouped};
use idmerge_benches::rows::sharing::{SHARED_ROWS, one_writer};

/// The numbers of threads that resolve while one applies.
const READERS: [usize; 2] = [1, 4];

/// The number of lookups of a pass of a reader.
const LOOKUPS: u64 = 100_000;

/// A type, its readers, and the linked devices at first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Its place in `SHARED_ROWS`.
    row: usize,
    readers: usize,
    devices: u64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.row, self.readers, self.devices)
    }
}

impl FromStr for Run {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let [row, readers, devices] = numbers::<u64>(text)?[..] else {
            anyhow::bail!("three numbers");
        };
        Ok(Self {
            row: usize::try_from(row)?,
            readers: usize::try_from(readers)?,
            devices,
        })
    }
}

impl Run {
    /// Measures and prints the figures.
    pub(crate) fn measure(self) -> Result<()> {
        const USERS_PER_BLOCK: u64 = 10_000;
        let (name, make) = SHARED_ROWS.get(self.row).context("no such row")?;
        let devices = self.devices;
        let plan = Plan::in_blocks(2 * devices, Spelling::Uuid, USERS_PER_BLOCK);
        let (first, rest) = (plan.links(0..devices), plan.links(devices..2 * devices));
        let ids = plan.up_to(devices).lookups(LOOKUPS, 0, 1);
        let figures = one_writer(&*make(), self.readers, &first, &rest, &ids)
            .map_err(|why| anyhow::anyhow!("{name} gives other answers with a writer: {why}"))?;
        println!(
            "{} {} {} {} {} {}",
            figures.apply_alone,
            figures.apply_concurrent,
            figures.resolve_alone,
            figures.resolve_concurrent,
            figures.resolve_slow,
            figures.resolve_slowest,
        );
        Ok(())
    }
}

/// Measures each type with each number of readers, each in a process of its own.
pub(crate) fn measure(devices: u64, report: &mut Report) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut rows = Vec::new();
    for readers in READERS {
        for (row, (name, _)) in SHARED_ROWS.iter().enumerate() {
            eprintln!("one writer, {readers} readers: {name}");
            let run = Run {
                row,
                readers,
                devices,
            };
            let text = run_this(&["--sharing".as_ref(), run.to_string().as_ref()])?;
            let cells = numbers::<f64>(text.trim())?;
            let names = [(*name).to_owned(), readers.to_string()];
            rows.push(
                names
                    .into_iter()
                    .chain(cells.iter().map(|figure| format!("{figure:.0}")))
                    .collect(),
            );
            let [apply_alone, apply, resolve_alone, resolve, ..] = cells[..] else {
                anyhow::bail!("six figures");
            };
            if row > 0 {
                continue;
            }
            for (what, wanted, ratio) in [
                ("claims", 1.5, apply / apply_alone),
                ("reads", 1.2, resolve / resolve_alone),
            ] {
                let target = format!("{name}, one writer, readers: {readers}: {what}, times alone");
                if readers < cores {
                    report.at_most(&target, wanted, ratio, " ×");
                } else {
                    // The ratio has the time that a thread waits for a core.
                    report.stated(&target, ratio, " ×");
                }
            }
        }
    }
    let heading = format!(
        "One writer and some readers, {} linked devices at first, ns",
        grouped(devices)
    );
    let head = [
        "row",
        "readers",
        "apply alone",
        "apply with readers",
        "resolve alone",
        "resolve with a writer",
        "99.99th percentile",
        "slowest",
    ];
    report.table(&heading, &head, &rows);
    Ok(())
}
