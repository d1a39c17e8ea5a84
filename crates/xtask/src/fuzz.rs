//! Runs the fuzz targets.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, bail};
use serde_json::Value;
use xshell::cmd;

use crate::beside::{all_passed, beside};
use crate::files::{entries, text};
use crate::{install, shell_at};

/// The version of cargo-fuzz to install if it is missing.
const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// Sanitizers need nightly, and find little in safe code.
const OPTIONS: [&str; 4] = ["--fuzz-dir", "fuzz", "--sanitizer", "none"];

/// An input that takes longer fails.
const INPUT_SECONDS_MAX: u32 = 10;

/// Runs the fuzz targets, or only `target`, for `seconds` each, and prints a line about each. As many run at once as there
/// are cores; what each printed comes when it has ended.
///
/// The fuzzer starts from the vectors of the conformance suite, the records of the adapters' cases, from
/// `fuzz/regressions/TARGET` and from `fuzz/corpus/TARGET`, to which it saves the inputs that reach new code. It
/// saves an input that fails to `fuzz/artifacts/TARGET`.
///
/// # Errors
///
/// Fails after all targets have run if one of them fails, if `target` does not exist, or if there are no targets.
pub fn fuzz(root: &Path, target: Option<&str>, seconds: u32) -> anyhow::Result<()> {
    let targets = chosen(targets(root)?, target)?;
    let sh = shell_at(root)?;
    install(&sh, "fuzz", CARGO_FUZZ_VERSION)?;
    // With the features of `cargo xtask test`, which has compiled it already.
    let seed = ["--all-features", "--example", "seed_corpora"];
    cmd!(sh, "cargo run {seed...} fuzz/corpus").run()?;
    seed_adapters(root)?;
    if targets.len() > 1 {
        // One after the other, the targets would wait for each other's build.
        cmd!(sh, "cargo fuzz build {OPTIONS...}").run()?;
    }
    // Each keeps one core busy.
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let is_only_one = targets.len() == 1;
    let failed = beside(&targets, at_once, |target| {
        fuzz_one(root, target, seconds, is_only_one)
    });
    all_passed(&failed)
}

/// The cases of the adapters: each line has a record, and the name of its format.
const ADAPTER_CASES: &str = "crates/adapters/tests/data";

/// Writes the records of the adapters' cases as seeds of the targets `adapt_FORMAT`.
fn seed_adapters(root: &Path) -> anyhow::Result<()> {
    for file in entries(root, ADAPTER_CASES)? {
        for (number, line) in text(root, &file)?.lines().enumerate() {
            let case: Value = serde_json::from_str(line)
                .with_context(|| format!("{file}, line {}", number + 1))?;
            let format = case["format"].as_str().unwrap_or_default();
            let corpus = root.join(format!("fuzz/corpus/adapt_{format}"));
            fs::create_dir_all(&corpus)?;
            let record = match case["record_text"].as_str() {
                Some(text) => text.to_owned(),
                None => case["record"].to_string(),
            };
            let name = file.rsplit('/').next().unwrap_or_default();
            fs::write(corpus.join(format!("case-{name}-{number}")), record)?;
        }
    }
    Ok(())
}

fn fuzz_one(root: &Path, target: &str, seconds: u32, is_only_one: bool) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    let corpus = format!("fuzz/corpus/{target}");
    fs::create_dir_all(root.join(&corpus)).with_context(|| format!("cannot make {corpus}"))?;
    let regressions = format!("fuzz/regressions/{target}");
    let regressions = Some(regressions).filter(|folder| root.join(folder).is_dir());
    let limits = [
        format!("-max_total_time={seconds}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        "-print_final_stats=1".to_owned(),
    ];
    let inputs = [Some(corpus), regressions].into_iter().flatten();
    let command = cmd!(
        sh,
        "cargo fuzz run {OPTIONS...} {target} {inputs...} -- {limits...}"
    );

    eprintln!("$ {command}");
    let mut count = None;
    let mut printed = String::new();
    let status = watch(&mut command.into(), |line| {
        count = executions(line).or(count);
        match is_only_one {
            true => eprint!("{line}"),
            false => printed.push_str(line),
        }
    })?;
    eprint!("{printed}");
    match count {
        // The fuzzer stops at the first crash; too much time or memory is a crash, too.
        Some(count) if status.success() => println!("{target}: {count} executions, no crash"),
        Some(count) => println!("{target}: {count} executions, 1 crash"),
        // A target that does not compile prints no statistics.
        None => println!("{target}: not run"),
    }
    if !status.success() || count.is_none() {
        bail!("`cargo fuzz run {target}` failed, {status}");
    }
    Ok(())
}

/// Runs a command, and passes each line of its standard error on to `watch`.
fn watch(command: &mut Command, mut watch: impl FnMut(&str)) -> anyhow::Result<ExitStatus> {
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    if let Some(stderr) = child.stderr.take() {
        let mut stderr = BufReader::new(stderr);
        let mut text = Vec::new();
        while stderr.read_until(b'\n', &mut text)? > 0 {
            let line = String::from_utf8_lossy(&text);
            watch(&line);
            text.clear();
        }
    }
    Ok(child.wait()?)
}

/// The names of the targets.
fn targets(root: &Path) -> anyhow::Result<Vec<String>> {
    let files = entries(root, "fuzz/fuzz_targets")?;
    let name = |file: &String| Some(file.rsplit('/').next()?.strip_suffix(".rs")?.to_owned());
    Ok(files.iter().filter_map(name).collect())
}

/// The targets to run. No targets at all is an error: it would look like a run without a crash.
fn chosen(targets: Vec<String>, target: Option<&str>) -> anyhow::Result<Vec<String>> {
    if targets.is_empty() {
        bail!("there are no targets in fuzz/fuzz_targets");
    }
    let Some(target) = target else {
        return Ok(targets);
    };
    if !targets.iter().any(|name| name == target) {
        let targets = targets.join(", ");
        bail!("there is no fuzz target {target:?}; the targets are {targets}");
    }
    Ok(vec![target.to_owned()])
}

/// The number of inputs that were run, if this line of the fuzzer's statistics has it.
fn executions(line: &str) -> Option<u64> {
    let count = line.strip_prefix("stat::number_of_executed_units:")?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tree;

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
            r#"there is no fuzz target "event"; the targets are events, resolve"#
        );
    }

    #[test]
    fn the_records_of_the_adapters_are_seeds_of_their_targets() {
        let cases = [
            r#"{"id":"a","format":"segment","record":{"type":"track"},"events":[]}"#,
            r#"{"id":"b","format":"ga4","record_text":"{\"a\":1,\"a\":2}","events":[]}"#,
        ];
        let path = format!("{ADAPTER_CASES}/some.jsonl");
        let root = tree(&[(&path, &cases.join("\n"))]);
        seed_adapters(root.path()).unwrap();
        let seed = |name: &str| text(root.path(), &format!("fuzz/corpus/{name}")).unwrap();
        assert_eq!(
            seed("adapt_segment/case-some.jsonl-0"),
            r#"{"type":"track"}"#
        );
        assert_eq!(seed("adapt_ga4/case-some.jsonl-1"), r#"{"a":1,"a":2}"#);
    }

    #[test]
    fn each_target_of_an_adapter_has_seeds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let cases: String = entries(&root, ADAPTER_CASES)
            .unwrap()
            .iter()
            .map(|file| text(&root, file).unwrap())
            .collect();
        let targets = targets(&root).unwrap();
        let mut formats = targets
            .iter()
            .filter_map(|target| target.strip_prefix("adapt_"));
        assert!(formats.clone().count() > 0);
        assert!(formats.all(|format| cases.contains(&format!("\"format\":\"{format}\""))));
    }

    #[test]
    fn having_no_targets_is_an_error() {
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

    #[test]
    fn a_watched_program_passes_on_its_lines() {
        let mut lines = Vec::new();
        let mut command = Command::new("cargo");
        command.arg("no-such-command");
        let status = watch(&mut command, |line| lines.push(line.to_owned())).unwrap();
        assert!(!status.success());
        assert!(lines.concat().contains("no-such-command"), "{lines:?}");
    }
}
