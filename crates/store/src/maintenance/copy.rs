//! Copying a store into an empty database.

use redb::{Database, ReadTransaction};

use crate::error::StoreError;
use crate::log::block;
use crate::log::{about, snapshots, tables::LOG};

/// How many rows one transaction of a copy writes.
const ROWS_AT_A_TIME: usize = 1_000;

/// Copies the log up to an entry, and the snapshots of that part that can be read.
pub(crate) fn copy_store(
    read: &ReadTransaction,
    copy: &Database,
    until: u64,
) -> Result<(), StoreError> {
    about::copy(read, copy)?;
    let log = read.open_table(LOG)?;
    let mut rows = log.range(..=until)?;
    loop {
        let write = copy.begin_write()?;
        let mut copied = 0;
        {
            let mut table = write.open_table(LOG)?;
            for row in rows.by_ref().take(ROWS_AT_A_TIME) {
                let (first, row) = row?;
                let row = block::up_to(first.value(), row.value(), until)?;
                table.insert(first.value(), &*row)?;
                copied += 1;
            }
        }
        write.commit()?;
        if copied == 0 {
            break;
        }
    }
    for snapshot in snapshots::all(read)? {
        if snapshot.sequence <= until && snapshots::is_whole(read, snapshot) {
            snapshots::copy(read, copy, snapshot)?;
        }
    }
    Ok(())
}
