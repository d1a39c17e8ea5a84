//! The tables of the database, and how they are read: the form in `docs/store.md`.

use redb::{ReadTransaction, ReadableTable, TableDefinition};

use super::block;
use super::codec::Wrong;
use super::entry::Entry;
use crate::error::StoreError;

/// Blocks of entries by the sequence number of their first.
pub(crate) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// What is said once of a store.
pub(super) const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
/// Snapshots by the sequence number of the last entry in them: what kind, and how many pieces.
pub(super) const SNAPSHOTS: TableDefinition<'_, u64, (bool, u32)> =
    TableDefinition::new("snapshots");
/// The pieces of snapshots, each with a hash before it.
pub(super) const PIECES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("pieces");

/// The tables of a store.
pub(crate) const NAMES: [&str; 6] = [
    "log",
    "about",
    "snapshots",
    "pieces",
    "named",
    "named pages",
];

impl From<(u64, Wrong)> for StoreError {
    fn from((sequence, what): (u64, Wrong)) -> Self {
        Self::DamagedLog { sequence, what }
    }
}

/// The last block of the log, and its sequence number.
pub(crate) fn last_block(read: &ReadTransaction) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
    let log = read.open_table(LOG)?;
    let last = log.last()?;
    Ok(last.map(|(first, row)| (first.value(), row.value().to_vec())))
}

/// Calls `visit` with each entry from this sequence number on, until it answers `false`.
pub(crate) fn each_entry(
    read: &ReadTransaction,
    from: u64,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let log = read.open_table(LOG)?;
    // The block that has the entry may have begun before it.
    let first = match log.range(..=from)?.next_back() {
        Some(row) => row?.0.value(),
        None => from,
    };
    let mut next = None;
    for row in log.range(first..)? {
        let (first, row) = row?;
        let first = first.value();
        let expected = next.unwrap_or(first.min(from));
        if first != expected {
            return Err(StoreError::DamagedLog {
                sequence: expected,
                what: "it is not there",
            });
        }
        next = block::each_entry(first, row.value(), &mut |entry| {
            Ok(entry.sequence < from || visit(entry)?)
        })?;
        if next.is_none() {
            break;
        }
    }
    Ok(())
}
