//! [`History`]: questions about every earlier state.

pub(crate) mod changes;
pub(crate) mod compare;
pub(crate) mod digest;
pub(crate) mod explain;
pub(crate) mod log_entry;
pub(crate) mod simulate;

use idmerge_core::IdentityResolver;
use redb::ReadTransaction;

use crate::error::StoreError;
use crate::log::Log;
use crate::log::entry::Entry;
use crate::state::State;
use crate::state::overlay::Fresh;

/// The committed log of a store at one moment. Later commits are not visible in it.
pub struct History<R> {
    pub(crate) fresh: Fresh<R>,
    read: ReadTransaction,
    last: u64,
}

impl<R: IdentityResolver> History<R> {
    pub(crate) fn new(fresh: Fresh<R>, read: ReadTransaction, last: u64) -> Self {
        Self { fresh, read, last }
    }

    /// The number of the last entry; 0 if there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    pub(crate) fn log(&self) -> Log<'_> {
        Log::committed(&self.read, self.last)
    }

    /// Calls `visit` with each entry from this number on, until `visit` answers `false`.
    ///
    /// # Errors
    ///
    /// Those of `visit`, and [`StoreError::DamagedLog`].
    pub fn entries(
        &self,
        from: u64,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.log().each_entry(from, visit)
    }

    /// The state after this entry; 0 is the empty state.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchEntry`], and if the log cannot be read.
    pub fn as_of(&self, sequence: u64) -> Result<R, StoreError> {
        self.has(sequence)?;
        let log = self.log().up_to(sequence);
        Ok(State::fold(self.fresh.clone(), log)?.overlay.into_whole())
    }

    pub(crate) fn has(&self, sequence: u64) -> Result<(), StoreError> {
        if sequence <= self.last {
            return Ok(());
        }
        Err(StoreError::NoSuchEntry {
            sequence,
            last: self.last,
        })
    }
}

impl<R> std::fmt::Debug for History<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}
