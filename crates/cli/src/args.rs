//! The command line.

#![allow(
    clippy::doc_markdown,
    reason = "here a doc comment is the help text, and a terminal shows backticks as they are"
)]

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use idmerge_workloads::Workload;

use crate::ingest::IngestArgs;
use crate::model::SourceArgs;
use crate::serve::ServeArgs;
use crate::store::args::StoreArgs;

/// Decides which events belong to one person.
///
/// Products track people before and after they log in. idmerge joins the anonymous events and the
/// logged-in ones by the rules of Mixpanel's ID Merge, Simplified or Original.
#[derive(Debug, Parser)]
#[command(name = "idmerge", version, about, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  idmerge resolve events.ndjson --engine simplified -o resolved.ndjson
  zcat day-*.gz | idmerge resolve --engine original --refused refused.ndjson > resolved.ndjson
  idmerge clusters events.ndjson.zst --engine original
  idmerge cluster 'ada@example.com' events.ndjson --engine simplified
  idmerge ingest people events.ndjson --engine simplified
  idmerge store explain people 'ada@example.com'

Events are newline-delimited JSON, one object with \"event\" and \"properties\" a line; plain, gzip
or zstd, told apart by content. Exit code: 0 done, 1 failed, 2 wrong usage.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write every event with the distinct_id of the person who did it
    Resolve(ResolveArgs),
    /// Write every cluster: one JSON line a person who has several IDs
    Clusters(ClustersArgs),
    /// Write the cluster that one ID is in
    Cluster(ClusterArgs),
    /// Write made-up events of which it is known who is who
    Generate(GenerateArgs),
    /// Apply events to a store of claims, and make it where it is not there
    Ingest(IngestArgs),
    /// Ask about a store of claims, withdraw one, and look after it
    Store(StoreArgs),
    /// Take what tracking SDKs send over HTTP, and answer who is who
    Serve(ServeArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge resolve events.ndjson --engine simplified -o resolved.ndjson
  idmerge resolve mon.gz tue.gz --engine original --refused refused.ndjson > resolved.ndjson
  idmerge resolve - --engine original --max-cluster-ids 1000 < events.ndjson
  idmerge resolve today.ndjson --store people > resolved.ndjson

A merge is retroactive: an event that came before it gets the canonical distinct_id too. So the
input is read twice; what cannot be read twice is kept in a temporary file meanwhile. With --store it
is known who is who, and the input is read once.")]
pub(crate) struct ResolveArgs {
    #[command(flatten)]
    pub(crate) fold: FoldArgs,

    /// Write to FILE, which appears whole or not at all [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Write lines that cannot be used to FILE, each with its line number, its error and its rule
    #[arg(long, value_name = "FILE")]
    pub(crate) refused: Option<PathBuf>,

    /// Where any line is refused, write no output and exit with 1
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  idmerge clusters events.ndjson --engine simplified
  {\"canonical\":\"U1\",\"members\":[\"U1\",\"$device:D1\",\"$device:D2\"]}")]
pub(crate) struct ClustersArgs {
    #[command(flatten)]
    pub(crate) fold: FoldArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge cluster U1 events.ndjson --engine simplified
  idmerge cluster '$device:D1' events.ndjson --engine simplified
  idmerge cluster U1 --store people

An ID that is in no cluster is its own canonical ID and has no members.")]
pub(crate) struct ClusterArgs {
    /// The ID, as a distinct_id is written: a device has the prefix $device: in Simplified
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    pub(crate) id: String,

    #[command(flatten)]
    pub(crate) fold: FoldArgs,
}

/// What every command takes that says who is who.
#[derive(Debug, clap::Args)]
pub(crate) struct FoldArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// What every command takes that reads events.
#[derive(Debug, clap::Args)]
pub(crate) struct InputArgs {
    /// Files of events, read as one stream in this order; - is stdin [default: stdin]
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// Refuse lines with more bytes than this
    #[arg(long, value_name = "N", default_value_t = 16 * 1024 * 1024)]
    pub(crate) max_line_bytes: u64,

    /// Show no progress and no summary
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge generate --workload web-login --events 1000000 --seed 1 -o events.ndjson
  idmerge generate --workload cap --events 50000 --truth who.ndjson -o cap.ndjson

The same workload, number and seed give the same bytes on every machine.")]
pub(crate) struct GenerateArgs {
    /// What kind of traffic: web-login, identify, shared-device or cap
    #[arg(long, value_name = "NAME", long_help = workload_help())]
    pub(crate) workload: Workload,

    /// How many events
    #[arg(long, value_name = "N")]
    pub(crate) events: u64,

    /// Which of the many streams of this kind
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Write to FILE, which appears whole or not at all [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Write who really is who to FILE, one person a line
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,

    /// Show no progress
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

fn workload_help() -> String {
    let mut help = "What kind of traffic:\n".to_owned();
    for workload in Workload::ALL {
        help += &format!("  {workload}: {}\n", workload.description());
    }
    help
}

/// Says what is wrong with the arguments and ends the program with exit code 2.
pub(crate) fn wrong_usage(message: std::fmt::Arguments<'_>) -> ! {
    clap::Error::raw(
        ErrorKind::ArgumentConflict,
        format_args!("{message}\n\nFor more information, try '--help'.\n"),
    )
    .exit()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Args::command().debug_assert();
    }
}
