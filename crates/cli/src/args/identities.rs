//! The arguments of every command that needs to know which IDs are one person.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

use std::path::{Path, PathBuf};

use idmerge_core::{DistinctId, IdentityResolver, IdentityResolverExt};

use crate::args::engine::{EngineName, Model, SettingsArgs};
use crate::args::input::InputArgs;
use crate::report::wrong_usage;

/// An input, and where identities come from: `--engine` or `--store`.
#[derive(Debug, clap::Args)]
pub(crate) struct IdentityArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// The model of ID Merge
    #[arg(long, value_enum, required_unless_present = "store")]
    engine: Option<EngineName>,

    #[command(flatten)]
    settings: SettingsArgs,

    /// Resolve by this store; claims of the input are not applied
    #[arg(long, value_name = "DIR", hide = cfg!(not(feature = "store")))]
    #[arg(conflicts_with_all = ["engine", "max_cluster_ids", "anon_id_format"])]
    store: Option<PathBuf>,
}

/// Where identities come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identities<'a> {
    /// An engine run over the input.
    OfInput(Model),
    /// The store in this folder.
    OfStore(&'a Path),
}

impl IdentityArgs {
    /// # Errors
    ///
    /// There is a setting that the engine does not have.
    pub(crate) fn identities(&self) -> anyhow::Result<Identities<'_>> {
        match (&self.store, self.engine) {
            (Some(folder), _) => Ok(Identities::OfStore(folder)),
            (None, Some(engine)) => Ok(Identities::OfInput(self.settings.model(engine)?)),
            (None, None) => Err(wrong_usage(format_args!("--engine or --store is needed"))),
        }
    }
}

/// An ID from the arguments.
///
/// # Errors
///
/// The text is not an ID by the rules of the engine.
pub(crate) fn read_id<'e>(
    engine: &dyn IdentityResolver,
    text: &'e str,
) -> anyhow::Result<DistinctId<'e>> {
    engine.read_id(text).map_err(|error| {
        wrong_usage(format_args!(
            "{text:?} is not an ID: {error}; see `idmerge help rules`"
        ))
    })
}
