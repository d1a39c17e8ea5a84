//! Shows that a project can write.

use idmerge_store::redb::{TableDefinition, WriteTransaction};

use crate::error::ProjectError;

/// What is written to show that there is room. Empty but for that moment.
const ROOM: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("room");
/// The database stores a row in a power of two of pages and adds a few bytes.
const ROOM_ROW_BYTES: usize = (64 << 10) - 128;

/// Writes at least this many bytes.
pub(crate) fn fill(write: &WriteTransaction, bytes: usize) -> Result<(), ProjectError> {
    let mut room = write.open_table(ROOM)?;
    for row in 0..bytes.div_ceil(ROOM_ROW_BYTES) {
        room.insert(row as u64, &*vec![0xff; ROOM_ROW_BYTES])?;
    }
    Ok(())
}

/// Removes what [`fill`] wrote.
pub(crate) fn empty(write: &WriteTransaction) -> Result<(), ProjectError> {
    write.delete_table(ROOM)?;
    Ok(())
}
