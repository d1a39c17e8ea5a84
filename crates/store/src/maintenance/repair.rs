//! Repairing a damaged store.

use std::fs;
use std::path::{Path, PathBuf};

use idmerge_disk::STORE_FILE;
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use crate::durable::intake;
use crate::error::StoreError;
use crate::log::file::last_sync::LastSync;
use crate::log::file::{FolderLock, UNFINISHED_FILE, builder, fill, sync_names, unpanicked};
use crate::log::index::{self, ENTRIES_BY_ID};
use crate::log::journal::place::{JOURNAL_FILE, Place};
use crate::log::journal::replay::replay;
use crate::log::tail::Tail;
use crate::log::{Log, about, block, snapshots, tables};
use crate::maintenance::copy::copy_store;
use crate::maintenance::service_tables::{self, Unreadable};
use crate::options::Options;

/// How many entries one run of a new index has.
const INDEXED_AT_A_TIME: u64 = 1 << 17;

/// The findings and the result of [`repair`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The number of the last entry that is kept.
    pub kept: u64,
    /// The number of the first entry that cannot be read, with the reason; `None` if every entry can
    /// be read.
    pub damage: Option<(u64, String)>,
    /// How many entries after the damage can be read. They are not kept, because their effect
    /// depends on the entries before them.
    pub readable_after: u64,
    /// The snapshots that cannot be read, by the number of their last entry. They are not kept. No
    /// data is lost with them.
    pub snapshots: Vec<u64>,
    /// Whether the index could not be read and was rebuilt.
    pub index: bool,
    /// The tables of a service that the database cannot read in full, by name, with the reason. The
    /// rows before and after the damage are kept; the rows in it are lost. What is in the rows is
    /// copied as it is: a [`ServiceCheck`] says what is wrong with it. What an [`Intake`](crate::Intake) has written is
    /// forgotten as a whole if any of it cannot be read, or if entries are lost.
    pub tables: Vec<(String, String)>,
    /// The new path of the damaged file; `None` if nothing was damaged.
    pub damaged_file: Option<PathBuf>,
}

impl Repair {
    /// Whether what the store has taken cannot be read.
    fn forgets_intake(&self) -> bool {
        self.tables.iter().any(|(name, _)| name == intake::NAME)
    }

    fn is_damaged(&self) -> bool {
        let Self {
            damage,
            snapshots,
            index,
            tables,
            ..
        } = self;
        damage.is_some() || !snapshots.is_empty() || *index || !tables.is_empty()
    }
}

/// What a service knows about the rows of its tables.
pub trait ServiceCheck {
    /// The rows that cannot be used, each as the name of its table and what is wrong with it. The database may
    /// panic where it is damaged; [`repair_with`] catches that.
    ///
    /// # Errors
    ///
    /// Any error of the database.
    fn damage(&self, read: &ReadTransaction) -> Result<Vec<(String, String)>, StoreError>;

    /// Removes such rows. All rows can be read, and some may be missing.
    ///
    /// # Errors
    ///
    /// Any error of the database.
    fn mend(&self, write: &WriteTransaction) -> Result<(), StoreError>;
}

/// Repairs a store as [`repair_with`] does, without a look at the rows of a service.
///
/// # Errors
///
/// Those of [`repair_with`].
pub fn repair(folder: impl AsRef<Path>) -> Result<Repair, StoreError> {
    repair_with(folder, None)
}

/// Replaces a damaged store by one with the longest intact prefix of its log, and keeps the damaged file
/// next to it. The new store also has the tables that a service keeps in the file, such as the events
/// and profiles of a server, without the rows that `service` says cannot be used. Does nothing if nothing is
/// damaged.
///
/// # Errors
///
/// [`StoreError::DamagedFile`] if the database cannot open the file at all: restore a backup.
/// [`StoreError::OtherTables`] if the file has a table that cannot be copied. [`StoreError::InUse`],
/// and if a disk fails. The file is then as it was.
pub fn repair_with(
    folder: impl AsRef<Path>,
    service: Option<&dyn ServiceCheck>,
) -> Result<Repair, StoreError> {
    let folder = folder.as_ref();
    let file = folder.join(STORE_FILE);
    let unfinished = folder.join(UNFINISHED_FILE);
    let options = Options::default();
    let _lock = FolderLock::take(folder)?;
    let repaired = || {
        let database = builder(&options).open(&file)?;
        about::check(&database.begin_read()?)?;
        let read = database.begin_read()?;
        let journal = Place::Folder(folder.to_owned());
        let rest = JournalRest::of(&read, &journal)?;
        let mut repair = inspect(&read)?;
        let tail = rest.and_then(|rest| rest.add_to(&mut repair));
        if let Some(service) = service {
            repair
                .tables
                .extend(service_damage(&read, service, &repair.tables)?);
        }
        if repair.is_damaged() {
            fill(&unfinished, &options, |copy| {
                let log = Log::of(&read, tail.as_ref(), repair.kept);
                copy_repaired(log, copy, &repair, service)
            })?;
        } else {
            replay(&database, &journal, &LastSync::default())?;
        }
        Ok(repair)
    };
    let mut repair = unpanicked(repaired)?;
    if repair.is_damaged() {
        let damaged = free_name(&file)?;
        fs::rename(&file, &damaged)?;
        fs::rename(&unfinished, &file)?;
        let journal = folder.join(JOURNAL_FILE);
        if fs::exists(&journal)? {
            let mut name = damaged.clone().into_os_string();
            name.push(".journal");
            fs::rename(&journal, name)?;
        }
        sync_names(folder)?;
        repair.damaged_file = Some(damaged);
    }
    Ok(repair)
}

/// Copies what a repair keeps into an empty database.
fn copy_repaired(
    log: Log<'_>,
    copy: &Database,
    repair: &Repair,
    service: Option<&dyn ServiceCheck>,
) -> Result<(), StoreError> {
    copy_store(log, copy, repair.kept, Unreadable::LeaveOut)?;
    let write = copy.begin_write()?;
    if repair.damage.is_some() {
        about::set_revised(&write)?;
    }
    if repair.damage.is_some() || repair.forgets_intake() {
        intake::forget(&write)?;
    }
    if let Some(service) = service {
        service.mend(&write)?;
    }
    write.commit()?;
    while index::update(copy, INDEXED_AT_A_TIME, &|| {})? {}
    Ok(())
}

/// What is in the journal that a process has left. A damaged file is only read: the database may not be able to write it.
struct JournalRest {
    /// The log with the good entries of the journal, if they follow those of the database.
    tail: Option<Tail>,
    /// How many good entries the journal has.
    entries: u64,
    /// Why entries after the good ones are or may be missing.
    damage: Option<String>,
}

impl JournalRest {
    fn of(read: &ReadTransaction, journal: &Place) -> Result<Option<Self>, StoreError> {
        let Some(row) = about::journal(read)? else {
            return Ok(None);
        };
        let frames = journal.frames(row, None)?;
        let tail = unpanicked(|| Tail::with_frames(read, &frames));
        let damage = match &tail {
            Ok(_) => frames.damage.map(str::to_owned),
            Err(error) => Some(reason(error)),
        };
        Ok(Some(Self {
            tail: tail.ok(),
            entries: frames.entries(),
            damage,
        }))
    }

    /// Adds it to what was found in the database. Returns the log with the entries of the journal, if they are kept.
    fn add_to(self, repair: &mut Repair) -> Option<Tail> {
        if repair.damage.is_some() {
            repair.readable_after += self.entries;
            return None;
        }
        match &self.tail {
            Some(tail) => repair.kept = tail.sequence(),
            None => repair.readable_after += self.entries,
        }
        repair.damage = self.damage.map(|what| (repair.kept + 1, what));
        self.tail
    }
}

/// What is wrong, without what a report says already.
fn reason(error: &StoreError) -> String {
    match error {
        StoreError::DamagedFile { what } => what.clone(),
        StoreError::DamagedLog { what, .. } => (*what).to_owned(),
        error => error.to_string(),
    }
}

/// What the service cannot use. If the database cannot read one of its tables, which is `known` then, the
/// service may see nothing.
fn service_damage(
    read: &ReadTransaction,
    service: &dyn ServiceCheck,
    known: &[(String, String)],
) -> Result<Vec<(String, String)>, StoreError> {
    match unpanicked(|| service.damage(read)) {
        Err(_) if !known.is_empty() => Ok(Vec::new()),
        damage => damage,
    }
}

/// Finds out which parts of a store can be read.
fn inspect(read: &ReadTransaction) -> Result<Repair, StoreError> {
    let mut repair = Repair {
        kept: 0,
        damage: None,
        readable_after: 0,
        snapshots: Vec::new(),
        index: false,
        tables: Vec::new(),
        damaged_file: None,
    };
    inspect_log(read, &mut repair)?;
    inspect_snapshots(read, &mut repair)?;
    repair.index = unpanicked(|| Ok(ENTRIES_BY_ID.open(read)?.check()?)).is_err();
    for name in service_tables::names(read)? {
        if let Some(reason) = service_tables::damage(read, &name)? {
            repair.tables.push((name, reason));
        }
    }
    if let Err(error) = unpanicked(|| intake::check(read)) {
        repair
            .tables
            .push((intake::NAME.to_owned(), error.to_string()));
    }
    Ok(repair)
}

fn inspect_log(read: &ReadTransaction, repair: &mut Repair) -> Result<(), StoreError> {
    let log = read.open_table(tables::LOG)?;
    let mut rows = None;
    loop {
        let next = unpanicked(|| {
            let rows = match &mut rows {
                Some(rows) => rows,
                None => rows.insert(log.range(0_u64..)?),
            };
            Ok(rows.next().transpose()?)
        });
        let (first, row) = match next {
            Ok(Some((first, row))) => (first.value(), row),
            Ok(None) => return Ok(()),
            // The database cannot read on from here.
            Err(error) => {
                repair
                    .damage
                    .get_or_insert((repair.kept + 1, reason(&error)));
                return Ok(());
            }
        };
        let mut entries = 0;
        let read = block::each_entry(first, row.value(), &mut |_| {
            entries += 1;
            Ok(true)
        });
        let damage = match read {
            Ok(_) if first == repair.kept + 1 || repair.damage.is_some() => None,
            Ok(_) => Some("the entries before it are missing".to_owned()),
            Err(ref error) => Some(error.to_string()),
        };
        if let Some(damage) = damage {
            repair.damage.get_or_insert((repair.kept + 1, damage));
        }
        if repair.damage.is_none() {
            repair.kept += entries;
        } else if read.is_ok() {
            repair.readable_after += entries;
        }
    }
}

fn inspect_snapshots(read: &ReadTransaction, repair: &mut Repair) -> Result<(), StoreError> {
    for snapshot in snapshots::all(read)? {
        if snapshots::is_whole(read, snapshot) {
            continue;
        }
        repair.snapshots.push(snapshot.sequence);
        // The log continues from this state, and its claims are not in the log.
        if snapshot.is_base && snapshot.sequence <= repair.kept {
            repair.readable_after += repair.kept - snapshot.sequence;
            repair.kept = snapshot.sequence - 1;
            let what = "the state that was loaded into the store cannot be read".to_owned();
            repair.damage = Some((snapshot.sequence, what));
        }
    }
    Ok(())
}

/// A free name for the damaged file, in the same folder.
fn free_name(file: &Path) -> Result<PathBuf, StoreError> {
    let mut name = file.with_extension("redb.damaged");
    let mut number = 1;
    while fs::exists(&name)? {
        number += 1;
        name = file.with_extension(format!("redb.damaged-{number}"));
    }
    Ok(name)
}
