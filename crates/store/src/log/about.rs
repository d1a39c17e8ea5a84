//! The metadata of a store: its format version, rule book and settings.

use std::path::Path;

use idmerge_core::{IdentityResolver, RuleBook};
use idmerge_disk::STORE_FILE;
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table,
    WriteTransaction,
};

use super::file::{builder, unpanicked};
use super::journal::row::JournalRow;
use super::tables::{self, ABOUT, LOG, PIECES, SNAPSHOTS};
use crate::error::StoreError;
use crate::options::Options;

/// The oldest format version that this version opens.
const OLDEST_FORMAT: u16 = 1;

/// The format version that a store has unless its service needs a later one.
const FORMAT: u16 = 2;

/// The format version of a store whose service keeps long rows apart. The store's own tables are those of
/// version 2.
const LONG_ROWS_FORMAT: u16 = 3;

/// The format version of a store from which IDs were erased: its log has entries without IDs, and it refuses
/// what names an erased ID.
const ERASED_FORMAT: u16 = 4;

/// The format version of a store whose last entries may be in a journal. When the store is closed, it becomes one of
/// the version of before.
const JOURNAL_FORMAT: u16 = 5;

/// The newest format version that this version opens.
const NEWEST_FORMAT: u16 = JOURNAL_FORMAT;

/// The row of a store with a journal, which is of [`JOURNAL_FORMAT`].
const JOURNAL: &str = "journal";

/// The row with the key of the hashes of erased IDs.
const ERASURE_KEY: &str = "erasure key";

/// The length of that key in bytes.
pub(crate) const KEY_BYTES: usize = 32;

/// The row of a store that format version 1 began: the last entry then, before which repeats of claims
/// may be missing.
const INCOMPLETE_UNTIL: &str = "incomplete until";

/// The row of a store whose log was revised: an entry was withdrawn, or a repair lost entries.
const REVISED: &str = "revised";

/// The row of a backup: whether all of it is there.
const BACKUP: &str = "backup";

/// The values of [`BACKUP`].
const UNFINISHED: &[u8] = b"unfinished";
const WHOLE: &[u8] = b"whole";

type AboutTable = ReadOnlyTable<&'static str, &'static [u8]>;

/// The metadata of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The rule book of its engine. It never changes.
    pub rule_book: RuleBook,
    /// The settings of its engine, from [`Options::settings`] when the store was created.
    pub settings: String,
}

/// The row of the journal, and the format version without it.
fn journal_row(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Found<(JournalRow, u16)> {
    let Some(row) = table.get(JOURNAL)? else {
        return Ok(None);
    };
    let row = JournalRow::decode(row.value()).ok_or(StoreError::NotAStore)?;
    Ok(Some(row))
}

/// What a row has, if there is one.
type Found<T> = Result<Option<T>, StoreError>;

/// The row of the journal; `None` if all entries are in the database.
pub(crate) fn journal(read: &ReadTransaction) -> Found<JournalRow> {
    Ok(journal_row(&read.open_table(ABOUT)?)?.map(|(row, _)| row))
}

/// Sets the row of the journal in a commit that writes everything that the journal has.
///
/// Versions that do not know journals would lose the entries in it. So they refuse the store as long as it has the row.
pub(crate) fn set_journal(
    write: &WriteTransaction,
    journal: Option<JournalRow>,
) -> Result<(), StoreError> {
    let mut table = write.open_table(ABOUT)?;
    let format = format_without_journal(&table)?;
    let Some(row) = journal else {
        table.remove(JOURNAL)?;
        table.insert("format", &format.to_le_bytes()[..])?;
        return Ok(());
    };
    table.insert(JOURNAL, &row.encode(format)[..])?;
    table.insert("format", &JOURNAL_FORMAT.to_le_bytes()[..])?;
    Ok(())
}

/// The format version that a store has when it has no journal; 0 if it has no version yet.
fn format_without_journal(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<u16, StoreError> {
    if let Some((_, format)) = journal_row(table)? {
        return Ok(format);
    }
    let found = table.get("format")?.map(|row| row.value().to_vec());
    let found = found.and_then(|bytes| bytes.try_into().ok());
    Ok(found.map_or(0, u16::from_le_bytes))
}

/// Checks that a database is a store of the format that this version opens.
pub(crate) fn check(read: &ReadTransaction) -> Result<(), StoreError> {
    check_format(&read.open_table(ABOUT)?)?;
    Ok(())
}

/// The format version without a journal, which is one that this version opens.
fn check_format(table: &AboutTable) -> Result<u16, StoreError> {
    let format = table.get("format")?.ok_or(StoreError::NotAStore)?;
    let found = <[u8; 2]>::try_from(format.value()).map_err(|_| StoreError::NotAStore)?;
    let found = u16::from_le_bytes(found);
    if found == JOURNAL_FORMAT {
        let row = journal_row(table)?.ok_or(StoreError::NotAStore)?;
        return Ok(row.1);
    }
    if (OLDEST_FORMAT..=NEWEST_FORMAT).contains(&found) {
        return Ok(found);
    }
    Err(StoreError::UnsupportedVersion {
        found,
        supported: NEWEST_FORMAT,
    })
}

/// Makes a store of an older format version one of this version. Its rows stay as they are: this
/// version reads both forms.
pub(crate) fn upgrade(database: &Database) -> Result<(), StoreError> {
    let read = database.begin_read()?;
    if check_format(&read.open_table(ABOUT)?)? >= FORMAT {
        return Ok(());
    }
    let last = tables::last_sequence(&read)?;
    let write = database.begin_write()?;
    {
        let mut table = write.open_table(ABOUT)?;
        table.insert("format", &FORMAT.to_le_bytes()[..])?;
        table.insert(INCOMPLETE_UNTIL, &last.to_le_bytes()[..])?;
    }
    Ok(write.commit()?)
}

/// Records that the service keeps long rows in a table of their own. Versions of idmerge that would read such
/// rows as something else refuse the store from then on.
///
/// # Errors
///
/// If the disk fails.
pub fn set_long_rows(write: &WriteTransaction) -> Result<(), StoreError> {
    let mut table = write.open_table(ABOUT)?;
    set_format(&mut table, LONG_ROWS_FORMAT)
}

/// Sets the format version, unless the store has a later one already.
fn set_format(
    table: &mut Table<'_, &'static str, &'static [u8]>,
    format: u16,
) -> Result<(), StoreError> {
    let format = format_without_journal(table)?.max(format);
    let Some((row, _)) = journal_row(table)? else {
        table.insert("format", &format.to_le_bytes()[..])?;
        return Ok(());
    };
    table.insert(JOURNAL, &row.encode(format)[..])?;
    Ok(())
}

/// The key of the hashes of erased IDs; `None` if nothing was ever erased.
pub(crate) fn erasure_key(read: &ReadTransaction) -> Result<Option<[u8; KEY_BYTES]>, StoreError> {
    let row = read.open_table(ABOUT)?.get(ERASURE_KEY)?;
    let key = row.map(|row| row.value().try_into().map_err(|_| StoreError::NotAStore));
    key.transpose()
}

/// Sets the key of the hashes of erased IDs, and the format version that has them.
pub(crate) fn set_erasure_key(
    write: &WriteTransaction,
    key: &[u8; KEY_BYTES],
) -> Result<(), StoreError> {
    let mut table = write.open_table(ABOUT)?;
    set_format(&mut table, ERASED_FORMAT)?;
    table.insert(ERASURE_KEY, &key[..])?;
    Ok(())
}

/// Whether the service keeps long rows in a table of their own.
///
/// # Errors
///
/// [`StoreError::UnsupportedVersion`], and if the disk fails.
pub fn has_long_rows(read: &ReadTransaction) -> Result<bool, StoreError> {
    Ok(check_format(&read.open_table(ABOUT)?)? >= LONG_ROWS_FORMAT)
}

/// The last entry before which repeats of claims may be missing; 0 if there is none.
pub(crate) fn incomplete_until(read: &ReadTransaction) -> Result<u64, StoreError> {
    let table = read.open_table(ABOUT)?;
    if check_format(&table)? < FORMAT {
        return Ok(u64::MAX);
    }
    let row = table.get(INCOMPLETE_UNTIL)?;
    let until = row.and_then(|row| row.value().try_into().ok());
    Ok(until.map_or(0, u64::from_le_bytes))
}

/// Copies the metadata of a store into an empty database, and creates the other tables there.
pub(crate) fn copy(read: &ReadTransaction, copy: &Database) -> Result<(), StoreError> {
    check(read)?;
    let write = copy.begin_write()?;
    make_tables(&write)?;
    copy_rows(read, &write)?;
    Ok(write.commit()?)
}

/// Copies the rows of the metadata, in a commit.
pub(crate) fn copy_rows(
    read: &ReadTransaction,
    write: &WriteTransaction,
) -> Result<(), StoreError> {
    let mut table = write.open_table(ABOUT)?;
    let from = read.open_table(ABOUT)?;
    for row in from.range::<&str>(..)? {
        let (name, value) = row?;
        // A copy has everything in its database.
        if ![BACKUP, JOURNAL].contains(&name.value()) {
            table.insert(name.value(), value.value())?;
        }
    }
    table.insert("format", &check_format(&from)?.to_le_bytes()[..])?;
    Ok(())
}

/// Marks an empty database as a backup without its end. If the end of the file is lost later, the database
/// may fall back to an earlier commit, which still has this mark.
pub(crate) fn begin_backup(copy: &Database) -> Result<(), StoreError> {
    mark_backup(copy, Some(UNFINISHED))
}

/// Marks a backup as whole.
pub(crate) fn finish_backup(copy: &Database) -> Result<(), StoreError> {
    mark_backup(copy, Some(WHOLE))
}

/// Removes the mark of a backup: the file becomes a store.
pub(crate) fn forget_backup(store: &Database) -> Result<(), StoreError> {
    mark_backup(store, None)
}

fn mark_backup(database: &Database, mark: Option<&[u8]>) -> Result<(), StoreError> {
    let write = database.begin_write()?;
    {
        let mut table = write.open_table(ABOUT)?;
        match mark {
            Some(mark) => drop(table.insert(BACKUP, mark)?),
            None => drop(table.remove(BACKUP)?),
        }
    }
    Ok(write.commit()?)
}

/// Whether this is a backup without its end. A backup of an earlier version has no mark.
pub(crate) fn is_unfinished_backup(read: &ReadTransaction) -> Result<bool, StoreError> {
    let mark = read.open_table(ABOUT)?.get(BACKUP)?;
    Ok(mark.is_some_and(|mark| mark.value() != WHOLE))
}

/// Records that the log was revised, so that what a service derived from it may not fit any more.
pub(crate) fn set_revised(write: &WriteTransaction) -> Result<(), StoreError> {
    write.open_table(ABOUT)?.insert(REVISED, &[][..])?;
    Ok(())
}

/// Records in a commit that the service has adapted its tables to a revised log: the next opening says that the log is
/// not [revised](crate::Opened::is_revised).
///
/// # Errors
///
/// If the disk fails.
pub fn clear_revised(write: &WriteTransaction) -> Result<(), StoreError> {
    write.open_table(ABOUT)?.remove(REVISED)?;
    Ok(())
}

/// Whether the log was revised since the service last adapted to it.
pub(crate) fn is_revised(read: &ReadTransaction) -> Result<bool, StoreError> {
    Ok(read.open_table(ABOUT)?.get(REVISED)?.is_some())
}

fn make_tables(write: &WriteTransaction) -> Result<(), StoreError> {
    write.open_table(LOG)?;
    write.open_table(SNAPSHOTS)?;
    write.open_table(PIECES)?;
    Ok(())
}

impl About {
    /// Reads the metadata of the store in a folder, so that a caller can choose the engine to open the
    /// store with.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if there is no store, [`StoreError::NotAStore`],
    /// [`StoreError::UnsupportedVersion`], and [`StoreError::InUse`] if the process that writes the
    /// store does not share it.
    pub fn of_folder(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let file = folder.as_ref().join(STORE_FILE);
        let options = Options::default();
        let read = unpanicked(|| {
            let database = builder(&options).open_read_only(&file)?;
            Self::read(&database.begin_read()?, None)
        });
        let found = match read {
            // The last writer has crashed: opening for writing recovers the file.
            Err(StoreError::NotClosed) => unpanicked(|| {
                let database = builder(&options).open(&file)?;
                Self::read(&database.begin_read()?, None)
            }),
            read => read,
        };
        found?.ok_or(StoreError::NotAStore)
    }

    /// The metadata of a new store with this engine and these options.
    pub(crate) fn of(engine: &impl IdentityResolver, options: &Options) -> Self {
        Self {
            rule_book: engine.rule_book(),
            settings: options.settings.clone(),
        }
    }

    /// Writes it into an empty database.
    pub(crate) fn commit(&self, database: &Database) -> Result<(), StoreError> {
        let write = database.begin_write()?;
        self.write(&write)?;
        Ok(write.commit()?)
    }

    /// Reads it; `None` if the database is empty. The name of a custom rule book is only known if
    /// `expected` is that rule book.
    pub(crate) fn read(
        read: &ReadTransaction,
        expected: Option<RuleBook>,
    ) -> Result<Option<Self>, StoreError> {
        let table = match read.open_table(ABOUT) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        check_format(&table)?;
        let rule_book = table.get("rule book")?.ok_or(StoreError::NotAStore)?;
        let rule_book = RuleBook::BUILT_IN
            .into_iter()
            .chain(expected)
            .find(|known| known.name().as_bytes() == rule_book.value())
            .ok_or_else(|| StoreError::UnknownRuleBook {
                name: String::from_utf8_lossy(rule_book.value()).into_owned(),
            })?;
        let settings = table.get("settings")?.ok_or(StoreError::NotAStore)?;
        Ok(Some(Self {
            rule_book,
            settings: String::from_utf8_lossy(settings.value()).into_owned(),
        }))
    }

    /// Writes it and makes the other tables.
    fn write(&self, write: &WriteTransaction) -> Result<(), StoreError> {
        let mut table = write.open_table(ABOUT)?;
        table.insert("format", &FORMAT.to_le_bytes()[..])?;
        table.insert("rule book", self.rule_book.name().as_bytes())?;
        table.insert("settings", self.settings.as_bytes())?;
        make_tables(write)
    }

    /// Checks that a store with this metadata can be opened with the given engine.
    pub(crate) fn admits(&self, engine: &Self) -> Result<(), StoreError> {
        if self.rule_book != engine.rule_book {
            return Err(StoreError::OtherRuleBook {
                found: self.rule_book,
                expected: engine.rule_book,
            });
        }
        if self.settings != engine.settings {
            return Err(StoreError::OtherSettings {
                found: self.settings.clone(),
                expected: engine.settings.clone(),
            });
        }
        Ok(())
    }
}
