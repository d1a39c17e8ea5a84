//! End-to-end tests: real SDKs and a real browser send events to the server, and the scripts check
//! which IDs it then resolves to one person.
//!
//! The scripts are in `tests/e2e`. This module installs what they need and starts the server on
//! a free port of this machine. All output goes to `target/e2e`.

mod machine;
mod spark;
mod wheel;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io, thread};

use anyhow::{Context, bail};
use clap::ValueEnum;
use xshell::cmd;

use crate::serving::Serving;
use crate::shell_at;
use machine::{Machine, SCRIPTS};

/// If this variable is set, a suite is skipped when the machine lacks what the suite needs.
pub const MAY_SKIP: &str = "IDMERGE_E2E_MAY_SKIP";

/// The engines. Each suite has a project of each engine.
const ENGINES: [&str; 3] = ["simplified", "original", "legacy"];

/// The parts of the suite of the page. They run one after the other, since one of them measures times, and each has
/// projects of its own.
const PAGE_PARTS: [&str; 5] = [
    "page",
    "page-keyboard",
    "page-hostile",
    "page-figures",
    "page-states",
];

/// Projects of the page that stay empty.
const PAGE_EMPTY: &str = "page-empty";

/// A suite of end-to-end tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// mixpanel-browser, the newest and an old version, in Chromium
    Browser,
    /// The server's web page, in Chromium
    Page,
    /// The web page with the SDK from the README, in Chromium
    Readme,
    /// The Node SDK
    Node,
    /// The SDKs of Segment and RudderStack, in Chromium and in Node
    Cdp,
    /// Segment's destination, with the code that runs in Segment's cloud
    Segment,
    /// The Python SDK and mixpanel-utils
    Python,
    /// Requests that schemathesis generates from /openapi.json
    Api,
    /// The package of Python: installs it and runs its tests, which compare it with the command
    Wheel,
    /// `idmerge.spark` of that package, on two executors of Spark and on Sail
    Spark,
}

impl Suite {
    /// The name, which the tokens of its projects start with.
    fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Page => "page",
            Self::Readme => "readme",
            Self::Node => "node",
            Self::Cdp => "cdp",
            Self::Segment => "segment",
            Self::Python => "python",
            Self::Api => "api",
            Self::Wheel => "wheel",
            Self::Spark => "spark",
        }
    }
}

/// Runs all suites, or one of them, against the server built from this tree.
///
/// # Errors
///
/// Fails with the first suite that fails, and if the server does not stop in good order. Fails if
/// the machine lacks what a suite needs, unless [`MAY_SKIP`] is set in the environment.
pub fn e2e(root: &Path, suite: Option<Suite>) -> anyhow::Result<()> {
    let suites = suite.map_or_else(|| Suite::value_variants().to_vec(), |suite| vec![suite]);
    let folder = root.join("target/e2e");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let sh = shell_at(root)?;
    let mut machine = Machine::new(&sh, root, &folder);
    let ready = prepare(&mut machine, suites)?;
    if ready.is_empty() {
        return Ok(());
    }
    // The package of Python reads Parquet, and is compared with the command.
    let tables: &[&str] = match ready.contains(&Suite::Wheel) {
        true => &["--features", "tables"],
        false => &[],
    };
    cmd!(sh, "cargo build -p idmerge {tables...}").run()?;
    let serving = Serving::start(&sh, root, "debug", &folder, &configuration())?;
    for suite in ready {
        run_suite(&folder, &machine, &serving, suite)?;
    }
    serving.stop(&sh)
}

/// Installs what the suites need. Gives the suites that can run.
fn prepare(machine: &mut Machine<'_>, suites: Vec<Suite>) -> anyhow::Result<Vec<Suite>> {
    let mut ready = Vec::new();
    let mut lacking = Vec::new();
    for suite in suites {
        match machine.prepare(suite)? {
            Ok(()) => ready.push(suite),
            Err(lack) => lacking.push(format!("{}: {lack}", suite.name())),
        }
    }
    if !lacking.is_empty() {
        let lacking = lacking.join("; ");
        if env::var_os(MAY_SKIP).is_none() {
            bail!(
                "this machine lacks what some suites need: {lacking}. To skip them, set {MAY_SKIP}=1"
            );
        }
        eprintln!("\nSKIPPED, NOT TESTED: {lacking}\n");
    }
    Ok(ready)
}

fn run_suite(
    folder: &Path,
    machine: &Machine<'_>,
    serving: &Serving,
    suite: Suite,
) -> anyhow::Result<()> {
    let sh = shell_at(&machine.root().join(SCRIPTS))?;
    sh.set_var("IDMERGE_URL", serving.url());
    sh.set_var("IDMERGE_OUT", folder);
    if let Some(chromium) = machine.chromium() {
        sh.set_var("CHROMIUM", chromium);
    }
    let node = |file: &str| cmd!(sh, "node --test --test-reporter=spec {file}").run();
    match suite {
        Suite::Browser => node("browser.test.mjs")?,
        Suite::Page => {
            for part in PAGE_PARTS {
                node(&format!("{part}.test.mjs"))?;
            }
        }
        Suite::Readme => node("readme.test.mjs")?,
        Suite::Node => node("node.test.mjs")?,
        Suite::Cdp => node("cdp.test.mjs")?,
        Suite::Segment => node("segment/segment.test.mjs")?,
        Suite::Python => {
            let python = machine.python("python");
            cmd!(sh, "{python} python_sdk.py").run()?;
        }
        Suite::Api => run_schemathesis(folder, machine, serving)?,
        Suite::Wheel => wheel::run(machine.root(), folder)?,
        Suite::Spark => spark::run(machine.root(), folder)?,
    }
    Ok(())
}

/// Runs schemathesis for all engines at once, since it keeps one core busy. Prints what each run printed when it has
/// ended.
fn run_schemathesis(folder: &Path, machine: &Machine<'_>, serving: &Serving) -> anyhow::Result<()> {
    let program = machine.python("st");
    let settings = machine.root().join(SCRIPTS).join("schemathesis.toml");
    let document = format!("{}/openapi.json", serving.url());
    let run = |engine: &str| {
        // Schemathesis writes its examples to the working folder.
        let own_folder = folder.join(format!("api-{engine}"));
        fs::create_dir_all(&own_folder)?;
        Command::new(&program)
            .arg("--config-file")
            .arg(&settings)
            .args(["run", &document, "--auth"])
            .arg(format!("secret-of-api-{engine}:"))
            .current_dir(own_folder)
            .output()
    };
    let outputs = thread::scope(|scope| {
        let runs = ENGINES.map(|engine| scope.spawn(move || (engine, run(engine))));
        runs.map(|run| run.join().expect("running a command does not panic"))
    });
    let mut failed = Vec::new();
    for (engine, output) in outputs {
        let output = output.with_context(|| format!("cannot run {}", program.display()))?;
        println!("\nschemathesis, {engine}\n");
        io::stdout().write_all(&output.stdout)?;
        io::stderr().write_all(&output.stderr)?;
        if !output.status.success() {
            failed.push(engine);
        }
    }
    if !failed.is_empty() {
        bail!("schemathesis has found errors: {}", failed.join(", "));
    }
    Ok(())
}

/// The server's configuration: a project for each suite and engine, with credentials made from its
/// token; more of these for the parts of the page; for each engine a project that is copied, and a project of
/// each engine that it is copied to; and a project that accepts the IDs that browser SDKs generated before 2025.
fn configuration() -> String {
    let suites = Suite::value_variants();
    // The first part of the page has the projects of the suite.
    let pages = PAGE_PARTS.into_iter().skip(1).chain([PAGE_EMPTY]);
    let names = suites.iter().map(|suite| suite.name()).chain(pages);
    let projects = names
        .flat_map(|name| ENGINES.map(|engine| project(&format!("{name}-{engine}"), engine, "")));
    let copies = ENGINES.into_iter().flat_map(|from| {
        let copy = |engine| project(&format!("copy-of-{from}-{engine}"), engine, "");
        let copied = project(&format!("copied-{from}"), from, "");
        ENGINES.map(copy).into_iter().chain([copied])
    });
    let old = project("sdk-ids-original", "original", "anon_id_format = \"sdk\"\n");
    projects.chain(copies).chain([old]).collect()
}

fn project(token: &str, engine: &str, settings: &str) -> String {
    format!(
        "[[project]]\ntoken = \"{token}\"\nengine = \"{engine}\"\n{settings}\
         secret = \"secret-of-{token}\"\n\n\
         [[project.service_account]]\nuser = \"account-of-{token}\"\n\
         secret = \"password-of-{token}\"\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_has_a_project_of_each_engine() {
        let configuration: toml::Table = configuration().parse().unwrap();
        let projects = configuration["project"].as_array().unwrap();
        for suite in Suite::value_variants() {
            for engine in ENGINES {
                let token = format!("{}-{engine}", suite.name());
                let found = projects
                    .iter()
                    .find(|project| project["token"].as_str() == Some(&token))
                    .unwrap_or_else(|| panic!("there is no project {token}"));
                assert_eq!(found["engine"].as_str(), Some(engine));
                let account = &found["service_account"][0]["secret"];
                assert_eq!(account.as_str(), Some(&*format!("password-of-{token}")));
            }
        }
    }
}
