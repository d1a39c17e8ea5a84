//! The state of an engine: a table of interned IDs, clusters of them, and the snapshot format.
//!
//! An engine gives each ID that it sees a number ([`IdTable`]) and stores everything else as rows
//! of numbers. A [`Partition`] is such a table whose IDs are in clusters. [`SnapshotWriter`] and
//! [`SnapshotReader`] turn such a state into bytes and back. This crate knows no rule: each engine
//! decides what it stores, which claims merge clusters, and which ID of a cluster is canonical.
//!
//! Files are in `idmerge-store`. For examples of use, read `idmerge-simplified` for a table, and
//! `idmerge-legacy` for a partition.

mod hash;
mod id_table;
mod index;
mod key;
mod keys;
#[cfg(all(test, loom))]
mod loom_tests;
mod memory;
mod part;
mod partition;
mod published;
mod rows;
mod snapshot;
mod sync;
mod texts;

pub use id_table::{BATCH_IDS, IdLoader, IdReader, IdTable, IdView, OutOfDate, Probe};
pub use index::Found;
pub use partition::{Pairs, Partition, PartitionLoader};
pub use published::{Pin, Published, pin};
pub use rows::Rows;
pub use snapshot::image::{IdsWriter, ImageIds, ItemsWriter, each_item};
pub use snapshot::{SnapshotReader, SnapshotWriter};
