//! [`Durable`]: an engine and the log of its claims.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::{fmt, fs, io};

use idmerge_core::{
    Claim, Cluster, DistinctId, Event, IdentityResolver, Outcome, Reading, Refused, ResolveError,
    RuleBook, SnapshotError,
};
use redb::{Database, ReadableDatabase, StorageBackend};

use crate::block::Block;
use crate::entry::Cause;
use crate::error::StoreError;
use crate::fold::State;
use crate::history::History;
use crate::options::{Opened, Options};
use crate::tables::{self, About};

/// The name of the one file of a store, in its folder.
pub(crate) const FILE: &str = "store.redb";

/// Its name while it is made.
const UNFINISHED_FILE: &str = "store.redb.unfinished";

/// An engine that outlives its process. It is an engine itself, of the rule book of the one in it.
///
/// Claims are visible as soon as they are applied, and safe once [`commit`](Self::commit) has
/// returned. What was not committed is lost with the process; apply it again, and what the log
/// has already is not logged twice.
///
/// ```
/// use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, Outcome};
/// use idmerge_simplified::{Settings, Simplified};
/// use idmerge_store::{Durable, Options};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let [device, user] = ["D1", "U1"].map(|text| Id::new(text).unwrap());
/// {
///     let engine = Simplified::new(Settings::default());
///     let mut store = Durable::open(folder, engine, Options::default())?;
///     assert_eq!(store.apply(Claim::Link { device, user })?, Outcome::Merged);
///     store.commit()?;
/// }
/// // Another day, another process.
/// let engine = Simplified::new(Settings::default());
/// let store = Durable::open(folder, engine, Options::default())?;
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
    database: Database,
    options: Options,
    state: State<R>,
    opened: Opened,
    /// Blocks that are full and not committed.
    full: Vec<Block>,
    /// The block that entries go to. Some of it may be committed.
    last: Block,
    /// The number of the last committed entry.
    committed: u64,
    /// Whether the state may be another than the log says.
    failed: bool,
}

impl<R: IdentityResolver> Durable<R> {
    /// Opens the store in a folder, and makes both where they are not there. The engine gives the
    /// rules and the settings, and must not have weighed claims yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] where the store is open for writing already,
    /// [`StoreError::OtherRuleBook`] and [`StoreError::OtherSettings`] where the engine is not
    /// like the one that the store was made with, and [`StoreError::DamagedLog`] where the log
    /// cannot be read. Others as [`StoreError`] describes them.
    pub fn open(folder: impl AsRef<Path>, engine: R, options: Options) -> Result<Self, StoreError> {
        let folder = folder.as_ref();
        fs::create_dir_all(folder)?;
        let file = folder.join(FILE);
        if !fs::exists(&file)? {
            make(folder, &file, &About::of(&engine, &options), &options)?;
        }
        let database = unpanicked(|| Ok(builder(&options).open(file)?))?;
        unpanicked(|| Self::over(database, engine, options))
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
        engine: R,
        options: Options,
    ) -> Result<Self, StoreError> {
        let database = unpanicked(|| Ok(builder(&options).create_with_backend(backend)?))?;
        unpanicked(|| Self::over(database, engine, options))
    }

    fn over(database: Database, engine: R, options: Options) -> Result<Self, StoreError> {
        let about = About::of(&engine, &options);
        match About::read(&database.begin_read()?)? {
            Some(found) => found.admits(&about)?,
            None => about.commit(&database)?,
        }
        let read = database.begin_read()?;
        let mut state = State::new(engine);
        let (committed, opened) = state.open(&read, u64::MAX)?;
        let last = match tables::last_block(&read)? {
            Some((first, row)) => Block::read(first, &row).map_err(|wrong| (first, wrong))?,
            None => Block::starting_at(1),
        };
        if last.next_sequence() != committed + 1 {
            return Err(StoreError::DamagedLog {
                sequence: last.next_sequence(),
                what: "it ends before its snapshot",
            });
        }
        Ok(Self {
            database,
            options,
            state,
            opened,
            full: Vec::new(),
            last,
            committed,
            failed: false,
        })
    }

    /// What it took to open the store.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The engine in it.
    pub fn engine(&self) -> &R {
        &self.state.engine
    }

    /// The number of the last entry of the log, committed or not; 0 where there is none.
    pub fn sequence(&self) -> u64 {
        self.last.next_sequence() - 1
    }

    /// The number of the last entry that is committed.
    pub fn committed(&self) -> u64 {
        self.committed
    }

    /// [`apply`](IdentityResolver::apply), for a claim of which it is known what made it.
    ///
    /// A claim gets an entry where it changes something, and where it is rejected or of the other
    /// rule book for the first time; [`sequence`](Self::sequence) tells.
    ///
    /// # Errors
    ///
    /// Those of the engine, and [`StoreError::Failed`] of a store that failed before.
    pub fn apply_caused<'a>(
        &'a mut self,
        claim: Claim<'a>,
        cause: Cause<'_>,
    ) -> Result<Outcome<'a>, ResolveError> {
        if self.failed {
            return Err(StoreError::Failed.into());
        }
        let outcome = self.state.engine.apply(claim)?;
        if self.state.known.is_news(claim, outcome) {
            let is_logged = self.last.entries.claim(claim, outcome, cause).is_some();
            logged(&mut self.full, &mut self.last, is_logged)
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
    ) -> Result<(), ResolveError> {
        assert_eq!(claims.len(), causes.len(), "a cause for each claim");
        self.apply_all(claims, &mut causes.iter().copied(), outcome)
    }

    fn apply_all(
        &mut self,
        claims: &[Claim<'_>],
        causes: &mut dyn Iterator<Item = Cause<'_>>,
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), ResolveError> {
        if self.failed {
            return Err(StoreError::Failed.into());
        }
        let State { engine, known } = &mut self.state;
        let (full, last) = (&mut self.full, &mut self.last);
        let mut answered = claims.iter();
        let mut unlogged = None;
        engine.apply_batch(claims, &mut |answer| {
            if let Some(&claim) = answered.next() {
                let cause = causes.next().unwrap_or_default();
                if known.is_news(claim, answer) {
                    let is_logged = last.entries.claim(claim, answer, cause).is_some();
                    if let Err(error) = logged(full, last, is_logged) {
                        unlogged = Some(error);
                    }
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
    /// group commit.
    ///
    /// # Errors
    ///
    /// Where the disk fails. Nothing is lost from memory, so it can be tried again when there is
    /// room; after [`StoreError::Failed`] the store must be opened again.
    pub fn commit(&mut self) -> Result<u64, StoreError> {
        if self.failed {
            return Err(StoreError::Failed);
        }
        if self.committed != self.sequence() {
            let write = self.database.begin_write()?;
            self.write_blocks(&write)?;
            write.commit()?;
            self.are_committed();
        }
        Ok(self.committed)
    }

    fn write_blocks(&self, write: &redb::WriteTransaction) -> Result<(), StoreError> {
        let mut log = write.open_table(tables::LOG)?;
        for block in self.full.iter().chain([&self.last]) {
            if !block.is_empty() {
                log.insert(block.first, &*block.row())?;
            }
        }
        Ok(())
    }

    fn are_committed(&mut self) {
        self.full.clear();
        self.committed = self.sequence();
    }

    /// Writes a snapshot into the store, so that the next opening has less to weigh again. Blocks
    /// nobody who resolves. When is the caller's to choose: [`since_snapshot`](Self::since_snapshot)
    /// helps.
    ///
    /// # Errors
    ///
    /// [`StoreError::Uncommitted`] where claims are not committed, and where the disk fails; the
    /// store is then as it was.
    pub fn snapshot(&self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Failed);
        }
        if self.committed != self.sequence() {
            return Err(StoreError::Uncommitted);
        }
        if self.since_snapshot()? == 0 {
            return Ok(());
        }
        let write = self.database.begin_write()?;
        let kept = self.options.snapshots_kept;
        tables::write_snapshot(&write, self.committed, false, kept, |sink| {
            self.state.write_snapshot(sink)
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
        let snapshots = tables::snapshots(&self.database.begin_read()?)?;
        let latest = snapshots.last().map_or(0, |snapshot| snapshot.sequence);
        Ok(self.committed - latest)
    }

    /// What was committed so far, to be asked about.
    ///
    /// # Errors
    ///
    /// Where the disk fails.
    pub fn history(&self) -> Result<History, StoreError> {
        Ok(History::new(self.database.begin_read()?, self.committed))
    }

    /// Closes the store, and says whether that went well. Dropping closes it too. What is not
    /// committed is lost.
    ///
    /// # Errors
    ///
    /// Where the disk fails.
    pub fn close(self) -> Result<(), StoreError> {
        Ok(self.database.close()?)
    }

    fn replace(&mut self, source: &mut dyn io::Read) -> Result<(), StoreError> {
        self.commit()?;
        self.state
            .engine
            .read_snapshot(source)
            .map_err(|source| StoreError::DamagedBase {
                sequence: self.committed + 1,
                source,
            })?;
        // From here on the state is not that of the log until all is written.
        self.failed = true;
        self.state.known.clear();
        self.last.entries.replaced(Cause::default());
        logged(&mut self.full, &mut self.last, true)?;
        let write = self.database.begin_write()?;
        self.write_blocks(&write)?;
        let kept = self.options.snapshots_kept;
        tables::write_snapshot(&write, self.sequence(), true, kept, |sink| {
            self.state.write_snapshot(sink)
        })?;
        write.commit()?;
        self.are_committed();
        self.failed = false;
        Ok(())
    }
}

/// Counts an entry that was written to the last block, and begins another where it is full.
fn logged(full: &mut Vec<Block>, last: &mut Block, is_written: bool) -> Result<(), StoreError> {
    if !is_written {
        return Err(StoreError::UnknownClaim);
    }
    last.count_one();
    if last.is_full() {
        let next = Block::starting_at(last.next_sequence());
        full.push(std::mem::replace(last, next));
    }
    Ok(())
}

/// Makes a store under another name first, so that a crash leaves a whole one or none.
fn make(folder: &Path, file: &Path, about: &About, options: &Options) -> Result<(), StoreError> {
    let unfinished = folder.join(UNFINISHED_FILE);
    let create = || unpanicked(|| Ok(builder(options).create(&unfinished)?));
    let database = match create() {
        // What a crash has left.
        Err(StoreError::NotAStore | StoreError::DamagedFile { .. }) => {
            fs::remove_file(&unfinished)?;
            create()?
        }
        database => database?,
    };
    about.commit(&database)?;
    database.close()?;
    fs::rename(&unfinished, file)?;
    Ok(sync_names(folder)?)
}

/// The database panics on some of the files that something else has changed.
pub(crate) fn unpanicked<T>(
    opening: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // What was being opened is dropped, so nothing is left in a state between two.
    catch_unwind(AssertUnwindSafe(opening)).unwrap_or_else(|_| {
        Err(StoreError::DamagedFile {
            what: "the database cannot make sense of it".to_owned(),
        })
    })
}

pub(crate) fn builder(options: &Options) -> redb::Builder {
    let mut builder = Database::builder();
    builder
        .set_concurrency_mode(options.sharing.into())
        .set_cache_size(options.cache_bytes)
        .set_check_integrity_on_open(options.verify);
    builder
}

/// A new file is safe once its name is.
#[cfg(unix)]
#[allow(clippy::disallowed_types, reason = "no other way to sync a folder")]
fn sync_names(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Folders cannot be opened here, and their names are safe without.
#[cfg(not(unix))]
fn sync_names(_: &Path) -> io::Result<()> {
    Ok(())
}

impl<R: fmt::Debug> fmt::Debug for Durable<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable")
            .field("engine", &self.state.engine)
            .field("sequence", &(self.last.next_sequence() - 1))
            .field("committed", &self.committed)
            .finish_non_exhaustive()
    }
}

#[deny(
    clippy::missing_trait_methods,
    reason = "a method not passed on is a method lost"
)]
impl<R: IdentityResolver> IdentityResolver for Durable<R> {
    fn rule_book(&self) -> RuleBook {
        self.state.engine.rule_book()
    }

    fn read<'e>(&self, event: &Event<'e>) -> Result<Reading<'e>, Refused> {
        self.state.engine.read(event)
    }

    fn apply<'a>(&'a mut self, claim: Claim<'a>) -> Result<Outcome<'a>, ResolveError> {
        self.apply_caused(claim, Cause::default())
    }

    fn apply_batch(
        &mut self,
        claims: &[Claim<'_>],
        outcome: &mut dyn FnMut(Outcome<'_>),
    ) -> Result<(), ResolveError> {
        self.apply_all(claims, &mut std::iter::empty(), outcome)
    }

    #[inline]
    fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        self.state.engine.resolve(id)
    }

    #[inline]
    fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        self.state.engine.resolve_batch(ids);
    }

    fn cluster<'a>(&'a self, id: DistinctId<'a>) -> Option<Cluster<'a>> {
        self.state.engine.cluster(id)
    }

    fn clusters(&self) -> Box<dyn Iterator<Item = Cluster<'_>> + '_> {
        self.state.engine.clusters()
    }

    fn write_snapshot(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        self.state.engine.write_snapshot(sink)
    }

    fn read_snapshot(&mut self, source: &mut dyn io::Read) -> Result<(), SnapshotError> {
        self.replace(source).map_err(|error| match error {
            StoreError::DamagedBase { source, .. } => source,
            StoreError::Io(error) => SnapshotError::Io(error),
            error => SnapshotError::Io(io::Error::other(error)),
        })
    }
}
