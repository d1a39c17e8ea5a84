//! [`Clock`]: the one place where a project reads the time.

use std::time::{Duration, Instant};

/// Measures durations. No answer depends on it: arrival times come with the batches.
pub(crate) trait Clock: Send + Sync {
    /// The time since some moment in the past. It never goes back.
    fn now(&self) -> Duration;
}

/// The clock of the system.
pub(crate) struct SystemClock {
    start: Instant,
}

impl SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "durations are measured, and no answer depends on them"
    )]
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}
