//! Background work that keeps reading and opening fast: merges index runs and makes snapshots.

use idmerge_engines::Engine;
use idmerge_shared::Shared;
use idmerge_store::{Durable, StoreError};
use parking_lot::{Condvar, Mutex};

use crate::archive::tables::{NUMBERS, SEEN, USER_INDEX};

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

/// The body of the maintenance thread. It makes a snapshot after `snapshot_entries` entries of the
/// log.
pub(crate) fn run(store: &Shared<Durable<Engine>>, snapshot_entries: u64, requests: &Requests) {
    while requests.wait() {
        // A disk that fails here fails the next commit too, and that error reaches the callers.
        if maintain(store, snapshot_entries, requests).is_err() {
            return;
        }
    }
}

fn maintain(
    store: &Shared<Durable<Engine>>,
    snapshot_entries: u64,
    requests: &Requests,
) -> Result<(), StoreError> {
    // Merge without the lock, so that claims do not wait for it.
    let merger = store.read().merger();
    for runs in [&USER_INDEX, SEEN.runs(), &NUMBERS] {
        while !requests.is_stopped() && merger.merge(runs)? {}
    }
    store.read().index()?;
    let store = store.read();
    if store.since_snapshot()? >= snapshot_entries {
        match store.snapshot() {
            // Claims were applied since the last commit. A later round makes the snapshot.
            Err(StoreError::Uncommitted) => {}
            result => result?,
        }
    }
    Ok(())
}
