//! The end of the log, where entries are added.

use std::cmp::Ordering;

use idmerge_core::{Claim, ClaimKind, DistinctId, Outcome};
use redb::{ReadTransaction, WriteTransaction};

use super::about;
use super::block::{self, Block};
use super::codec::Decoder;
use super::entry::sequences::Sequences;
use super::entry::{Cause, Entry};
use super::journal::frame::Part;
use super::journal::frames::Frames;
use super::tables;
use crate::error::StoreError;

/// The end of the log, where entries are added.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Full blocks that are not in the database, or not with all their entries.
    full: Vec<Block>,
    /// The block that the next entry goes to. Some of its entries may be committed.
    last: Block,
    /// The number of the last entry in the database.
    logged: u64,
    /// The number of the last committed entry: those after [`logged`](Self::logged) are in the journal.
    committed: u64,
    /// Where the committed entries end.
    mark: Mark,
    /// Whether an uncommitted entry withdraws another one.
    revises: bool,
}

/// A place between two entries.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// The number of the first entry of the block. Earlier blocks are before the mark.
    block: u64,
    /// The entries and the bytes of the block before the mark.
    count: u32,
    bytes: usize,
}

impl Mark {
    fn after(block: &Block) -> Self {
        Self {
            block: block.first,
            count: block.count,
            bytes: block.entries.bytes.len(),
        }
    }
}

impl Tail {
    /// Reads the end of a log whose last entry has this number.
    pub(crate) fn read(read: &ReadTransaction, committed: u64) -> Result<Self, StoreError> {
        let last = last_block(read)?;
        if last.next_sequence() != committed + 1 {
            return Err(StoreError::DamagedLog {
                sequence: last.next_sequence(),
                what: "the log ends before its snapshot",
            });
        }
        Ok(Self::after(last))
    }

    fn after(last: Block) -> Self {
        let committed = last.next_sequence() - 1;
        Self {
            full: Vec::new(),
            mark: Mark::after(&last),
            last,
            logged: committed,
            committed,
            revises: false,
        }
    }

    /// Reads the end of a log that goes on in the journal. All of it is committed.
    ///
    /// # Errors
    ///
    /// [`StoreError::DamagedLog`], and if the disk fails.
    pub(crate) fn with_frames(read: &ReadTransaction, frames: &Frames) -> Result<Self, StoreError> {
        let mut tail = Self::after(last_block(read)?);
        for part in frames.parts() {
            let next = tail.last.next_sequence();
            if part.first == next && part.entries_before == 0 && part.bytes_before == 0 {
                let full = std::mem::replace(&mut tail.last, Block::starting_at(next));
                tail.full.push(full);
            }
            let Mark {
                block,
                count,
                bytes,
            } = Mark::after(&tail.last);
            if (part.first, part.entries_before, part.bytes_before) != (block, count, bytes) {
                return Err((next, "the entries before those of the journal are missing").into());
            }
            let added = tail.last.append(part.entries, part.bytes);
            added.map_err(|wrong| (next, wrong))?;
        }
        for block in tail.full.iter_mut().chain([&mut tail.last]) {
            block.reread().map_err(|wrong| (block.first, wrong))?;
        }
        tail.full.retain(|block| !block.is_empty());
        tail.are_in_journal();
        Ok(tail)
    }

    /// The number of the last entry; 0 if there is none.
    pub(crate) fn sequence(&self) -> u64 {
        self.last.next_sequence() - 1
    }

    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    /// The number of the last entry in the database.
    pub(crate) fn logged(&self) -> u64 {
        self.logged
    }

    /// Whether an uncommitted entry withdraws another one, which the database has to note.
    pub(crate) fn revises(&self) -> bool {
        self.revises
    }

    /// The uncommitted entries, by block.
    pub(crate) fn uncommitted(&self) -> impl Iterator<Item = Part<'_>> {
        let mark = self.mark;
        let blocks = self.full.iter().chain([&self.last]);
        let after = blocks.skip_while(move |block| block.first < mark.block);
        let parts = after.map(move |block| {
            let (count, bytes) = match block.first == mark.block {
                true => (mark.count, mark.bytes),
                false => (0, 0),
            };
            Part {
                first: block.first,
                entries_before: count,
                bytes_before: bytes,
                entries: block.count - count,
                bytes: &block.entries.bytes[bytes..],
            }
        });
        parts.filter(|part| part.entries > 0)
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

    /// Writes the committed entries alone.
    pub(crate) fn write_committed(&self, write: &WriteTransaction) -> Result<(), StoreError> {
        let mut log = write.open_table(tables::LOG)?;
        for block in self.full.iter().chain([&self.last]) {
            let row = match block.first.cmp(&self.mark.block) {
                Ordering::Less => block.row(),
                Ordering::Equal if self.mark.count > 0 => {
                    block.row_up_to(self.mark.count, self.mark.bytes)
                }
                _ => continue,
            };
            log.insert(block.first, &*row)?;
        }
        Ok(())
    }

    /// The rows with the entries that are not in the database, up to an entry.
    pub(crate) fn rows_up_to(&self, until: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let blocks = self.full.iter().chain([&self.last]);
        let wanted = blocks.filter(|block| !block.is_empty() && block.first <= until);
        let rows = wanted.map(|block| {
            let (row, _) = block::up_to(block.first, &block.row(), until)?;
            Ok((block.first, row))
        });
        rows.collect()
    }

    /// Notes that everything was committed to the database.
    pub(crate) fn are_committed(&mut self) {
        self.revises = false;
        self.full.clear();
        self.are_in_journal();
        self.logged = self.committed;
    }

    /// Notes that everything was committed, in part to the journal.
    pub(crate) fn are_in_journal(&mut self) {
        self.committed = self.sequence();
        self.mark = Mark::after(&self.last);
    }

    /// Notes that the committed entries are in the database.
    pub(crate) fn are_logged(&mut self) {
        self.logged = self.committed;
        let next = self.committed + 1;
        self.full.retain(|block| block.next_sequence() > next);
    }

    /// Calls `visit` with each entry from this number on that is not in the database, until it answers `false`.
    pub(super) fn each_entry(
        &self,
        from: u64,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let from = from.max(self.logged + 1);
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

/// The block that a log goes on in.
fn last_block(read: &ReadTransaction) -> Result<Block, StoreError> {
    match tables::last_block(read)? {
        Some((first, row)) => Ok(Block::read(first, &row).map_err(|wrong| (first, wrong))?),
        None => Ok(Block::starting_at(1)),
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
