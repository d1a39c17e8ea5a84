//! [`Reader`]: a store that another process writes.

use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use idmerge_core::{
    Claim, Cluster, DistinctId, EngineError, Event, IdentityResolver, InvalidEvent, Outcome,
    Reading, Resolve, RuleBook, SnapshotError,
};
use idmerge_disk::STORE_FILE;
use redb::{ReadOnlyDatabase, ReadableDatabase};

use crate::error::StoreError;
use crate::history::History;
use crate::log::Log;
use crate::log::about::About;
use crate::log::file::{builder, unpanicked};
use crate::options::{Opened, Options};
use crate::state::State;

/// A store that is only read, while another process may write it.
///
/// It has the state of the moment it was opened, or last [refreshed](Self::refresh). It is an
/// engine that answers and applies nothing: `apply` and `read_snapshot` are errors.
pub struct Reader<R> {
    database: ReadOnlyDatabase,
    state: State<R>,
    opened: Opened,
    last: u64,
}

impl<R: IdentityResolver> Reader<R> {
    /// Opens the store in a folder without changing it. Options, and the engines that `fresh`
    /// makes, are those that the store is written with.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] where whoever writes it shares it with nobody,
    /// [`StoreError::NotClosed`] where nobody writes it and whoever did has crashed, and those of
    /// [`Durable::open`](crate::Durable::open).
    pub fn open(
        folder: impl AsRef<Path>,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: &Options,
    ) -> Result<Self, StoreError> {
        unpanicked(|| {
            let database = builder(options).open_read_only(folder.as_ref().join(STORE_FILE))?;
            Self::over(database, fresh, options)
        })
    }

    fn over(
        database: ReadOnlyDatabase,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let read = database.begin_read()?;
        About::read(&read)?
            .ok_or(StoreError::NotAStore)?
            .admits(&About::of(&fresh(), options))?;
        let log = Log::committed(&read, u64::MAX);
        let (state, last, opened) = State::open(Arc::new(fresh), log)?;
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
        let log = Log::committed(&read, u64::MAX);
        self.last = self.state.go_on(log, self.last)?;
        Ok(self.last)
    }

    /// The log up to the last entry in the state.
    ///
    /// # Errors
    ///
    /// Where the disk fails.
    pub fn history(&self) -> Result<History<R>, StoreError> {
        let fresh = self.state.overlay.fresh.clone();
        Ok(History::new(fresh, self.database.begin_read()?, self.last))
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

impl<R: IdentityResolver> Resolve for Reader<R> {
    fn rule_book(&self) -> RuleBook {
        self.state.overlay.any().rule_book()
    }

    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        self.state.overlay.resolve(id)
    }

    fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        self.state.overlay.resolve_batch(ids);
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        self.state.overlay.cluster(id)
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        self.state.overlay.clusters()
    }
}

impl<R: IdentityResolver> IdentityResolver for Reader<R> {
    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        self.state.overlay.any().read(event)
    }

    fn apply<'a>(&'a mut self, _: Claim<'a>) -> Result<Outcome<'a>, EngineError> {
        Err(StoreError::ReadOnly.into())
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        let read = self.database.begin_read().map_err(io::Error::other)?;
        let log = Log::committed(&read, self.last);
        self.state.write_engine(sink, log)
    }

    fn read_snapshot(&mut self, _: &mut dyn io::Read) -> Result<(), SnapshotError> {
        Err(SnapshotError::Io(io::Error::other(StoreError::ReadOnly)))
    }
}
