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

#[cfg(test)]
mod tests {
    use idmerge_store::redb::backends::InMemoryBackend;
    use idmerge_store::redb::{Database, ReadableDatabase, ReadableTable};

    use super::*;

    #[test]
    fn the_room_is_written_and_removed() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new());
        let database = database.unwrap();
        for bytes in [1, ROOM_ROW_BYTES, ROOM_ROW_BYTES + 1, 1 << 20] {
            let write = database.begin_write().unwrap();
            fill(&write, bytes).unwrap();
            write.commit().unwrap();
            let read = database.begin_read().unwrap();
            let room = read.open_table(ROOM).unwrap();
            let rows = room.iter().unwrap();
            let written: usize = rows.map(|row| row.unwrap().1.value().len()).sum();
            assert!((bytes..bytes + ROOM_ROW_BYTES).contains(&written));
            drop((room, read));

            let write = database.begin_write().unwrap();
            empty(&write).unwrap();
            write.commit().unwrap();
            let read = database.begin_read().unwrap();
            assert_eq!(read.list_tables().unwrap().count(), 0);
        }
    }
}
