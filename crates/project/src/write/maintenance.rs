//! Background work that keeps reading and opening fast: merges index runs and makes snapshots.

use std::sync::Arc;

use idmerge_store::StoreError;

use crate::archive::tables::{NUMBERS, SEEN, USER_INDEX};
use crate::error::ProjectError;
use crate::inner::Inner;
use crate::workers::Next;

/// The maintenance of a project.
pub(crate) struct Maintenance {
    inner: Arc<Inner>,
}

impl Maintenance {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// A turn of maintenance.
    pub(crate) fn turn(&self) -> Next {
        match self.step() {
            Ok(true) => Next::Again,
            // A disk that fails here fails the next commit too, and that error reaches the callers.
            Ok(false) | Err(_) => Next::Wait,
        }
    }

    /// One merge of runs, or the rest: the index of entries, and a snapshot after
    /// [`Options::snapshot_entries`] entries of the log. Returns whether there may be more to do.
    ///
    /// [`Options::snapshot_entries`]: crate::Options::snapshot_entries
    pub(crate) fn step(&self) -> Result<bool, ProjectError> {
        let state = self.inner.state()?;
        // Merge without the lock, so that claims do not wait for it.
        let merger = state.store.read().merger();
        for runs in [&USER_INDEX, SEEN.runs(), &NUMBERS] {
            if merger.merge(runs)? {
                return Ok(true);
            }
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
        Ok(false)
    }
}
