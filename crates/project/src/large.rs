//! Bounds the memory of large blocks and profiles that queries read at the same time.
//!
//! A block is large if one of its events is. The bound is for all queries of the process together, since the
//! number of queries does not depend on what they read.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::error::ProjectError;

/// A block or a profile with more bytes is large. Blocks without a large event are smaller.
const LARGE_BYTES: usize = 256 << 10;

/// The bytes that large blocks and profiles may occupy together, with their copies.
const MAX_BYTES: usize = 32 << 20;

/// How many bytes a query needs for each byte that it reads: the block, an event of it, and its JSON.
const COPIES: usize = 3;

/// How long a query waits if no other one gets or returns memory meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

static LARGE: Large = Large {
    shares: Mutex::new(Shares {
        used_bytes: 0,
        next_ticket: 0,
        waiting: VecDeque::new(),
    }),
    changed: Condvar::new(),
};

struct Large {
    shares: Mutex<Shares>,
    changed: Condvar,
}

struct Shares {
    used_bytes: usize,
    next_ticket: u64,
    /// The tickets of those that wait. They take turns, so that none waits for ever.
    waiting: VecDeque<u64>,
}

/// The share of a large block or profile, until it is dropped.
#[derive(Debug)]
pub(crate) struct LargeShare {
    bytes: usize,
}

impl LargeShare {
    /// Waits until a block or a profile of this size may be read. `None` if it is not large. A query has at
    /// most one share at a time, so that queries do not wait for each other.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Busy`] if nothing changes for a long time.
    pub(crate) fn of(bytes: usize) -> Result<Option<Self>, ProjectError> {
        if bytes <= LARGE_BYTES {
            return Ok(None);
        }
        LARGE.take((bytes * COPIES).min(MAX_BYTES)).map(Some)
    }
}

impl Large {
    fn take(&self, bytes: usize) -> Result<LargeShare, ProjectError> {
        let mut shares = self.shares.lock();
        let ticket = shares.next_ticket;
        shares.next_ticket += 1;
        shares.waiting.push_back(ticket);
        let is_turn = |shares: &Shares| {
            shares.waiting.front() == Some(&ticket) && shares.used_bytes + bytes <= MAX_BYTES
        };
        let mut is_late = false;
        while !is_turn(&shares) && !is_late {
            is_late = self.changed.wait_for(&mut shares, PATIENCE).timed_out();
        }
        let has_turn = is_turn(&shares);
        shares.waiting.retain(|waiting| *waiting != ticket);
        if has_turn {
            shares.used_bytes += bytes;
        }
        drop(shares);
        self.changed.notify_all();
        match has_turn {
            true => Ok(LargeShare { bytes }),
            false => Err(ProjectError::Busy),
        }
    }
}

impl Drop for LargeShare {
    fn drop(&mut self) {
        LARGE.shares.lock().used_bytes -= self.bytes;
        LARGE.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_ones_wait_for_each_other_and_small_ones_do_not() {
        let large = 9 << 20;
        let first = LargeShare::of(large).unwrap();
        assert_eq!(LARGE.shares.lock().used_bytes, 27 << 20);
        assert!(LargeShare::of(256 << 10).unwrap().is_none());
        // One that fits beside the first one does not wait.
        drop(LargeShare::of(300 << 10).unwrap());
        std::thread::scope(|threads| {
            let waiting: Vec<_> = (0..3)
                .map(|_| threads.spawn(|| LargeShare::of(large).map(drop)))
                .collect();
            while LARGE.shares.lock().waiting.len() < waiting.len() {
                assert!(
                    !waiting
                        .iter()
                        .any(std::thread::ScopedJoinHandle::is_finished)
                );
                std::thread::yield_now();
            }
            assert_eq!(LARGE.shares.lock().used_bytes, 27 << 20);
            drop(first);
            for waiting in waiting {
                waiting.join().unwrap().unwrap();
            }
        });
        assert_eq!(LARGE.shares.lock().used_bytes, 0);
        assert!(LARGE.shares.lock().waiting.is_empty());
        // One that is larger than all the memory is read alone.
        drop(LargeShare::of(MAX_BYTES).unwrap());
    }
}
