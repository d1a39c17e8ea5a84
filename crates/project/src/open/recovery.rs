//! [`Recovery`]: when the store of a project is opened again after a failure, and what it takes to call
//! it recovered.

use std::time::Duration;

use idmerge_engines::Engine;
use idmerge_store::{Durable, StoreError};

use crate::open::store::Opener;

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
    open: Opener,
    /// Attempts since the project was stable.
    attempts: u32,
    /// When the next attempt is due.
    due: Duration,
    recovered: Duration,
    room_bytes: usize,
}

impl Recovery {
    pub(crate) fn new(open: Opener) -> Self {
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
        self.open.lock().open()
    }

    /// Fails if the disk has no room for a batch like the one that failed. Returns how many bytes are to
    /// be written to the store to be sure.
    pub(crate) fn check_room(&mut self) -> Result<usize, StoreError> {
        self.open.lock().check_room(self.room_bytes)?;
        Ok(self.room_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn recovery() -> Recovery {
        Recovery::new(Arc::new(Mutex::new(Box::new(|| Err(StoreError::InUse)))))
    }

    #[test]
    fn the_delays_double_until_the_project_is_stable() {
        let mut recovery = recovery();
        let mut now = 100 * SECOND;
        recovery.failed(now, 0);
        // The first attempt is due at once.
        assert_eq!(recovery.wait(now), None);
        for delay_ms in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            assert!(recovery.may_be_closing());
            recovery.attempted(now, false);
            let delay = Duration::from_millis(delay_ms);
            assert_eq!(recovery.wait(now), Some(delay));
            assert_eq!(recovery.wait(now + delay), None);
            now += delay;
        }
        // The earlier store was to be closed by now.
        assert!(!recovery.may_be_closing());
        recovery.attempted(now, true);

        // Another failure soon after is the same one, and one after a minute is a new one.
        recovery.failed(now + 59 * SECOND, 0);
        assert!(!recovery.may_be_closing());
        assert_eq!(recovery.wait(now), Some(5 * SECOND));
        recovery.failed(now + 60 * SECOND, 0);
        assert!(recovery.may_be_closing());
        assert_eq!(recovery.wait(now + 60 * SECOND), None);
    }

    #[test]
    fn there_must_be_room_for_twice_the_bytes_that_failed() {
        let mut recovery = recovery();
        assert_eq!(recovery.check_room().unwrap(), 1 << 20);
        for (failed, wanted) in [(0, 1), (3, 6), (8, 16), (9, 16)] {
            recovery.failed(Duration::ZERO, failed << 20);
            assert_eq!(recovery.check_room().unwrap(), wanted << 20);
        }
    }
}
