//! [`BodyMemory`]: the memory that all request bodies may occupy together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::Bounds;
use crate::http::peers::Peer;
use crate::http::shares::{Limits, Shares, Use};

/// A body with at most this many bytes is small. The others leave some memory to the small ones.
pub(crate) const SMALL_BODY_BYTES: usize = 64 * 1024;

/// The part of the memory that only small bodies may occupy.
const KEPT_PART: usize = 8;

/// If bodies give way, they free at least this part of the memory.
const SPARE_PART: usize = 64;

/// A body that has grown by less than 64 KiB in this time gives way if the memory is used up.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// The memory that all request bodies may occupy together.
#[derive(Clone, Debug)]
pub(crate) struct BodyMemory(Arc<Mutex<Shares>>);

/// The memory of one body, until it is dropped.
#[derive(Debug)]
pub(crate) struct BodyShare {
    memory: BodyMemory,
    key: u64,
    give_up: Arc<Notify>,
}

impl BodyMemory {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        let max_bytes = bounds.max_body_bytes_in_memory;
        // There is room for one body at least.
        let max_large_bytes = max_bytes - max_bytes / KEPT_PART;
        Self(Arc::new(Mutex::new(Shares::new(Limits {
            max_bytes,
            max_large_bytes: max_large_bytes
                .max(bounds.limits.max_body_bytes)
                .min(max_bytes),
            small_bytes: SMALL_BODY_BYTES,
            slow_after: bounds.slow_body_after,
            stalled_after: STALLED_AFTER,
            spare_bytes: max_bytes / SPARE_PART,
        }))))
    }

    /// The share of a body that begins to arrive.
    pub(crate) fn share(&self, peer: Option<Peer>) -> BodyShare {
        let give_up = Arc::new(Notify::new());
        let mut shares = self.0.lock();
        BodyShare {
            key: shares.add(peer, Arc::clone(&give_up), Instant::now()),
            memory: self.clone(),
            give_up,
        }
    }

    /// How many bytes bodies occupy now.
    pub(crate) fn bytes_used(&self) -> usize {
        self.0.lock().bytes_used()
    }
}

impl BodyShare {
    /// Takes memory for more bytes. Returns whether there is some.
    #[must_use]
    pub(crate) fn take(&self, bytes: usize) -> bool {
        self.memory.0.lock().take(self.key, bytes, Instant::now())
    }

    /// Counts the body as large, because it is announced as large, or because of what it decompresses to.
    /// Returns whether there is memory for it.
    #[must_use]
    pub(crate) fn make_large(&self) -> bool {
        self.memory.0.lock().make_large(self.key, Instant::now())
    }

    /// The body is complete and waits for its turn. Returns false if it has given way.
    #[must_use]
    pub(crate) fn wait(&self) -> bool {
        self.memory.0.lock().set_use(self.key, Use::Waiting)
    }

    /// The body is being processed, and gives way no more. Returns false if it has given way.
    #[must_use]
    pub(crate) fn process(&self) -> bool {
        self.memory.0.lock().set_use(self.key, Use::Processed)
    }

    /// Waits until the body must make room for others.
    pub(crate) async fn gives_way(&self) {
        self.give_up.notified().await;
    }
}

impl Drop for BodyShare {
    fn drop(&mut self) {
        self.memory.0.lock().remove(self.key);
    }
}
