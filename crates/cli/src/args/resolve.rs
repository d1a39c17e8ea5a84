//! The arguments of `resolve`, `clusters`, `cluster` and `mappings`.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

use std::path::PathBuf;

use clap::ValueEnum;
use idmerge_engines::Settings;
use idmerge_events::MappingFormat;

use crate::args::identities::IdentityArgs;
use crate::args::input::conflicts::ConflictsArgs;
use crate::args::input::{OutputArgs, SummaryArgs};
use crate::output::summary::SummaryForm;
use crate::stream::adapt::Adapting;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge resolve events.ndjson --engine simplified -o resolved.ndjson
  idmerge resolve mon.gz tue.gz --engine original --refused refused.ndjson
  idmerge resolve - --engine original --max-cluster-ids 1000 < events.ndjson
  idmerge resolve - --engine legacy < events.ndjson
  idmerge resolve events.ndjson --engine simplified --blocked-ids +testers.txt
  idmerge resolve today.ndjson --store people > resolved.ndjson
  idmerge resolve calls/*.gz --from segment --engine simplified > out.ndjson
  idmerge resolve events.ndjson --engine original --conflicts cases > out
  idmerge resolve events.parquet --engine simplified -o resolved.parquet
  idmerge resolve mon.gz tue.gz --order-by time --engine original > out.ndjson

A merge is retroactive: events before it also get the canonical distinct_id. So the input is read \
twice, and stdin is first copied to a temporary file. A file whose size, time or content changes \
meanwhile is an error: to resolve a file that is being written, copy it first. With --from, the events \
that are made of the records are kept between the two readings, uncompressed: 4 MiB of them in memory, the \
rest in a temporary file (TMPDIR sets the folder). If its disk has no room for as much again, which the \
output may need, the file is removed, and the events are made twice.

Parquet is read and written if idmerge was installed with `cargo install idmerge --features tables`. A name \
after -o that ends with .parquet or .csv gives a table. From Parquet to Parquet all columns are kept; docs/tables.md has the \
columns of other tables.

With --engine legacy no merge is retroactive: each event gets what its ID stands for when it comes. The \
input is read once, and lines are written while it is read. With --store, such a model answers with what \
IDs stand for now, and the summary says so.

With --store the merges are known before the input is read, so it is read once, and lines go to stdout \
while it is read. If reading then fails, stdout has a part of the output; with -o, --strict or \
--max-refused it is all or nothing.

--conflicts FILE gets a line of JSON for each case, those with the most events first, in the form that \
`idmerge migrate` writes: its kind, its IDs, the ID in chosen, the rule, at most ten lines of the input as \
evidence, how many events are evidence, and what would settle it.")]
pub(crate) struct ResolveArgs {
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// A table of who is who, whose rows count after all events: CSV or NDJSON with distinct_id and
    /// resolved_distinct_id, or PostHog's persons with distinct_id and person_id
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    pub(crate) mapping: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) conflicts: ConflictsArgs,

    #[command(flatten)]
    pub(crate) summary: SummaryArgs,
}

impl ResolveArgs {
    /// How the records of another product become events, for these settings.
    ///
    /// # Errors
    ///
    /// The arguments do not fit together.
    pub(crate) fn adapting(&self, settings: &Settings) -> anyhow::Result<Option<Adapting>> {
        let is_quiet = self.identity.input.quiet;
        let is_silent = self.summary.form(is_quiet) != SummaryForm::Text;
        self.identity.adapt.adapting(settings, is_silent)
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge clusters events.ndjson --engine simplified
  {\"canonical\":\"U1\",\"members\":[\"U1\",\"$device:D1\",\"$device:D2\"]}

  idmerge clusters events.ndjson --engine original -o people.ndjson.zst
  idmerge clusters calls/*.gz --from segment --engine original")]
pub(crate) struct ClustersArgs {
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge mappings events.ndjson --engine simplified --format csv
  distinct_id,resolved_distinct_id
  $device:D1,U1

  idmerge mappings --store people -o mappings.ndjson.zst
  idmerge mappings events.ndjson --engine original -o mappings.parquet
  idmerge mappings calls/*.gz --from segment --engine simplified

There is a row for each ID of a cluster that is not its canonical ID: any other ID is its own canonical \
ID. A join with events gives each event the canonical distinct_id of its person; docs/mappings.md shows \
it in SQL. Rows are in the order of `idmerge clusters` and of the members there, the same each time.")]
pub(crate) struct MappingsArgs {
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// The format of the rows [default: by the end of the name of --output, else ndjson]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<RowFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// JSON, one object a line
    Ndjson,
    /// CSV with a header
    Csv,
}

impl RowFormat {
    pub(crate) fn of_mappings(self) -> MappingFormat {
        match self {
            Self::Ndjson => MappingFormat::Ndjson,
            Self::Csv => MappingFormat::Csv,
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge cluster U1 events.ndjson --engine simplified
  idmerge cluster '$device:D1' events.ndjson --engine simplified
  idmerge cluster U1 --store people
  idmerge cluster U1 calls/*.gz --from segment --engine simplified

An ID that is in no cluster is its own canonical ID, and has no members.")]
pub(crate) struct ClusterArgs {
    /// The ID, in the form of a distinct_id: in Simplified a device has the prefix $device:
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    pub(crate) id: String,

    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
}
