//! What the engines of idmerge keep their state in: a table of interned ids, and snapshots.
//!
//! An engine numbers the ids that it has met ([`IdTable`]) and keeps everything else as rows of
//! numbers in that table. [`SnapshotWriter`] and [`SnapshotReader`] carry such a state to
//! bytes and back. Neither knows a rule; what is written is up to each engine.
//!
//! Not here: resolving, merging, files. Start with `idmerge-simplified` to see both in use.

mod hash;
mod id_table;
mod index;
mod key;
mod memory;
mod rows;
mod snapshot;
mod texts;

pub use id_table::{BATCH_IDS, IdTable, Probe};
pub use index::Found;
pub use rows::Rows;
pub use snapshot::{SnapshotReader, SnapshotWriter};
