//! [`ArchiveReader`]: reads committed events.

use idmerge_disk::OpenRuns;
use idmerge_store::redb::{ReadOnlyTable, ReadTransaction, TableError};

use crate::archive::block::EventBlock;
use crate::archive::directory::BlockHead;
use crate::archive::replaced::{ReplacedEvents, ShownBlock};
use crate::archive::tables::{BLOCKS, USER_INDEX};
use crate::error::ProjectError;

/// The events of one database transaction.
pub(crate) struct ArchiveReader {
    blocks: Option<ReadOnlyTable<u64, &'static [u8]>>,
    users: OpenRuns,
    replaced: ReplacedEvents,
}

impl ArchiveReader {
    pub(crate) fn new(read: &ReadTransaction) -> Result<Self, ProjectError> {
        let blocks = match read.open_table(BLOCKS) {
            Err(TableError::TableDoesNotExist(_)) => None,
            table => Some(table?),
        };
        Ok(Self {
            blocks,
            users: USER_INDEX.open(read)?,
            replaced: ReplacedEvents::open(read)?,
        })
    }

    /// A block as of the event `last`: without the events that were replaced until then.
    pub(crate) fn shown_block(
        &self,
        head: &BlockHead,
        last: u64,
    ) -> Result<ShownBlock, ProjectError> {
        Ok(ShownBlock {
            block: self.block(head.first)?,
            replaced: self.replaced.of_block(head, last)?,
        })
    }

    /// The block that starts with this event, with the replaced events.
    pub(crate) fn block(&self, first: u64) -> Result<EventBlock, ProjectError> {
        let row = match &self.blocks {
            Some(blocks) => blocks.get(first)?,
            None => None,
        };
        let row = row.ok_or(ProjectError::damaged(first, "a block is missing"))?;
        EventBlock::read(first, row.value())
    }

    /// Adds the numbers of the events of a user key that are in a run.
    pub(crate) fn find(&self, user_key: u64, numbers: &mut Vec<u64>) -> Result<(), ProjectError> {
        Ok(self
            .users
            .find(user_key, &mut |number| numbers.push(number))?)
    }
}
