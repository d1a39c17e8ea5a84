//! The arguments of `inspect`.

use crate::args::engine::SettingsArgs;
use crate::args::input::adapt::AdaptArgs;
use crate::args::input::sorting::SortingArgs;
use crate::args::input::{InputArgs, ReportFormat};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge inspect events.ndjson
  idmerge inspect exports/ --format json > exports.json
  zcat day-*.gz | idmerge inspect -
  idmerge inspect calls/ --from auto

Counts what the events carry, gives them to the engines of the three models, and says which model the \
project probably has, which one fits, and what would be lost under the others. An INPUT that is a folder \
means the files in it, by name, without hidden files and inner folders. The input is read once.

The recommendation is simplified or original: the model with fewer extra users and events that it \
cannot use, counted together, and simplified if these are equal. Legacy is never recommended: no event moves that came before \
an alias, a second device of a user is never joined, and new projects do not get it.

The model that the project has is a likelihood, by signs in the events. A strong sign is one that only one \
model leaves, such as $failure_reason. \"Very likely\" is a model with a strong sign if no other model has \
one; \"probably\", if others have fewer; \"perhaps\", if there are weak signs alone. A raw export shows more \
than the events that SDKs sent.

Anonymous first, then a user: the users whose first event is anonymous, and who have a later one as a user. \
An event is anonymous if it has no $user_id and its ID is no user's. A user's ID is one that is sent as \
$user_id or identified by $identify; of the others, one that is never sent as a device and is an alias or \
not of a form of SDKs. In legacy, what arrives under an alias is a user's.

A call of reset() is missing each time that events show a device with another user than before, because \
reset() gives the device a new ID. An event shows a device with a user if it has both $device_id and \
$user_id, or is $identify, or $create_alias of an anonymous ID.

Memory grows with the number of IDs, not with that of events. docs/choosing.md explains the models.

If no event carries an ID that a model reads, the exit code is 1.")]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) adapt: AdaptArgs,

    #[command(flatten)]
    pub(crate) sorting: SortingArgs,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    /// The format of the answer
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
}
