//! The arguments of `ingest`.

use std::path::PathBuf;

use crate::args::engine::OptionalEngineArgs;
use crate::args::input::InputArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge ingest people events.ndjson --engine simplified
  zcat day-*.gz | idmerge ingest people
  idmerge resolve today.ndjson --store people > resolved.ndjson

A store keeps the engine that it was made with; another --engine is an error.

A claim that the store has already changes nothing. So a run that was killed can be repeated: claims \
are committed in batches, and the input is read from its start. A withdrawn claim counts again when \
it is ingested again.")]
pub(crate) struct IngestArgs {
    /// The folder of the store; it is made if it does not exist
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,

    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) engine: OptionalEngineArgs,

    /// Write refused lines to FILE, with line number, error and rule
    #[arg(long, value_name = "FILE")]
    pub(crate) refused: Option<PathBuf>,
}
