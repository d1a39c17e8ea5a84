//! The arguments of every command that needs to know which IDs are one person.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

use std::path::{Path, PathBuf};

use idmerge_core::{DistinctId, InvalidEventReason, Resolve};
use idmerge_engines::{Model, Settings};

use crate::args::engine::{SETTINGS, SettingsArgs};
use crate::args::input::InputArgs;
use crate::args::input::adapt::AdaptArgs;
use crate::args::input::sorting::SortingArgs;
use crate::report::{say, wrong_usage};

/// An input, and the source of identities: `--engine` or `--store`.
#[derive(Debug, clap::Args)]
pub(crate) struct IdentityArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    #[command(flatten)]
    pub(crate) adapt: AdaptArgs,

    #[command(flatten)]
    pub(crate) sorting: SortingArgs,

    /// The model of ID Merge
    #[arg(long, value_enum, required_unless_present = "store")]
    engine: Option<Model>,

    #[command(flatten)]
    settings: SettingsArgs,

    /// Use the merges of this store; claims of an input do not count
    #[arg(long, value_name = "DIR", hide = cfg!(not(feature = "store")))]
    #[arg(conflicts_with = "engine", conflicts_with_all = SETTINGS)]
    store: Option<PathBuf>,
}

/// The source of identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identities<'a> {
    /// An engine run over the input.
    OfInput(Settings),
    /// The store in this folder.
    OfStore(&'a Path),
}

impl IdentityArgs {
    /// # Errors
    ///
    /// There is a setting that the model does not have.
    pub(crate) fn identities(&self) -> anyhow::Result<Identities<'_>> {
        match (&self.store, self.engine) {
            (Some(folder), _) => Ok(Identities::OfStore(folder)),
            (None, Some(engine)) => Ok(Identities::OfInput(self.settings.settings(engine)?)),
            (None, None) => Err(wrong_usage(format_args!("--engine or --store is needed"))),
        }
    }
}

/// An ID from the arguments.
///
/// # Errors
///
/// The text is not an ID by the rules of these settings.
pub(crate) fn read_id<'e>(settings: &Settings, text: &'e str) -> anyhow::Result<DistinctId<'e>> {
    settings.read_id(text).map_err(|error| {
        // The advice of these two is for an event: it may leave the property out.
        let reason = match error.reason() {
            InvalidEventReason::Empty => "is empty; give a distinct_id".to_owned(),
            InvalidEventReason::Blocked { value } => format!("{value} is a blocked value"),
            reason => reason.to_string(),
        };
        let rule = error.rule();
        wrong_usage(format_args!(
            "the ID {reason} ({rule}; `idmerge help rules` prints the rules)"
        ))
    })
}

/// Says on stderr if an ID is in no cluster, but would be in one with the prefix `$device:`, or without
/// it. Returns whether it said so.
pub(crate) fn say_did_you_mean(
    settings: &Settings,
    state: &dyn Resolve,
    id: DistinctId<'_>,
) -> bool {
    let Some(other) = settings.did_you_mean(state, id) else {
        return false;
    };
    match other.is_device() {
        true => say(format_args!(
            "{id} is in no cluster, but the device {other} is: the ID of a device has the prefix \
             $device: (quote it, as in '{other}')"
        )),
        false => say(format_args!(
            "{id} is in no cluster, but the user ID {other} is: leave the prefix $device: out"
        )),
    }
    true
}
