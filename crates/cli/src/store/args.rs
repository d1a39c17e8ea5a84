//! The arguments of `idmerge store`.
#![allow(
    clippy::doc_markdown,
    reason = "here a doc comment is the help text, and a terminal shows backticks as they are"
)]

use std::path::PathBuf;

use clap::Subcommand;

use crate::model::EngineArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A store is a folder with a log of claims, made by `idmerge ingest`. Answers are JSON, one object a
line. Examples:
  idmerge store explain people '$device:D1' ada@example.com
  idmerge store retract people 1042 --who ben --why 'a shared tablet'
  idmerge store changes people --since 90000 > remaps.ndjson")]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Say what is in a store: its engine, how many entries, users with several IDs
    Info(FolderArgs),
    /// Write the entries of the log
    Log(LogArgs),
    /// Say why two IDs are one person or are not, or tell the story of one
    Explain(ExplainArgs),
    /// Withdraw an entry, and write every ID that has another canonical ID now
    Retract(RetractArgs),
    /// Write every change of a canonical ID after an entry, in order
    Changes(ChangesArgs),
    /// Say what another engine or another setting would have made of the same claims
    Simulate(SimulateArgs),
    /// Resolve IDs as they were after an entry
    AsOf(AsOfArgs),
    /// Write a hash of the state, which is equal where states are
    Digest(DigestArgs),
    /// Find the first entry at which two stores part
    Compare(CompareArgs),
    /// Write all of a store to one file, while it is used
    Backup(BackupArgs),
    /// Make a store of a file that backup wrote
    Restore(RestoreArgs),
    /// Keep the longest good prefix of a damaged store, and say what is lost
    Repair(FolderArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct FolderArgs {
    /// The folder of the store
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// Begin with this entry
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    pub(crate) from: u64,

    /// Stop after so many entries
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
With two IDs: the shortest chain of accepted claims from one to the other, or, where they are two
people, the rejected claims that would have joined them. With one: its cluster's claims in order.
Each claim is written with its entry, the engine's answer and the event that made it.

Examples:
  idmerge store explain people U1
  idmerge store explain people '$device:D1' U1")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// The ID, as a distinct_id is written
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    pub(crate) id: String,

    /// Another ID
    #[arg(value_name = "OTHER", allow_hyphen_values = true)]
    pub(crate) other: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The state becomes what the log without that entry gives: claims that were rejected because of it are
accepted now. The retraction is an entry itself; withdraw that one to bring the first back.

Example:
  idmerge store explain people '$device:D1' U1     # says which entry joined them
  idmerge store retract people 1042 --who ben --why 'a shared tablet'")]
pub(crate) struct RetractArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// The number of the entry
    #[arg(value_name = "SEQ")]
    pub(crate) sequence: u64,

    /// Who withdraws it, for who asks later
    #[arg(long, value_name = "NAME")]
    pub(crate) who: String,

    /// Why, for who asks later
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
To go on another day give --since the sequence of the last line that was dealt with. An entry may
change many IDs; all its lines come in one go, unless --limit cuts them.

Example:
  idmerge store changes people --since 90000
  {\"sequence\":90017,\"id\":\"$device:D1\",\"from\":\"$device:D1\",\"to\":\"U1\"}")]
pub(crate) struct ChangesArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// Only changes after this entry
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub(crate) since: u64,

    /// Stop after the entry with which there are so many lines or more
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge store simulate people --engine original
  idmerge store simulate people --engine original --max-cluster-ids 1000 --examples 20")]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    /// Both as of this entry [default: the last]
    #[arg(long, value_name = "SEQ")]
    pub(crate) as_of: Option<u64>,

    /// How many people that differ to name, of each kind
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) examples: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AsOfArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// The entry; 0 is before all
    #[arg(value_name = "SEQ")]
    pub(crate) sequence: u64,

    /// The IDs, as distinct_ids are written
    #[arg(value_name = "ID", allow_hyphen_values = true, required = true)]
    pub(crate) ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DigestArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// The entry [default: the last]
    #[arg(long, value_name = "SEQ")]
    pub(crate) as_of: Option<u64>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code: 0 where they are the same, 1 where they part.")]
pub(crate) struct CompareArgs {
    /// The folder of one store
    #[arg(value_name = "DIR")]
    pub(crate) first: PathBuf,

    /// The folder of the other
    #[arg(value_name = "OTHER")]
    pub(crate) second: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// The new file, which appears whole or not at all
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// The file that backup wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) store: FolderArgs,
}
