//! The commands, one module each. The `run` of a module shows the steps of its command.
//!
//! Data goes one way. A command reads [`args`](crate::args), takes events from [`stream`](crate::stream), keeps what it
//! needs twice in [`spill`](crate::spill), and writes through [`output`](crate::output). None of these knows a command.

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

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Parser;

use crate::args::{self, Args, Command};
use crate::output::interrupt;
#[cfg(not(all(feature = "store", feature = "serve")))]
use crate::report::left_out;
#[cfg(feature = "tables")]
use crate::report::silence_caught_panics;
use crate::report::{ExitCode, UsageError, say};

/// Runs the program `idmerge`, and gives its exit code. The first argument is the name of the program, which usage texts
/// repeat.
///
/// The program has the process for itself: signals end the process (128 plus the number of the signal), it writes to
/// the descriptors 1 and 2, and it leaves a panic hook behind. Call it once, as the last thing.
#[must_use]
pub fn run_program(arguments: Vec<OsString>) -> u8 {
    #[cfg(feature = "tables")]
    silence_caught_panics();
    let result = match Args::try_parse_from(arguments) {
        Ok(args) => run(&args.command),
        Err(error) => help::show(&args::engine::with_models(error)),
    };
    let ExitCode(exit_code) = match result {
        Ok(exit_code) => exit_code,
        // The reader of our output, such as `head`, has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<UsageError>() {
            Some(usage) => usage.show(),
            None => {
                say(format_args!("{error:#}"));
                ExitCode::FAILURE
            }
        },
    };
    // After an error the end of the output may be in this buffer. Only in a program of Rust does the standard library
    // write it when the process ends.
    let _unheard = io::stdout().flush();
    exit_code
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Runs a command.
///
/// # Errors
///
/// Any error that the command reports to its user.
fn run(command: &Command) -> anyhow::Result<ExitCode> {
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
