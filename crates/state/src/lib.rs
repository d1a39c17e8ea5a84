//! What the engines of idmerge keep their state in: a table of interned ids, and snapshots.
//!
//! An engine numbers the ids that it has met ([`IdTable`]) and keeps everything else as columns
//! of numbers beside that table. [`SnapshotWriter`] and [`SnapshotReader`] carry such a state to
//! bytes and back. Neither knows a rule; what is written is up to each engine.
//!
//! Not here: resolving, merging, files. Start with `idmerge-simplified` to see both in use.

mod id_table;
mod snapshot;

pub use id_table::IdTable;
pub use snapshot::{SnapshotReader, SnapshotWriter};
