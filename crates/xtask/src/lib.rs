//! Development tasks as cargo commands, and checks of the repository's structure as tests.
//!
//! `cargo xtask --help` lists the commands. Each is a short list of programs to start, in
//! [`tasks`], [`fuzz`], [`mod@bench`], [`mod@e2e`] and [`mod@soak`]. A command prints the programs it starts and
//! stops at the first failure, once what runs beside it has ended. The checks in [`tidy`] cover what the
//! compiler does not, such as which crate may depend on which; `tests/tidy.rs` runs them on this repository.
//!
//! Every function takes the root of the tree, so that tests can use a small tree.
//!
//! Only `.ci/run` is a shell script, and there is no task runner to install: everybody who can build the project
//! can run its tasks.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tasks start programs, read files and print to the terminal"
)]

use std::path::Path;

use xshell::{Shell, cmd};

pub mod bench;
mod beside;
pub mod e2e;
mod files;
pub mod fuzz;
mod output;
mod packages;
mod serving;
pub mod soak;
pub mod tasks;
pub mod tidy;

/// A shell that starts programs in the root of the tree.
fn shell_at(root: &Path) -> anyhow::Result<Shell> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    Ok(sh)
}

/// Installs a cargo command such as `fuzz`, unless it is installed.
fn install(sh: &Shell, command: &str, version: &str) -> anyhow::Result<()> {
    let installed = cmd!(sh, "cargo {command} --version").quiet();
    if installed.ignore_stdout().ignore_stderr().run().is_err() {
        let package = format!("cargo-{command}");
        cmd!(sh, "cargo install {package} --locked --version {version}").run()?;
    }
    Ok(())
}
