//! The threads of a pass, which read in turns.

use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

use crate::stream::input::Helpers;

/// More threads would be idle: the ordered step runs on one at a time.
const THREADS_MAX: usize = 8;

/// The stack of a thread. What runs on it needs little.
const STACK_BYTES: usize = 512 * 1024;

/// How many threads a pass has.
pub(super) fn count() -> usize {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    threads.min(THREADS_MAX)
}

/// Runs `work` on this many threads, this one included.
pub(super) fn run(
    threads: usize,
    work: impl Fn() -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let work = &work;
    thread::scope(|scope| {
        let spawn = |_| {
            thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, work)
        };
        // If no more threads can be started, the ones that were do all the work.
        let others: Vec<_> = (1..threads).map_while(|n| spawn(n).ok()).collect();
        let mut result = work();
        for other in others {
            match other.join() {
                Ok(result_there) => result = result.and(result_there),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        result
    })
}

/// Waits until no other thread reads, and helps it meanwhile.
pub(super) fn lock<'r, R>(reader: &'r Mutex<R>, helpers: &Helpers) -> MutexGuard<'r, R> {
    // A thread that panicked here either held a ticket, which stops the others, or had read nothing.
    // The panic itself is resumed when the thread is joined.
    loop {
        match reader.try_lock() {
            Ok(reading) => return reading,
            Err(TryLockError::Poisoned(reading)) => return reading.into_inner(),
            Err(TryLockError::WouldBlock) if helpers.help() => {}
            Err(TryLockError::WouldBlock) => {
                return reader.lock().unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}
