//! Copying a store into an empty database.

use redb::{Database, ReadTransaction};

use crate::durable::erased;
use crate::error::StoreError;
use crate::log::{Log, about, block, snapshots, tables::LOG};
use crate::maintenance::service_tables::{self, Unreadable};

/// How many rows of the log one transaction of a copy writes.
const ROWS_PER_COMMIT: usize = 1_000;

/// Copies the log up to an entry, the snapshots of that part that can be read, and the tables of a
/// service. The index is not copied; the next [`index`](crate::Durable::index) rebuilds it.
pub(crate) fn copy_store(
    from: Log<'_>,
    copy: &Database,
    until: u64,
    unreadable: Unreadable,
) -> Result<(), StoreError> {
    let read = from.read;
    about::copy(read, copy)?;
    erased::copy(read, copy)?;
    copy_log(read, copy, until.min(from.logged()))?;
    copy_rows(from.up_to(until), copy)?;
    for snapshot in snapshots::all(read)? {
        from.check()?;
        if snapshot.sequence <= until && snapshots::is_whole(read, snapshot) {
            snapshots::copy(read, copy, snapshot)?;
        }
    }
    for name in service_tables::names(read)? {
        from.check()?;
        service_tables::copy(read, &name, copy, unreadable)?;
    }
    Ok(())
}

/// Copies the blocks in order, and reads nothing after the last one: the database may not be able to, and it would
/// read there to find the end of a range.
fn copy_log(read: &ReadTransaction, copy: &Database, until: u64) -> Result<(), StoreError> {
    let log = read.open_table(LOG)?;
    let mut rows = match until {
        0 => None,
        _ => Some(log.range(0_u64..)?),
    };
    let mut is_done = false;
    while !is_done {
        let write = copy.begin_write()?;
        {
            let mut table = write.open_table(LOG)?;
            for _ in 0..ROWS_PER_COMMIT {
                let Some(row) = rows.as_mut().and_then(Iterator::next) else {
                    is_done = true;
                    break;
                };
                let (first, row) = row?;
                let (row, is_last) = block::up_to(first.value(), row.value(), until)?;
                table.insert(first.value(), &*row)?;
                if is_last {
                    is_done = true;
                    break;
                }
            }
        }
        write.commit()?;
    }
    Ok(())
}

/// Copies the entries that the database does not have.
fn copy_rows(from: Log<'_>, copy: &Database) -> Result<(), StoreError> {
    let rows = from.unlogged_rows()?;
    if rows.is_empty() {
        return Ok(());
    }
    let write = copy.begin_write()?;
    {
        let mut table = write.open_table(LOG)?;
        for (first, row) in rows {
            table.insert(first, &*row)?;
        }
    }
    Ok(write.commit()?)
}

#[cfg(test)]
mod tests {
    use idmerge_core::{Claim, Id, Outcome};
    use redb::{ReadableDatabase, ReadableTableMetadata, backends::InMemoryBackend};

    use super::*;
    use crate::log::block::Block;
    use crate::log::entry::Cause;
    use crate::log::file::builder;
    use crate::options::{Options, Sharing};

    fn database() -> Database {
        let options = Options {
            sharing: Sharing::Nobody,
            ..Options::default()
        };
        let backend = InMemoryBackend::new();
        builder(&options).create_with_backend(backend).unwrap()
    }

    /// A block of two entries.
    fn row(first: u64) -> Vec<u8> {
        let mut block = Block::starting_at(first);
        let [first, second] = ["A", "B"].map(|text| Id::new(text).unwrap());
        for _ in 0..2 {
            let claim = Claim::Merge { first, second };
            let cause = Cause::default();
            let entry = block.entries.claim(claim, Outcome::Merged, cause);
            entry.unwrap();
            block.count_one();
        }
        block.row()
    }

    /// The numbers of the first entry of each block, and of the last entry.
    fn copied(from: &Database, until: u64) -> (Vec<u64>, u64) {
        let copy = database();
        copy_log(&from.begin_read().unwrap(), &copy, until).unwrap();
        let log = copy.begin_read().unwrap().open_table(LOG).unwrap();
        let rows = log.range(0..).unwrap();
        let (mut firsts, mut next) = (Vec::new(), 1);
        for row in rows {
            let (first, row) = row.unwrap();
            let after = block::each_entry(first.value(), row.value(), &mut |_| Ok(true));
            firsts.push(first.value());
            next = after.unwrap().unwrap();
        }
        assert_eq!(log.len().unwrap(), firsts.len() as u64);
        (firsts, next - 1)
    }

    #[test]
    fn a_log_of_more_than_one_commit_is_copied_up_to_an_entry() {
        let from = database();
        let blocks = 2 * ROWS_PER_COMMIT as u64 + 500;
        let firsts: Vec<u64> = (0..blocks).map(|block| 2 * block + 1).collect();
        let write = from.begin_write().unwrap();
        {
            let mut log = write.open_table(LOG).unwrap();
            for &first in &firsts {
                log.insert(first, &*row(first)).unwrap();
            }
        }
        write.commit().unwrap();
        for until in [0, 1, 2, 1_999, 2_000, 2_001, 4_000, 4_001, 2 * blocks] {
            let wanted = firsts.iter().copied().filter(|&first| first <= until);
            let wanted = (wanted.collect(), until);
            assert_eq!(copied(&from, until), wanted, "up to {until}");
        }
    }
}
