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

mod backup;
mod block;
mod changes;
mod code;
mod compare;
mod connected;
mod copy;
mod digest;
mod durable;
mod engines;
mod entry;
mod error;
mod explain;
mod file;
mod fold;
mod history;
mod known;
mod log;
mod merger;
mod options;
mod owned;
mod reader;
mod repair;
mod retract;
mod runs;
mod simulate;
mod tables;

pub use backup::restore;
pub use changes::Change;
pub use compare::first_difference;
pub use digest::Digest;
pub use durable::Durable;
pub use entry::{Cause, Entry, What};
pub use error::StoreError;
pub use explain::{Explanation, Step};
pub use history::History;
pub use merger::Merger;
pub use options::{Opened, Options, Sharing};
pub use reader::Reader;
/// The embedded database, for who keeps tables of its own beside the log.
pub use redb;
/// What can stand for a file, and a file: for tests that break a disk.
pub use redb::{BackendError, StorageBackend, backends};
pub use repair::{Repair, repair};
pub use retract::Retraction;
pub use runs::{OpenRuns, Runs};
pub use simulate::Difference;
pub use tables::About;
