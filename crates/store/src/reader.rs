//! [`Reader`]: a store that another process writes.

use std::fmt;
use std::path::Path;

use idmerge_core::IdentityResolver;
use redb::{ReadOnlyDatabase, ReadableDatabase};

use crate::durable::{FILE, builder, unpanicked};
use crate::error::StoreError;
use crate::fold::State;
use crate::history::History;
use crate::options::{Opened, Options};
use crate::tables::About;

/// A store that is only read, while another process may write it.
///
/// It has the state of the moment it was opened, or last [refreshed](Self::refresh).
pub struct Reader<R> {
    database: ReadOnlyDatabase,
    state: State<R>,
    opened: Opened,
    last: u64,
}

impl<R: IdentityResolver> Reader<R> {
    /// Opens the store in a folder without changing it. Engine and options are those that the
    /// store is written with.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] where whoever writes it shares it with nobody,
    /// [`StoreError::NotClosed`] where nobody writes it and whoever did has crashed, and those of
    /// [`Durable::open`](crate::Durable::open).
    pub fn open(
        folder: impl AsRef<Path>,
        engine: R,
        options: &Options,
    ) -> Result<Self, StoreError> {
        unpanicked(|| {
            let database = builder(options).open_read_only(folder.as_ref().join(FILE))?;
            Self::over(database, engine, options)
        })
    }

    fn over(database: ReadOnlyDatabase, engine: R, options: &Options) -> Result<Self, StoreError> {
        let read = database.begin_read()?;
        About::read(&read)?
            .ok_or(StoreError::NotAStore)?
            .admits(&About::of(&engine, options))?;
        let mut state = State::new(engine);
        let (last, opened) = state.open(&read, u64::MAX)?;
        drop(read);
        Ok(Self {
            database,
            state,
            opened,
            last,
        })
    }

    /// What it took to open the store.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The engine, to resolve with.
    pub fn engine(&self) -> &R {
        &self.state.engine
    }

    /// The number of the last entry in the state.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Weighs what was committed since, and answers with the number of the last entry.
    ///
    /// # Errors
    ///
    /// Where the log cannot be read. The state is then that of some entry before.
    pub fn refresh(&mut self) -> Result<u64, StoreError> {
        let read = self.database.begin_read()?;
        self.last = self.state.go_on(&read, self.last, u64::MAX)?;
        Ok(self.last)
    }

    /// The log up to the last entry in the state.
    ///
    /// # Errors
    ///
    /// Where the disk fails.
    pub fn history(&self) -> Result<History, StoreError> {
        Ok(History::new(self.database.begin_read()?, self.last))
    }
}

impl<R: fmt::Debug> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("engine", &self.state.engine)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}
