//! The commands: each module has one, and reads from top to bottom as what it does.

mod apply;
mod clusters;
mod generate;
mod help;
mod ingest;
mod resolve;
mod resolve_by_store;
mod serve;
mod store;

use std::process::ExitCode;

use crate::args::Command;
use crate::output::interrupt;

/// Runs a command.
///
/// # Errors
///
/// Whatever the command reports to its user.
pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    // The server has its own handler: it saves what it accepted before it ends.
    if !matches!(command, Command::Serve(_)) {
        interrupt::install()?;
    }
    match command {
        Command::Resolve(args) => resolve::run(args)?,
        Command::Clusters(args) => clusters::run_all(args)?,
        Command::Cluster(args) => clusters::run_one(args)?,
        Command::Generate(args) => generate::run(args)?,
        Command::Ingest(args) => ingest::run(args)?,
        Command::Store(args) => return store::run(args),
        Command::Serve(args) => serve::run(args)?,
        Command::Help(args) => help::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}
