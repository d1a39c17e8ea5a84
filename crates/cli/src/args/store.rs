//! The arguments of `store` and its commands.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

use std::path::PathBuf;

use clap::Subcommand;

use crate::args::analyze::value::date;
use crate::args::engine::EngineArgs;
use crate::args::input::OutputArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge store explain people '$device:D1' ada@example.com
  idmerge store retract people 1042 --who ben --why 'a shared tablet'
  idmerge store changes people --since 90000 > changes.ndjson

A store is a folder with a log of claims. `idmerge ingest` creates it. Output is JSON, one object a \
line.")]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Print the engine, the number of entries and the number of clusters
    #[command(after_help = "\
Example:
  idmerge store info people")]
    Info(FolderArgs),
    /// Print the entries of the log
    Log(LogArgs),
    /// Explain why two IDs are one person or two, or list one ID's claims
    Explain(ExplainArgs),
    /// Withdraw a claim, or all claims that name an ID, and print each ID that changes
    Retract(RetractArgs),
    /// Print each change of a canonical ID after an entry
    Changes(ChangesArgs),
    /// Compare with the clusters that another engine or setting gives
    Simulate(SimulateArgs),
    /// Resolve IDs in the state after an entry
    AsOf(AsOfArgs),
    /// Print a hash of the state; equal states have equal hashes
    Digest(DigestArgs),
    /// Find the first entry in which two stores differ
    Compare(CompareArgs),
    /// Erase people: their claims, events and profiles
    Erase(EraseArgs),
    /// Write the whole store to one file, even while it is in use
    Backup(BackupArgs),
    /// Create a store from a backup
    Restore(RestoreArgs),
    /// Keep the entries before the damage, and report what is lost
    #[command(after_help = "\
Example:
  idmerge store repair people

The damaged file is kept under another name, which the output shows.")]
    Repair(FolderArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct FolderArgs {
    /// The folder of the store
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge store log people
  idmerge store log people --from 90000 --limit 100")]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// Start with this entry
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    pub(crate) from: u64,

    /// Stop after N entries
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge store explain people U1
  idmerge store explain people '$device:D1' U1

If two IDs are one person, the output is the shortest chain of accepted claims between them. If they \
are two people, it is the rejected claims that would have joined them, each with its rule and who holds what: \
each one that alone would have, or else the fewest that together would have, through other people. \"why\" in \
the first line says which. If no claim ever connected them, it says so. For one ID, it is the claims of its \
cluster, in order. Each claim has its entry number, the engine's answer and its event.")]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// The ID, in the form of a distinct_id
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    pub(crate) id: String,

    /// A second ID
    #[arg(value_name = "OTHER", allow_hyphen_values = true)]
    pub(crate) other: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge store explain people '$device:D1' U1   # shows the entry
  idmerge store retract people 1042 --who ben --why 'a shared tablet'
  idmerge store retract people --detach '$device:D1' --who ben --why shared

The new state is exact: as if no event had made the claim until now. Events that said the same in \
another way still count, and so does an event that makes the claim again later. A claim that was \
rejected because of the withdrawn one may now be accepted. The retraction is an entry too; to undo it, \
withdraw that entry. Withdrawing what is withdrawn already changes nothing.")]
#[command(group = clap::ArgGroup::new("what").required(true).args(["sequence", "detach"]))]
pub(crate) struct RetractArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// The number of the entry: its claim is withdrawn, with all entries of that claim
    #[arg(value_name = "SEQ")]
    pub(crate) sequence: Option<u64>,

    /// Withdraw every claim that names this ID, in one entry
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub(crate) detach: Option<String>,

    /// Your name, which is kept in the log
    #[arg(long, value_name = "NAME")]
    pub(crate) who: String,

    /// The reason, which is kept in the log
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge store changes people --since 90000
  {\"sequence\":90017,\"id\":\"$device:D1\",\"from\":\"$device:D1\",\"to\":\"U1\"}

  idmerge store changes people --since 90000 -o changes.csv

To continue later, pass the last sequence that you have processed to --since. One entry can change \
many IDs: --limit never cuts between its lines.")]
pub(crate) struct ChangesArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// Only changes after this entry
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    pub(crate) since: u64,

    /// Stop after N lines, at the end of an entry
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge store simulate people --engine original
  idmerge store simulate people --engine original --max-cluster-ids 1000")]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,

    /// Compare the states after this entry [default: the last one]
    #[arg(long, value_name = "SEQ")]
    pub(crate) as_of: Option<u64>,

    /// Show N examples of each kind of difference [default: 5]
    #[arg(long, value_name = "N", default_value_t = 5, hide_default_value = true)]
    pub(crate) examples: usize,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  idmerge store as-of people 90000 U1 '$device:D1'")]
pub(crate) struct AsOfArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// The number of the entry; 0 means before the first
    #[arg(value_name = "SEQ")]
    pub(crate) sequence: u64,

    /// The IDs, in the form of distinct_ids
    #[arg(value_name = "ID", allow_hyphen_values = true, required = true)]
    pub(crate) ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge store digest people
  idmerge store digest people --as-of 90000")]
pub(crate) struct DigestArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// The state after this entry [default: the last one]
    #[arg(long, value_name = "SEQ")]
    pub(crate) as_of: Option<u64>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  idmerge store compare people restored

The output also says how the settings of the stores differ.

Exit code: 0 if the entries are equal, 1 if they differ.")]
pub(crate) struct CompareArgs {
    /// The folder of the first store
    #[arg(value_name = "DIR")]
    pub(crate) first: PathBuf,

    /// The folder of the second store
    #[arg(value_name = "OTHER")]
    pub(crate) second: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge store erase people ada@example.com --dry-run   # what would be erased
  idmerge store erase people ada@example.com '$device:D1' > receipt.json
  idmerge store erase data/shop ada@example.com --until 2031-01-01

The whole cluster of each ID is erased: its claims, and in the folder of a server's project its events and \
profiles. Stop the server first. The store is written anew beside \
the old file, so the disk needs room for it twice; if the command is broken off, nothing is erased, and running it \
again erases all. The output is a receipt.

From then on everything that names an erased ID is refused, also a device that somebody else uses next. \
Backups and exports that were made before still have what was erased: delete them.")]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// Any IDs of the people, in the form of distinct_ids; one with a leading hyphen after --
    // If hyphens were allowed, an option after an ID would be taken for an ID.
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<String>,

    /// Print the receipt and change nothing; takes as long
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Refuse the erased IDs only before this day, UTC [default: for ever]
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub(crate) until: Option<i64>,

    /// Keep the events of these people under no ID, without what names them
    #[arg(long, value_name = "HOW")]
    pub(crate) keep_events: Option<KeptEvents>,
}

/// How events are kept.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum KeptEvents {
    /// Under no ID
    Anonymous,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge store backup people people.backup
  idmerge store backup data/shop shop.backup   # also while it is served

If a server has the store open, the server makes the backup: the command finds it through the socket \
backup.sock in the folder. From another machine use GET /v1/backup. The backup has the claims, events, \
profiles and settings of one moment. Only you can read the file.")]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) store: FolderArgs,

    /// The new file; on failure it is not created
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge store restore people.backup restored
  idmerge store restore shop.backup data/shop   # then start the server

The folder must be new or empty. The whole file is checked first, and a backup that lost its end or was \
changed is refused.")]
pub(crate) struct RestoreArgs {
    /// The file that `idmerge store backup` or GET /v1/backup gave
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    #[command(flatten)]
    pub(crate) store: FolderArgs,
}
