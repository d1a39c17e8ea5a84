//! `idmerge store`: asks a store, withdraws entries, and maintains it.

mod backup;
mod erase;
mod explain;
mod maintenance;
pub(super) mod open;
mod queries;

use crate::args::store::{StoreArgs, StoreCommand};
use crate::output::destination::{Destination, Layout, Output};
use crate::report::ExitCode;

pub(crate) fn run(args: &StoreArgs) -> anyhow::Result<ExitCode> {
    let destination = match &args.command {
        StoreCommand::Changes(args) => args.output.destination_of(Layout::Changes)?,
        _ => Destination::STDOUT,
    };
    let mut output = Output::create(destination)?;
    let mut exit_code = ExitCode::SUCCESS;
    match &args.command {
        StoreCommand::Info(args) => queries::info(&args.folder, &mut output)?,
        StoreCommand::Log(args) => queries::log(args, &mut output)?,
        StoreCommand::Explain(args) => explain::run(args, &mut output)?,
        StoreCommand::Retract(args) => maintenance::retract(args, &mut output)?,
        StoreCommand::Changes(args) => queries::changes(args, &mut output)?,
        StoreCommand::Simulate(args) => queries::simulate(args, &mut output)?,
        StoreCommand::AsOf(args) => queries::as_of(args, &mut output)?,
        StoreCommand::Digest(args) => queries::digest(args, &mut output)?,
        StoreCommand::Compare(args) => exit_code = queries::compare(args, &mut output)?,
        StoreCommand::Erase(args) => erase::run(args, &mut output)?,
        StoreCommand::Backup(args) => backup::backup(args, &mut output)?,
        StoreCommand::Restore(args) => {
            backup::restore(args)?;
            queries::info(&args.store.folder, &mut output)?;
        }
        StoreCommand::Repair(args) => maintenance::repair(&args.folder, &mut output)?,
    }
    output.finish()?;
    Ok(exit_code)
}
