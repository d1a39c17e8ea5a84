//! Background work that keeps reading and opening fast: merges index runs and makes snapshots.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use idmerge_store::StoreError;

use crate::archive::tables::{NUMBERS, SEEN, USER_INDEX};
use crate::error::ProjectError;
use crate::inner::Inner;
use crate::open::state::State;
use crate::workers::Next;

/// How long a snapshot waits after one whose temporary file failed. Claims wait while a state is copied, so it is
/// not copied again and again.
const SNAPSHOT_DELAY: Duration = Duration::from_secs(60);

/// The maintenance of a project.
pub(crate) struct Maintenance {
    inner: Arc<Inner>,
    /// When a snapshot may be made again, if the last one had no temporary file.
    snapshot_due: Option<Duration>,
}

impl Maintenance {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            snapshot_due: None,
        }
    }

    /// A turn of maintenance. There is nothing to do while the project cannot write.
    pub(crate) fn turn(&mut self) -> Next {
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
            | ProjectError::Damaged { .. } => self.inner.maintenance_failed(reason),
            // The store is as before.
            ProjectError::Store(StoreError::Scratch(_)) => {
                self.inner.maintenance_failed(reason);
                self.snapshot_due = Some(self.inner.clock.now() + SNAPSHOT_DELAY);
                return Next::After(SNAPSHOT_DELAY);
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
    fn maintain(&mut self, state: &State) -> Result<bool, ProjectError> {
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
        while merger.index()? {
            if self.is_closing() {
                return Ok(false);
            }
        }
        let now = self.inner.clock.now();
        if self.snapshot_due.is_none_or(|due| due <= now) {
            self.make_snapshot(state)?;
            self.snapshot_due = None;
            self.inner.failure.maintained();
        }
        Ok(false)
    }

    /// Makes a snapshot if one is due. Claims wait while the state is copied, and not while the copy is written to
    /// the store.
    fn make_snapshot(&self, state: &State) -> Result<(), ProjectError> {
        let Inner {
            options, scratch, ..
        } = &*self.inner;
        let copied = {
            let store = state.store.read();
            if store.since_snapshot()? < options.snapshot_entries {
                return Ok(());
            }
            store.copy_state(scratch())
        };
        match copied {
            // Claims were applied since the last commit. A later round makes the snapshot.
            Err(StoreError::Uncommitted) => {}
            copied => {
                if let Some(copy) = copied? {
                    copy.write(&|| !self.is_closing() && self.inner.check().is_ok())?;
                }
            }
        }
        Ok(())
    }

    fn is_closing(&self) -> bool {
        self.inner.is_closing.load(Ordering::Relaxed)
    }
}
