//! Background work that keeps reading and opening fast: merges index runs and makes snapshots.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use idmerge_store::StoreError;

use crate::archive::tables::{NUMBERS, SEEN, USER_INDEX};
use crate::error::ProjectError;
use crate::inner::Inner;
use crate::open::health::Health;
use crate::open::state::State;
use crate::workers::Next;

/// The maintenance of a project.
pub(crate) struct Maintenance {
    inner: Arc<Inner>,
}

impl Maintenance {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// A turn of maintenance. There is nothing to do while the project cannot write.
    pub(crate) fn turn(&self) -> Next {
        let Ok(state) = self.inner.state() else {
            return Next::Wait;
        };
        let maintained = catch_unwind(AssertUnwindSafe(|| self.maintain(&state)));
        let error = match maintained {
            Ok(Ok(true)) => return Next::Again,
            Ok(Ok(false)) => return Next::Wait,
            Ok(Err(error)) => error,
            Err(_) => ProjectError::Failed {
                reason: "the maintenance panicked".to_owned(),
            },
        };
        let reason = error.reason();
        match error {
            // A part that cannot be read: opening again would not mend it, and commits do not need it.
            ProjectError::Store(
                StoreError::DamagedIndex | StoreError::DamagedLog { .. } | StoreError::Engine(_),
            )
            | ProjectError::Damaged { .. } => {
                self.inner
                    .failure
                    .report(Health::MaintenanceFailed { reason });
            }
            // The database does not write any more after an error of the disk.
            _ => self.inner.fail(&state, reason),
        }
        Next::Wait
    }

    /// One merge of runs, or the rest: the index of entries, and a snapshot after
    /// [`Options::snapshot_entries`] entries of the log. Returns whether there may be more to do.
    ///
    /// [`Options::snapshot_entries`]: crate::Options::snapshot_entries
    fn maintain(&self, state: &State) -> Result<bool, ProjectError> {
        // Merge without the lock, so that claims do not wait for it.
        let merger = state.store.read().merger();
        for runs in [&USER_INDEX, SEEN.runs(), &NUMBERS] {
            if self.is_closing() {
                return Ok(false);
            }
            if merger.merge(runs)? {
                return Ok(true);
            }
        }
        state.store.read().index()?;
        let store = state.store.read();
        if store.since_snapshot()? >= self.inner.options.snapshot_entries {
            match store.snapshot_while(&|| !self.is_closing()) {
                // Claims were applied since the last commit. A later round makes the snapshot.
                Err(StoreError::Uncommitted) => {}
                result => drop(result?),
            }
        }
        Ok(false)
    }

    fn is_closing(&self) -> bool {
        self.inner.is_closing.load(Ordering::Relaxed)
    }
}
