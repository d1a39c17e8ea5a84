//! Merging runs, and indexing entries, without holding the store.

use std::fmt;
use std::sync::{Arc, Mutex};

use idmerge_disk::Runs;
use redb::Database;

use crate::durable::turns::Turns;
use crate::error::StoreError;
use crate::lock::lock;
use crate::log::index::{self, ENTRIES_BY_ID};

/// Merges the runs of an index in the database of a store, and indexes its entries, on a thread of the caller's.
/// Each of its transactions is short, and lets the commits go first that wait. The file of
/// the store is closed only when its mergers are dropped too.
#[derive(Clone)]
pub struct Merger {
    database: Arc<Database>,
    turns: Arc<Turns>,
    merging: Arc<Mutex<()>>,
    unindexed_max: u64,
}

impl Merger {
    pub(crate) fn new(database: Arc<Database>, turns: Arc<Turns>, unindexed_max: u64) -> Self {
        Self {
            database,
            turns,
            merging: Arc::default(),
            unindexed_max,
        }
    }

    /// Merges runs of one size if there are many of them, or removes what was merged. Returns whether it did
    /// one of the two. Commits can come between; another merge of the same store waits.
    ///
    /// # Errors
    ///
    /// If the disk fails or a run is damaged.
    pub fn merge(&self, runs: &Runs) -> Result<bool, StoreError> {
        let _one_at_a_time = lock(&self.merging);
        Ok(runs.merge(&self.database, &|| self.turns.give_way())?)
    }

    /// A part of [`Durable::index`](crate::Durable::index). Returns whether there may be more to do. It indexes what is
    /// in the database: entries in the [journal](crate::Options::journal_bytes) are indexed later.
    ///
    /// # Errors
    ///
    /// If the disk fails or a run is damaged.
    pub fn index(&self) -> Result<bool, StoreError> {
        let at_a_time = self.unindexed_max;
        let is_indexed = {
            let _one_at_a_time = lock(&self.merging);
            index::update(&self.database, at_a_time, &|| self.turns.give_way())?
        };
        Ok(is_indexed || self.merge(&ENTRIES_BY_ID)?)
    }
}

impl fmt::Debug for Merger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merger").finish_non_exhaustive()
    }
}
