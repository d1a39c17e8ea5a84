//! The command `idmerge`: ID Merge on files of events, on a store of claims, and as a server.
//!
//! Data goes one way. [`commands`] reads [`args`], takes events from [`stream`], keeps what it
//! needs twice in [`spill`], and writes through [`output`]. None of these knows a command.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the command line reads files, arguments and the environment"
)]

mod args;
mod commands;
mod environment;
mod output;
mod report;
mod spill;
mod startup;
mod stream;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use args::Args;
use commands::help;
use report::{UsageError, say};

fn main() -> ExitCode {
    #[cfg(feature = "tables")]
    report::silence_caught_panics();
    let result = match Args::try_parse() {
        Ok(args) => commands::run(&args.command),
        Err(error) => help::show(&args::engine::with_models(error)),
    };
    match result {
        Ok(exit_code) => exit_code,
        // The reader of our output, such as `head`, has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(usage) = error.downcast_ref::<UsageError>() {
                usage.exit();
            }
            say(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
