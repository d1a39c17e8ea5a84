//! Background work that keeps reading and opening fast: merges index runs and makes snapshots.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use idmerge_store::{Scratch, StoreError};
use tempfile::spooled_tempfile_in;

use crate::archive::tables::{NUMBERS, SEEN, USER_INDEX};
use crate::error::ProjectError;
use crate::inner::Inner;
use crate::open::health::Health;
use crate::open::state::State;
use crate::workers::Next;

/// A copy of a state with more bytes is in a file: that of about 2 million UUIDs.
const SCRATCH_BYTES_IN_MEMORY: usize = 64 << 20;

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
        while merger.index()? {
            if self.is_closing() {
                return Ok(false);
            }
        }
        self.make_snapshot(state)?;
        Ok(false)
    }

    /// Makes a snapshot if one is due. Claims wait while the state is copied, and not while the copy is written to
    /// the store.
    fn make_snapshot(&self, state: &State) -> Result<(), ProjectError> {
        let Inner {
            options,
            scratch_folder,
            ..
        } = &*self.inner;
        let copied = {
            let store = state.store.read();
            if store.since_snapshot()? < options.snapshot_entries {
                return Ok(());
            }
            store.copy_state(scratch(scratch_folder.as_deref()))
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

/// Where the copy of a state is until it is in the store: in memory, or a long one in a file without a name.
fn scratch(folder: Option<&Path>) -> Box<dyn Scratch> {
    match folder {
        Some(folder) => Box::new(spooled_tempfile_in(SCRATCH_BYTES_IN_MEMORY, folder)),
        None => idmerge_store::in_memory(),
    }
}
