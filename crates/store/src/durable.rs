//! [`Durable`]: an engine with the log of its claims.

pub(crate) mod commits;
pub(crate) mod erased;
pub(crate) mod intake;
mod resolver;
pub(crate) mod retract;
pub(crate) mod state_copy;
pub(crate) mod turns;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use idmerge_core::{Claim, EngineError, IdentityResolver, Outcome};
use idmerge_disk::Runs;
use redb::{Database, ReadTransaction, ReadableDatabase, StorageBackend, WriteTransaction};

use crate::durable::commits::Commits;
use crate::durable::erased::ErasedIds;
use crate::error::StoreError;
use crate::history::History;
use crate::log::about::{self, About};
use crate::log::entry::Cause;
use crate::log::file::{builder, open_or_make, unpanicked};
use crate::log::journal::{Journal, place::Place, replay};
use crate::log::snapshots;
use crate::log::tables;
use crate::log::{Log, tail::Tail};
use crate::maintenance::merger::Merger;
use crate::options::{Opened, Options};
use crate::state::State;
use crate::state::overlay::Fresh;
use crate::state::seen_claims::SeenClaims;
use turns::Turns;

/// An engine that outlives its process. It wraps an engine and is an engine of the same rule book.
///
/// A claim is visible once it is applied, and durable once [`commit`](Self::commit) has returned. A
/// process that ends loses its uncommitted claims. The next process can apply the same claims again:
/// claims that the log has already are not logged twice.
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
/// // Later, in another process.
/// let store = Durable::open(folder, fresh, Options::default())?;
/// assert_eq!(store.resolve(DistinctId::device(device)), *"U1");
/// # Ok(())
/// # }
/// ```
///
/// # As an engine
///
/// `apply` and `apply_batch` do not write to the disk: a full disk is an error of `commit`, which can
/// be tried again. `write_snapshot` writes the snapshot of the wrapped engine. `read_snapshot`
/// replaces the state, adds an entry to the log that says so, and commits.
pub struct Durable<R> {
    pub(crate) database: Arc<Database>,
    options: Options,
    pub(crate) state: State<R>,
    pub(crate) seen_claims: SeenClaims,
    opened: Opened,
    erased: Arc<ErasedIds>,
    pub(crate) commits: Commits,
    /// Whether the state and the log may differ after an error.
    pub(crate) failed: bool,
    turns: Arc<Turns>,
    merger: Merger,
}

impl<R: IdentityResolver> Durable<R> {
    /// Opens the store in a folder. Creates the folder and the store if they do not exist. `fresh`
    /// creates an empty engine; the engine decides the rule book and the settings.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if the store is open for writing already,
    /// [`StoreError::OtherRuleBook`] or [`StoreError::OtherSettings`] if the store was made with
    /// another engine, [`StoreError::DamagedLog`] if the log cannot be read, and others as
    /// [`StoreError`] describes them.
    pub fn open(
        folder: impl AsRef<Path>,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: Options,
    ) -> Result<Self, StoreError> {
        let about = About::of(&fresh(), &options);
        let folder = folder.as_ref();
        let database = open_or_make(folder, &options, |database| about.commit(database))?;
        let journal = Place::Folder(folder.to_owned());
        unpanicked(|| Self::over(database, journal, fresh, options))
    }

    /// Opens a store as [`open`](Self::open) does, on anything that implements the interface of a
    /// file. A backend without locks cannot be shared between processes. A crash before the first call
    /// returns can leave bytes that are not a store. The store has no [journal](Options::journal_bytes).
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_backend(
        backend: impl StorageBackend,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: Options,
    ) -> Result<Self, StoreError> {
        Self::open_in(backend, Place::Nowhere, fresh, options)
    }

    /// Opens a store as [`open_backend`](Self::open_backend) does, with another backend for the
    /// [journal](Options::journal_bytes). A store that was not closed needs the journal that it had. A new store and
    /// one that was closed need none, and empty it. Closing the store empties it too.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_backends(
        backend: impl StorageBackend,
        journal: impl StorageBackend,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: Options,
    ) -> Result<Self, StoreError> {
        Self::open_in(backend, Place::File(Arc::new(journal)), fresh, options)
    }

    fn open_in(
        backend: impl StorageBackend,
        journal: Place,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: Options,
    ) -> Result<Self, StoreError> {
        let backend = options.last_sync.of(backend);
        let database = unpanicked(|| Ok(builder(&options).create_with_backend(backend)?))?;
        unpanicked(|| Self::over(database, journal, fresh, options))
    }

    fn over(
        database: Database,
        journal: Place,
        fresh: impl Fn() -> R + Send + Sync + 'static,
        options: Options,
    ) -> Result<Self, StoreError> {
        let about = About::of(&fresh(), &options);
        match About::read(&database.begin_read()?, Some(about.rule_book))? {
            Some(found) => found.admits(&about)?,
            None => about.commit(&database)?,
        }
        about::upgrade(&database)?;
        replay::replay(&database, &journal, &options.last_sync)?;
        let read = database.begin_read()?;
        let log = Log::committed(&read, u64::MAX).on_threads(options.threads);
        let mut seen_claims = SeenClaims::new(about.rule_book);
        let (state, committed, opened) = State::open(Arc::new(fresh), log, Some(&mut seen_claims))?;
        let tail = Tail::read(&read, committed)?;
        let erased = Arc::new(ErasedIds::read(&read, about.rule_book)?);
        drop(read);
        let database = Arc::new(database);
        let turns = Arc::<Turns>::default();
        let journal = Journal::new(journal, &options);
        Ok(Self {
            merger: Merger::new(database.clone(), turns.clone(), options.unindexed_max),
            commits: Commits::new(database.clone(), turns.clone(), tail, journal),
            turns,
            database,
            options,
            state,
            seen_claims,
            opened,
            erased,
            failed: false,
        })
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// What makes an empty engine.
    pub(crate) fn fresh(&self) -> Fresh<R> {
        self.state.overlay.fresh.clone()
    }

    /// How the store came to its state when it was opened.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The IDs that were erased. The caller refuses what names one of them (E-2): a store has no clock.
    pub fn erased(&self) -> &Arc<ErasedIds> {
        &self.erased
    }

    /// The number of the last entry of the log, committed or not; 0 if there is none.
    pub fn sequence(&self) -> u64 {
        self.commits.tail().sequence()
    }

    /// The number of the last committed entry; 0 if there is none. It does not wait for a commit.
    pub fn committed(&self) -> u64 {
        self.commits.committed()
    }

    /// Applies a claim as [`apply`](IdentityResolver::apply) does, and logs its cause.
    ///
    /// A claim gets an entry if it comes for the first time, or for the first time since it was
    /// withdrawn, and if a repeat may change a state (LG-1). [`sequence`](Self::sequence) then has the
    /// number of the entry.
    ///
    /// # Errors
    ///
    /// Those of the engine, and [`StoreError::Failed`] if the store failed before. After a
    /// [retraction](Self::retract) also errors of reading the log.
    pub fn apply_caused<'a>(
        &'a mut self,
        claim: Claim<'a>,
        cause: Cause<'_>,
    ) -> Result<Outcome<'a>, EngineError> {
        if self.failed {
            return Err(StoreError::Failed.into());
        }
        let tail = self.commits.tail_mut();
        let outcome = if self.state.overlay.whole().is_some() {
            // Borrow again: the borrow checker would extend the first borrow to the end of the function.
            let Some(engine) = self.state.overlay.whole_mut() else {
                return Err(StoreError::Failed.into());
            };
            engine.apply(claim)?
        } else {
            let read = self.database.begin_read().map_err(StoreError::from)?;
            self.state.apply(claim, Log::with_tail(&read, tail))?
        };
        let next = tail.sequence() + 1;
        if self.seen_claims.is_news(claim, outcome, next) {
            tail.claim(claim, outcome, cause)
                .inspect_err(|_| self.failed = true)?;
        }
        Ok(outcome)
    }

    /// Applies claims as [`apply_batch`](IdentityResolver::apply_batch) does, and logs their causes.
    ///
    /// # Errors
    ///
    /// Those of [`apply_caused`](Self::apply_caused).
    ///
    /// # Panics
    ///
    /// If there are not as many causes as claims.
    pub fn apply_batch_caused(
        &mut self,
        claims: &[Claim<'_>],
        causes: &[Cause<'_>],
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), EngineError> {
        assert_eq!(
            claims.len(),
            causes.len(),
            "there must be one cause for each claim"
        );
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
        let Some(engine) = self.state.overlay.whole_mut() else {
            for &claim in claims {
                outcome(self.apply_caused(claim, causes.next().unwrap_or_default())?);
            }
            return Ok(());
        };
        let tail = self.commits.tail_mut();
        let seen_claims = &mut self.seen_claims;
        let mut answered = claims.iter();
        let mut unlogged = None;
        engine.apply_batch(claims, &mut |answer| {
            if let Some(&claim) = answered.next() {
                let cause = causes.next().unwrap_or_default();
                let next = tail.sequence() + 1;
                if seen_claims.is_news(claim, answer, next)
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

    /// Makes all applied claims durable, and returns the number of the last entry. Once it has
    /// returned, no crash loses them. To commit a group, apply many claims and then commit once. Other threads
    /// can resolve during a commit.
    ///
    /// A small commit goes to the [journal](Options::journal_bytes). It is written to the database with a later commit,
    /// or before the database is read.
    ///
    /// # Errors
    ///
    /// If the disk fails. The claims stay in memory, so commit can be tried again once there is room
    /// on the disk. After [`StoreError::Failed`] open the store again.
    pub fn commit(&self) -> Result<u64, StoreError> {
        if self.failed {
            return Err(StoreError::Failed);
        }
        self.commits.commit()
    }

    /// Commits as [`commit`](Self::commit) does, together with what a service writes to tables of its
    /// own in `also`: a crash keeps both or neither. If the store has a journal, [reading](Self::begin_read) it
    /// may wait for the commit, so `also` must neither read it nor wait for a thread that does.
    ///
    /// # Errors
    ///
    /// Those of [`commit`](Self::commit), and any error of `also`; nothing is committed then.
    pub fn commit_with<E: From<StoreError>>(
        &self,
        also: impl FnOnce(&WriteTransaction) -> Result<(), E>,
    ) -> Result<u64, E> {
        if self.failed {
            return Err(StoreError::Failed.into());
        }
        let mut tail = self.commits.tail();
        self.commits
            .commit_to_database(&mut tail, |write, _| also(write))
    }

    /// How many commits of this process are known to be on the disk. A commit that fails although this
    /// number has grown is there: what failed came after it. Open the store again in any case.
    pub fn synced_commits(&self) -> u64 {
        self.options.last_sync.commits()
    }

    /// Opens what is committed for reading, including the tables that
    /// [`commit_with`](Self::commit_with) wrote. What is in the journal is written to the database first.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.commits.begin_read()
    }

    /// Writes a snapshot into the store, so that the next opening has fewer entries to apply again.
    /// Other threads can resolve meanwhile; commits wait, unless [`copy_state`](Self::copy_state) is used. The
    /// caller chooses when; [`since_snapshot`](Self::since_snapshot) helps.
    ///
    /// # Errors
    ///
    /// [`StoreError::Uncommitted`] if some claims are not committed, and if the disk fails. The store
    /// is then as it was.
    pub fn snapshot(&self) -> Result<(), StoreError> {
        self.snapshot_while(&|| true).map(drop)
    }

    /// As [`snapshot`](Self::snapshot), but writes none if `may_go_on` returns `false` meanwhile. It is called
    /// for every 512 KiB. Returns whether there is a snapshot of the committed entries.
    ///
    /// # Errors
    ///
    /// Those of [`snapshot`](Self::snapshot).
    pub fn snapshot_while(&self, may_go_on: &dyn Fn() -> bool) -> Result<bool, StoreError> {
        if self.failed {
            return Err(StoreError::Failed);
        }
        let mut tail = self.commits.tail();
        let committed = tail.committed();
        if committed != tail.sequence() {
            return Err(StoreError::Uncommitted);
        }
        if self.snapshot_sequence()? == committed {
            return Ok(true);
        }
        self.commits.checkpoint(&mut tail)?;
        let read = self.database.begin_read()?;
        let write = self.database.begin_write()?;
        let kept = self.options.snapshots_kept;
        let written = snapshots::write(&write, committed, false, kept, may_go_on, |sink| {
            self.state
                .write_snapshot(sink, Log::committed(&read, committed), &self.seen_claims)
        });
        if !may_go_on() {
            return Ok(false);
        }
        written?;
        write.commit()?;
        Ok(true)
    }

    /// How many committed entries are not in the latest snapshot.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn since_snapshot(&self) -> Result<u64, StoreError> {
        Ok(self.committed() - self.snapshot_sequence()?)
    }

    fn snapshot_sequence(&self) -> Result<u64, StoreError> {
        let snapshots = snapshots::all(&self.database.begin_read()?)?;
        Ok(snapshots.last().map_or(0, |snapshot| snapshot.sequence))
    }

    /// Updates the index in which [`retract`](Self::retract) and explanations look entries up. A
    /// lookup reads unindexed entries one by one, so an old index is slow but not wrong. Call this
    /// from time to time, from any thread. It does nothing if few entries are unindexed.
    ///
    /// # Errors
    ///
    /// If the disk fails. The index then has the entries that were written before.
    pub fn index(&self) -> Result<(), StoreError> {
        self.commits.checkpoint_if_due()?;
        while self.merger().index()? {}
        Ok(())
    }

    /// Merges the runs of an index of the caller's if there are many of them. Commits can come between.
    ///
    /// # Errors
    ///
    /// If the disk fails or a run is damaged.
    pub fn merge_runs(&self, runs: &Runs) -> Result<(), StoreError> {
        while self.merger().merge(runs)? {}
        Ok(())
    }

    /// A handle that merges runs without borrowing the store, so that claims can be applied meanwhile.
    pub fn merger(&self) -> Merger {
        self.merger.clone()
    }

    /// The committed log, to ask about earlier states.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn history(&self) -> Result<History<R>, StoreError> {
        let fresh = self.fresh();
        let read = self.commits.begin_read()?;
        // Ask the transaction and not the tail: another thread may commit now, and a backup needs the log
        // and the tables of a service of the same moment.
        let last = tables::last_sequence(&read)?;
        Ok(History::new(fresh, read, last))
    }

    /// Closes the store and reports an error if that fails. Dropping the store closes it too.
    /// Uncommitted claims are lost.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn close(self) -> Result<(), StoreError> {
        self.commits.end_journal()?;
        drop(self.commits);
        drop(self.merger);
        match Arc::into_inner(self.database) {
            Some(database) => Ok(database.close()?),
            // The database closes when the last merger is dropped.
            None => Ok(()),
        }
    }
}

impl<R: fmt::Debug> fmt::Debug for Durable<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable")
            .field("state", &self.state)
            .field("commits", &self.commits)
            .finish_non_exhaustive()
    }
}
