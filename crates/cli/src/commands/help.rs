//! `idmerge help`: the help of a command, or the rules.

use std::io::{self, Write};

use anyhow::Context;
use clap::Parser;

use crate::args::Args;
use crate::args::help::HelpArgs;
use crate::output::destination::{Destination, Output};
use crate::report::ExitCode;
use crate::startup;

/// The rules of ID Merge.
const RULES: &str = idmerge_core::rules::TEXT;

pub(crate) fn run(args: &HelpArgs) -> anyhow::Result<ExitCode> {
    let topic: Vec<&str> = args.topic.iter().map(String::as_str).collect();
    if topic == ["rules"] {
        let mut output = Output::create(Destination::STDOUT)?;
        output.write(RULES.as_bytes())?;
        output.finish()?;
        return Ok(ExitCode::SUCCESS);
    }
    // `help COMMAND` is `COMMAND --help`, and clap answers both with what it calls an error.
    let command_line = ["idmerge"].into_iter().chain(topic).chain(["--help"]);
    match Args::try_parse_from(command_line) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => show(&error),
    }
}

/// Prints a help text, the version, or an error in the arguments.
///
/// # Errors
///
/// A help text cannot be written.
pub(crate) fn show(error: &clap::Error) -> anyhow::Result<ExitCode> {
    if error.use_stderr() {
        // Stderr may be closed.
        let _unheard = error.print();
        return Ok(ExitCode::WRONG_USAGE);
    }
    let shown = match startup::stdout_was_closed() {
        true => Err(io::Error::other("it is closed")),
        false => error.print().and_then(|()| io::stdout().flush()),
    };
    shown.context("cannot write stdout")?;
    Ok(ExitCode::SUCCESS)
}
