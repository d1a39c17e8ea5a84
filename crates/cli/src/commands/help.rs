//! `idmerge help`: the help of a command, or the rules.

use clap::Parser;

use crate::args::Args;
use crate::args::help::HelpArgs;
use crate::output::destination::{Destination, Output};

/// The rules of ID Merge.
const RULES: &str = idmerge_core::rules::TEXT;

pub(crate) fn run(args: &HelpArgs) -> anyhow::Result<()> {
    let topic: Vec<&str> = args.topic.iter().map(String::as_str).collect();
    if topic == ["rules"] {
        let mut output = Output::create(Destination::Stdout)?;
        output.write(RULES.as_bytes())?;
        return output.finish();
    }
    // `help COMMAND` is `COMMAND --help`, and clap answers both with what it calls an error.
    let command_line = ["idmerge"].into_iter().chain(topic).chain(["--help"]);
    match Args::try_parse_from(command_line) {
        Ok(_) => Ok(()),
        Err(help) => help.exit(),
    }
}
