//! The log: committed entries in the database and the journal, the last ones also in memory.

pub(crate) mod about;
pub(crate) mod block;
pub(crate) mod codec;
pub(crate) mod component;
pub(crate) mod entry;
pub(crate) mod file;
pub(crate) mod index;
pub(crate) mod journal;
pub(crate) mod snapshots;
pub(crate) mod tables;
pub(crate) mod tail;

use std::cell::Cell;
use std::collections::BTreeSet;

use redb::ReadTransaction;

use self::entry::Entry;
use self::tail::Tail;
use crate::error::StoreError;
use crate::options::MayGoOn;

/// While a question reads entries, it asks at least this often whether it may go on.
const ENTRIES_BETWEEN_CHECKS: u64 = 1_024;

/// An entry at most this far away is likely in the same block or in the next one, so reading on is
/// quicker than looking it up.
const NEAR: u64 = 200;

/// The log up to some entry.
#[derive(Clone, Copy)]
pub(crate) struct Log<'l> {
    pub(crate) read: &'l ReadTransaction,
    /// The entries that are not in the database, if they are part of it.
    tail: Option<&'l Tail>,
    /// The number of the last entry.
    pub(crate) until: u64,
    /// Reading fails once this returns `false`.
    may_go_on: Option<&'l MayGoOn>,
    /// On how many threads an image is read.
    threads: usize,
}

impl<'l> Log<'l> {
    /// The committed log up to this entry.
    pub(crate) fn committed(read: &'l ReadTransaction, until: u64) -> Self {
        Self {
            read,
            tail: None,
            until,
            may_go_on: None,
            threads: 1,
        }
    }

    /// The whole log, with the entries that are not in the database.
    pub(crate) fn with_tail(read: &'l ReadTransaction, tail: &'l Tail) -> Self {
        Self {
            read,
            tail: Some(tail),
            until: tail.sequence(),
            may_go_on: None,
            threads: 1,
        }
    }

    /// The log up to this entry, in the database and in a journal, if that has some of it.
    pub(crate) fn of(read: &'l ReadTransaction, tail: Option<&'l Tail>, until: u64) -> Self {
        Self {
            tail,
            ..Self::committed(read, until)
        }
    }

    /// The same log up to an earlier entry.
    pub(crate) fn up_to(self, until: u64) -> Self {
        Self {
            until: until.min(self.until),
            ..self
        }
    }

    /// The same log. Reading it fails once `may_go_on` returns `false`.
    pub(crate) fn only_while(self, may_go_on: Option<&'l MayGoOn>) -> Self {
        Self { may_go_on, ..self }
    }

    /// The same log. Images are read on so many threads.
    pub(crate) fn on_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// The number of the last entry that the database has of it.
    pub(crate) fn logged(self) -> u64 {
        self.tail.map_or(self.until, Tail::logged).min(self.until)
    }

    /// The rows with the entries that the database does not have.
    pub(crate) fn unlogged_rows(self) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        match self.tail {
            Some(tail) if tail.logged() < self.until => tail.rows_up_to(self.until),
            _ => Ok(Vec::new()),
        }
    }

    pub(crate) fn threads(self) -> usize {
        self.threads
    }

    pub(crate) fn may_go_on(self) -> Option<MayGoOn> {
        self.may_go_on.cloned()
    }

    /// Fails if the question is not to go on.
    pub(crate) fn check(self) -> Result<(), StoreError> {
        match self.may_go_on {
            Some(may_go_on) if !may_go_on() => Err(StoreError::Cancelled),
            _ => Ok(()),
        }
    }

    /// Calls `visit` with each entry from this number on, until `visit` answers `false`.
    pub(crate) fn each_entry(
        self,
        from: u64,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let from = from.max(1);
        let logged = self.logged();
        let wants_more = Cell::new(true);
        self.check()?;
        let mut some = |entry: Entry<'_>| {
            if entry.sequence.is_multiple_of(ENTRIES_BETWEEN_CHECKS) {
                self.check()?;
            }
            wants_more.set(entry.sequence <= self.until && visit(entry)?);
            Ok(wants_more.get())
        };
        if from <= logged {
            // The database may have later entries by now; they are not part of this log.
            tables::each_entry(self.read, from, &mut |entry| {
                Ok(entry.sequence <= logged && some(entry)?)
            })?;
        }
        match self.tail {
            Some(tail) if wants_more.get() => tail.each_entry(from, &mut some),
            _ => Ok(()),
        }
    }

    /// Calls `visit` with each of these entries, in order.
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

    /// Calls `visit` with this entry.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use idmerge_core::{Claim, Id, Outcome};
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase};

    use super::*;
    use crate::log::block::Block;
    use crate::log::entry::Cause;
    use crate::log::file::builder;
    use crate::log::tables::LOG;
    use crate::options::{Options, Sharing};

    const ENTRIES: u64 = 5_000;
    const BLOCK_ENTRIES: usize = 50;

    /// A log of [`ENTRIES`] entries.
    fn log() -> Database {
        let options = Options {
            sharing: Sharing::Nobody,
            ..Options::default()
        };
        let backend = InMemoryBackend::new();
        let database = builder(&options).create_with_backend(backend).unwrap();
        let [first, second] = ["A", "B"].map(|text| Id::new(text).unwrap());
        let write = database.begin_write().unwrap();
        {
            let mut log = write.open_table(LOG).unwrap();
            for number in (1..=ENTRIES).step_by(BLOCK_ENTRIES) {
                let mut block = Block::starting_at(number);
                for _ in 0..BLOCK_ENTRIES {
                    let claim = Claim::Merge { first, second };
                    let entry = block
                        .entries
                        .claim(claim, Outcome::Merged, Cause::default());
                    entry.unwrap();
                    block.count_one();
                }
                log.insert(number, &*block.row()).unwrap();
            }
        }
        write.commit().unwrap();
        database
    }

    #[test]
    fn entries_that_are_near_are_read_together_and_those_between_far_ones_are_not() {
        let database = log();
        let read = database.begin_read().unwrap();
        for (wanted, checks) in [
            // Each begins a new search, which asks once whether to go on, and again after 1,024 entries.
            (&[1, 4_000][..], 2),
            (&[10, 1_010, 2_010, 3_010], 4),
            (&[1, 150, 300, 450], 1),
            (&[1, 100, 2_000, 2_100], 3),
        ] {
            let asked = Arc::new(AtomicUsize::new(0));
            let counted = asked.clone();
            let may_go_on: MayGoOn = Arc::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                true
            });
            let log = Log::committed(&read, ENTRIES).only_while(Some(&may_go_on));
            let mut found = Vec::new();
            let each = log.each_of(&wanted.iter().copied().collect(), &mut |entry| {
                found.push(entry.sequence);
                Ok(())
            });
            each.unwrap();
            assert_eq!(found, wanted);
            assert_eq!(asked.load(Ordering::Relaxed), checks, "{wanted:?}");
        }
    }
}
