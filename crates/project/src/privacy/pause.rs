//! [`Pause`]: closes the store of a project that goes on, for an erasure.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::error::ProjectError;

/// Whether the store is closed for an erasure.
///
/// The thread that erases asks the writer for the store ([`begin`](Self::begin)). The writer finishes the batches
/// that it has begun, closes the store ([`let_go`](Self::let_go)) and refuses all others, until it is asked to open
/// the store again ([`resume`](Self::resume)).
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
    /// The writer is to close the store.
    Wanted,
    /// The store is closed, or will be as soon as no query reads from it.
    Closed,
    /// The writer is to open the store.
    Ending,
}

impl Pause {
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    pub(crate) fn is_on(&self) -> bool {
        self.phase() != Phase::Off
    }

    /// Asks the writer to close the store. `false`: another erasure runs.
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

    /// The writer has closed the store.
    pub(crate) fn let_go(&self) {
        self.set(Phase::Closed);
    }

    /// Asks the writer to open the store.
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
