//! What is done beside the writing, so that reading and opening stay quick.

use parking_lot::{Condvar, Mutex};

use crate::ProjectError;
use crate::archive::USERS;
use crate::project::Shared;
use crate::seen::SEEN;

/// Tells the keeper that there may be something to do.
#[derive(Default)]
pub(crate) struct Bell {
    /// Whether it was rung, and whether to stop.
    state: Mutex<(bool, bool)>,
    rung: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.state.lock().0 = true;
        self.rung.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().1 = true;
        self.rung.notify_one();
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().1
    }

    /// Waits until it is rung. `false`: it will not be any more.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while *state == (false, false) {
            self.rung.wait(&mut state);
        }
        state.0 = false;
        !state.1
    }
}

pub(crate) fn keep(shared: &Shared) {
    while shared.bell.wait() {
        // A disk that fails here fails the next commit too, which says so to somebody.
        if tidy(shared).is_err() {
            return;
        }
    }
}

fn tidy(shared: &Shared) -> Result<(), ProjectError> {
    // Without the lock, so that claims do not wait for it.
    let merger = shared.store.read().merger();
    for runs in [&USERS, &SEEN] {
        while !shared.bell.is_stopped() && merger.merge(runs)? {}
    }
    shared.store.read().index()?;
    let store = shared.store.read();
    if store.since_snapshot()? >= shared.options.snapshot_entries {
        // Claims that are applied and not committed are in the way; there is another time.
        match store.snapshot() {
            Err(idmerge_store::StoreError::Uncommitted) => {}
            result => result?,
        }
    }
    Ok(())
}
