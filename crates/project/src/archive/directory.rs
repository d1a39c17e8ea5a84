//! [`Directory`]: the index of the committed events that is kept in memory.

use foldhash::HashMap;
use idmerge_store::redb::{ReadTransaction, TableError};

use crate::archive::tables::BLOCK_HEADS;
use crate::error::ProjectError;

/// The facts about a block that are known without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
}

/// The heads of all committed blocks, and an index of the committed events that are not in a run.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    heads: Vec<BlockHead>,
    /// Numbers of events by user key.
    unindexed: HashMap<u64, Vec<u64>>,
    /// How many of the committed events are replaced.
    pub(crate) replaced: u64,
}

impl Directory {
    /// Reads the heads of all blocks.
    pub(crate) fn read(read: &ReadTransaction) -> Result<Self, ProjectError> {
        let table = match read.open_table(BLOCK_HEADS) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Self::default()),
            table => table?,
        };
        let mut heads = Vec::new();
        let mut expected = 1;
        for row in table.range(0..)? {
            let (first, row) = row?;
            let first = first.value();
            let (last, min_ms, max_ms) = row.value();
            if first != expected || last < first {
                return Err(ProjectError::damaged(expected, "a block is missing"));
            }
            expected = last + 1;
            heads.push(BlockHead {
                first,
                last,
                min_ms,
                max_ms,
            });
        }
        Ok(Self {
            heads,
            unindexed: HashMap::default(),
            replaced: 0,
        })
    }

    /// The number of the last event, which is the number of events, replaced ones included.
    pub(crate) fn last(&self) -> u64 {
        self.heads.last().map_or(0, |head| head.last)
    }

    /// The first block that ends with this event or a later one.
    pub(crate) fn block_from(&self, number: u64) -> Option<BlockHead> {
        let index = self.heads.partition_point(|head| head.last < number);
        self.heads.get(index).copied()
    }

    /// The events of a user key that are not in a run.
    pub(crate) fn unindexed(&self, user_key: u64) -> &[u64] {
        self.unindexed.get(&user_key).map_or(&[], Vec::as_slice)
    }

    /// Adds pairs of a user key and the number of an event.
    pub(crate) fn add_unindexed(&mut self, pairs: &[(u64, u64)]) {
        for &(user_key, number) in pairs {
            self.unindexed.entry(user_key).or_default().push(number);
        }
    }

    /// Forgets the events that are in a run now.
    pub(crate) fn clear_unindexed(&mut self) {
        self.unindexed = HashMap::default();
    }

    /// Adds committed blocks. The first may be a longer form of the last block.
    pub(crate) fn add_blocks(&mut self, heads: &[BlockHead]) {
        for head in heads {
            match self.heads.last_mut() {
                Some(last) if last.first == head.first => *last = *head,
                _ => self.heads.push(*head),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use idmerge_store::redb::{Database, ReadableDatabase, backends::InMemoryBackend};

    use super::*;

    /// Reads a directory of blocks with these first and last events.
    fn read(blocks: &[(u64, u64)]) -> Result<Directory, ProjectError> {
        let mut builder = Database::builder();
        builder.set_concurrency_mode(idmerge_store::Sharing::Nobody.into());
        let database = builder.create_with_backend(InMemoryBackend::new()).unwrap();
        let write = database.begin_write().unwrap();
        {
            let mut heads = write.open_table(BLOCK_HEADS).unwrap();
            for (first, last) in blocks {
                heads.insert(first, (*last, 0, 0)).unwrap();
            }
        }
        write.commit().unwrap();
        Directory::read(&database.begin_read().unwrap())
    }

    #[test]
    fn a_missing_block_is_damage() {
        let directory = read(&[(1, 3), (4, 4), (5, 9)]).unwrap();
        assert_eq!(directory.last(), 9);
        for (number, first) in [(1, 1), (3, 1), (4, 4), (5, 5), (9, 5)] {
            assert_eq!(directory.block_from(number).unwrap().first, first);
        }
        assert_eq!(directory.block_from(10), None);
        for blocks in [
            &[(2, 3)][..],
            &[(1, 3), (5, 9)],
            &[(1, 3), (4, 3)],
            &[(1, 0)],
        ] {
            let error = read(blocks).unwrap_err();
            assert!(error.to_string().contains("a block is missing"), "{error}");
        }
    }

    #[test]
    fn events_that_are_in_a_run_are_forgotten() {
        let mut directory = read(&[(1, 3)]).unwrap();
        directory.add_unindexed(&[(7, 1), (8, 2), (7, 3)]);
        assert_eq!(directory.unindexed(7), [1, 3]);
        directory.clear_unindexed();
        for user_key in [7, 8] {
            assert!(directory.unindexed(user_key).is_empty());
        }
    }
}
