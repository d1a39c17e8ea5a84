//! Time and memory of one engine at three sizes, each ten times the one before.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its results, and has a process for each engine"
)]

use std::alloc::System;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use cap::Cap;
use clap::Parser;
use idmerge_benches::inputs::ids::Spelling;
use idmerge_benches::inputs::links::{DEVICES_PER_USER, Plan};
use idmerge_benches::measure::{Asking, Samples, resident_bytes, seconds, time_resolve};
use idmerge_benches::report::{Report, grouped};
use idmerge_benches::rows::Row;
use idmerge_benches::rows::engines::{EngineRow, LinkEngine};
use idmerge_benches::{ORIGINAL, SIMPLIFIED};
use idmerge_original::Original;
use idmerge_simplified::Simplified;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// 1 M, 10 M and 100 M IDs in one process: time, memory and snapshots at each
#[derive(Debug, Parser)]
struct Args {
    /// A small run, for a test of the program: up to 2.5 M IDs
    #[arg(long)]
    quick: bool,
    /// Stop at this many IDs
    #[arg(long, value_name = "N", default_value_t = 100_000_000)]
    max_ids: u64,
    /// Measure one engine, and print its figures
    #[arg(long, hide = true)]
    engine: Option<String>,
}

/// The number of users, devices and IDs between two readings of the clock. Only the texts of one block
/// are in memory.
const USERS_PER_BLOCK: u64 = 50_000;
const BLOCK_DEVICES: u64 = USERS_PER_BLOCK * DEVICES_PER_USER;
const BLOCK_IDS: u64 = USERS_PER_BLOCK + BLOCK_DEVICES;

/// The number of lookups in one round.
const LOOKUPS: u64 = 500_000;
const ROUNDS: u64 = 5;

/// The allowed ratio of bytes per ID at two sizes: a table may be full, or may just have grown.
const GROWTH_MAX: f64 = 1.34;

const COLUMNS: [&str; 9] = [
    "apply, ns",
    "resolve, ns",
    "resolve_batch, ns",
    "bytes per ID, allocator",
    "bytes per ID, RSS",
    "snapshot, bytes per ID",
    "snapshot, s",
    "load, s",
    "load, ns per ID",
];
const RESOLVE: usize = 1;
const BYTES: usize = 3;

fn main() -> Result<()> {
    let args = Args::parse();
    let first = if args.quick { 250_000 } else { 1_000_000 };
    let max_ids = if args.quick { 2_500_000 } else { args.max_ids };
    let mut sizes = vec![first];
    while sizes.last().is_some_and(|size| size * 10 <= max_ids) {
        sizes.extend(sizes.last().map(|size| size * 10));
    }
    match args.engine.as_deref() {
        Some(SIMPLIFIED) => return print_figures::<Simplified>(&sizes),
        Some(_) => return print_figures::<Original>(&sizes),
        None => {}
    }

    let mut report = Report::default();
    report.text(
        "IDs are devices (UUIDs) and users, four devices per user. The engine grows from one size \
         to the next in one process. Apply is the mean over that growth, resolve the median of \
         random lookups. Snapshots are written to a file and read back.",
    );
    for engine in [SIMPLIFIED, ORIGINAL] {
        let figures = in_own_process(engine, &args)?;
        tables(engine, &sizes, &figures, &mut report);
    }
    print!("{report}");
    Ok(())
}

fn tables(engine: &str, sizes: &[u64], figures: &[Vec<f64>], report: &mut Report) {
    let head: Vec<&str> = ["IDs"].into_iter().chain(COLUMNS).collect();
    let mut rows = Vec::new();
    for (at, (size, row)) in sizes.iter().zip(figures).enumerate() {
        if at > 0 {
            let ratio = |(new, old): (&f64, &f64)| format!("× {:.2}", new / old);
            let ratios = row.iter().zip(&figures[at - 1]).map(ratio);
            rows.push(["growth".to_owned()].into_iter().chain(ratios).collect());
        }
        let cells = row.iter().map(|figure| match *figure {
            little if little < 10.0 => format!("{little:.2}"),
            figure => format!("{figure:.1}"),
        });
        rows.push([grouped(*size)].into_iter().chain(cells).collect());
    }
    report.table(engine, &head, &rows);

    let (Some(first), Some(last)) = (figures.first(), figures.last()) else {
        return;
    };
    let (from, to) = (grouped(sizes[0]), grouped(sizes[figures.len() - 1]));
    let target = format!("{engine} resolve at {to} IDs: times that at {from}");
    report.at_most(&target, 2.0, last[RESOLVE] / first[RESOLVE], " ×");
    let target = format!("{engine} bytes per ID at {to}: times those at {from}");
    report.at_most(&target, GROWTH_MAX, last[BYTES] / first[BYTES], " ×");
}

/// A line of figures for each size, from a process that has measured no other engine.
fn in_own_process(engine: &str, args: &Args) -> Result<Vec<Vec<f64>>> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["--engine", engine, "--max-ids", &args.max_ids.to_string()]);
    if args.quick {
        command.arg("--quick");
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the process of {engine} failed");
    str::from_utf8(&output.stdout)?
        .lines()
        .map(|line| line.split(' ').map(|figure| Ok(figure.parse()?)).collect())
        .collect()
}

fn print_figures<E: LinkEngine>(sizes: &[u64]) -> Result<()> {
    let ids_max = sizes.iter().max().copied().unwrap_or_default();
    let plan = Plan::in_blocks(
        ids_max / BLOCK_IDS * BLOCK_DEVICES,
        Spelling::Uuid,
        USERS_PER_BLOCK,
    );
    let mut row = EngineRow::<E>::default();
    let (bytes_before, resident_before) = (ALLOCATOR.allocated(), resident_bytes());
    let mut block = 0;
    for &size in sizes {
        eprintln!("{}: {} IDs", row.engine.rule_book(), grouped(size));
        let (mut nanoseconds, start) = (0.0, block);
        while block * BLOCK_IDS < size {
            let links = plan.links(block * BLOCK_DEVICES..(block + 1) * BLOCK_DEVICES);
            nanoseconds += 1e9 * seconds(|| row.apply(&links));
            block += 1;
        }
        let devices = block * BLOCK_DEVICES;
        let apply = nanoseconds / ((block - start) * BLOCK_DEVICES) as f64;
        let bytes = (ALLOCATOR.allocated() - bytes_before) as f64;
        let resident = resident_bytes().zip(resident_before);
        let resident = resident.map_or(f64::NAN, |(now, before)| (now - before) as f64);

        let so_far = plan.up_to(devices);
        let [resolve, resolve_batch] = time_lookups(&mut row, &so_far);
        let [snapshot_bytes, write_seconds, load_seconds] = snapshot(&mut row, &so_far)?;
        let ids = size as f64;
        let figures = [
            apply,
            resolve,
            resolve_batch,
            bytes / ids,
            resident / ids,
            snapshot_bytes / ids,
            write_seconds,
            load_seconds,
            load_seconds * 1e9 / ids,
        ];
        println!("{}", figures.map(|figure| figure.to_string()).join(" "));
    }
    Ok(())
}

fn time_lookups(row: &mut dyn Row, plan: &Plan) -> [f64; 2] {
    let (mut one_by_one, mut in_batches) = (Samples::default(), Samples::default());
    for round in 0..ROUNDS {
        let ids = plan.lookups(LOOKUPS, 0, round);
        for (asking, samples) in [
            (Asking::OneByOne, &mut one_by_one),
            (Asking::InBatches, &mut in_batches),
        ] {
            if let Some((nanoseconds, _)) = time_resolve(row, &ids, asking) {
                samples.push(nanoseconds);
            }
        }
    }
    [one_by_one.median(), in_batches.median()]
}

/// Writes a snapshot to a file next to this program, loads it into another engine, and checks that both
/// engines give the same answers. Returns the bytes, and the seconds of writing and of loading.
fn snapshot<E: LinkEngine>(row: &mut EngineRow<E>, plan: &Plan) -> Result<[f64; 3]> {
    let program = env::current_exe()?;
    let folder = program.parent().context("a program is in a folder")?;
    let file = tempfile::NamedTempFile::new_in(folder)?;

    let mut written = Ok(());
    let write_seconds = seconds(|| {
        written = File::create(file.path()).and_then(|file| {
            let mut sink = BufWriter::with_capacity(1 << 20, file);
            row.engine.write_snapshot(&mut sink)?;
            sink.flush()
        });
    });
    written.context("writing the snapshot")?;
    let bytes = fs::metadata(file.path())?.len();

    let mut loaded = EngineRow::<E>::default();
    let mut source = BufReader::with_capacity(1 << 20, File::open(file.path())?);
    let mut read = Ok(());
    let load_seconds = seconds(|| read = loaded.engine.read_snapshot(&mut source));
    read.context("loading the snapshot")?;

    for link in plan
        .links(plan.devices - BLOCK_DEVICES..plan.devices)
        .iter()
    {
        let canonical = loaded.engine.resolve(E::distinct_id(link.device));
        ensure!(canonical == *link.user, "{} is {canonical}", link.device);
    }
    Ok([bytes as f64, write_seconds, load_seconds])
}
