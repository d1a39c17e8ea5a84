//! Copying a store into an empty database.

use redb::{Database, ReadTransaction};

use crate::error::StoreError;
use crate::log::{about, block, snapshots, tables::LOG};
use crate::maintenance::service_tables::{self, Unreadable};

/// How many rows of the log one transaction of a copy writes.
const ROWS_PER_COMMIT: usize = 1_000;

/// Copies the log up to an entry, the snapshots of that part that can be read, and the tables of a
/// service. The index is not copied; the next [`index`](crate::Durable::index) rebuilds it.
pub(crate) fn copy_store(
    read: &ReadTransaction,
    copy: &Database,
    until: u64,
    unreadable: Unreadable,
) -> Result<(), StoreError> {
    about::copy(read, copy)?;
    copy_log(read, copy, until)?;
    for snapshot in snapshots::all(read)? {
        if snapshot.sequence <= until && snapshots::is_whole(read, snapshot) {
            snapshots::copy(read, copy, snapshot)?;
        }
    }
    for name in service_tables::names(read)? {
        service_tables::copy(read, &name, copy, unreadable)?;
    }
    Ok(())
}

fn copy_log(read: &ReadTransaction, copy: &Database, until: u64) -> Result<(), StoreError> {
    let log = read.open_table(LOG)?;
    let mut rows = log.range(..=until)?;
    loop {
        let write = copy.begin_write()?;
        let mut copied = 0;
        {
            let mut table = write.open_table(LOG)?;
            for row in rows.by_ref().take(ROWS_PER_COMMIT) {
                let (first, row) = row?;
                let row = block::up_to(first.value(), row.value(), until)?;
                table.insert(first.value(), &*row)?;
                copied += 1;
            }
        }
        write.commit()?;
        if copied == 0 {
            return Ok(());
        }
    }
}
