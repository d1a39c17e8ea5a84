//! [`Reader`]: a store that another process may write.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use idmerge_core::IdentityResolver;
use idmerge_disk::STORE_FILE;
use redb::{ReadOnlyDatabase, ReadableDatabase as _};

use crate::error::StoreError;
use crate::history::History;
use crate::history::digest::Digest;
use crate::log::Log;
use crate::log::about::About;
use crate::log::file::{builder, unpanicked};
use crate::log::journal::{place::Place, replay};
use crate::options::{Opened, Options};
use crate::state::State;
use crate::state::answers::answers_by_overlay;

/// A store that is open for reading. Another process may write it at the same time.
///
/// A reader answers from the state of the moment when it was opened or last
/// [refreshed](Self::refresh). It also reads what the other process has in its [journal](Options::journal_bytes).
pub struct Reader<R> {
    database: ReadOnlyDatabase,
    /// Where the process that writes the store has its journal.
    journal: Place,
    state: State<R>,
    opened: Opened,
    last: u64,
}

impl<R: IdentityResolver> Reader<R> {
    /// Opens the store in a folder without changing it. The options and the engines that `fresh` makes
    /// must be those that the store is written with.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if the process that writes the store does not share it,
    /// [`StoreError::NotClosed`] if the last writer crashed, and those of
    /// [`Durable::open`](crate::Durable::open).
    pub fn open(
        folder: impl AsRef<Path>,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: &Options,
    ) -> Result<Self, StoreError> {
        unpanicked(|| {
            let database = builder(options).open_read_only(folder.as_ref().join(STORE_FILE))?;
            let journal = Place::Folder(folder.as_ref().to_owned());
            Self::over(database, journal, fresh, options)
        })
    }

    fn over(
        database: ReadOnlyDatabase,
        journal: Place,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let about = About::of(&fresh(), options);
        About::read(&database.begin_read()?, Some(about.rule_book))?
            .ok_or(StoreError::NotAStore)?
            .admits(&about)?;
        let (read, tail) = replay::committed(&database, &journal)?;
        let log = Log::of(&read, tail.as_ref(), u64::MAX).on_threads(options.threads);
        let (state, last, opened) = State::open(Arc::new(fresh), log, None)?;
        drop(read);
        Ok(Self {
            database,
            journal,
            state,
            opened,
            last,
        })
    }

    /// How the store came to its state when it was opened.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The number of the last entry in the state.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Applies the entries that were committed since, and returns the number of the last entry.
    ///
    /// # Errors
    ///
    /// If the log cannot be read. The state is then that of some earlier entry.
    pub fn refresh(&mut self) -> Result<u64, StoreError> {
        let (read, tail) = replay::committed(&self.database, &self.journal)?;
        let log = Log::of(&read, tail.as_ref(), u64::MAX);
        self.last = self.state.apply_after(log, self.last, None)?;
        Ok(self.last)
    }

    /// The digest of the state.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn digest(&self) -> Result<Digest, StoreError> {
        let (read, tail) = replay::committed(&self.database, &self.journal)?;
        let log = Log::of(&read, tail.as_ref(), self.last);
        Digest::written_by(|sink| self.state.write_engine(sink, log))
    }

    /// The log up to the last entry in the state.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn history(&self) -> Result<History<R>, StoreError> {
        let fresh = self.state.overlay.fresh.clone();
        let (read, tail) = replay::committed(&self.database, &self.journal)?;
        Ok(History::new(fresh, read, self.last).with_tail(tail))
    }
}

impl<R: fmt::Debug> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("state", &self.state)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

// Threads that resolve with its concurrent reader do not wait for a refresh.
answers_by_overlay!(Reader);
