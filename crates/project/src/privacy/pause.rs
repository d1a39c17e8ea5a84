//! [`Pause`]: what a project does during an erasure.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::error::ProjectError;

/// Whether people are being erased, and how far that is.
///
/// The thread that erases asks the writer to stop ([`begin`](Self::begin)). The writer finishes the batches that it has
/// begun and refuses all others ([`hold`](Self::hold)). The other thread writes the new file meanwhile, which queries do
/// not notice, and asks for the old one ([`close_store`](Self::close_store)). The writer closes it
/// ([`let_go`](Self::let_go)), and opens the store again when it is asked to ([`resume`](Self::resume)).
#[derive(Default)]
pub(crate) struct Pause {
    phase: Mutex<Phase>,
    changed: Condvar,
    is_closing: AtomicBool,
    /// How many erasures have begun.
    begun: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The project works.
    #[default]
    Off,
    /// The writer is to stop.
    Wanted,
    /// The writer writes nothing, and the store is open.
    Held,
    /// The writer is to close the store.
    Closing,
    /// The store is closed, or will be as soon as no query reads from it.
    Closed,
    /// The writer is to open the store, if it is closed, and to go on.
    Ending,
}

impl Pause {
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    pub(crate) fn is_on(&self) -> bool {
        self.phase() != Phase::Off
    }

    /// Asks the writer to stop. `false`: another erasure runs.
    pub(crate) fn begin(&self) -> bool {
        let mut phase = self.phase.lock();
        let is_off = *phase == Phase::Off;
        if is_off {
            *phase = Phase::Wanted;
            self.begun.fetch_add(1, Ordering::SeqCst);
        }
        is_off
    }

    /// How many erasures have begun. What was read before the last one began can name an ID that is erased.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// The writer has stopped.
    pub(crate) fn hold(&self) {
        self.set(Phase::Held);
    }

    /// Asks the writer to close the store.
    pub(crate) fn close_store(&self) {
        self.set(Phase::Closing);
    }

    /// The writer has closed the store.
    pub(crate) fn let_go(&self) {
        self.set(Phase::Closed);
    }

    /// Asks the writer to go on.
    pub(crate) fn resume(&self) {
        self.set(Phase::Ending);
    }

    /// The project works again, or has failed.
    pub(crate) fn end(&self) {
        self.set(Phase::Off);
    }

    fn set(&self, phase: Phase) {
        *self.phase.lock() = phase;
        self.changed.notify_all();
    }

    /// The project is closing, so all waiting ends.
    pub(crate) fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        let _phase = self.phase.lock();
        self.changed.notify_all();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// Waits while this is the phase. Returns the next one.
    pub(crate) fn wait_while(&self, waits: Phase) -> Result<Phase, ProjectError> {
        let mut phase = self.phase.lock();
        while *phase == waits {
            if self.is_closing() {
                return Err(ProjectError::Closed);
            }
            self.changed.wait(&mut phase);
        }
        Ok(*phase)
    }

    /// Waits for this time, or until the project is closing.
    pub(crate) fn wait(&self, time: Duration) {
        let mut phase = self.phase.lock();
        if !self.is_closing() {
            self.changed.wait_for(&mut phase, time);
        }
    }
}
