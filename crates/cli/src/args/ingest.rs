//! The arguments of `ingest`.

use std::path::PathBuf;

use idmerge_ingest::COMMIT_CLAIMS;

use crate::args::engine::OptionalEngineArgs;
use crate::args::input::adapt::AdaptArgs;
use crate::args::input::conflicts::ConflictsArgs;
use crate::args::input::sorting::SortingArgs;
use crate::args::input::{InputArgs, SummaryArgs};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge ingest people events.ndjson --engine simplified
  idmerge ingest shop events.ndjson --engine original --blocked-ids +testers.txt
  zcat day-*.gz | idmerge ingest people
  idmerge ingest people calls/*.gz --from segment
  idmerge resolve today.ndjson --store people > resolved.ndjson

A store keeps the engine and the settings that it was created with; others are an error.

If a run is interrupted, run it again: it continues where the store has its last commit. What was \
taken before is passed over, also after its claims were withdrawn: an input whose content is known, \
under any name and compressed or not; the known beginning of an input that has grown; and an event \
with the name, time, distinct_id and $insert_id of an earlier one (AR-2, AR-3).

With --strict or --max-refused, the run ends at the refused line that is one too many. Claims that were \
committed before it, in steps of 50,000, stay; the claims after the last commit are not added.

--conflicts FILE gets the cases of what this run takes, as `idmerge resolve` writes them.")]
pub(crate) struct IngestArgs {
    /// The folder of the store; created if it does not exist
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,

    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) adapt: AdaptArgs,

    #[command(flatten)]
    pub(crate) sorting: SortingArgs,

    #[command(flatten)]
    pub(crate) conflicts: ConflictsArgs,

    #[command(flatten)]
    pub(crate) summary: SummaryArgs,

    #[command(flatten)]
    pub(crate) engine: OptionalEngineArgs,

    /// Also take inputs and events that were taken before
    #[arg(long)]
    pub(crate) again: bool,

    /// Commit after this many claims; for tests that kill a run between two commits
    #[arg(long, value_name = "N", default_value_t = COMMIT_CLAIMS, hide = true)]
    pub(crate) commit_claims: u64,
}
