//! [`Recovery`]: when the store of a project is opened again after a failure, and what it takes to call
//! it recovered.

use std::time::Duration;

use idmerge_engines::Engine;
use idmerge_store::{Durable, StoreError};

use crate::open::store::OpenStore;

/// The delay before the second attempt. It doubles with each one.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// A project that failed so soon after a recovery has not recovered: the delays go on growing.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// So many attempts may find the earlier store still open.
const CLOSING_ATTEMPTS: u32 = 8;
/// The least and the most bytes that must be written before a project takes batches again.
const ROOM_BYTES: (usize, usize) = (1 << 20, 16 << 20);

/// Opens the store again after a failure, at growing intervals.
pub(crate) struct Recovery {
    open: Box<dyn OpenStore>,
    /// Attempts since the project was stable.
    attempts: u32,
    /// When the next attempt is due.
    due: Duration,
    recovered: Duration,
    room_bytes: usize,
}

impl Recovery {
    pub(crate) fn new(open: Box<dyn OpenStore>) -> Self {
        Self {
            open,
            attempts: 0,
            due: Duration::ZERO,
            recovered: Duration::ZERO,
            room_bytes: ROOM_BYTES.0,
        }
    }

    /// Takes note of a failure while batches with this many bytes of text were written.
    pub(crate) fn failed(&mut self, now: Duration, bytes: usize) {
        if now.saturating_sub(self.recovered) >= STABLE_AFTER {
            self.attempts = 0;
            self.due = now;
        }
        let (least, most) = ROOM_BYTES;
        self.room_bytes = bytes.saturating_mul(2).clamp(least, most);
    }

    /// How long to wait before the next attempt; `None` if it is due.
    pub(crate) fn wait(&self, now: Duration) -> Option<Duration> {
        self.due.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    /// Counts an attempt that ends now.
    pub(crate) fn attempted(&mut self, now: Duration, is_recovered: bool) {
        let delay = FIRST_DELAY.saturating_mul(1 << self.attempts.min(10));
        self.due = now + delay.min(MAX_DELAY);
        self.attempts = self.attempts.saturating_add(1);
        if is_recovered {
            self.recovered = now;
        }
    }

    /// Whether an earlier store may still be closing: a query still reads from it.
    pub(crate) fn may_be_closing(&self) -> bool {
        self.attempts < CLOSING_ATTEMPTS
    }

    pub(crate) fn open(&mut self) -> Result<Durable<Engine>, StoreError> {
        self.open.open()
    }

    /// Fails if the disk has no room for a batch like the one that failed. Returns how many bytes are to
    /// be written to the store to be sure.
    pub(crate) fn check_room(&mut self) -> Result<usize, StoreError> {
        self.open.check_room(self.room_bytes)?;
        Ok(self.room_bytes)
    }
}
