//! Bytes per ID by a counting allocator, at every point of the growth of the tables.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark prints its results, and has a process for each subject"
)]

use std::alloc::System;
use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use cap::Cap;
use clap::Parser;
use idmerge_benches::inputs::ids::{Spelling, USER_TEXT_BYTES};
use idmerge_benches::inputs::links::{DEVICES_PER_USER, Plan};
use idmerge_benches::measure::resident_bytes;
use idmerge_benches::report::{Report, grouped};
use idmerge_benches::{MAP, ORIGINAL, ROWS, SIMPLIFIED};

// The allocator of the system, with every byte counted. Unlike other counting allocators it passes on
// `realloc`, so a vector grows as in any program.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes per ID, all tables included, at the best, median and worst point of their growth
#[derive(Debug, Parser)]
struct Args {
    /// A small run, for a test of the program
    #[arg(long)]
    quick: bool,
    /// Measure one subject, and print its figures
    #[arg(long, hide = true)]
    subject: Option<usize>,
}

/// A measurement that runs in a separate process.
struct Subject {
    row: &'static str,
    spelling: Spelling,
    /// The unit that its bytes are divided by.
    unit: Unit,
    /// The limits at the median and at the worst point. For UUIDs they are what was measured at commit 198c0ea2cc88,
    /// and 4 bytes more.
    wanted: Option<(f64, f64)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    LinkedDevice,
    /// A device or a user.
    Member,
}

const SUBJECTS: [Subject; 5] = [
    Subject {
        row: SIMPLIFIED,
        spelling: Spelling::Uuid,
        unit: Unit::LinkedDevice,
        wanted: Some((45.9, 48.1)),
    },
    Subject {
        row: ORIGINAL,
        spelling: Spelling::Uuid,
        unit: Unit::Member,
        wanted: Some((43.5, 45.8)),
    },
    Subject {
        row: SIMPLIFIED,
        spelling: Spelling::Sdk,
        unit: Unit::LinkedDevice,
        // The target is one figure, so it applies to every point of the growth.
        wanted: Some((40.0, 40.0)),
    },
    Subject {
        row: ORIGINAL,
        spelling: Spelling::Sdk,
        unit: Unit::Member,
        wanted: Some((40.0, 40.0)),
    },
    Subject {
        row: MAP,
        spelling: Spelling::Uuid,
        unit: Unit::LinkedDevice,
        wanted: None,
    },
];

/// The number of users between two measurements: 16,384 devices.
const USERS_PER_BLOCK: u64 = 4_096;

fn main() -> Result<()> {
    let args = Args::parse();
    // Two doublings, so that each table is measured from one growth to the next, whatever its size.
    let first_block = if args.quick { 8 } else { 64 };
    let blocks = first_block..4 * first_block + 1;
    if let Some(subject) = args.subject {
        let subject = SUBJECTS.get(subject).context("no such subject")?;
        for figure in figures(subject, blocks)? {
            println!("{figure}");
        }
        return Ok(());
    }
    let mut report = Report::default();
    let devices = |block: u64| grouped(block * USERS_PER_BLOCK * DEVICES_PER_USER);
    report.text(format_args!(
        "Four devices per user. Measured {} times between {} and {} linked devices. Worst with its \
         peak: while a table grows, both the old and the new one exist. For IDs that are not \
         UUIDs, the bytes do not include their text.",
        blocks.end - blocks.start,
        devices(blocks.start),
        devices(blocks.end - 1),
    ));
    let mut rows = Vec::new();
    for (number, subject) in SUBJECTS.iter().enumerate() {
        let name = subject.name();
        eprintln!("{name}");
        let [best, median, worst, peak, resident] = in_own_process(number, args.quick)?;
        if let Some((wanted, wanted_worst)) = subject.wanted {
            report.at_most(&format!("{name}: median"), wanted, median, " B");
            report.at_most(
                &format!("{name}: worst with its peak"),
                wanted_worst,
                peak,
                " B",
            );
        }
        let cells = [best, median, worst, peak, resident].map(|figure| format!("{figure:.1}"));
        rows.push([name].into_iter().chain(cells).collect());
    }
    let head = [
        "subject",
        "best",
        "median",
        "worst",
        "worst with its peak",
        "worst, resident (RSS)",
    ];
    report.table("Bytes, all tables included", &head, &rows);
    print!("{report}");
    Ok(())
}

impl Subject {
    fn name(&self) -> String {
        let unit = match self.unit {
            Unit::LinkedDevice => "per linked device",
            Unit::Member => "per member",
        };
        let spelling = match self.spelling {
            Spelling::Uuid => "UUIDs",
            Spelling::Sdk => "42-character IDs, beyond the text",
        };
        format!("{} bytes {unit}, {spelling}", self.row)
    }

    /// The bytes per unit of a row with this many linked devices.
    fn figure(&self, bytes: i64, devices: i64) -> f64 {
        let (devices_per_user, user_text) = (DEVICES_PER_USER as i64, USER_TEXT_BYTES as i64);
        let users = devices / devices_per_user;
        let texts = match self.spelling {
            Spelling::Uuid => 0,
            Spelling::Sdk => devices * self.spelling.text_bytes() as i64 + users * user_text,
        };
        let units = match self.unit {
            Unit::LinkedDevice => devices,
            Unit::Member => devices + users,
        };
        (bytes - texts) as f64 / units as f64
    }
}

/// The figures of one subject, from a process that has measured no other.
fn in_own_process(subject: usize, quick: bool) -> Result<[f64; 5]> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("--subject").arg(subject.to_string());
    if quick {
        command.arg("--quick");
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the process of a subject failed");
    let figures = str::from_utf8(&output.stdout)?
        .lines()
        .map(|line| line.parse().context("not a figure"))
        .collect::<Result<Vec<f64>>>()?;
    <[f64; 5]>::try_from(figures).ok().context("five figures")
}

/// Best, median and worst live bytes; worst at a peak; worst resident.
fn figures(subject: &Subject, blocks: std::ops::Range<u64>) -> Result<[f64; 5]> {
    let row = ROWS.iter().find(|(name, _)| *name == subject.row);
    let (_, make) = row.context("no such row")?;
    let block_devices = USERS_PER_BLOCK * DEVICES_PER_USER;
    let plan = Plan::in_blocks(
        blocks.end * block_devices,
        subject.spelling,
        USERS_PER_BLOCK,
    );

    let (mut live, mut peaks, mut resident) = (Vec::new(), Vec::new(), Vec::new());
    let mut row = make();
    let mut row_bytes = 0;
    let resident_before =
        resident_bytes().context("the system does not tell the resident memory")?;
    for block in 0..blocks.end {
        let links = plan.links(block * block_devices..(block + 1) * block_devices);
        let (before, max_before) = (allocated(), i64::try_from(ALLOCATOR.max_allocated())?);
        row.apply(&links);
        let (after, max) = (allocated(), i64::try_from(ALLOCATOR.max_allocated())?);
        // Bytes that do not belong to the row: the links themselves.
        let others = before - row_bytes;
        row_bytes = after - others;
        if block + 1 < blocks.start {
            continue;
        }
        let devices = i64::try_from((block + 1) * block_devices)?;
        live.push(subject.figure(row_bytes, devices));
        // A peak below an earlier one is not worse, because there are more IDs now. It is divided by
        // the IDs before the block, because it may have come at the start of the block.
        if max > max_before && block >= blocks.start {
            let devices = i64::try_from(block * block_devices)?;
            peaks.push(subject.figure(max - others, devices));
        }
        let resident_now = resident_bytes().unwrap_or_default();
        let grown = i64::try_from(resident_now.saturating_sub(resident_before))?;
        resident.push(subject.figure(grown, devices));
    }
    drop(row);

    live.sort_by(f64::total_cmp);
    let worst = |figures: &[f64]| figures.iter().copied().fold(f64::NAN, f64::max);
    let live_worst = worst(&live);
    Ok([
        live[0],
        live[live.len() / 2],
        live_worst,
        worst(&peaks).max(live_worst),
        worst(&resident),
    ])
}

fn allocated() -> i64 {
    i64::try_from(ALLOCATOR.allocated()).unwrap_or(i64::MAX)
}
