//! Compares whole programs: `idmerge resolve`, its peers, and a copy of the file.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark starts other programs and prints its results"
)]

mod answers;
mod formats;
mod peers;
mod run;

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use flate2::write::GzEncoder;
use idmerge_adapters::Format;
use idmerge_benches::measure::Samples;
use idmerge_benches::report::{Report, grouped};

use crate::answers::{ensure_equal, ensure_equal_in_any_order, ensure_same_funnel};
use crate::formats::{COLUMNS, FORMATS, Files, ensure_same};
use crate::peers::Python;
use crate::run::{Compare, Contender, measure, with_output};

/// Compares `idmerge resolve` with `DuckDB`, Polars, a Python loop and `cat`
#[derive(Debug, Parser)]
struct Args {
    /// A small run, for a test of the program
    #[arg(long)]
    quick: bool,
}

const IDMERGE: &str = "idmerge resolve";
const DUCKDB: &str = "DuckDB, 2 threads";
const DUCKDB_IN_ORDER: &str = "DuckDB, 2 threads, events kept in order";
const POLARS: &str = "Polars, streaming";
const LOOP: &str = "a Python loop";
const CAT: &str = "cat IN > OUT";
const GZIP: &str = "idmerge resolve, gzip in";
const ZSTD: &str = "idmerge resolve, zstd in";
const FUNNEL: &str = "idmerge funnel";
const DUCKDB_FUNNEL: &str = "the same funnel in DuckDB, 2 threads";
const IDENTIFY_SIMPLIFIED: &str = "idmerge resolve, identify";
const IDENTIFY_ORIGINAL: &str = "idmerge resolve --engine original, identify";

fn main() -> Result<()> {
    let args = Args::parse();
    let (events, rounds) = if args.quick {
        (100_000, 2)
    } else {
        (1_000_000, 5)
    };
    let program = env::current_exe()?;
    let programs = program.parent().context("a program is in a folder")?;
    let idmerge = programs.join("idmerge");
    ensure!(
        idmerge.is_file(),
        "{} is missing: build it with `cargo build --release -p idmerge`",
        idmerge.display()
    );
    let folder = programs.join("bench-outside");
    fs::create_dir_all(&folder)?;

    let web = generate(&idmerge, "web-login", events, &folder)?;
    let identify = generate(&idmerge, "identify", events, &folder)?;
    let (gzip, zstd) = (
        folder.join("web-login.ndjson.gz"),
        folder.join("web-login.ndjson.zst"),
    );
    let mut encoder = GzEncoder::new(File::create(&gzip)?, flate2::Compression::default());
    io::copy(&mut File::open(&web)?, &mut encoder)?;
    encoder.finish()?;
    zstd::stream::copy_encode(File::open(&web)?, File::create(&zstd)?, 0)?;

    let mut report = Report::default();
    let python = Python::install(&folder);
    let mut contenders = contenders(
        &idmerge,
        [&web, &gzip, &zstd, &identify],
        &python,
        &mut report,
    );
    check(&contenders, &folder)?;
    contenders.extend(funnels(&idmerge, &web, &python, &folder, &mut report)?);
    // With fewer, the start of the program would be a part of the figure.
    let records = 100_000;
    for format in FORMATS {
        contenders.extend(of_format(format, &idmerge, &web, records, &folder)?);
    }

    let mut figures = Vec::new();
    figures.resize_with(contenders.len(), run::Figures::default);
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for (contender, figures) in contenders.iter().zip(&mut figures) {
            measure(contender, &folder, figures)?;
        }
    }
    tables(events, rounds, &contenders, &figures, &mut report);
    print!("{report}");
    Ok(())
}

/// Generates a file of events, the same in every run.
fn generate(idmerge: &Path, workload: &str, events: u64, folder: &Path) -> Result<PathBuf> {
    let file = folder.join(format!("{workload}.ndjson"));
    let status = Command::new(idmerge)
        .args(["generate", "--workload", workload, "--seed", "1", "--quiet"])
        .args(["--events", &events.to_string(), "--output"])
        .arg(&file)
        .status()?;
    ensure!(status.success(), "idmerge generate failed");
    Ok(file)
}

fn contenders(
    idmerge: &Path,
    [web, gzip, zstd, identify]: [&PathBuf; 4],
    python: &Python,
    report: &mut Report,
) -> Vec<Contender> {
    let resolve = |name, input: &Path, engine| Contender {
        compare: if input == identify {
            Compare::Other
        } else {
            Compare::InOrder
        },
        ..resolve(idmerge, name, input, engine, &[])
    };
    let mut contenders = vec![resolve(IDMERGE, web, "simplified")];
    let in_order: &[&str] = &["--in-order"];
    for (name, compare, script, options) in [
        (DUCKDB, Compare::InAnyOrder, "duckdb_resolve.py", &[][..]),
        (
            DUCKDB_IN_ORDER,
            Compare::InOrder,
            "duckdb_resolve.py",
            in_order,
        ),
        (POLARS, Compare::InOrder, "polars_resolve.py", &[]),
        (LOOP, Compare::InOrder, "loop_resolve.py", &[]),
    ] {
        match python.script(script, web, options, name != LOOP) {
            Ok(command) => contenders.push(Contender {
                name,
                compare,
                command,
            }),
            Err(why) => {
                eprintln!("{name} IS LEFT OUT: {why}");
                report.unknown(name, &why);
            }
        }
    }
    let source = web.clone();
    contenders.push(Contender {
        name: CAT,
        compare: Compare::Other,
        command: Box::new(move |output| with_output(Command::new("cat").arg(&source), output)),
    });
    contenders.push(resolve(GZIP, gzip, "simplified"));
    contenders.push(resolve(ZSTD, zstd, "simplified"));
    contenders.push(resolve(IDENTIFY_SIMPLIFIED, identify, "simplified"));
    contenders.push(resolve(IDENTIFY_ORIGINAL, identify, "original"));
    contenders
}

/// A run of `idmerge resolve` whose answers are compared elsewhere.
fn resolve(
    idmerge: &Path,
    name: &'static str,
    input: &Path,
    engine: &'static str,
    options: &[&'static str],
) -> Contender {
    let (idmerge, input, options) = (idmerge.to_owned(), input.to_owned(), options.to_owned());
    let command = move |output: &Path| {
        let mut command = Command::new(&idmerge);
        command.args(["resolve", "--engine", engine, "--quiet"]);
        command
            .args(&options)
            .arg(&input)
            .arg("--output")
            .arg(output);
        Ok(command)
    };
    Contender {
        name,
        compare: Compare::Other,
        command: Box::new(command),
    }
}

/// The two rows of a product, whose answers are equal.
fn of_format(
    (format, of_records, of_events): (Format, &'static str, &'static str),
    idmerge: &Path,
    web: &Path,
    records: usize,
    folder: &Path,
) -> Result<[Contender; 2]> {
    let files = Files::write(format, web, records, folder)?;
    let mut from = vec!["--from", format.name()];
    if format == Format::Csv {
        from.extend(["--map", COLUMNS]);
    }
    let pair = [
        resolve(idmerge, of_records, &files.records, "simplified", &from),
        resolve(idmerge, of_events, &files.events, "simplified", &[]),
    ];
    let outputs = ["ours.ndjson", "theirs.ndjson"].map(|name| folder.join(name));
    for (contender, output) in pair.iter().zip(&outputs) {
        eprintln!("check {}", contender.name);
        run::run(contender, output)?;
    }
    ensure_same(&outputs[0], &outputs[1])
        .with_context(|| format!("{of_records} and {of_events} differ"))?;
    Ok(pair)
}

/// A funnel, and the same in SQL, whose figures are equal.
fn funnels(
    idmerge: &Path,
    web: &Path,
    python: &Python,
    folder: &Path,
    report: &mut Report,
) -> Result<Vec<Contender>> {
    let (idmerge, input) = (idmerge.to_owned(), web.to_owned());
    let ours = move |output: &Path| {
        let mut command = Command::new(&idmerge);
        command.arg("funnel").arg(&input);
        command.args([
            "--engine",
            "simplified",
            "--quiet",
            "--json",
            "--grace",
            "0",
        ]);
        command.arg("--output").arg(output);
        command.args(["--steps", "Page View", "Add to Cart", "Checkout"]);
        Ok(command)
    };
    let mut pair = vec![Contender {
        name: FUNNEL,
        compare: Compare::Other,
        command: Box::new(ours),
    }];
    match python.script("duckdb_funnel.py", web, &[], true) {
        Ok(command) => pair.push(Contender {
            name: DUCKDB_FUNNEL,
            compare: Compare::Other,
            command,
        }),
        Err(why) => {
            eprintln!("{DUCKDB_FUNNEL} IS LEFT OUT: {why}");
            report.unknown(DUCKDB_FUNNEL, &why);
        }
    }
    let outputs = ["ours.json", "theirs.json"].map(|name| folder.join(name));
    for (contender, output) in pair.iter().zip(&outputs) {
        eprintln!("check {}", contender.name);
        run::run(contender, output)?;
    }
    if pair.len() == outputs.len() {
        ensure_same_funnel(&outputs[0], &outputs[1])
            .with_context(|| format!("{FUNNEL} and {DUCKDB_FUNNEL} differ"))?;
    }
    Ok(pair)
}

/// Runs each program once and compares the answers. This also brings all files into memory.
fn check(contenders: &[Contender], folder: &Path) -> Result<()> {
    let ours = folder.join("ours.ndjson");
    for contender in contenders {
        eprintln!("check {}", contender.name);
        let output = if contender.name == IDMERGE {
            ours.clone()
        } else {
            folder.join("theirs.ndjson")
        };
        run::run(contender, &output)?;
        match contender.compare {
            Compare::InOrder => ensure_equal(&ours, &output),
            Compare::InAnyOrder => ensure_equal_in_any_order(&ours, &output),
            Compare::Other => Ok(()),
        }
        .with_context(|| format!("{IDMERGE} and {} differ", contender.name))?;
    }
    Ok(())
}

fn tables(
    events: u64,
    rounds: u32,
    contenders: &[Contender],
    figures: &[run::Figures],
    report: &mut Report,
) {
    let ours = targets(contenders, figures, report);
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
         except for the first DuckDB. The rows of other products have 100 000 events, and their answers \
         are equal, byte by byte, and so are the figures of the two funnels. Versions: {}.",
        grouped(events),
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
    let rows: Vec<_> = contenders.iter().zip(figures).map(row).collect();
    report.table("Whole programs", &head, &rows);
}

/// Reports the targets, and returns the median of our wall time.
fn targets(contenders: &[Contender], figures: &[run::Figures], report: &mut Report) -> f64 {
    let of = |name: &str| {
        let at = contenders
            .iter()
            .position(|contender| contender.name == name)?;
        figures.get(at)
    };
    let wall = |name: &str| of(name).map_or(f64::NAN, |figures| figures.wall_seconds.median());
    let ours = wall(IDMERGE);
    if of(DUCKDB).is_some() {
        report.at_least("web-login: times DuckDB", 3.0, wall(DUCKDB) / ours, " ×");
    }
    report.at_most(
        "web-login: times the time of cat",
        1.5,
        ours / wall(CAT),
        " ×",
    );
    if of(DUCKDB_FUNNEL).is_some() {
        let ratio = wall(DUCKDB_FUNNEL) / wall(FUNNEL);
        report.at_least("web-login: funnel, times DuckDB", 1.0, ratio, " ×");
    }
    let peak = of(IDMERGE).map_or(f64::NAN, |figures| figures.peak_megabytes.median());
    report.at_most("web-login: peak memory", 150.0, peak, " MB");
    let ratio = wall(IDENTIFY_ORIGINAL) / wall(IDENTIFY_SIMPLIFIED);
    report.at_most("identify: original, times its simplified", 1.3, ratio, " ×");
    report.at_most("gzip: times plain input", 2.0, wall(GZIP) / ours, " ×");
    report.at_most("zstd: times plain input", 2.0, wall(ZSTD) / ours, " ×");
    for (format, of_records, of_events) in FORMATS {
        let ratio = wall(of_records) / wall(of_events);
        let row = format!("--from {format}: times the same events, adapted beforehand");
        report.at_most(&row, 1.6, ratio, " ×");
    }
    ours
}
