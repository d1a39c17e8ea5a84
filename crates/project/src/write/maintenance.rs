//! Background work that keeps reading and opening fast: merges index runs and makes snapshots.

use std::sync::Arc;

use idmerge_store::StoreError;
use parking_lot::{Condvar, Mutex};

use crate::archive::tables::{NUMBERS, SEEN, USER_INDEX};
use crate::error::ProjectError;
use crate::inner::Inner;

/// Requests to the maintenance thread.
#[derive(Default)]
pub(crate) struct Requests {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_due: bool,
    is_stopped: bool,
}

impl Requests {
    /// Asks for a round of maintenance.
    pub(crate) fn request(&self) {
        self.state.lock().is_due = true;
        self.changed.notify_one();
    }

    /// Ends the maintenance thread as soon as possible.
    pub(crate) fn stop(&self) {
        self.state.lock().is_stopped = true;
        self.changed.notify_one();
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().is_stopped
    }

    /// Waits for a request. `false`: the thread must end.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while !state.is_due && !state.is_stopped {
            self.changed.wait(&mut state);
        }
        state.is_due = false;
        !state.is_stopped
    }
}

/// The maintenance thread.
pub(crate) struct Maintenance {
    inner: Arc<Inner>,
}

impl Maintenance {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// The body of the thread.
    pub(crate) fn run(self) {
        while self.inner.maintenance.wait() {
            // A disk that fails here fails the next commit too, and that error reaches the callers.
            if self.step().is_err() {
                return;
            }
        }
    }

    /// A round of maintenance. It makes a snapshot after [`Options::snapshot_entries`] entries of the
    /// log.
    ///
    /// [`Options::snapshot_entries`]: crate::Options::snapshot_entries
    pub(crate) fn step(&self) -> Result<(), ProjectError> {
        let state = self.inner.state()?;
        // Merge without the lock, so that claims do not wait for it.
        let merger = state.store.read().merger();
        for runs in [&USER_INDEX, SEEN.runs(), &NUMBERS] {
            while !self.inner.maintenance.is_stopped() && merger.merge(runs)? {}
        }
        state.store.read().index()?;
        let store = state.store.read();
        if store.since_snapshot()? >= self.inner.options.snapshot_entries {
            match store.snapshot() {
                // Claims were applied since the last commit. A later round makes the snapshot.
                Err(StoreError::Uncommitted) => {}
                result => result?,
            }
        }
        Ok(())
    }
}
