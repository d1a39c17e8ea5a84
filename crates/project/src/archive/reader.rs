//! [`ArchiveReader`]: reads committed events.

use idmerge_disk::OpenRuns;
use idmerge_store::redb::{AccessGuard, ReadOnlyTable, ReadTransaction, TableError};

use crate::archive::block::EventBlock;
use crate::archive::directory::BlockHead;
use crate::archive::replaced::{ReplacedEvents, ReplacedRow, ShownBlock};
use crate::archive::tables::{BLOCKS, USER_INDEX};
use crate::error::ProjectError;
use crate::large::LargeShare;

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

    /// A block as of the event `last`: without the events that were replaced until then. If it is large,
    /// this waits until other queries have dropped theirs.
    pub(crate) fn shown_block(
        &self,
        head: &BlockHead,
        last: u64,
    ) -> Result<ShownBlock, ProjectError> {
        let row = self.row(head.first)?;
        let large = LargeShare::of(EventBlock::raw_bytes(row.value()))?;
        Ok(ShownBlock {
            block: EventBlock::read(head.first, row.value())?,
            replaced: self.replaced.of_block(head, last)?,
            _large: large,
        })
    }

    /// The block that starts with this event, with the replaced events.
    pub(crate) fn block(&self, first: u64) -> Result<EventBlock, ProjectError> {
        EventBlock::read(first, self.row(first)?.value())
    }

    /// The row of the block that starts with this event.
    pub(crate) fn row(
        &self,
        first: u64,
    ) -> Result<AccessGuard<'static, &'static [u8]>, ProjectError> {
        let row = match &self.blocks {
            Some(blocks) => blocks.get(first)?,
            None => None,
        };
        row.ok_or(ProjectError::damaged(first, "a block is missing"))
    }

    /// Adds the numbers of the events of a user key that are in a run.
    pub(crate) fn find(&self, user_key: u64, numbers: &mut Vec<u64>) -> Result<(), ProjectError> {
        Ok(self
            .users
            .find(user_key, &mut |number| numbers.push(number))?)
    }
}

/// How many events a user key has, and which are the first and the last of them to arrive. Both numbers are 0
/// if it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyFigures {
    pub(crate) events: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl KeyFigures {
    fn add(&mut self, number: u64) {
        self.merge(Self {
            events: 1,
            first: number,
            last: number,
        });
    }

    /// Adds the events of another key.
    pub(crate) fn merge(&mut self, other: Self) {
        if other.events == 0 {
            return;
        }
        self.first = match self.events {
            0 => other.first,
            _ => self.first.min(other.first),
        };
        self.last = self.last.max(other.last);
        self.events += other.events;
    }
}

impl ArchiveReader {
    /// The figures of a user key as of the event `last`, without the events that were replaced until then.
    /// `recent` has the events of the key that were in no run a moment ago, in order.
    pub(crate) fn figures(
        &self,
        user_key: u64,
        recent: &[u64],
        last: u64,
    ) -> Result<KeyFigures, ProjectError> {
        let mut figures = KeyFigures::default();
        let mut row = ReplacedRow::default();
        let mut failed = None;
        let mut add = |number: u64| {
            if number > last || failed.is_some() {
                return;
            }
            match self.replaced.has(number, last, &mut row) {
                Ok(true) => {}
                Ok(false) => figures.add(number),
                Err(error) => failed = Some(error),
            }
        };
        self.users.find(user_key, &mut add)?;
        // Those until there are in a run by now.
        let indexed = self.users.until();
        let from = recent.partition_point(|number| *number <= indexed);
        recent[from..].iter().copied().for_each(add);
        match failed {
            Some(error) => Err(error),
            None => Ok(figures),
        }
    }
}
