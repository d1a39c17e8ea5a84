//! Bytes an id, by a counting allocator, at every point of the growth of the tables.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program that measures says what it found, and has a process for each subject"
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

// The system's allocator, with every byte counted. Unlike other counting allocators it hands
// `realloc` on, so that a vector grows as it does in any program.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes an id: all tables included, at the best, the middle and the worst point of their growth
#[derive(Debug, Parser)]
struct Args {
    /// A small run, to see that it works
    #[arg(long)]
    quick: bool,
    /// Measure one subject, and print its figures
    #[arg(long, hide = true)]
    subject: Option<usize>,
}

/// What is measured in a process of its own.
struct Subject {
    row: &'static str,
    spelling: Spelling,
    /// What its bytes are divided by.
    unit: Unit,
    /// At most so many at the middle point, and at the worst.
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
        wanted: Some((48.0, 64.0)),
    },
    Subject {
        row: ORIGINAL,
        spelling: Spelling::Uuid,
        unit: Unit::Member,
        wanted: Some((56.0, 72.0)),
    },
    Subject {
        row: SIMPLIFIED,
        spelling: Spelling::Sdk,
        unit: Unit::LinkedDevice,
        // One figure is asked for, so no point of the growth is let off.
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

/// How many users come in between two looks: 16,384 devices.
const USERS_PER_BLOCK: u64 = 4_096;

fn main() -> Result<()> {
    let args = Args::parse();
    // Two doublings, so that each table is seen from one growth to the next, whatever its size.
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
        "Four devices a user. Looked at {} times between {} and {} linked devices. Worst with its \
         peak: while a table grows, the old one is there beside the new. Bytes of ids that are no \
         UUID do not count their text.",
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
    report.table("Bytes, tables and all", &head, &rows);
    print!("{report}");
    Ok(())
}

impl Subject {
    fn name(&self) -> String {
        let unit = match self.unit {
            Unit::LinkedDevice => "a linked device",
            Unit::Member => "a member",
        };
        let spelling = match self.spelling {
            Spelling::Uuid => "UUIDs",
            Spelling::Sdk => "42-character ids, beyond the text",
        };
        format!("{} bytes {unit}, {spelling}", self.row)
    }

    /// What the bytes of a row that has linked so many devices come to.
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
        .map(|line| line.parse().context("no figure"))
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
    let resident_before = resident_bytes().context("the system does not say what is resident")?;
    for block in 0..blocks.end {
        let links = plan.links(block * block_devices..(block + 1) * block_devices);
        let (before, max_before) = (allocated(), i64::try_from(ALLOCATOR.max_allocated())?);
        row.apply(&links);
        let (after, max) = (allocated(), i64::try_from(ALLOCATOR.max_allocated())?);
        // What is not the row's: the links themselves.
        let others = before - row_bytes;
        row_bytes = after - others;
        if block + 1 < blocks.start {
            continue;
        }
        let devices = i64::try_from((block + 1) * block_devices)?;
        live.push(subject.figure(row_bytes, devices));
        // A peak that is below an earlier one is no worse, since there are more ids by now. It is
        // divided by the ids before the block, since it may have come at its start.
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
