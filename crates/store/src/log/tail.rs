//! The end of the log, where entries are added.

use idmerge_core::{Claim, ClaimKind, DistinctId, Outcome};
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

    /// What is left of a claim that named an erased ID.
    pub(crate) fn erased(&mut self, kind: ClaimKind, answer: &str) -> Result<(), StoreError> {
        let entries = &mut self.last.entries;
        entries
            .erased(kind, answer)
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

#[cfg(test)]
mod tests {
    use idmerge_core::Id;
    use idmerge_simplified::Simplified;

    use super::*;
    use crate::log::Log;
    use crate::{Durable, Options, Sharing};

    fn add(tail: &mut Tail, count: usize) {
        for _ in 0..count {
            let [device, user] = ["D1", "U1"].map(|text| Id::new(text).unwrap());
            let claim = Claim::Link { device, user };
            let added = tail.claim(claim, Outcome::Merged, Cause::default());
            added.unwrap();
        }
    }

    #[test]
    fn each_entry_is_visited_once_whether_it_is_committed_or_not() {
        let options = Options {
            sharing: Sharing::Nobody,
            ..Options::default()
        };
        let memory = redb::backends::InMemoryBackend::new();
        let store = Durable::open_backend(memory, Simplified::default, options).unwrap();
        let mut tail = Tail::read(&store.begin_read().unwrap(), 0).unwrap();
        add(&mut tail, 3);
        store.commit_with(|write| tail.write(write)).unwrap();
        tail.are_committed();
        add(&mut tail, 2);
        let read = store.begin_read().unwrap();
        let log = Log::with_tail(&read, &tail);
        for (from, until, wanted) in [
            (1, 9, &[1, 2, 3, 4, 5][..]),
            (3, 9, &[3, 4, 5]),
            (4, 9, &[4, 5]),
            (5, 9, &[5]),
            (6, 9, &[]),
            // The visit ends after this entry.
            (1, 2, &[1, 2]),
            (1, 3, &[1, 2, 3]),
            (1, 4, &[1, 2, 3, 4]),
        ] {
            let mut seen = Vec::new();
            let each = &mut |entry: Entry<'_>| {
                seen.push(entry.sequence);
                Ok(entry.sequence < until)
            };
            log.each_entry(from, each).unwrap();
            assert_eq!(seen, wanted, "from {from} until {until}");
        }
    }
}
