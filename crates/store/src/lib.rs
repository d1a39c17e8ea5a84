//! An engine that outlives its process, and the log of its claims.
//!
//! [`Durable`] wraps an engine and keeps an append-only log in an embedded database. The log has
//! every distinct claim, with the answer of the engine and with what made the claim ([`Cause`]), and
//! the repeats that may change a state. The state is a fold over the log, so after a crash the next process
//! has the state of the last commit.
//!
//! The rules are those of the engine. The caller provides the clock and the threads; only an opening uses
//! threads of its own, as many as [`Options::threads`] says. The log keeps the claims
//! of events and not the events themselves.
//!
//! # Where to go next
//!
//! A service needs [`Durable::open`], [`Durable::commit`] and [`Durable::snapshot`]. [`History`]
//! answers questions about earlier states, and a [`Reader`] reads a store that another process writes. `docs/store.md`
//! describes the format on disk and the reasons for it.

mod durable;
mod error;
mod history;
mod lock;
mod log;
mod maintenance;
mod options;
mod reader;
mod state;

pub use durable::Durable;
pub use durable::erased::ErasedIds;
pub use durable::intake::{Intake, TakenInput};
pub use durable::retract::{Retraction, Target};
pub use durable::state_copy::{Scratch, StateCopy, in_memory};
pub use error::StoreError;
pub use history::History;
pub use history::changes::Change;
pub use history::compare::first_difference;
pub use history::digest::Digest;
pub use history::explain::Explanation;
pub use history::log_entry::LogEntry;
pub use history::simulate::Difference;
pub use history::story::StoryPart;
/// An index in the file of the store, for a service that keeps tables of its own.
pub use idmerge_disk::{LazyRuns, OpenRuns, Runs, RunsError};
pub use log::about::{About, clear_revised, has_long_rows, set_long_rows};
pub use log::entry::sequences::Sequences;
pub use log::entry::{Cause, Entry, What};
pub use log::file::last_sync::LastSync;
pub use log::file::{check_room, discard, exists, file_of, make_folder, sync_names};
pub use maintenance::backup::{BACKUP_SOCKET, restore};
pub use maintenance::erase::named::NamedIds;
pub use maintenance::erase::{
    ErasedEvents, ErasedRows, Erasing, Erasure, ErasureProgress, ErasureReceipt, ErasureService,
    GoOn, begin_erasure, discard_erasure, erase, erase_into, finish_erasure,
};
pub use maintenance::merger::Merger;
pub use maintenance::repair::{Repair, ServiceCheck, repair, repair_with};
pub use options::{MayGoOn, Opened, Options, Sharing};
pub use reader::Reader;
/// The embedded database, for a service that keeps tables of its own in the file of the store.
pub use redb;
/// The interface between the database and its file, for tests that simulate a broken disk.
pub use redb::{BackendError, StorageBackend, backends};
