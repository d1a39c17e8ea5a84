//! The fuzz targets, run for a while each.

use std::fs;
use std::path::Path;

use crate::failure::Failure;
use crate::program::{cargo, run_cargo, succeeds, watch};
use crate::rooms::entries;

/// The cargo-fuzz that is installed where there is none.
const CARGO_FUZZ: &str = "install cargo-fuzz --locked --version 0.13.2";

/// Writes what the fuzzer starts from.
const SEED_CORPORA: &str = "run --package idmerge-differential --example seed_corpora fuzz/corpus";

/// No input may take longer than this.
const INPUT_SECONDS_MAX: u32 = 10;

/// Runs the fuzz targets, or the one named, for `seconds` each, and prints a line about each.
///
/// What the fuzzer finds worth keeping goes to `fuzz/corpus/TARGET`, and it starts from that, from
/// the vectors of the suite, and from `fuzz/regressions/TARGET`. An input that fails goes to `fuzz/artifacts/TARGET`.
///
/// # Errors
///
/// The first target that fails, a target that does not exist, and no target at all.
pub fn fuzz(root: &Path, target: Option<&str>, seconds: u32) -> Result<(), Failure> {
    let targets = chosen(targets(root)?, target)?;
    if !succeeds(&mut cargo(root, "fuzz --version")) {
        run_cargo(root, CARGO_FUZZ)?;
    }
    run_cargo(root, SEED_CORPORA)?;
    for target in &targets {
        fuzz_one(root, target, seconds)?;
    }
    Ok(())
}

fn fuzz_one(root: &Path, target: &str, seconds: u32) -> Result<(), Failure> {
    let corpus = format!("fuzz/corpus/{target}");
    fs::create_dir_all(root.join(&corpus))
        .map_err(|e| Failure::new(format!("cannot make the folder {corpus}: {e}")))?;
    // No sanitizer: those need nightly, and find little where all code is safe.
    let mut command = cargo(root, "fuzz run --fuzz-dir fuzz --sanitizer none");
    command.args([target, &corpus]);
    let regressions = format!("fuzz/regressions/{target}");
    if root.join(&regressions).is_dir() {
        command.arg(regressions);
    }
    command.arg("--").args([
        format!("-max_total_time={seconds}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        "-print_final_stats=1".to_owned(),
    ]);

    let mut ran = None;
    let status = watch(&mut command, |line| ran = executions(line).or(ran))?;
    match ran {
        // It stops at its first crash, and takes too much time or memory for one.
        Some(ran) if status.success() => println!("{target}: {ran} executions, no crash"),
        Some(ran) => println!("{target}: {ran} executions, 1 crash"),
        // What does not compile never ran.
        None => println!("{target}: not run"),
    }
    if status.success() && ran.is_some() {
        Ok(())
    } else {
        let command = format!("cargo fuzz run {target}");
        Err(Failure::of_program(&command, status))
    }
}

/// The names of the targets.
fn targets(root: &Path) -> Result<Vec<String>, Failure> {
    let files = entries(root, "fuzz/fuzz_targets")?;
    let name = |file: &String| Some(file.rsplit('/').next()?.strip_suffix(".rs")?.to_owned());
    Ok(files.iter().filter_map(name).collect())
}

/// The targets to run. None at all is a failure: it would pass for a run without a crash.
fn chosen(targets: Vec<String>, target: Option<&str>) -> Result<Vec<String>, Failure> {
    if targets.is_empty() {
        return Err(Failure::new("there are no targets in fuzz/fuzz_targets"));
    }
    let Some(target) = target else {
        return Ok(targets);
    };
    if targets.iter().any(|name| name == target) {
        return Ok(vec![target.to_owned()]);
    }
    let targets = targets.join(", ");
    let message = format!("there is no fuzz target {target:?}; there are {targets}");
    Err(Failure::new(message))
}

/// How many inputs were run, where a line of the fuzzer says so.
fn executions(line: &str) -> Option<u64> {
    let count = line.strip_prefix("stat::number_of_executed_units:")?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rooms::tree;

    #[test]
    fn targets_are_files_and_one_can_be_chosen() {
        let root = tree(&[
            ("fuzz/fuzz_targets/resolve.rs", ""),
            ("fuzz/fuzz_targets/events.rs", ""),
            ("fuzz/fuzz_targets/README.md", ""),
        ]);
        let targets = targets(root.path()).unwrap();
        assert_eq!(targets, ["events", "resolve"]);
        assert_eq!(chosen(targets.clone(), None).unwrap(), targets);
        assert_eq!(chosen(targets.clone(), Some("events")).unwrap(), ["events"]);
        assert_eq!(
            chosen(targets, Some("event")).unwrap_err().to_string(),
            r#"there is no fuzz target "event"; there are events, resolve"#
        );
    }

    #[test]
    fn no_target_is_a_failure() {
        let root = tree(&[("fuzz/fuzz_targets/README.md", "")]);
        assert!(fuzz(root.path(), None, 1).is_err());
        assert!(fuzz(&root.path().join("nowhere"), None, 1).is_err());
    }

    #[test]
    fn executions_are_read_from_the_statistics() {
        let line = "stat::number_of_executed_units: 43269\n";
        assert_eq!(executions(line), Some(43_269));
        assert_eq!(executions("stat::average_exec_per_sec:     3933\n"), None);
        assert_eq!(executions("#43269\tDONE   cov: 12\n"), None);
    }
}
