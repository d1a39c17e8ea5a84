//! The command `idmerge`: ID Merge on files of events.
//!
//! Each command is a module that is called once; what they share is the way in ([`input`],
//! [`blocks`], [`lines`], [`events`]), the way out ([`output`], [`refused`]) and the fold between
//! them ([`fold`], [`claims`]).

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the room that faces the world: files, arguments, the terminal"
)]

mod args;
mod blocks;
mod claims;
mod cluster;
mod events;
mod fold;
mod generate;
mod ingest;
mod input;
mod interrupt;
mod lines;
mod model;
mod notes;
mod output;
mod progress;
mod refused;
mod rejections;
mod resolve;
mod resolve_by_store;
mod serve;
mod store;
mod summary;
mod turns;
mod users;
mod writing;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let listening = match args.command {
        // What it has taken is made safe first, so it listens for itself.
        Command::Serve(_) => Ok(()),
        _ => interrupt::install(),
    };
    let done = listening.and_then(|()| {
        match &args.command {
            Command::Resolve(args) => resolve::run(args),
            Command::Clusters(args) => cluster::run_all(args),
            Command::Cluster(args) => cluster::run_one(args),
            Command::Generate(args) => generate::run(args),
            Command::Ingest(args) => ingest::run(args),
            Command::Store(args) => return store::run(args),
            Command::Serve(args) => serve::run(args),
        }
        .map(|()| ExitCode::SUCCESS)
    });
    match done {
        Ok(exit_code) => exit_code,
        // Whoever read the output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
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

/// Says something on stderr. Where nobody listens there is nothing to be done about it.
fn say(message: std::fmt::Arguments<'_>) {
    let _unheard = writeln!(io::stderr(), "idmerge: {message}");
}
