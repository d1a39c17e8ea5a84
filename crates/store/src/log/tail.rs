//! The end of the log, where entries are added.

use idmerge_core::{Claim, DistinctId, Outcome};
use redb::{ReadTransaction, WriteTransaction};

use super::about;
use super::block::Block;
use super::codec::Decoder;
use super::entry::sequences::Sequences;
use super::entry::{Cause, Entry};
use super::tables;
use crate::error::StoreError;

/// The end of the log, where entries are added.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Full blocks that are not committed.
    full: Vec<Block>,
    /// The block that the next entry goes to. Some of its entries may be committed.
    last: Block,
    /// The number of the last committed entry.
    committed: u64,
    /// Whether an uncommitted entry withdraws another one.
    revises: bool,
}

impl Tail {
    /// Reads the end of a log whose last entry has this number.
    pub(crate) fn read(read: &ReadTransaction, committed: u64) -> Result<Self, StoreError> {
        let last = match tables::last_block(read)? {
            Some((first, row)) => Block::read(first, &row).map_err(|wrong| (first, wrong))?,
            None => Block::starting_at(1),
        };
        if last.next_sequence() != committed + 1 {
            return Err(StoreError::DamagedLog {
                sequence: last.next_sequence(),
                what: "the log ends before its snapshot",
            });
        }
        Ok(Self {
            full: Vec::new(),
            last,
            committed,
            revises: false,
        })
    }

    /// The number of the last entry; 0 if there is none.
    pub(crate) fn sequence(&self) -> u64 {
        self.last.next_sequence() - 1
    }

    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    pub(crate) fn claim(
        &mut self,
        claim: Claim<'_>,
        outcome: Outcome<'_>,
        cause: Cause<'_>,
    ) -> Result<(), StoreError> {
        self.last
            .entries
            .claim(claim, outcome, cause)
            .ok_or(StoreError::UnknownClaim)?;
        self.count_one();
        Ok(())
    }

    pub(crate) fn replaced(&mut self, cause: Cause<'_>) {
        self.last.entries.replaced(cause);
        self.count_one();
    }

    pub(crate) fn retracted(
        &mut self,
        retracted: Sequences<'_>,
        detached: Option<DistinctId<'_>>,
        who_and_why: [&str; 2],
        cause: Cause<'_>,
    ) {
        let entries = &mut self.last.entries;
        entries.retracted(retracted, detached, who_and_why, cause);
        self.revises = true;
        self.count_one();
    }

    /// Counts an entry that was written to the last block, and begins a new block if it is full.
    fn count_one(&mut self) {
        self.last.count_one();
        if self.last.is_full() {
            let next = Block::starting_at(self.last.next_sequence());
            self.full.push(std::mem::replace(&mut self.last, next));
        }
    }

    pub(crate) fn write(&self, write: &WriteTransaction) -> Result<(), StoreError> {
        let mut log = write.open_table(tables::LOG)?;
        for block in self.full.iter().chain([&self.last]) {
            if !block.is_empty() {
                log.insert(block.first, &*block.row())?;
            }
        }
        if self.revises {
            about::set_revised(write)?;
        }
        Ok(())
    }

    /// Notes that everything was committed.
    pub(crate) fn are_committed(&mut self) {
        self.revises = false;
        self.full.clear();
        self.committed = self.sequence();
    }

    /// Calls `visit` with each uncommitted entry from this number on, until it answers `false`.
    pub(super) fn each_entry(
        &self,
        from: u64,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let from = from.max(self.committed + 1);
        for block in self.full.iter().chain([&self.last]) {
            if block.next_sequence() <= from {
                continue;
            }
            let mut decoder = Decoder::new(&block.entries.bytes, block.first);
            while let Some(entry) = decoder.next().map_err(|wrong| (block.first, wrong))? {
                if entry.sequence >= from && !visit(entry)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
