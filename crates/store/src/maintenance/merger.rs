//! Merging runs without holding the store.

use std::fmt;
use std::sync::{Arc, Mutex};

use idmerge_disk::Runs;
use redb::Database;

use crate::error::StoreError;
use crate::lock::lock;

/// Merges the runs of an index in the database of a store, on a thread of the caller's. The file of
/// the store is closed only when its mergers are dropped too.
#[derive(Clone)]
pub struct Merger {
    database: Arc<Database>,
    merging: Arc<Mutex<()>>,
}

impl Merger {
    pub(crate) fn new(database: Arc<Database>) -> Self {
        Self {
            database,
            merging: Arc::default(),
        }
    }

    /// Merges runs of one size if there are many of them, and returns whether it did. Commits can
    /// come between; another merge of the same store waits.
    ///
    /// # Errors
    ///
    /// If the disk fails or a run is damaged.
    pub fn merge(&self, runs: &Runs) -> Result<bool, StoreError> {
        let _one_at_a_time = lock(&self.merging);
        Ok(runs.merge(&self.database)?)
    }
}

impl fmt::Debug for Merger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merger").finish_non_exhaustive()
    }
}
