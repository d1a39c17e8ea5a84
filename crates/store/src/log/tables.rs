//! The tables of the database, whose form is in `docs/store.md`, and reading the log.

use redb::{ReadTransaction, ReadableTable, TableDefinition};

use super::block::{self, Block};
use super::codec::Wrong;
use super::entry::Entry;
use crate::error::StoreError;

/// Blocks of entries, by the number of the first entry.
pub(crate) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// The metadata of a store ([`About`](super::about::About)), by name.
pub(super) const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
/// Snapshots, by the number of the last entry in them: whether the log needs it, and the number of
/// pieces.
pub(super) const SNAPSHOTS: TableDefinition<'_, u64, (bool, u32)> =
    TableDefinition::new("snapshots");
/// The pieces of snapshots, each a row with a checksum.
pub(super) const PIECES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("pieces");

/// The keyed hashes of erased IDs: until when each is refused, in milliseconds since 1970.
pub(crate) const ERASED: TableDefinition<'_, &[u8], i64> = TableDefinition::new("erased");

/// The tables of a store.
pub(crate) const NAMES: [&str; 7] = [
    "log",
    "about",
    "snapshots",
    "pieces",
    "named",
    "named pages",
    "erased",
];

impl From<(u64, Wrong)> for StoreError {
    fn from((sequence, what): (u64, Wrong)) -> Self {
        Self::DamagedLog { sequence, what }
    }
}

/// The last block of the log, and the number of its first entry.
pub(crate) fn last_block(read: &ReadTransaction) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
    let log = read.open_table(LOG)?;
    let last = log.last()?;
    Ok(last.map(|(first, row)| (first.value(), row.value().to_vec())))
}

/// The number of the last entry of the log; 0 if there is none.
pub(crate) fn last_sequence(read: &ReadTransaction) -> Result<u64, StoreError> {
    let Some((first, row)) = last_block(read)? else {
        return Ok(0);
    };
    let block = Block::read(first, &row).map_err(|wrong| (first, wrong))?;
    Ok(block.next_sequence() - 1)
}

/// Calls `visit` with each entry from this number on, until `visit` answers `false`.
pub(crate) fn each_entry(
    read: &ReadTransaction,
    from: u64,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let log = read.open_table(LOG)?;
    // The block with the entry may begin with an earlier one.
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
                what: "the entry is missing",
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
