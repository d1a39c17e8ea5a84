//! What a log makes possible: questions about every state that there was.

use idmerge_core::IdentityResolver;
use redb::ReadTransaction;

use crate::entry::Entry;
use crate::error::StoreError;
use crate::fold::State;
use crate::tables;

/// The committed log of a store at one moment. Commits that come later are not seen.
pub struct History {
    pub(crate) read: ReadTransaction,
    last: u64,
}

impl History {
    pub(crate) fn new(read: ReadTransaction, last: u64) -> Self {
        Self { read, last }
    }

    /// The number of the last entry; 0 where there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Calls `visit` with each entry from this number on, until it answers `false`.
    ///
    /// # Errors
    ///
    /// What `visit` fails with, and [`StoreError::DamagedLog`].
    pub fn entries(
        &self,
        from: u64,
        visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let last = self.last;
        tables::each_entry(&self.read, from.max(1), &mut |entry| {
            Ok(entry.sequence <= last && visit(entry)?)
        })
    }

    /// The state as it was after this entry, 0 for the empty one. The engine is one like the
    /// store's that has weighed nothing yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchEntry`], and where the log cannot be read.
    pub fn as_of<R: IdentityResolver>(&self, sequence: u64, engine: R) -> Result<R, StoreError> {
        Ok(self.state_at(sequence, engine)?.engine)
    }

    pub(crate) fn state_at<R: IdentityResolver>(
        &self,
        sequence: u64,
        engine: R,
    ) -> Result<State<R>, StoreError> {
        self.has(sequence)?;
        let mut state = State::new(engine);
        state.open(&self.read, sequence)?;
        Ok(state)
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

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}
