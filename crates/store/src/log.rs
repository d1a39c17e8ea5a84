//! The log: what is committed, in the database, and what is not, in memory.

use std::cell::Cell;
use std::collections::BTreeSet;

use idmerge_core::{Claim, Outcome};
use redb::{ReadTransaction, WriteTransaction};

use crate::block::Block;
use crate::code::Decoder;
use crate::entry::{Cause, Entry};
use crate::error::StoreError;
use crate::tables;

/// An entry that is no further away is likely in the same block, and else in the next.
const NEAR: u64 = 200;

/// The end of the log, which entries are added to.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Blocks that are full and not committed.
    full: Vec<Block>,
    /// The block that entries go to. Some of it may be committed.
    last: Block,
    /// The number of the last committed entry.
    committed: u64,
}

impl Tail {
    /// The end of a log whose last entry has this number.
    pub(crate) fn read(read: &ReadTransaction, committed: u64) -> Result<Self, StoreError> {
        let last = match tables::last_block(read)? {
            Some((first, row)) => Block::read(first, &row).map_err(|wrong| (first, wrong))?,
            None => Block::starting_at(1),
        };
        if last.next_sequence() != committed + 1 {
            return Err(StoreError::DamagedLog {
                sequence: last.next_sequence(),
                what: "it ends before its snapshot",
            });
        }
        Ok(Self {
            full: Vec::new(),
            last,
            committed,
        })
    }

    /// The number of the last entry; 0 where there is none.
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

    pub(crate) fn retracted(&mut self, retracted: u64, who: &str, why: &str, cause: Cause<'_>) {
        self.last.entries.retracted(retracted, who, why, cause);
        self.count_one();
    }

    /// Counts an entry that was written to the last block, and begins another where it is full.
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
        Ok(())
    }

    pub(crate) fn are_committed(&mut self) {
        self.full.clear();
        self.committed = self.sequence();
    }

    /// Entries that are not committed, from this number on.
    fn each_entry(
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

/// The whole log up to an entry.
#[derive(Clone, Copy)]
pub(crate) struct Log<'l> {
    pub(crate) read: &'l ReadTransaction,
    /// What is not committed, where that is part of it.
    tail: Option<&'l Tail>,
    /// The last entry.
    pub(crate) until: u64,
}

impl<'l> Log<'l> {
    /// What of the log is committed, up to this entry.
    pub(crate) fn committed(read: &'l ReadTransaction, until: u64) -> Self {
        Self {
            read,
            tail: None,
            until,
        }
    }

    /// All of it.
    pub(crate) fn with_tail(read: &'l ReadTransaction, tail: &'l Tail) -> Self {
        Self {
            read,
            tail: Some(tail),
            until: tail.sequence(),
        }
    }

    /// The log up to an earlier entry.
    pub(crate) fn up_to(self, until: u64) -> Self {
        Self {
            until: until.min(self.until),
            ..self
        }
    }

    /// Calls `visit` with each entry from this number on, until it answers `false`.
    pub(crate) fn each_entry(
        self,
        from: u64,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let from = from.max(1);
        let committed = self.tail.map_or(self.until, Tail::committed);
        let wants_more = Cell::new(true);
        let mut some = |entry: Entry<'_>| {
            wants_more.set(entry.sequence <= self.until && visit(entry)?);
            Ok(wants_more.get())
        };
        if from <= committed {
            // What was committed later is none of this log's.
            tables::each_entry(self.read, from, &mut |entry| {
                Ok(entry.sequence <= committed && some(entry)?)
            })?;
        }
        match self.tail {
            Some(tail) if wants_more.get() => tail.each_entry(from, &mut some),
            _ => Ok(()),
        }
    }

    /// Calls `visit` with each of some entries, in order.
    pub(crate) fn each_of(
        self,
        sequences: &BTreeSet<u64>,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut wanted = sequences.iter().copied().peekable();
        while let Some(&from) = wanted.peek() {
            let before = wanted.len();
            self.each_entry(from, &mut |entry| {
                if wanted.next_if_eq(&entry.sequence).is_some() {
                    visit(entry)?;
                }
                let next = wanted.peek();
                Ok(next.is_some_and(|next| next - entry.sequence < NEAR))
            })?;
            if wanted.len() == before {
                return Err(StoreError::NoSuchEntry {
                    sequence: from,
                    last: self.until,
                });
            }
        }
        Ok(())
    }

    /// Calls `visit` with one entry.
    pub(crate) fn entry<T>(
        self,
        sequence: u64,
        visit: impl FnOnce(Entry<'_>) -> T,
    ) -> Result<T, StoreError> {
        let mut visit = Some(visit);
        let mut answer = None;
        self.each_entry(sequence, &mut |entry| {
            if entry.sequence == sequence {
                answer = visit.take().map(|visit| visit(entry));
            }
            Ok(false)
        })?;
        answer.ok_or(StoreError::NoSuchEntry {
            sequence,
            last: self.until,
        })
    }
}
