//! [`Turns`]: commits go before background work.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::lock::lock;

/// The order of commits and background work.
///
/// The database has one writer at a time and keeps no order among those that wait. A thread that writes again and
/// again would come first each time, and a commit would wait for all its work.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    commits: Mutex<Commits>,
    begun: Condvar,
    snapshot: Mutex<()>,
}

#[derive(Debug, Default)]
struct Commits {
    /// How many wait for the database.
    waiting: u64,
    /// How many have waited and do so no more.
    begun: u64,
}

/// A commit that waits for the database, until this is dropped.
struct Waiting<'t>(&'t Turns);

impl Turns {
    /// Calls `begin`, which waits for the database, for a commit.
    pub(crate) fn commit<T>(&self, begin: impl FnOnce() -> T) -> T {
        lock(&self.commits).waiting += 1;
        let _waiting = Waiting(self);
        begin()
    }

    /// Waits until the commits that wait now have begun. Background work calls this before it waits for the
    /// database, and holds nothing that a commit needs.
    pub(crate) fn give_way(&self) {
        let commits = lock(&self.commits);
        let last = commits.begun + commits.waiting;
        let has_to_wait = |commits: &mut Commits| commits.begun < last;
        drop(
            self.begun
                .wait_while(commits, has_to_wait)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Waits until no other snapshot is written in turns. Until its last transaction the pieces of a snapshot are
    /// like those of one that was abandoned, which the next one removes.
    pub(crate) fn snapshot(&self) -> MutexGuard<'_, ()> {
        lock(&self.snapshot)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut commits = lock(&self.0.commits);
        commits.waiting -= 1;
        commits.begun += 1;
        self.0.begun.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test of threads")]
    fn background_work_waits_for_the_commits_that_wait_and_for_no_later_one() {
        let turns = &Turns::default();
        turns.give_way();
        let (waits, is_waiting) = mpsc::channel();
        let (go, goes) = mpsc::channel();
        thread::scope(|threads| {
            threads.spawn(move || {
                turns.commit(|| {
                    waits.send(()).unwrap();
                    goes.recv().unwrap();
                });
                // It waits again at once, and for longer than the test.
                turns.commit(|| goes.recv().unwrap_err());
            });
            is_waiting.recv().unwrap();
            let background = threads.spawn(|| turns.give_way());
            for _ in 0..1_000 {
                assert!(!background.is_finished());
                thread::yield_now();
            }
            go.send(()).unwrap();
            background.join().unwrap();
            drop(go);
        });
    }
}
