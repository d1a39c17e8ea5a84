//! End-to-end tests: real SDKs and a real browser send events to the server, and the scripts check
//! which IDs it then resolves to one person.
//!
//! The scripts are in `tests/e2e`. This module installs what they need and starts the server on
//! a free port of this machine. All output goes to `target/e2e`.

mod machine;
mod parts;
mod spark;
mod suite;
mod wheel;

use std::path::Path;
use std::{env, fs, thread};

use anyhow::{Context, bail};
use clap::ValueEnum;
use xshell::cmd;

use crate::output::Output;
use crate::serving::Serving;
use crate::shell_at;
use machine::Machine;
use parts::{PAGE_PARTS, Place};
use suite::ENGINES;
pub use suite::Suite;

/// If this variable is set, a suite is skipped when the machine lacks what the suite needs.
pub const MAY_SKIP: &str = "IDMERGE_E2E_MAY_SKIP";

/// Projects of the page that stay empty.
const PAGE_EMPTY: &str = "page-empty";

/// Runs all suites, or one of them, against the server built from this tree.
///
/// # Errors
///
/// Fails after all suites have run if one of them fails, and if the server does not stop in good order. Fails if
/// the machine lacks what a suite needs, unless [`MAY_SKIP`] is set in the environment.
pub fn e2e(root: &Path, suite: Option<Suite>) -> anyhow::Result<()> {
    let suites = suite.map_or_else(|| Suite::value_variants().to_vec(), |suite| vec![suite]);
    let folder = root.join("target/e2e");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let sh = shell_at(root)?;
    let mut machine = Machine::new(&sh, root, &folder);
    let ready = install_and_build(&mut machine, root, &folder, &suites)?;
    if ready.is_empty() {
        return Ok(());
    }
    let serving = Serving::start(&sh, root, "debug", &folder, &configuration())?;
    let place = Place {
        root,
        folder: &folder,
        chromium: machine.chromium(),
        url: serving.url(),
    };
    parts::run(&place, &ready)?;
    serving.stop(&sh)
}

/// Installs what the suites need, and builds the server meanwhile: to install is to wait for registries and disks.
/// Gives the suites that can run.
fn install_and_build(
    machine: &mut Machine<'_>,
    root: &Path,
    folder: &Path,
    suites: &[Suite],
) -> anyhow::Result<Vec<Suite>> {
    thread::scope(|scope| {
        let built = scope.spawn(|| build_server(root, folder, suites));
        let ready = prepare(machine, suites);
        built.join().expect("running a command does not panic")?;
        ready
    })
}

/// Builds the server, and the command that the package of Python is compared with.
fn build_server(root: &Path, folder: &Path, suites: &[Suite]) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    // The package reads Parquet.
    let tables: &[&str] = match suites.contains(&Suite::Wheel) {
        true => &["--features", "tables"],
        false => &[],
    };
    let mut output = Output::kept(folder, "build")?;
    // What is installed meanwhile takes longer on one core than this build on the rest.
    let built = output.run(cmd!(sh, "nice cargo build -p idmerge {tables...}"));
    output.show("build of the server")?;
    built
}

/// Installs what the suites need. Gives the suites that can run.
fn prepare(machine: &mut Machine<'_>, suites: &[Suite]) -> anyhow::Result<Vec<Suite>> {
    let mut ready = Vec::new();
    let mut lacking = Vec::new();
    for &suite in suites {
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
