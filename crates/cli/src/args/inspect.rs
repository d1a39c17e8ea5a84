//! The arguments of `inspect`.

use crate::args::engine::SettingsArgs;
use crate::args::input::adapt::AdaptArgs;
use crate::args::input::{InputArgs, ReportFormat};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge inspect events.ndjson
  idmerge inspect exports/ --format json > exports.json
  zcat day-*.gz | idmerge inspect -
  idmerge inspect calls/ --from auto

Counts what the events carry, gives them to the engines of both models, and says which model fits and \
what would be lost under the other. An INPUT that is a folder means the files in it, by name, without \
hidden files and inner folders. The input is read once.

If no event carries an ID that a model reads, the exit code is 1.")]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) adapt: AdaptArgs,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    /// The format of the answer
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
}
