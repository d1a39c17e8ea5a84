//! The arguments of `generate`.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use idmerge_workloads::Workload;

use crate::args::input::OutputArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge generate --workload web-login --events 1000000 -o events.ndjson
  idmerge generate --workload cap --events 50000 --truth people.ndjson
  idmerge generate --workload web-login --events 9000 --mistakes truth.ndjson

The same arguments give the same output on every machine.")]
pub(crate) struct GenerateArgs {
    /// The kind of traffic
    #[arg(long, value_name = "NAME", value_parser = workload_parser())]
    pub(crate) workload: Workload,

    /// The number of events
    #[arg(long, value_name = "N")]
    pub(crate) events: u64,

    /// Random seed [default: 1]
    #[arg(long, value_name = "S", default_value_t = 1, hide_default_value = true)]
    pub(crate) seed: u64,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// Write the right answer to FILE: each person's IDs, one person a line
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,

    /// Plant mistakes of tracking code among the events, and write them to FILE, one a line; --truth has the
    /// other people alone
    #[arg(long, value_name = "FILE")]
    pub(crate) mistakes: Option<PathBuf>,

    /// Show no progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Parses the name of a workload; the help lists them all.
fn workload_parser() -> impl TypedValueParser<Value = Workload> {
    let values = Workload::ALL
        .map(|workload| PossibleValue::new(workload.name()).help(workload.description()));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Workload>())
}
