//! [`Commits`]: how entries become durable, in the database or in the journal before it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::turns::Turns;
use crate::error::StoreError;
use crate::lock::lock;
use crate::log::journal::{Journal, Next};
use crate::log::tail::Tail;

/// Commits the entries of a store. Dropping it writes what is in the journal into the database, if it can.
pub(crate) struct Commits {
    pub(crate) database: Arc<Database>,
    turns: Arc<Turns>,
    /// Locked during a commit, which takes `&self` so that other threads can resolve meanwhile.
    tail: Mutex<Tail>,
    /// Locked after the tail.
    journal: Mutex<Journal>,
    /// The numbers of the last entry in the database and of the last committed one, to read while a commit has locked
    /// the tail.
    logged: AtomicU64,
    committed: AtomicU64,
}

/// Writes what becomes of the journal with a commit of the database.
type NextOf = fn(&Journal, &WriteTransaction) -> Result<Next, StoreError>;

impl Commits {
    pub(crate) fn new(
        database: Arc<Database>,
        turns: Arc<Turns>,
        tail: Tail,
        journal: Journal,
    ) -> Self {
        Self {
            database,
            turns,
            logged: AtomicU64::new(tail.logged()),
            committed: AtomicU64::new(tail.committed()),
            tail: Mutex::new(tail),
            journal: Mutex::new(journal),
        }
    }

    /// The number of the last committed entry. It does not wait for a commit.
    pub(crate) fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        lock(&self.tail)
    }

    pub(crate) fn tail_mut(&mut self) -> &mut Tail {
        self.tail.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits to the journal if that can be, and else to the database.
    pub(crate) fn commit(&self) -> Result<u64, StoreError> {
        let mut tail = self.tail();
        if tail.committed() == tail.sequence() {
            return Ok(tail.committed());
        }
        if !tail.revises() {
            let mut journal = lock(&self.journal);
            if journal.append(&tail)? {
                tail.are_in_journal();
                self.publish(&tail);
                return Ok(tail.committed());
            }
            journal.make_if_due(&tail);
        }
        self.commit_to_database(&mut tail, |_, _| Ok(()))
    }

    /// Commits everything to the database, together with what `also` writes.
    pub(crate) fn commit_to_database<E: From<StoreError>>(
        &self,
        tail: &mut Tail,
        also: impl FnOnce(&WriteTransaction, &Tail) -> Result<(), E>,
    ) -> Result<u64, E> {
        let (write, next) = self.begin_write(Journal::next)?;
        if tail.logged() != tail.sequence() {
            tail.write(&write)?;
        }
        also(&write, tail)?;
        self.finish(write, next)?;
        tail.are_committed();
        self.publish(tail);
        Ok(tail.committed())
    }

    /// Writes the committed entries that are in the journal into the database. Uncommitted ones stay uncommitted.
    pub(crate) fn checkpoint(&self, tail: &mut Tail) -> Result<(), StoreError> {
        match tail.logged() == tail.committed() {
            true => Ok(()),
            false => self.write_committed(tail, Journal::next),
        }
    }

    /// Writes the committed entries that are in the journal into the database, with what becomes of the journal.
    fn write_committed(&self, tail: &mut Tail, next: NextOf) -> Result<(), StoreError> {
        let (write, next) = self.begin_write(next)?;
        if tail.logged() != tail.committed() {
            tail.write_committed(&write)?;
        }
        self.finish(write, next)?;
        tail.are_logged();
        self.publish(tail);
        Ok(())
    }

    /// The same, which waits for a commit only if something is in the journal.
    pub(crate) fn checkpoint_if_due(&self) -> Result<(), StoreError> {
        // In this order: whoever sees that an entry is committed also sees that it is logged, if both came together.
        let committed = self.committed();
        match self.logged.load(Ordering::Acquire) >= committed {
            true => Ok(()),
            false => self.checkpoint(&mut self.tail()),
        }
    }

    /// A transaction that reads all committed entries from the database. It waits for a commit only if some of them are in
    /// the journal.
    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.checkpoint_if_due()?;
        Ok(self.database.begin_read()?)
    }

    fn begin_write(&self, next: NextOf) -> Result<(WriteTransaction, Next), StoreError> {
        let write = self.turns.commit(|| self.database.begin_write())?;
        let next = next(&lock(&self.journal), &write)?;
        Ok((write, next))
    }

    fn finish(&self, write: WriteTransaction, next: Next) -> Result<(), StoreError> {
        let committed = write.commit();
        let mut journal = lock(&self.journal);
        match committed {
            Ok(()) => journal.is_next(next),
            Err(_) => journal.is_unknown(),
        }
        Ok(committed?)
    }

    fn publish(&self, tail: &Tail) {
        self.logged.store(tail.logged(), Ordering::Release);
        self.committed.store(tail.committed(), Ordering::Release);
    }

    /// Writes what is in the journal into the database, and removes the journal.
    pub(crate) fn end_journal(&self) -> Result<(), StoreError> {
        let mut tail = self.tail();
        let is_open = lock(&self.journal).is_open();
        match is_open {
            true => self.write_committed(&mut tail, Journal::end),
            false => Ok(()),
        }
    }
}

impl Drop for Commits {
    fn drop(&mut self) {
        // If this fails, the next opening does it.
        let _is_ended = self.end_journal();
    }
}

impl fmt::Debug for Commits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commits")
            .field("tail", &self.tail)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use idmerge_core::{Claim, Id, Outcome};
    use idmerge_simplified::Simplified;
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::log::entry::Cause;
    use crate::{Durable, Options, Sharing};

    /// A commit may wait for a thread that reads: the service writes its rows under a lock of its own.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test of threads")]
    fn who_reads_a_store_with_nothing_in_its_journal_never_waits_for_a_commit() {
        let options = Options {
            sharing: Sharing::Nobody,
            ..Options::default()
        };
        let memory = InMemoryBackend::new();
        let store = Durable::open_backend(memory, Simplified::default, options).unwrap();
        let commits = &store.commits;
        let has_read = &AtomicBool::new(false);
        thread::scope(|threads| {
            // Locked as in commits, one after the other.
            let mut tail = commits.tail();
            threads.spawn(|| {
                for _ in 0..60_000_000 {
                    commits.checkpoint_if_due().unwrap();
                }
                has_read.store(true, Ordering::Release);
            });
            let [device, user] = ["D1", "U1"].map(|text| Id::new(text).unwrap());
            let claim = Claim::Link { device, user };
            for _ in 0..20_000_000 {
                if has_read.load(Ordering::Acquire) {
                    return;
                }
                let added = tail.claim(claim, Outcome::Merged, Cause::default());
                added.unwrap();
                tail.are_committed();
                commits.publish(&tail);
            }
            panic!("it waits");
        });
    }
}
