//! What there is in a store, copied into an empty file.

use redb::{Database, ReadTransaction};

use crate::error::StoreError;
use crate::log::block;
use crate::log::{about::About, snapshots, tables::LOG};

/// Rows in one transaction of a copy.
const ROWS_AT_A_TIME: usize = 1_000;

/// Copies what there is up to an entry: the log, and the snapshots that are whole.
pub(crate) fn copy_store(
    read: &ReadTransaction,
    copy: &Database,
    until: u64,
) -> Result<(), StoreError> {
    let about = About::read(read)?.ok_or(StoreError::NotAStore)?;
    about.commit(copy)?;
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
