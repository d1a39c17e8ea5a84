//! The commands, one module each. The `run` of a module shows the steps of its command.

mod analyze;
mod apply;
mod clusters;
#[cfg(feature = "serve")]
mod demo;
mod generate;
pub(crate) mod help;
#[cfg(feature = "store")]
mod ingest;
mod inspect;
mod lint;
mod manual;
mod migrate;
mod one_pass;
mod order;
mod resolve;
mod resolve_at_arrival;
#[cfg(feature = "store")]
mod resolve_by_store;
#[cfg(feature = "tables")]
mod resolve_columns;
#[cfg(feature = "serve")]
mod serve;
mod sorting;
#[cfg(feature = "store")]
mod store;

use std::process::ExitCode;

use crate::args::Command;
use crate::output::interrupt;
#[cfg(not(all(feature = "store", feature = "serve")))]
use crate::report::left_out;

/// Runs a command.
///
/// # Errors
///
/// Any error that the command reports to its user.
pub(crate) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    // The server has its own handler: it saves what it accepted before it ends.
    if !matches!(command, Command::Serve(_) | Command::Demo(_)) {
        interrupt::install()?;
    }
    match command {
        Command::Resolve(args) => resolve::run(args)?,
        Command::Clusters(args) => clusters::run_all(args)?,
        Command::Cluster(args) => clusters::run_one(args)?,
        Command::Mappings(args) => clusters::run_mappings(args)?,
        Command::Funnel(args) => analyze::funnel::run(args)?,
        Command::Uniques(args) => analyze::uniques::run(args)?,
        Command::Retention(args) => analyze::retention::run(args)?,
        Command::Inspect(args) => return inspect::run(args),
        Command::Lint(args) => return lint::run(args),
        Command::Order(args) => return order::run(args),
        Command::Migrate(args) => return migrate::run(args),
        Command::Generate(args) => generate::run(args)?,
        #[cfg(feature = "store")]
        Command::Ingest(args) => ingest::run(args)?,
        #[cfg(feature = "store")]
        Command::Store(args) => return store::run(args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(args)?,
        #[cfg(feature = "serve")]
        Command::Demo(args) => demo::run(args)?,
        #[cfg(not(feature = "store"))]
        Command::Ingest(_) => return Err(left_out("`ingest`", "store")),
        #[cfg(not(feature = "store"))]
        Command::Store(_) => return Err(left_out("`store`", "store")),
        #[cfg(not(feature = "serve"))]
        Command::Serve(_) => return Err(left_out("`serve`", "serve")),
        #[cfg(not(feature = "serve"))]
        Command::Demo(_) => return Err(left_out("`demo`", "serve")),
        Command::Completions(args) => manual::complete(args)?,
        Command::Man(args) => manual::man(args)?,
        Command::Help(args) => return help::run(args),
    }
    Ok(ExitCode::SUCCESS)
}
