//! Runs the benchmarks and keeps their results in `benches/RESULTS.md`.

mod results;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{anyhow, bail};
use clap::ValueEnum;
use xshell::cmd;

use crate::packages::metadata;
use crate::shell_at;

/// A part of the benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Engines compared with other libraries and with memory bandwidth: apply and resolve
    Inside,
    /// `idmerge resolve` compared with its limit, databases, a Python loop and cat; installs the wheels
    Outside,
    /// Bytes per ID, at every size at which a table grows
    Memory,
    /// Instructions, allocations and bytes, compared with benches/counts.toml
    Counts,
    /// 1 M, 10 M and 100 M IDs in one process; needs 16 GB of memory
    Scale,
    /// The store compared with `SQLite`, and a store of 10 M claims
    Store,
    /// A server under load: events and requests a second, and their latency
    Server,
    /// Criterion benchmarks of single calls; the results are not kept
    Criterion,
}

impl Part {
    /// The parts whose results are kept, in the order of the file.
    const KEPT: [Self; 7] = [
        Self::Inside,
        Self::Outside,
        Self::Memory,
        Self::Counts,
        Self::Scale,
        Self::Store,
        Self::Server,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Outside => "outside",
            Self::Memory => "memory",
            Self::Counts => "counts",
            Self::Scale => "scale",
            Self::Store => "store",
            Self::Server => "server",
            Self::Criterion => "criterion",
        }
    }
}

/// How the benchmarks are run.
#[derive(Debug, Default)]
pub struct Options {
    /// A small run whose results are not kept.
    pub quick: bool,
    /// Write the new counts to `benches/counts.toml`. Only for [`Part::Counts`].
    pub update: bool,
    /// Arguments for the program of a part, or for `cargo bench` with [`Part::Criterion`].
    pub args: Vec<OsString>,
}

/// Runs a part of the benchmarks, or all parts whose results are kept, and writes the results to
/// `benches/RESULTS.md`.
///
/// # Errors
///
/// Fails if a part fails, after the other parts have run, and if the part does not have an option.
pub fn bench(root: &Path, part: Option<Part>, options: &Options) -> anyhow::Result<()> {
    if options.update && part != Some(Part::Counts) {
        bail!("--update is for `cargo xtask bench counts`");
    }
    let sh = shell_at(root)?;
    let args = &options.args;
    if part == Some(Part::Criterion) {
        return Ok(cmd!(sh, "cargo bench -p idmerge-benches {args...}").run()?);
    }
    if !args.is_empty() && part.is_none() {
        bail!(
            "arguments after -- are for the program of one part, such as `cargo xtask bench server`"
        );
    }
    let parts = part.map_or(Part::KEPT.to_vec(), |part| vec![part]);
    // SQLite takes long to build, and only one part needs it. All programs are built in one command, so that the
    // dependencies are built once, with the same features.
    let features = ["--features", "idmerge-benches/store"];
    let features = features.iter().filter(|_| parts.contains(&Part::Store));
    let packages = ["-p", "idmerge", "-p", "idmerge-benches"];
    cmd!(sh, "cargo build --release {packages...} {features...}").run()?;
    let stamp = results::stamp(root)?;
    let mut targets = String::new();
    let mut failure = None;
    for part in parts {
        let (report, result) = report(root, part, options)?;
        println!("{report}");
        // A regression is also a result: keep it, and fail at the end.
        failure = failure.or(result.err());
        targets += &results::target_rows(part, &report);
        if !options.quick {
            results::keep(root, part, &report, &stamp)?;
        }
    }
    println!("{}{targets}", results::TABLE_HEAD);
    failure.map_or(Ok(()), Err)
}

/// The report that the program of a part prints, and whether the program then failed.
fn report(
    root: &Path,
    part: Part,
    options: &Options,
) -> anyhow::Result<(String, anyhow::Result<()>)> {
    let sh = shell_at(root)?;
    let name = part.name();
    let target = metadata(&root.join("Cargo.toml"))?.target_directory;
    let program = target.join("release").join(name);
    let quick = options.quick.then_some("--quick");
    let update = options.update.then_some("--update");
    let bench = cmd!(sh, "{program}").args(quick).args(update);
    let bench = bench.args(&options.args);

    let line = bench.to_string();
    eprintln!("$ {line}");
    let output = Command::from(bench).stderr(Stdio::inherit()).output()?;
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let result = if output.status.success() {
        Ok(())
    } else {
        Err(anyhow!("`{line}` failed, {}", output.status))
    };
    if report.is_empty() {
        result?;
        bail!("{name} reported nothing");
    }
    Ok((report, result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_belong_to_their_part() {
        let root = Path::new("nowhere");
        let options = Options {
            update: true,
            ..Options::default()
        };
        assert!(bench(root, Some(Part::Inside), &options).is_err());
        let options = Options {
            args: vec!["--help".into()],
            ..Options::default()
        };
        assert!(bench(root, None, &options).is_err());
    }
}
