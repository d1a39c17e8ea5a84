//! The tables of the archive.

use idmerge_disk::{DedupTables, Runs};
use idmerge_store::redb::TableDefinition;

/// Blocks by the number of their first event.
pub(crate) const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

/// By the number of a block's first event: the number of its last event, and the earliest and the
/// latest time in it. Separate from the blocks, since this table is read as a whole.
pub(crate) const BLOCK_HEADS: TableDefinition<'_, u64, (u64, i64, i64)> =
    TableDefinition::new("event_blocks");

/// The numbers of the events of each user key, in sorted runs.
pub(crate) const USER_INDEX: Runs = Runs::new("user_runs", "user_pages");

/// The fingerprints of the stored events that can have duplicates.
pub(crate) const SEEN: DedupTables = DedupTables::new(
    Runs::new("seen_runs", "seen_pages"),
    "seen_recent",
    "seen_filters",
);

/// The numbers of the events that an imported one may replace, by fingerprint, in sorted runs.
pub(crate) const NUMBERS: Runs = Runs::new("number_runs", "number_pages");

/// The same for events that are in no run yet, one row per commit.
pub(crate) const RECENT_NUMBERS: TableDefinition<'_, u64, &[u8]> =
    TableDefinition::new("number_recent");

/// The replaced events (the format is in `replaced.rs`).
pub(crate) const REPLACED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("replaced");
