//! An engine that outlives its process, and the log of its claims.
//!
//! [`Durable`] is an engine around another one. It keeps every claim that changed anything, or
//! was rejected, in an append-only log in an embedded database, with what the engine answered and
//! what made the claim ([`Cause`]). The state is a fold over that log, so when the process ends,
//! however it ends, the next one has the state of the last commit again.
//!
//! Not here: rules, which are the engine's; a clock and threads, which are the caller's; and
//! events, of which the log has no more than what they claim.
//!
//! # Where to go next
//!
//! [`Durable::open`], [`Durable::commit`] and [`Durable::snapshot`] are what a service needs,
//! [`History`] is for questions. `docs/store.md` has the form on disk and the reasons for it.

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
pub use durable::retract::Retraction;
pub use error::StoreError;
pub use history::History;
pub use history::changes::Change;
pub use history::compare::first_difference;
pub use history::digest::Digest;
pub use history::explain::{Explanation, Step};
pub use history::simulate::Difference;
/// An index beside the log, for a service that keeps tables of its own.
pub use idmerge_disk::{OpenRuns, Runs, RunsError};
pub use log::about::About;
pub use log::entry::{Cause, Entry, What};
pub use log::file::exists;
pub use maintenance::backup::restore;
pub use maintenance::merger::Merger;
pub use maintenance::repair::{Repair, repair};
pub use options::{Opened, Options, Sharing};
pub use reader::Reader;
/// The embedded database, for who keeps tables of its own beside the log.
pub use redb;
/// What can stand for a file, and a file: for tests that break a disk.
pub use redb::{BackendError, StorageBackend, backends};
