//! The memory that large heads of requests may occupy together.
//!
//! hyper keeps the buffer of a head as long as its connection is open. So a large head counts until its
//! connection is closed, which is after its response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::http::shares::{Limits, Shares};

/// A head up to this size does not count: the server has memory for one of each connection.
const FREE_BYTES: usize = 8 * 1024;

/// The most bytes that are read at once, except for the start of a head.
const MAX_READ_BYTES: usize = 16 * 1024;

/// The memory that large heads may occupy together.
#[derive(Debug)]
pub(super) struct HeadMemory {
    large: Mutex<Shares>,
}

impl HeadMemory {
    pub(super) fn new(max_bytes: usize, slow_after: Duration) -> Arc<Self> {
        let large = Shares::new(Limits {
            max_bytes,
            max_large_bytes: max_bytes,
            small_bytes: 0,
            slow_after,
            stalled_after: slow_after,
            spare_bytes: 0,
        });
        Arc::new(Self {
            large: Mutex::new(large),
        })
    }

    /// The heads of a new connection.
    pub(super) fn connection(self: &Arc<Self>) -> Arc<Heads> {
        Arc::new(Heads {
            memory: Arc::clone(self),
            give_up: Arc::default(),
            state: Mutex::default(),
        })
    }
}

/// The heads of the requests of one connection. Its memory is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Heads {
    memory: Arc<HeadMemory>,
    give_up: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The bytes of the head that is being read.
    bytes: usize,
    /// Whether a head is complete and its response is not: what is read now is a body.
    is_in_request: bool,
    /// The key of the large head, if there was one.
    key: Option<u64>,
}

impl Heads {
    /// Counts bytes that were read. Returns whether there is memory for them.
    #[must_use]
    pub(super) fn read(&self, bytes: usize) -> bool {
        let mut state = self.state.lock();
        if state.is_in_request {
            return true;
        }
        state.bytes += bytes;
        if state.bytes <= FREE_BYTES {
            return true;
        }
        let mut large = self.memory.large.lock();
        let now = Instant::now();
        let (key, added) = match state.key {
            Some(key) => (key, bytes),
            None => {
                let key = large.add(None, Arc::clone(&self.give_up), now);
                state.key = Some(key);
                (key, state.bytes)
            }
        };
        large.take(key, added, now)
    }

    /// A head is complete: its request begins.
    pub(super) fn begin_request(&self) {
        self.state.lock().is_in_request = true;
    }

    /// The request has its response. Returns whether the connection must close after it.
    pub(super) fn end_request(&self) -> bool {
        let mut state = self.state.lock();
        state.is_in_request = false;
        state.bytes = 0;
        state.key.is_some()
    }

    /// The most bytes to read at once. What comes with the end of a small head must not make it a large
    /// one, and what comes with the end of a body stays in memory without being counted.
    pub(super) fn max_read_bytes(&self) -> usize {
        let state = self.state.lock();
        match FREE_BYTES.saturating_sub(state.bytes) {
            free if free > 0 && !state.is_in_request => free,
            _ => MAX_READ_BYTES,
        }
    }

    /// Waits until the connection must close, to make room for others.
    pub(super) async fn gives_up(&self) {
        self.give_up.notified().await;
    }
}

impl Drop for Heads {
    fn drop(&mut self) {
        if let Some(key) = self.state.get_mut().key {
            self.memory.large.lock().remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    #[test]
    fn memory_of_large_heads_is_given_back_with_the_connection() {
        let memory = HeadMemory::new(100 * KIB, Duration::from_secs(60));
        let used = || memory.large.lock().bytes_used();
        let small = memory.connection();
        assert!(small.read(8 * KIB));
        let first = memory.connection();
        assert!(first.read(8 * KIB) && first.read(52 * KIB));
        assert_eq!(used(), 60 * KIB);
        // The body of the request does not count.
        first.begin_request();
        assert!(first.read(KIB * KIB));
        assert_eq!(used(), 60 * KIB);
        // There is no room for another, and the first one is not slow.
        let second = memory.connection();
        assert!(!second.read(60 * KIB));
        assert!(first.end_request());
        drop(first);
        assert_eq!(used(), 0);
        let third = memory.connection();
        assert!(third.read(60 * KIB));
        third.begin_request();
        assert!(third.end_request());
        drop((second, third));
        assert_eq!(used(), 0);
        small.begin_request();
        assert!(!small.end_request());
    }

    #[test]
    fn a_slow_head_gives_way() {
        let memory = HeadMemory::new(100 * KIB, Duration::ZERO);
        let [large, small, new] = [(); 3].map(|()| memory.connection());
        assert!(large.read(80 * KIB));
        assert!(small.read(10 * KIB));
        assert!(new.read(60 * KIB));
        assert_eq!(memory.large.lock().bytes_used(), 70 * KIB);
        assert!(!large.read(1));
        assert!(small.read(1));
    }
}
