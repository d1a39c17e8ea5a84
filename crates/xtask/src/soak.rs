//! Runs a server for a long time under good, broken and hostile traffic.
//!
//! The traffic and the checks of the stored events are `crates/server/examples/soak`. This module starts
//! the server, and compares the state of each project with that of a store that ingests its export.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::packages::metadata;
use crate::serving::Serving;
use crate::shell_at;

/// The projects: `token` and `engine`.
const PROJECTS: [(&str, &str); 3] = [
    ("soak-simplified", "simplified"),
    ("soak-original", "original"),
    ("soak-legacy", "legacy"),
];

/// Runs a server under load for some minutes. Everything is on this machine: the clients connect to
/// `127.0.0.1`, and all files are in `target/soak`.
///
/// # Errors
///
/// Fails if an acknowledged event is missing or stored twice, if the server's memory grows after the
/// first third of the time, if a well-behaved client is not served for three minutes, if the server does
/// not stop in good order, or if the state of a project is not that of its exported events.
pub fn soak(root: &Path, minutes: u32) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    // In one command, so that both are built with the same features of their dependencies.
    let packages = ["-p", "idmerge", "-p", "idmerge-server"];
    cmd!(
        sh,
        "cargo build --release {packages...} --bin idmerge --example soak"
    )
    .run()?;
    let folder = root.join("target/soak");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let serving = Serving::start(&sh, root, "release", &folder, &configuration())?;
    let programs = metadata(&root.join("Cargo.toml"))?
        .target_directory
        .join("release");
    let client = programs.join("examples/soak");
    let (address, process) = (serving.address().to_string(), serving.process().to_string());
    let seconds = (u64::from(minutes) * 60).to_string();
    cmd!(sh, "{client} {address} {process} {seconds} {folder}").run()?;
    serving.stop(&sh)?;
    let idmerge = programs.join("idmerge");
    for (token, engine) in PROJECTS {
        compare(&sh, idmerge.as_std_path(), &folder, token, engine)?;
    }
    Ok(())
}

/// Compares the state of a project with that of a store that ingests its export.
fn compare(
    sh: &Shell,
    idmerge: &Path,
    folder: &Path,
    token: &str,
    engine: &str,
) -> anyhow::Result<()> {
    let _in_folder = sh.push_dir(folder);
    let (project, copy) = (format!("data/{token}"), format!("copy-of-{token}"));
    let export = format!("{token}.ndjson");
    cmd!(sh, "{idmerge} ingest {copy} {export} --engine {engine} -q").run()?;
    let [project, copy] = [project, copy].map(|store| {
        let answer = cmd!(sh, "{idmerge} store digest {store}").read()?;
        let answer: Value = serde_json::from_str(&answer).context(answer)?;
        anyhow::Ok(answer["digest"].clone())
    });
    if project? != copy? {
        bail!("{token}: the state of the project is not that of its events");
    }
    println!("{token}: the state of the project is that of its exported events");
    Ok(())
}

/// The page caches of all projects, in MiB. They are full after a minute, so the growth of anything else shows.
const PAGE_CACHE_MIB: u32 = 24;

fn configuration() -> String {
    let project = |(token, engine)| {
        format!(
            "[[project]]\ntoken = \"{token}\"\nengine = \"{engine}\"\nsecret = \"secret-of-{token}\"\n"
        )
    };
    format!("page_cache_mib_max = {PAGE_CACHE_MIB}\n") + &PROJECTS.map(project).concat()
}
