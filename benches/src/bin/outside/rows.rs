//! The programs that are compared.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use idmerge_adapters::Format;
use idmerge_benches::report::Report;

use crate::formats::{COLUMNS, FORMATS, Files};
use crate::peers::Python;
use crate::run::{self, Compare, Contender, with_output};

pub(crate) const IDMERGE: &str = "idmerge resolve";
pub(crate) const DUCKDB: &str = "DuckDB, 2 threads";
const DUCKDB_IN_ORDER: &str = "DuckDB, 2 threads, events kept in order";
pub(crate) const CHDB: &str = "ClickHouse (chdb), 2 threads";
const POLARS: &str = "Polars, streaming";
const LOOP: &str = "a Python loop";
pub(crate) const LIMIT: &str = "the limit program";
pub(crate) const CAT: &str = "cat IN > OUT";
pub(crate) const GZIP: &str = "idmerge resolve, gzip in";
pub(crate) const GZIP_MEMBERS: &str = "idmerge resolve, gzip of 16 members in";
pub(crate) const DUCKDB_GZIP: &str = "DuckDB, 2 threads, gzip in";
pub(crate) const CHDB_GZIP: &str = "ClickHouse (chdb), 2 threads, gzip in";
pub(crate) const LIMIT_GZIP: &str = "the limit program, gzip in";
pub(crate) const ZSTD: &str = "idmerge resolve, zstd in";
pub(crate) const ORIGINAL: &str = "idmerge resolve --engine original";
pub(crate) const IDENTIFY: &str = "idmerge resolve, identify";
pub(crate) const IDENTIFY_ORIGINAL: &str = "idmerge resolve --engine original, identify";
pub(crate) const DUCKDB_IDENTIFY: &str = "DuckDB, 2 threads, identify";
pub(crate) const CHDB_IDENTIFY: &str = "ClickHouse (chdb), 2 threads, identify";
pub(crate) const LIMIT_IDENTIFY: &str = "the limit program, identify";
pub(crate) const CAT_IDENTIFY: &str = "cat IN > OUT, identify";
pub(crate) const CSV: &str = "idmerge resolve --from csv";
pub(crate) const DUCKDB_CSV: &str = "DuckDB, 2 threads, csv";
pub(crate) const CHDB_CSV: &str = "ClickHouse (chdb), 2 threads, csv";
pub(crate) const LIMIT_CSV: &str = "the limit program, csv";
pub(crate) const FUNNEL: &str = "idmerge funnel";
pub(crate) const DUCKDB_FUNNEL: &str = "the same funnel in DuckDB, 2 threads";

/// The records of each product but CSV. With fewer, the start of the program would be a part of the figure: the first
/// twenty thousand take twice the time.
pub(crate) const RECORDS: u64 = 300_000;

/// What the rows are made of.
pub(crate) struct Maker<'m> {
    pub(crate) idmerge: PathBuf,
    /// `src/bin/limit.rs`
    pub(crate) limit: PathBuf,
    /// The folder for files.
    pub(crate) folder: &'m Path,
    pub(crate) events: u64,
    pub(crate) python: Python,
    pub(crate) report: &'m mut Report,
}

impl Maker<'_> {
    /// All rows.
    pub(crate) fn rows(&mut self) -> Result<Vec<Contender>> {
        let mut rows = self.web_login()?;
        let web = self.folder.join("web-login.ndjson");
        rows.extend(self.identify()?);
        rows.extend(self.funnel(&web));
        for names in FORMATS {
            let format = names.format;
            let is_csv = format == Format::Csv;
            let records = match is_csv {
                true => self.events,
                false => RECORDS.min(self.events),
            };
            let files = Files::write(format, &web, usize::try_from(records)?, self.folder)?;
            let mut from = vec!["--from", format.name()];
            if is_csv {
                from.extend(["--map", COLUMNS]);
            }
            let reference = Compare::Reference;
            let ours = self.resolve(
                names.records,
                reference,
                &files.records,
                "simplified",
                &from,
            );
            let peers = match is_csv {
                true => self.csv(&files.records, &ours)?,
                false => Vec::new(),
            };
            rows.push(ours);
            for (name, args) in [(names.events, &[][..]), (names.deduplicated, &["--dedup"])] {
                let same = Compare::SameBytes;
                rows.push(self.resolve(name, same, &files.events, "simplified", args));
            }
            rows.extend(peers);
        }
        Ok(rows)
    }

    /// The programs that read the events of `web-login`, as they are and compressed.
    fn web_login(&mut self) -> Result<Vec<Contender>> {
        let web = self.generate("web-login")?;
        let [gzip, members, zstd] = ["ndjson.gz", "members.ndjson.gz", "ndjson.zst"]
            .map(|ending| web.with_extension(ending));
        compress(&web, &gzip, 1)?;
        compress(&web, &members, 16)?;
        zstd::stream::copy_encode(File::open(&web)?, File::create(&zstd)?, 0)?;

        let resolve =
            |name, compare, input: &Path, engine| self.resolve(name, compare, input, engine, &[]);
        let original = resolve(ORIGINAL, Compare::Reference, &web, "original");
        let ours = resolve(IDMERGE, Compare::Reference, &web, "simplified");
        let compressed = [(GZIP, &gzip), (GZIP_MEMBERS, &members), (ZSTD, &zstd)];
        let compressed =
            compressed.map(|(name, input)| resolve(name, Compare::SameBytes, input, "simplified"));
        let mut rows = vec![original, ours];
        rows.extend(compressed);
        rows.push(self.limit(LIMIT, &web, Compare::CopyOf(web.clone()), 0));
        rows.push(cat(CAT, &web));
        rows.push(self.limit(LIMIT_GZIP, &gzip, Compare::CopyOf(web.clone()), 0));
        rows.extend(self.peer(DUCKDB, Compare::InAnyOrder, "duckdb_resolve.py", &web, &[]));
        let in_order: &[&str] = &["--in-order"];
        let (name, script) = (DUCKDB_IN_ORDER, "duckdb_resolve.py");
        rows.extend(self.peer(name, Compare::InOrder, script, &web, in_order));
        rows.extend(self.peer(CHDB, Compare::InAnyOrder, "chdb_resolve.py", &web, &[]));
        rows.extend(self.peer(POLARS, Compare::InOrder, "polars_resolve.py", &web, &[]));
        rows.extend(self.peer(LOOP, Compare::InOrder, "loop_resolve.py", &web, &[]));
        rows.extend(self.databases(DUCKDB_GZIP, CHDB_GZIP, &gzip));
        Ok(rows)
    }

    /// The programs that read the events of `identify`.
    fn identify(&mut self) -> Result<Vec<Contender>> {
        let input = self.generate("identify")?;
        let resolve = |name, engine| self.resolve(name, Compare::Reference, &input, engine, &[]);
        let mut rows = vec![
            resolve(IDENTIFY_ORIGINAL, "original"),
            resolve(IDENTIFY, "simplified"),
            self.limit(LIMIT_IDENTIFY, &input, Compare::CopyOf(input.clone()), 0),
            cat(CAT_IDENTIFY, &input),
        ];
        rows.extend(self.databases(DUCKDB_IDENTIFY, CHDB_IDENTIFY, &input));
        Ok(rows)
    }

    /// The peers that read a table. Events are longer than its rows, so the limit program adds as many bytes.
    fn csv(&mut self, records: &Path, ours: &Contender) -> Result<Vec<Contender>> {
        let output = self.folder.join("ours.ndjson");
        run::run(ours, &output)?;
        let more = fs::metadata(&output)?
            .len()
            .saturating_sub(fs::metadata(records)?.len());
        let pad = more / self.events.max(1);
        let mut rows = vec![self.limit(LIMIT_CSV, records, Compare::AsLong, pad)];
        rows.extend(self.databases(DUCKDB_CSV, CHDB_CSV, records));
        Ok(rows)
    }

    /// A funnel, and the same in SQL.
    fn funnel(&mut self, web: &Path) -> Vec<Contender> {
        let (idmerge, input) = (self.idmerge.clone(), web.to_owned());
        let ours = move |output: &Path| {
            let mut command = Command::new(&idmerge);
            command
                .arg("funnel")
                .arg(&input)
                .args(["--engine", "simplified"]);
            command.args(["--quiet", "--json", "--grace", "0"]);
            command.arg("--output").arg(output);
            command.args(["--steps", "Page View", "Add to Cart", "Checkout"]);
            Ok(command)
        };
        let mut rows = vec![Contender {
            name: FUNNEL,
            compare: Compare::Reference,
            command: Box::new(ours),
        }];
        let (name, script) = (DUCKDB_FUNNEL, "duckdb_funnel.py");
        rows.extend(self.peer(name, Compare::SameFunnel, script, web, &[]));
        rows
    }

    /// Both databases.
    fn databases(
        &mut self,
        duckdb: &'static str,
        chdb: &'static str,
        input: &Path,
    ) -> impl Iterator<Item = Contender> + use<> {
        let duckdb = self.peer(duckdb, Compare::InAnyOrder, "duckdb_resolve.py", input, &[]);
        let chdb = self.peer(chdb, Compare::InAnyOrder, "chdb_resolve.py", input, &[]);
        duckdb.into_iter().chain(chdb)
    }

    /// A script of the folder `peers`. Says loudly if it cannot run.
    fn peer(
        &mut self,
        name: &'static str,
        compare: Compare,
        script: &str,
        input: &Path,
        options: &'static [&'static str],
    ) -> Option<Contender> {
        match self.python.script(script, input, options) {
            Ok(command) => Some(Contender {
                name,
                compare,
                command,
            }),
            Err(why) => {
                eprintln!("{name} IS LEFT OUT: {why}");
                self.report.unknown(name, &why);
                None
            }
        }
    }

    fn resolve(
        &self,
        name: &'static str,
        compare: Compare,
        input: &Path,
        engine: &'static str,
        options: &[&'static str],
    ) -> Contender {
        let idmerge = self.idmerge.clone();
        let (input, options) = (input.to_owned(), options.to_owned());
        let command = move |output: &Path| {
            let mut command = Command::new(&idmerge);
            command
                .args(["resolve", "--engine", engine, "--quiet"])
                .args(&options);
            command.arg(&input).arg("--output").arg(output);
            Ok(command)
        };
        Contender {
            name,
            compare,
            command: Box::new(command),
        }
    }

    /// The limit program, which adds `pad` bytes to each line.
    fn limit(&self, name: &'static str, input: &Path, compare: Compare, pad: u64) -> Contender {
        let (limit, input) = (self.limit.clone(), input.to_owned());
        let command = move |output: &Path| {
            let mut command = Command::new(&limit);
            command.arg(&input).arg("--output").arg(output);
            command.arg("--pad").arg(pad.to_string());
            Ok(command)
        };
        Contender {
            name,
            compare,
            command: Box::new(command),
        }
    }

    /// Generates a file of events, the same in every run.
    fn generate(&self, workload: &str) -> Result<PathBuf> {
        let file = self.folder.join(format!("{workload}.ndjson"));
        let status = Command::new(&self.idmerge)
            .args(["generate", "--workload", workload, "--seed", "1", "--quiet"])
            .args(["--events", &self.events.to_string(), "--output"])
            .arg(&file)
            .status()
            .context("cannot start idmerge")?;
        ensure!(status.success(), "idmerge generate failed");
        Ok(file)
    }
}

fn cat(name: &'static str, input: &Path) -> Contender {
    let source = input.to_owned();
    Contender {
        name,
        compare: Compare::CopyOf(input.to_owned()),
        command: Box::new(move |output| with_output(Command::new("cat").arg(&source), output)),
    }
}

/// Compresses a file with gzip, in members of equally many bytes.
fn compress(input: &Path, output: &Path, members: u64) -> Result<()> {
    let each = fs::metadata(input)?.len().div_ceil(members);
    let (mut input, mut output) = (BufReader::new(File::open(input)?), File::create(output)?);
    for _ in 0..members {
        let mut encoder = GzEncoder::new(&mut output, Compression::default());
        io::copy(&mut input.by_ref().take(each), &mut encoder)?;
        encoder.finish()?;
    }
    Ok(())
}
