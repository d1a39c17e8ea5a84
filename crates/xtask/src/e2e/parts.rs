//! The parts of the suites: what each runs, and which of them run beside each other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{fs, thread};

use anyhow::{Context, bail};
use xshell::cmd;

use super::machine::{SCRIPTS, python};
use super::suite::{ENGINES, Suite};
use super::{spark, wheel};
use crate::beside::{all_passed, beside};
use crate::output::Output;
use crate::shell_at;

/// The parts of the suite of the page. Each has projects of its own.
pub(super) const PAGE_PARTS: [&str; 5] = [
    "page",
    "page-keyboard",
    "page-hostile",
    MEASURING,
    "page-states",
];

/// The part that measures times. No other part of the server runs beside it.
const MEASURING: &str = "page-figures";

/// The part that installs the package of Python, for the tests of the package.
const INSTALL: &str = "wheel-install";

/// How many parts run at once, of the server and of the package: most of them wait half of the time, for a browser, for
/// an SDK that sends, or for Java.
const AT_ONCE: usize = 2;

/// What the parts run with.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) root: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) chromium: Option<PathBuf>,
    /// The address of the server.
    pub(super) url: String,
}

/// A suite, or one of several scripts of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    suite: Suite,
    name: &'static str,
}

impl Part {
    fn all(suites: &[Suite]) -> Vec<Self> {
        let parts = |&suite: &Suite| {
            let names = match suite {
                Suite::Page => PAGE_PARTS.to_vec(),
                Suite::Wheel => vec![INSTALL, suite.name()],
                _ => vec![suite.name()],
            };
            names.into_iter().map(move |name| Self { suite, name })
        };
        let mut parts: Vec<_> = suites.iter().flat_map(parts).collect();
        // Schemathesis takes longest, and mostly waits: the server delays the answers to wrong secrets.
        parts.sort_by_key(|part| part.suite != Suite::Api);
        parts
    }

    /// Whether the part needs the package of Python instead of the server.
    fn is_of_package(&self) -> bool {
        matches!(self.suite, Suite::Wheel | Suite::Spark)
    }

    /// Whether the part comes before the others, and alone.
    fn is_first(&self) -> bool {
        [MEASURING, INSTALL].contains(&self.name)
    }
}

/// Runs all parts of the suites.
///
/// # Errors
///
/// Names each part that fails, after all have run.
pub(super) fn run(place: &Place<'_>, suites: &[Suite]) -> anyhow::Result<()> {
    let parts = Part::all(suites);
    let is_only_one = parts.len() == 1;
    let run = |part: &Part| {
        let result = run_part(place, *part, is_only_one);
        result.with_context(|| format!("the suite {} has failed", part.name))
    };
    let in_order = |parts: Vec<Part>| {
        let (first, others): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(Part::is_first);
        let mut errors = beside(&first, 1, run);
        errors.extend(beside(&others, AT_ONCE, run));
        errors
    };
    let (package, server) = parts.into_iter().partition(Part::is_of_package);
    let errors = thread::scope(|scope| {
        let package = scope.spawn(|| in_order(package));
        let mut errors = in_order(server);
        errors.extend(package.join().expect("running a part does not panic"));
        errors
    });
    all_passed(&errors)
}

/// Runs a part, and prints what it printed. If it is the only one, it prints to the terminal at once.
fn run_part(place: &Place<'_>, part: Part, is_only_one: bool) -> anyhow::Result<()> {
    if is_only_one {
        return part.run(place, &mut Output::Terminal);
    }
    eprintln!("{} runs", part.name);
    let started = Instant::now();
    let mut output = Output::kept(place.folder, part.name)?;
    let result = part.run(place, &mut output);
    let seconds = started.elapsed().as_secs();
    let end = if result.is_ok() { "passed" } else { "FAILED" };
    output.show(&format!("{}: {end} after {seconds} s", part.name))?;
    result
}

impl Part {
    fn run(self, place: &Place<'_>, output: &mut Output) -> anyhow::Result<()> {
        let sh = shell_at(&place.root.join(SCRIPTS))?;
        sh.set_var("IDMERGE_URL", &place.url);
        sh.set_var("IDMERGE_OUT", place.folder);
        if let Some(chromium) = &place.chromium {
            sh.set_var("CHROMIUM", chromium);
        }
        let mut node = |script: &str| {
            let script = format!("{script}.test.mjs");
            output.run(cmd!(sh, "node --test --test-reporter=spec {script}"))
        };
        match self.suite {
            Suite::Browser | Suite::Page | Suite::Readme | Suite::Node | Suite::Cdp => {
                node(self.name)
            }
            Suite::Segment => node("segment/segment"),
            Suite::Python => {
                let program = python(place.folder, "python");
                output.run(cmd!(sh, "{program} python_sdk.py"))
            }
            Suite::Api => run_schemathesis(place, output),
            Suite::Wheel if self.name == INSTALL => {
                wheel::install(place.root, place.folder, output)
            }
            Suite::Wheel => wheel::run(place.root, place.folder, output),
            Suite::Spark => spark::run(place.root, place.folder, output),
        }
    }
}

/// Runs schemathesis for all engines at once, since it keeps one core busy.
fn run_schemathesis(place: &Place<'_>, output: &mut Output) -> anyhow::Result<()> {
    let program = python(place.folder, "st");
    let settings = place.root.join(SCRIPTS).join("schemathesis.toml");
    let document = format!("{}/openapi.json", place.url);
    let run = |engine: &str| {
        // Schemathesis writes its examples to the working folder.
        let own_folder = place.folder.join(format!("api-{engine}"));
        fs::create_dir_all(&own_folder)?;
        Command::new(&program)
            .arg("--config-file")
            .arg(&settings)
            .args(["run", &document, "--auth"])
            .arg(format!("secret-of-api-{engine}:"))
            .current_dir(own_folder)
            .output()
    };
    let printed = thread::scope(|scope| {
        let runs = ENGINES.map(|engine| scope.spawn(move || (engine, run(engine))));
        runs.map(|run| run.join().expect("running a command does not panic"))
    });
    let mut failed = Vec::new();
    for (engine, printed) in printed {
        let printed = printed.with_context(|| format!("cannot run {}", program.display()))?;
        output.print(format!("\nschemathesis, {engine}\n\n").as_bytes())?;
        output.print(&printed.stdout)?;
        output.print(&printed.stderr)?;
        if !printed.status.success() {
            failed.push(engine);
        }
    }
    if !failed.is_empty() {
        bail!("schemathesis has found errors: {}", failed.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_suite_has_a_part_of_its_name() {
        let parts = Part::all(Suite::value_variants());
        let named = |name| parts.iter().filter(|part| part.name == name).count();
        for suite in Suite::value_variants() {
            assert_eq!(named(suite.name()), 1, "{suite:?}");
        }
        let first: Vec<_> = parts.iter().filter(|part| part.is_first()).collect();
        assert_eq!(first.len(), 2, "{first:?}");
        assert_eq!(Part::all(&[Suite::Page]).len(), PAGE_PARTS.len());
    }
}
