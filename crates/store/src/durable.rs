//! [`Durable`]: an engine and the log of its claims.

mod resolver;
pub(crate) mod retract;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use idmerge_core::{Claim, EngineError, IdentityResolver, Outcome};
use redb::{Database, ReadTransaction, ReadableDatabase, StorageBackend, WriteTransaction};

use crate::error::StoreError;
use crate::history::History;
use crate::lock::lock;
use crate::log::about::About;
use crate::log::entry::Cause;
use crate::log::file::{builder, open_or_make, unpanicked};
use crate::log::index::{self, ENTRIES_BY_ID};
use crate::log::snapshots;
use crate::log::{Log, tail::Tail};
use crate::maintenance::merger::Merger;
use crate::options::{Opened, Options};
use crate::state::State;
use idmerge_disk::Runs;

/// An engine that outlives its process. It is an engine itself, of the rule book of the one in it.
///
/// Claims are visible as soon as they are applied, and safe once [`commit`](Self::commit) has
/// returned. What was not committed is lost with the process; apply it again, and what the log
/// has already is not logged twice.
///
/// ```
/// use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, Outcome, Resolve};
/// use idmerge_simplified::{Settings, Simplified};
/// use idmerge_store::{Durable, Options};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let [device, user] = ["D1", "U1"].map(|text| Id::new(text).unwrap());
/// let fresh = || Simplified::new(Settings::default());
/// {
///     let mut store = Durable::open(folder, fresh, Options::default())?;
///     assert_eq!(store.apply(Claim::Link { device, user })?, Outcome::Merged);
///     store.commit()?;
/// }
/// // Another day, another process.
/// let store = Durable::open(folder, fresh, Options::default())?;
/// assert_eq!(store.resolve(DistinctId::device(device)), *"U1");
/// # Ok(())
/// # }
/// ```
///
/// # As an engine
///
/// `apply` and `apply_batch` never touch the disk, and so do not fail for it: a disk that is full
/// is an error of `commit`, which can be tried again. `write_snapshot` writes the state alone, as
/// the engine in it does. `read_snapshot` replaces the state, commits, and leaves an entry in the
/// log that it did.
pub struct Durable<R> {
    pub(crate) database: Arc<Database>,
    options: Options,
    pub(crate) state: State<R>,
    opened: Opened,
    /// Locked while it is committed, so that others can resolve meanwhile.
    pub(crate) tail: Mutex<Tail>,
    /// Whether the state may be another than the log says.
    pub(crate) failed: bool,
    merger: Merger,
}

impl<R: IdentityResolver> Durable<R> {
    /// Opens the store in a folder, and makes both where they are not there. `fresh` makes an
    /// engine that has weighed nothing yet, and gives the rules and the settings with it.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] where the store is open for writing already,
    /// [`StoreError::OtherRuleBook`] and [`StoreError::OtherSettings`] where the engine is not
    /// like the one that the store was made with, and [`StoreError::DamagedLog`] where the log
    /// cannot be read. Others as [`StoreError`] describes them.
    pub fn open(
        folder: impl AsRef<Path>,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: Options,
    ) -> Result<Self, StoreError> {
        let about = About::of(&fresh(), &options);
        let database = open_or_make(folder.as_ref(), &options, |database| about.commit(database))?;
        unpanicked(|| Self::over(database, fresh, options))
    }

    /// As [`open`](Self::open), over anything that can stand for a file. One that has no locks can
    /// be shared with nobody. A crash before this has returned for the first time can leave bytes
    /// that are no store.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_backend(
        backend: impl StorageBackend,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: Options,
    ) -> Result<Self, StoreError> {
        let database = unpanicked(|| Ok(builder(&options).create_with_backend(backend)?))?;
        unpanicked(|| Self::over(database, fresh, options))
    }

    fn over(
        database: Database,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: Options,
    ) -> Result<Self, StoreError> {
        let about = About::of(&fresh(), &options);
        match About::read(&database.begin_read()?)? {
            Some(found) => found.admits(&about)?,
            None => about.commit(&database)?,
        }
        let read = database.begin_read()?;
        let log = Log::committed(&read, u64::MAX);
        let (state, committed, opened) = State::open(Arc::new(fresh), log)?;
        let tail = Mutex::new(Tail::read(&read, committed)?);
        drop(read);
        let database = Arc::new(database);
        Ok(Self {
            merger: Merger::new(database.clone()),
            database,
            options,
            state,
            opened,
            tail,
            failed: false,
        })
    }

    /// What it took to open the store.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The number of the last entry of the log, committed or not; 0 where there is none.
    pub fn sequence(&self) -> u64 {
        lock(&self.tail).sequence()
    }

    /// The number of the last entry that is committed.
    pub fn committed(&self) -> u64 {
        lock(&self.tail).committed()
    }

    /// [`apply`](IdentityResolver::apply), for a claim of which it is known what made it.
    ///
    /// A claim gets an entry where it changes something, and where it is rejected or of the other
    /// rule book for the first time; [`sequence`](Self::sequence) tells.
    ///
    /// # Errors
    ///
    /// Those of the engine, and [`StoreError::Failed`] of a store that failed before. After a
    /// [retraction](Self::retract) also where the log cannot be read.
    pub fn apply_caused<'a>(
        &'a mut self,
        claim: Claim<'a>,
        cause: Cause<'_>,
    ) -> Result<Outcome<'a>, EngineError> {
        if self.failed {
            return Err(StoreError::Failed.into());
        }
        let State {
            overlay,
            seen_claims,
        } = &mut self.state;
        let tail = self.tail.get_mut().unwrap_or_else(PoisonError::into_inner);
        let outcome = if overlay.whole().is_some() {
            // Asked for again, since a reference that is returned from here on is held for good.
            let Some(engine) = overlay.whole_mut() else {
                return Err(StoreError::Failed.into());
            };
            engine.apply(claim)?
        } else {
            let read = self.database.begin_read().map_err(StoreError::from)?;
            overlay.apply(claim, seen_claims, Log::with_tail(&read, tail))?
        };
        if seen_claims.is_news(claim, outcome) {
            tail.claim(claim, outcome, cause)
                .inspect_err(|_| self.failed = true)?;
        }
        Ok(outcome)
    }

    /// [`apply_batch`](IdentityResolver::apply_batch), for claims of which it is known what made
    /// them.
    ///
    /// # Errors
    ///
    /// Those of [`apply_caused`](Self::apply_caused).
    ///
    /// # Panics
    ///
    /// Where there are not as many causes as claims.
    pub fn apply_batch_caused(
        &mut self,
        claims: &[Claim<'_>],
        causes: &[Cause<'_>],
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), EngineError> {
        assert_eq!(claims.len(), causes.len(), "a cause for each claim");
        self.apply_all(claims, &mut causes.iter().copied(), outcome)
    }

    fn apply_all(
        &mut self,
        claims: &[Claim<'_>],
        causes: &mut dyn Iterator<Item = Cause<'_>>,
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), EngineError> {
        if self.failed {
            return Err(StoreError::Failed.into());
        }
        let State {
            overlay,
            seen_claims,
        } = &mut self.state;
        let Some(engine) = overlay.whole_mut() else {
            for &claim in claims {
                outcome(self.apply_caused(claim, causes.next().unwrap_or_default())?);
            }
            return Ok(());
        };
        let tail = self.tail.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut answered = claims.iter();
        let mut unlogged = None;
        engine.apply_batch(claims, &mut |answer| {
            if let Some(&claim) = answered.next() {
                let cause = causes.next().unwrap_or_default();
                if seen_claims.is_news(claim, answer)
                    && let Err(error) = tail.claim(claim, answer, cause)
                {
                    unlogged = Some(error);
                }
            }
            outcome(answer);
        })?;
        match unlogged {
            Some(error) => {
                self.failed = true;
                Err(error.into())
            }
            None => Ok(()),
        }
    }

    /// Makes all that was applied safe, and answers with the number of the last entry. Where it
    /// returns, no crash takes any of it away. Applying many claims and then committing is the
    /// group commit. Others can resolve meanwhile.
    ///
    /// # Errors
    ///
    /// Where the disk fails. Nothing is lost from memory, so it can be tried again when there is
    /// room; after [`StoreError::Failed`] the store must be opened again.
    pub fn commit(&self) -> Result<u64, StoreError> {
        let is_committed = {
            let tail = lock(&self.tail);
            tail.committed() == tail.sequence()
        };
        if is_committed && !self.failed {
            return Ok(self.committed());
        }
        self.commit_with(|_| Ok(()))
    }

    /// As [`commit`](Self::commit), together with what a service keeps in tables of its own: either
    /// both are safe or neither.
    ///
    /// # Errors
    ///
    /// Those of [`commit`](Self::commit), and what `also` fails with; then nothing is committed.
    pub fn commit_with<E: From<StoreError>>(
        &self,
        also: impl FnOnce(&WriteTransaction) -> Result<(), E>,
    ) -> Result<u64, E> {
        if self.failed {
            return Err(StoreError::Failed.into());
        }
        let mut tail = lock(&self.tail);
        let write = self.database.begin_write().map_err(StoreError::from)?;
        if tail.committed() != tail.sequence() {
            tail.write(&write)?;
        }
        also(&write)?;
        write.commit().map_err(StoreError::from)?;
        tail.are_committed();
        Ok(tail.committed())
    }

    /// What is committed, with the tables of [`commit_with`](Self::commit_with).
    ///
    /// # Errors
    ///
    /// Where the disk fails.
    pub fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        Ok(self.database.begin_read()?)
    }

    /// Writes a snapshot into the store, so that the next opening has less to weigh again. Others
    /// can resolve meanwhile; commits wait. When is the caller's to choose:
    /// [`since_snapshot`](Self::since_snapshot) helps.
    ///
    /// # Errors
    ///
    /// [`StoreError::Uncommitted`] where claims are not committed, and where the disk fails; the
    /// store is then as it was.
    pub fn snapshot(&self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Failed);
        }
        let tail = lock(&self.tail);
        let committed = tail.committed();
        if committed != tail.sequence() {
            return Err(StoreError::Uncommitted);
        }
        if self.snapshot_sequence()? == committed && committed > 0 || committed == 0 {
            return Ok(());
        }
        let read = self.database.begin_read()?;
        let write = self.database.begin_write()?;
        let kept = self.options.snapshots_kept;
        snapshots::write(&write, committed, false, kept, |sink| {
            self.state
                .write_snapshot(sink, Log::committed(&read, committed))
        })?;
        write.commit()?;
        Ok(())
    }

    /// How many committed entries came after the latest snapshot.
    ///
    /// # Errors
    ///
    /// Where the disk fails.
    pub fn since_snapshot(&self) -> Result<u64, StoreError> {
        Ok(self.committed() - self.snapshot_sequence()?)
    }

    fn snapshot_sequence(&self) -> Result<u64, StoreError> {
        let snapshots = snapshots::all(&self.database.begin_read()?)?;
        Ok(snapshots.last().map_or(0, |snapshot| snapshot.sequence))
    }

    /// Brings the index up to date that [`retract`](Self::retract) and explanations find entries
    /// with. What is not in it yet is read through, so it is never wrong, only slow: call this now
    /// and then, beside commits and resolves. It does nothing where there is little to do.
    ///
    /// # Errors
    ///
    /// Where the disk fails; the index is then as far as it came.
    pub fn index(&self) -> Result<(), StoreError> {
        let at_a_time = self.options.unindexed_max;
        index::update(&self.database, self.committed(), at_a_time)?;
        self.merge_runs(&ENTRIES_BY_ID)
    }

    /// Merges the runs of an index of the caller's, where there are many. Commits can come between.
    ///
    /// # Errors
    ///
    /// Where the disk fails or a run is damaged.
    pub fn merge_runs(&self, runs: &Runs) -> Result<(), StoreError> {
        while self.merger().merge(runs)? {}
        Ok(())
    }

    /// What merges runs without holding the store, so that claims can be applied meanwhile.
    pub fn merger(&self) -> Merger {
        self.merger.clone()
    }

    /// What was committed so far, to be asked about.
    ///
    /// # Errors
    ///
    /// Where the disk fails.
    pub fn history(&self) -> Result<History<R>, StoreError> {
        let fresh = self.state.overlay.fresh.clone();
        let read = self.database.begin_read()?;
        Ok(History::new(fresh, read, self.committed()))
    }

    /// Closes the store, and says whether that went well. Dropping closes it too. What is not
    /// committed is lost.
    ///
    /// # Errors
    ///
    /// Where the disk fails.
    pub fn close(self) -> Result<(), StoreError> {
        drop(self.merger);
        match Arc::into_inner(self.database) {
            Some(database) => Ok(database.close()?),
            // It is closed when the last merger is dropped.
            None => Ok(()),
        }
    }
}

impl<R: fmt::Debug> fmt::Debug for Durable<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable")
            .field("state", &self.state)
            .field("tail", &self.tail)
            .finish_non_exhaustive()
    }
}
