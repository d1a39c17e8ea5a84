//! Compares engines with their peers, and with the memory of the machine.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark prints its results, and measures memory in a separate process"
)]

use std::env;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Parser;
use idmerge_benches::inputs::ids::Spelling;
use idmerge_benches::inputs::links::{Links, Plan, Texts};
use idmerge_benches::measure::{Asking, Samples, nanoseconds_each, resident_bytes, time_resolve};
use idmerge_benches::probe::{Pages, Probe};
use idmerge_benches::report::{Report, grouped};
use idmerge_benches::rows::sharing::{SHARED_ROWS, one_writer};
use idmerge_benches::rows::{Row, check};
use idmerge_benches::{EXPERT, MAP, ORIGINAL, PETGRAPH, ROWS, SIMPLIFIED};

/// Compares engines with their peers: apply, resolve, and the distance to the limit of the memory
#[derive(Debug, Parser)]
struct Args {
    /// A small run, for a test of the program
    #[arg(long)]
    quick: bool,
    /// Print only the bytes that the first engine takes with this many devices
    #[arg(long, hide = true)]
    bytes_of: Option<u64>,
}

/// The number of lookups in one round.
const LOOKUPS: u64 = 1_000_000;

/// The percentage of devices that were never linked, in the columns `missing`.
const PERCENT_MISSING: u64 = 30;

/// The numbers of threads that resolve while one applies.
const READERS: [usize; 2] = [1, 4];

/// The number of rounds of each measurement.
struct Rounds {
    apply: u64,
    resolve: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(devices) = args.bytes_of {
        println!("{}", bytes_of(devices));
        return Ok(());
    }
    let mut report = Report::default();
    report.text(format_args!(
        "UUID devices, four per user, in random order. Rows take texts and give texts. Rows are \
         interleaved; a figure is the median of its rounds, in nanoseconds per operation. Missing: \
         {PERCENT_MISSING} of 100 IDs were never linked."
    ));
    if args.quick {
        let rounds = Rounds {
            apply: 3,
            resolve: 3,
        };
        measure(400_000, &rounds, &mut report)?;
        sharing(400_000, &mut report)?;
    } else {
        let few = Rounds {
            apply: 3,
            resolve: 7,
        };
        let many = Rounds {
            apply: 5,
            resolve: 7,
        };
        measure(1_600_000, &many, &mut report)?;
        measure(10_000_000, &few, &mut report)?;
        sharing(1_600_000, &mut report)?;
    }
    print!("{report}");
    Ok(())
}

/// The measurements of one row.
#[derive(Default)]
struct Figures {
    apply: Samples,
    apply_batch: Samples,
    resolve: Samples,
    resolve_batch: Samples,
    missing: Samples,
    missing_batch: Samples,
}

fn measure(devices: u64, rounds: &Rounds, report: &mut Report) -> Result<()> {
    let plan = Plan::new(devices, Spelling::Uuid);
    let links = plan.links(0..devices);
    let mut figures: Vec<Figures> = ROWS.iter().map(|_| Figures::default()).collect();
    let mut rows = build(&links, rounds, &mut figures)?;
    drop(links);

    for round in 0..rounds.resolve {
        eprintln!("{} devices: resolve, round {}", grouped(devices), round + 1);
        let hits = plan.lookups(LOOKUPS, 0, 2 * round);
        let some_missing = plan.lookups(LOOKUPS, PERCENT_MISSING, 2 * round + 1);
        resolve(&mut rows, &hits, &mut figures, |figures| {
            (&mut figures.resolve, &mut figures.resolve_batch)
        })?;
        resolve(&mut rows, &some_missing, &mut figures, |figures| {
            (&mut figures.missing, &mut figures.missing_batch)
        })?;
    }
    drop(rows);
    tables(devices, &figures, report);
    limits(devices, bytes_in_own_process(devices)?, &figures, report)
}

/// The memory of the first engine, in a process that has freed nothing before.
fn bytes_in_own_process(devices: u64) -> Result<usize> {
    let mut command = Command::new(env::current_exe()?);
    let output = command
        .args(["--bytes-of", &devices.to_string()])
        .output()?;
    Ok(str::from_utf8(&output.stdout)?.trim().parse()?)
}

fn bytes_of(devices: u64) -> u64 {
    let links = Plan::new(devices, Spelling::Uuid).links(0..devices);
    let before = resident_bytes();
    let mut row = ROWS[0].1();
    row.apply(&links);
    let after = resident_bytes().zip(before);
    after.map_or(0, |(after, before)| after.saturating_sub(before))
}

/// Builds all rows round by round, keeps the last ones, and checks that they know every device.
fn build(links: &Links, rounds: &Rounds, figures: &mut [Figures]) -> Result<Vec<Box<dyn Row>>> {
    let devices = grouped(links.len() as u64);
    // Before the clock starts, every row must know the user of each device.
    let mut rows: Vec<Box<dyn Row>> = Vec::new();
    for (name, make) in ROWS {
        eprintln!("{devices} devices: check {name}");
        let mut row = make();
        row.apply(links);
        check(name, &mut *row, links).map_err(anyhow::Error::msg)?;
        rows.push(row);
    }
    for round in 0..rounds.apply {
        eprintln!("{devices} devices: apply, round {}", round + 1);
        for ((row, figures), (_, make)) in rows.iter_mut().zip(&mut *figures).zip(ROWS) {
            // Freed first, so that each row is built in the same memory.
            *row = make();
            figures
                .apply
                .push(nanoseconds_each(links.len(), || row.apply(links)));
            let mut batched = make();
            let mut has_batches = false;
            let nanoseconds = nanoseconds_each(links.len(), || {
                has_batches = batched.apply_batch(links);
            });
            if has_batches {
                figures.apply_batch.push(nanoseconds);
            }
        }
    }
    Ok(rows)
}

fn resolve(
    rows: &mut [Box<dyn Row>],
    ids: &Texts,
    figures: &mut [Figures],
    samples: impl Fn(&mut Figures) -> (&mut Samples, &mut Samples),
) -> Result<()> {
    let mut all_saw = None;
    for ((row, figures), (name, _)) in rows.iter_mut().zip(figures).zip(ROWS) {
        let (one_by_one, in_batches) = samples(figures);
        for (asking, samples) in [
            (Asking::OneByOne, one_by_one),
            (Asking::InBatches, in_batches),
        ] {
            let Some((nanoseconds, seen)) = time_resolve(&mut **row, ids, asking) else {
                continue;
            };
            if *all_saw.get_or_insert(seen) != seen {
                bail!("{name} gives other answers than the rows before it");
            }
            samples.push(nanoseconds);
        }
    }
    Ok(())
}

fn of<'f>(figures: &'f [Figures], name: &str) -> &'f Figures {
    let at = ROWS.iter().position(|(row, _)| *row == name);
    &figures[at.unwrap_or_default()]
}

fn tables(devices: u64, figures: &[Figures], report: &mut Report) {
    let cell = |samples: &Samples| {
        if samples.is_empty() {
            String::new()
        } else {
            format!("{:.1}", samples.median())
        }
    };
    type Pick = fn(&Figures) -> &Samples;
    let columns: [(&str, Pick); 6] = [
        ("apply", |figures| &figures.apply),
        ("apply_batch", |figures| &figures.apply_batch),
        ("resolve", |figures| &figures.resolve),
        ("resolve_batch", |figures| &figures.resolve_batch),
        ("resolve, missing", |figures| &figures.missing),
        ("resolve_batch, missing", |figures| &figures.missing_batch),
    ];
    let head: Vec<&str> = ["row"]
        .into_iter()
        .chain(columns.iter().map(|(name, _)| *name))
        .collect();
    let table = |cell: &dyn Fn(&Samples) -> String| -> Vec<Vec<String>> {
        let rows = ROWS.iter().zip(figures);
        rows.map(|((name, _), figures)| {
            let cells = columns.iter().map(|(_, pick)| cell(pick(figures)));
            [(*name).to_owned()].into_iter().chain(cells).collect()
        })
        .collect()
    };
    let heading = format!("{} linked devices, ns", grouped(devices));
    report.table(&heading, &head, &table(&cell));
    let heading = format!("{} linked devices, ns: least to greatest", grouped(devices));
    report.table(&heading, &head, &table(&Samples::spread));

    targets(devices, figures, report);
}

/// The targets: how many times faster than a peer, one by one and in batches.
fn targets(devices: u64, figures: &[Figures], report: &mut Report) {
    let size = grouped(devices);
    let [map, petgraph, expert] = [MAP, PETGRAPH, EXPERT].map(|peer| of(figures, peer));
    for (engine, resolve_wanted) in [(SIMPLIFIED, 1.0), (ORIGINAL, 0.7)] {
        let own = of(figures, engine);
        let [apply, apply_batch] = [("apply", &own.apply), ("apply_batch", &own.apply_batch)];
        let resolve = ("resolve", &own.resolve);
        let resolve_batch = ("resolve_batch", &own.resolve_batch);
        for ((what, samples), wanted, name, peer) in [
            (resolve_batch, 5.0, MAP, &map.resolve),
            (resolve, 2.0, MAP, &map.resolve),
            (apply, 3.0, PETGRAPH, &petgraph.apply),
            (apply_batch, 3.0, PETGRAPH, &petgraph.apply),
            (apply, 0.9, EXPERT, &expert.apply),
            (apply_batch, 1.2, EXPERT, &expert.apply),
            (resolve, resolve_wanted, EXPERT, &expert.resolve),
            (resolve_batch, 2.0, EXPERT, &expert.resolve),
        ] {
            let target = format!("{engine} {what}, {size}: times {name}");
            let ratio = peer.median() / samples.median();
            report.at_least(&target, wanted, ratio, " ×");
        }
    }
}

/// Compares resolving with random reads of memory.
fn limits(
    devices: u64,
    engine_bytes: usize,
    figures: &[Figures],
    report: &mut Report,
) -> Result<()> {
    let size = grouped(devices);
    let mut rows = Vec::new();
    for pages in Pages::ALL {
        eprintln!("{size} devices: reads of memory, {}", pages.name());
        let mut probe = Probe::new(engine_bytes, pages).context("no memory for the probe")?;
        let (mut independent, mut dependent) = (Samples::default(), Samples::default());
        for _ in 0..5 {
            independent.push(probe.independent_nanoseconds());
            dependent.push(probe.dependent_nanoseconds());
        }
        rows.push(vec![
            pages.name().to_owned(),
            format!("{:.1}", independent.median()),
            format!("{:.1}", dependent.median()),
        ]);
        for engine in [SIMPLIFIED, ORIGINAL] {
            let resolve_batch = of(figures, engine).resolve_batch.median();
            let target = format!(
                "{engine} resolve_batch, {size}: distance to independent reads, {}",
                pages.name()
            );
            report.stated(&target, resolve_batch / independent.median(), " reads");
        }
    }
    let heading = format!(
        "Random reads in {:.0} MB, the size of simplified at {size} devices, ns per read",
        engine_bytes as f64 / 1e6
    );
    report.table(&heading, &["pages", "independent", "dependent"], &rows);
    Ok(())
}

/// One thread applies while another resolves.
fn sharing(devices: u64, report: &mut Report) -> Result<()> {
    const USERS_PER_BLOCK: u64 = 10_000;
    let plan = Plan::in_blocks(2 * devices, Spelling::Uuid, USERS_PER_BLOCK);
    let (first, rest) = (plan.links(0..devices), plan.links(devices..2 * devices));
    let ids = plan.up_to(devices).lookups(LOOKUPS / 10, 0, 1);
    let mut rows = Vec::new();
    for readers in READERS {
        for (name, make) in SHARED_ROWS {
            eprintln!("one writer, {readers} readers: {name}");
            let figures = one_writer(&*make(), readers, &first, &rest, &ids).map_err(|why| {
                anyhow::anyhow!("{name} gives other answers with a writer: {why}")
            })?;
            let cells = [
                figures.apply_alone,
                figures.apply_concurrent,
                figures.resolve_alone,
                figures.resolve_concurrent,
                figures.resolve_slow,
                figures.resolve_slowest,
            ];
            let cells = cells.map(|figure| format!("{figure:.0}"));
            let names = [name.to_owned(), readers.to_string()];
            rows.push(names.into_iter().chain(cells).collect());
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
