//! `benches/RESULTS.md`: one section for each part, and a table of all targets.

use std::fs;
use std::path::Path;

use anyhow::Context;
use xshell::cmd;

use super::Part;
use crate::shell_at;

/// The file that keeps the results.
const RESULTS: &str = "benches/RESULTS.md";

/// The head of a report's table of targets, the same as in `benches/src/report.rs`.
const TARGETS_HEAD: &str = "| target | wanted | measured | |";

/// The head of the table of all targets.
pub(super) const TABLE_HEAD: &str =
    "| part | target | wanted | measured | |\n|---|---|---|---:|---|\n";

const OPENING: &str = "\
# Results

Written by `cargo xtask bench`; README.md says what is measured and how. Each part names the commit
and the machine that it was measured with.

";

/// Replaces the section of a part, and its rows in the table of targets.
pub(super) fn keep(root: &Path, part: Part, report: &str, stamp: &str) -> anyhow::Result<()> {
    let path = root.join(RESULTS);
    let before = fs::read_to_string(&path).unwrap_or_default();
    fs::write(&path, replaced(&before, part, report, stamp))
        .with_context(|| format!("cannot write {RESULTS}"))
}

/// The rows of a report's targets, for the table of all targets.
pub(super) fn target_rows(part: Part, report: &str) -> String {
    let (rows, _) = targets_and_details(report);
    rows.iter().map(|row| target_row(part, row)).collect()
}

/// The commit, the day, the machine and the compiler.
pub(super) fn stamp(root: &Path) -> anyhow::Result<String> {
    let sh = shell_at(root)?;
    let read = |command: xshell::Cmd<'_>| command.quiet().ignore_stderr().read();
    let commit = read(cmd!(sh, "git rev-parse --short=12 HEAD")).unwrap_or_default();
    let changes = read(cmd!(sh, "git status --porcelain -- crates benches/src"));
    let changed = if changes.is_ok_and(|it| !it.is_empty()) {
        " with uncommitted changes"
    } else {
        ""
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let parts = [
        format!("Commit {commit}{changed}"),
        read(cmd!(sh, "date -u +%Y-%m-%d")).unwrap_or_default(),
        format!("{}, {cores} cores", field("/proc/cpuinfo", "model name")),
        format!(
            "{} of memory",
            gibibytes(&field("/proc/meminfo", "MemTotal"))
        ),
        read(cmd!(sh, "uname -sr")).unwrap_or_default(),
        read(cmd!(sh, "rustc --version")).unwrap_or_default(),
    ];
    Ok(parts.join("; ") + ".")
}

/// The text of the file after one part is replaced.
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

/// The rows of a report's table of targets, and the report without this table.
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

/// The value of the first line that starts with `name`, as in `/proc/meminfo`.
fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// Rounds `24684084 kB` to `24 GiB`.
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
    fn the_head_is_the_same_in_the_reports() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let source = crate::files::text(root, "benches/src/report.rs").unwrap();
        assert!(source.contains(&format!("{TARGETS_HEAD:?}")));
    }

    #[test]
    fn memory_is_rounded_to_gibibytes() {
        assert_eq!(gibibytes("24684084 kB"), "24 GiB");
        assert_eq!(gibibytes("unknown"), "unknown");
    }

    #[test]
    fn a_stamp_names_the_machine() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let stamp = stamp(root).unwrap();
        assert!(
            stamp.contains(" cores; ") && stamp.contains("rustc "),
            "{stamp}"
        );
    }
}
