//! The benches, and the file that keeps what they found.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::ValueEnum;

use crate::failure::Failure;
use crate::program::{capture, cargo, run, run_cargo, said};

/// Where the results are kept.
const RESULTS: &str = "benches/RESULTS.md";

/// The head of a report's table of targets, as `benches/src/report.rs` has it.
const TARGETS_HEAD: &str = "| target | wanted | measured | |";

/// A part of the benches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Engines beside their peers and the memory of the machine: apply and resolve
    Inside,
    /// `idmerge resolve` beside `DuckDB`, Polars, a Python loop and cat; installs the wheels
    Outside,
    /// Bytes an ID, at every point of the growth of the tables
    Memory,
    /// Instructions, allocations and bytes beside those of benches/counts.toml
    Counts,
    /// 1 M, 10 M and 100 M IDs in one process; takes 16 GB
    Scale,
    /// The store beside `SQLite`, and a store of 10 M claims
    Store,
    /// Criterion's benches of single calls; their results are not kept
    Criterion,
}

impl Part {
    /// The parts whose results are kept, in the order of the file.
    const KEPT: [Self; 6] = [
        Self::Inside,
        Self::Outside,
        Self::Memory,
        Self::Counts,
        Self::Scale,
        Self::Store,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Outside => "outside",
            Self::Memory => "memory",
            Self::Counts => "counts",
            Self::Scale => "scale",
            Self::Store => "store",
            Self::Criterion => "criterion",
        }
    }
}

/// How the benches are run.
#[derive(Debug, Default)]
pub struct Options {
    /// A small run, of which nothing is kept.
    pub quick: bool,
    /// Take over what was counted.
    pub update: bool,
    /// What goes to `cargo bench`; for [`Part::Criterion`].
    pub args: Vec<OsString>,
}

/// Runs a part of the benches, or all whose results are kept, and writes what they found to
/// `benches/RESULTS.md`.
///
/// # Errors
///
/// The first part that fails, and options that the part does not have.
pub fn bench(root: &Path, part: Option<Part>, options: &Options) -> Result<(), Failure> {
    if options.update && part != Some(Part::Counts) {
        return Err(Failure::new("--update is for `cargo xtask bench counts`"));
    }
    if part == Some(Part::Criterion) {
        return run(cargo(root, "bench -p idmerge-benches").args(&options.args));
    }
    if !options.args.is_empty() {
        return Err(Failure::new(
            "arguments after -- are for `cargo xtask bench criterion`",
        ));
    }
    run_cargo(root, "build --release -p idmerge -p idmerge-benches")?;
    let stamp = stamp(root);
    let parts = part.map_or(Part::KEPT.to_vec(), |part| vec![part]);
    let mut targets = String::new();
    let mut failure = None;
    for part in parts {
        let (report, result) = report(root, part, options)?;
        println!("{report}");
        // A regression is a result too: it is kept, and then it is the failure.
        failure = failure.or(result.err());
        let (rows, _) = targets_and_details(&report);
        rows.iter()
            .for_each(|row| targets += &target_row(part, row));
        if !options.quick {
            keep(root, part, &report, &stamp)?;
        }
    }
    println!("{TABLE_HEAD}{targets}");
    failure.map_or(Ok(()), Err)
}

/// What the program of a part says, and whether it failed after that.
fn report(
    root: &Path,
    part: Part,
    options: &Options,
) -> Result<(String, Result<(), Failure>), Failure> {
    // Only one part needs what takes so long to build.
    let features = if part == Part::Store {
        "--features store "
    } else {
        ""
    };
    let program = format!(
        "run --release --quiet -p idmerge-benches {features}--bin {} --",
        part.name()
    );
    let mut command = cargo(root, &program);
    if options.quick {
        command.arg("--quick");
    }
    if options.update {
        command.arg("--update");
    }
    let (report, result) = capture(&mut command)?;
    if report.is_empty() {
        result?;
        return Err(Failure::new(format!("{} reported nothing", part.name())));
    }
    Ok((report, result))
}

fn keep(root: &Path, part: Part, report: &str, stamp: &str) -> Result<(), Failure> {
    let path = root.join(RESULTS);
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(&path, replaced(&before, part, report, stamp))
        .map_err(|e| Failure::new(format!("cannot write {RESULTS}: {e}")))
}

const TABLE_HEAD: &str = "| part | target | wanted | measured | |\n|---|---|---|---:|---|\n";

const OPENING: &str = "\
# Results

Written by `cargo xtask bench`; README.md says what is measured and how. Each part has the commit
and the machine that it was measured with.

";

/// The text of the file with one part replaced.
fn replaced(before: &str, part: Part, report: &str, stamp: &str) -> String {
    let (new_targets, details) = targets_and_details(report);
    let mut table = TABLE_HEAD.to_owned();
    let mut sections = String::new();
    for kept in Part::KEPT {
        if kept == part {
            new_targets
                .iter()
                .for_each(|row| table += &target_row(part, row));
            sections += &format!("\n## {}\n\n{stamp}\n\n{}\n", part.name(), details.trim());
            continue;
        }
        let row = format!("| {} |", kept.name());
        for line in before.lines().filter(|line| line.starts_with(&row)) {
            table += &format!("{line}\n");
        }
        let heading = format!("\n## {}\n", kept.name());
        if let Some((_, rest)) = before.split_once(&heading) {
            let section = rest.split("\n## ").next().unwrap_or_default();
            sections += &format!("{heading}{}\n", section.trim_end());
        }
    }
    format!("{OPENING}## Targets\n\n{table}{sections}")
}

/// The rows of a report's table of targets, and all that is not this table.
fn targets_and_details(report: &str) -> (Vec<&str>, String) {
    let Some((before, table)) = report.split_once(TARGETS_HEAD) else {
        return (Vec::new(), report.to_owned());
    };
    let (table, after) = table.split_once("\n\n").unwrap_or((table, ""));
    let rows = table.lines().filter(|line| line.starts_with("| "));
    (rows.collect(), format!("{before}{after}"))
}

fn target_row(part: Part, row: &str) -> String {
    format!("| {} {row}\n", part.name())
}

/// The commit, the day, the machine and the compiler.
fn stamp(root: &Path) -> String {
    let ask = |program: &str, args: &[&str]| {
        said(Command::new(program).args(args).current_dir(root)).unwrap_or_default()
    };
    let commit = ask("git", &["rev-parse", "--short=12", "HEAD"]);
    let is_changed = !ask(
        "git",
        &["status", "--porcelain", "--", "crates", "benches/src"],
    )
    .is_empty();
    let changed = if is_changed {
        " and what was not committed yet"
    } else {
        ""
    };
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    [
        format!("Commit {commit}{changed}"),
        ask("date", &["-u", "+%Y-%m-%d"]),
        format!("{}, {cores} cores", field("/proc/cpuinfo", "model name")),
        format!(
            "{} of memory",
            gibibytes(&field("/proc/meminfo", "MemTotal"))
        ),
        ask("uname", &["-sr"]),
        ask("rustc", &["--version"]),
    ]
    .join("; ")
        + "."
}

/// `24684084 kB` as one would say it.
fn gibibytes(size: &str) -> String {
    let kibibytes = size
        .strip_suffix(" kB")
        .and_then(|it| it.parse::<u64>().ok());
    kibibytes.map_or(size.to_owned(), |it| {
        format!("{} GiB", (it + (1 << 19)) >> 20)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(target: &str) -> String {
        format!(
            "{TARGETS_HEAD}\n|---|---|---:|---|\n| {target} | at least 3 × | 2.00 × | **missed** |\n\nHow.\n\n### Table of {target}\n\n| a |\n|---|\n| b |\n\n"
        )
    }

    #[test]
    fn a_part_is_replaced_and_the_others_stay() {
        let memory = replaced("", Part::Memory, &report("bytes"), "Commit 1.");
        assert_eq!(
            memory,
            format!(
                "{OPENING}## Targets\n\n{TABLE_HEAD}\
                 | memory | bytes | at least 3 × | 2.00 × | **missed** |\n\
                 \n## memory\n\nCommit 1.\n\nHow.\n\n### Table of bytes\n\n| a |\n|---|\n| b |\n"
            )
        );
        let both = replaced(&memory, Part::Inside, &report("speed"), "Commit 2.");
        let places = [
            "| inside | speed",
            "| memory | bytes",
            "\n## inside",
            "\n## memory",
        ];
        let found: Vec<_> = places.iter().filter_map(|place| both.find(place)).collect();
        assert!(found.len() == 4 && found.is_sorted(), "{both}");
        assert_eq!(
            replaced(&both, Part::Inside, &report("speed"), "Commit 2."),
            both
        );

        let third = replaced(&both, Part::Memory, &report("size"), "Commit 3.");
        assert!(
            !third.contains("bytes") && !third.contains("Commit 1"),
            "{third}"
        );
        assert!(third.contains("Commit 2") && third.contains("| memory | size |"));
    }

    #[test]
    fn a_report_without_targets_is_all_details() {
        let (targets, details) = targets_and_details("### Table\n");
        assert!(targets.is_empty());
        assert_eq!(details, "### Table\n");
    }

    #[test]
    fn the_head_is_that_of_the_reports() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let source = crate::rooms::text(root, "benches/src/report.rs").unwrap();
        assert!(source.contains(&format!("{TARGETS_HEAD:?}")));
    }

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

    #[test]
    fn memory_is_said_in_gibibytes() {
        assert_eq!(gibibytes("24684084 kB"), "24 GiB");
        assert_eq!(gibibytes("unknown"), "unknown");
    }

    #[test]
    fn a_stamp_names_the_machine() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let stamp = stamp(root);
        assert!(
            stamp.contains(" cores; ") && stamp.contains("rustc "),
            "{stamp}"
        );
    }
}
