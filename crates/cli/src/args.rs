//! The command line: one struct for the arguments of each command. A doc comment of a field is its
//! help text.

pub(crate) mod analyze;
#[cfg(feature = "serve")]
pub(crate) mod demo;
pub(crate) mod engine;
pub(crate) mod generate;
pub(crate) mod help;
pub(crate) mod identities;
#[cfg(feature = "store")]
pub(crate) mod ingest;
pub(crate) mod input;
pub(crate) mod inspect;
pub(crate) mod lint;
pub(crate) mod migrate;
pub(crate) mod resolve;
#[cfg(feature = "serve")]
pub(crate) mod serve;
#[cfg(feature = "store")]
pub(crate) mod store;

use clap::{Parser, Subcommand};

use crate::args::analyze::{FunnelArgs, RetentionArgs, UniquesArgs};
#[cfg(feature = "serve")]
use crate::args::demo::DemoArgs;
use crate::args::generate::GenerateArgs;
use crate::args::help::{CompletionsArgs, HelpArgs, ManArgs};
#[cfg(feature = "store")]
use crate::args::ingest::IngestArgs;
use crate::args::inspect::InspectArgs;
use crate::args::lint::{LintArgs, OrderArgs};
use crate::args::migrate::MigrateArgs;
use crate::args::resolve::{ClusterArgs, ClustersArgs, MappingsArgs, ResolveArgs};
#[cfg(feature = "serve")]
use crate::args::serve::ServeArgs;
#[cfg(feature = "store")]
use crate::args::store::StoreArgs;

// A line break in these texts is shown as it is, and clap wraps longer lines. So a paragraph is one
// line of the string, and an example fits into 80 columns.
const EXAMPLES: &str = "\
Examples:
  idmerge resolve events.ndjson --engine simplified -o resolved.ndjson
  zcat day-*.gz | idmerge resolve --engine original > resolved.ndjson
  idmerge inspect events.ndjson
  idmerge lint events.ndjson --engine simplified
  idmerge clusters events.ndjson.zst --engine original
  idmerge cluster 'ada@example.com' events.ndjson --engine simplified
  idmerge funnel events.ndjson --engine simplified --steps View 'Sign Up'
  idmerge ingest people events.ndjson --engine simplified
  idmerge store explain people 'ada@example.com'
  idmerge serve --data data --engine simplified
  idmerge demo

The input is JSON objects with \"event\" and \"properties\": one on each line, in one array, or one \
after another. It can be compressed with gzip or zstd. `idmerge help rules` prints the rules.

Exit code: 0 on success, 1 on failure, 2 on wrong usage, and 128 plus its number after a signal.";

/// Decide which events belong to one person.
///
/// Products track people before and after they log in. idmerge joins the anonymous events and the
/// logged-in events of a person by the rules of Mixpanel's ID Merge (Simplified or Original), or of
/// projects without it (Legacy).
#[derive(Debug, Parser)]
#[command(name = "idmerge", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write each event with the distinct_id of its person
    Resolve(ResolveArgs),
    /// Print each person's IDs (a cluster) as a line of JSON
    Clusters(ClustersArgs),
    /// Print the cluster of one ID
    Cluster(ClusterArgs),
    /// Print which canonical ID each other ID resolves to, as a table to join
    Mappings(MappingsArgs),
    /// Count the users who do some events in order, with and without ID merge
    Funnel(FunnelArgs),
    /// Count the users of each event or day, with and without ID merge
    Uniques(UniquesArgs),
    /// Count the users who come back, with and without ID merge
    Retention(RetentionArgs),
    /// Say which model a project has, which one fits, and what the others would lose
    Inspect(InspectArgs),
    /// Find mistakes in tracking code, with evidence and what to change
    Lint(LintArgs),
    /// Say which answers depend on the order in which events arrived
    Order(OrderArgs),
    /// Move a project to another model: write links, events and every case to decide
    Migrate(MigrateArgs),
    /// Generate test events for which the right answer is known
    Generate(GenerateArgs),
    /// Add the identity claims of events to a store on disk
    #[cfg(feature = "store")]
    Ingest(IngestArgs),
    /// Not in this build: needs the Cargo feature "store"
    #[cfg(not(feature = "store"))]
    Ingest(LeftOutArgs),
    /// Query, correct, back up or repair a store
    #[cfg(feature = "store")]
    Store(StoreArgs),
    /// Not in this build: needs the Cargo feature "store"
    #[cfg(not(feature = "store"))]
    Store(LeftOutArgs),
    /// Run a server for the events of Mixpanel SDKs
    #[cfg(feature = "serve")]
    Serve(ServeArgs),
    /// Not in this build: needs the Cargo feature "serve"
    #[cfg(not(feature = "serve"))]
    Serve(LeftOutArgs),
    /// Show a server with made-up people, whose devices become one person each
    #[cfg(feature = "serve")]
    Demo(DemoArgs),
    /// Not in this build: needs the Cargo feature "serve"
    #[cfg(not(feature = "serve"))]
    Demo(LeftOutArgs),
    /// Print the completion script of a shell
    Completions(CompletionsArgs),
    /// Print a page for man, or write all of them to a folder
    Man(ManArgs),
    /// Print this message, the help of a command, or the rules
    Help(HelpArgs),
}

/// The arguments of a command that this build leaves out. Takes any, so that the error names the
/// Cargo feature and not a missing argument.
#[cfg(not(all(feature = "store", feature = "serve")))]
#[derive(Debug, clap::Args)]
pub(crate) struct LeftOutArgs {
    #[arg(
        value_name = "ARGUMENT",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    _arguments: Vec<String>,
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
