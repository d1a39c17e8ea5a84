//! What is said once of a store.

use std::path::Path;

use idmerge_core::{IdentityResolver, RuleBook};
use idmerge_disk::STORE_FILE;
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::file::{builder, unpanicked};
use super::tables::{ABOUT, LOG, PIECES, SNAPSHOTS};
use crate::error::StoreError;
use crate::options::Options;

const FORMAT: u16 = 1;

/// What is said once of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The rules that it goes by, for ever.
    pub rule_book: RuleBook,
    /// The settings of its engine, as [`Options::settings`] had them.
    pub settings: String,
}

impl About {
    /// What the store in a folder says of itself, for who has yet to choose the engine to open it
    /// with.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where there is no store, [`StoreError::NotAStore`],
    /// [`StoreError::UnsupportedVersion`], and [`StoreError::InUse`] where whoever writes it shares
    /// it with nobody.
    pub fn of_folder(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let file = folder.as_ref().join(STORE_FILE);
        let options = Options::default();
        let read = unpanicked(|| {
            let database = builder(&options).open_read_only(&file)?;
            Self::read(&database.begin_read()?)
        });
        let found = match read {
            // The last writer has crashed; opened for writing it is put in order.
            Err(StoreError::NotClosed) => unpanicked(|| {
                let database = builder(&options).open(&file)?;
                Self::read(&database.begin_read()?)
            }),
            read => read,
        };
        found?.ok_or(StoreError::NotAStore)
    }

    /// What a store with this engine and these options says.
    pub(crate) fn of(engine: &impl IdentityResolver, options: &Options) -> Self {
        Self {
            rule_book: engine.rule_book(),
            settings: options.settings.clone(),
        }
    }

    /// Writes it into a database that has nothing yet.
    pub(crate) fn commit(&self, database: &Database) -> Result<(), StoreError> {
        let write = database.begin_write()?;
        self.write(&write)?;
        Ok(write.commit()?)
    }

    /// What a store says of itself, or `None` of one that nothing was written to.
    pub(crate) fn read(read: &ReadTransaction) -> Result<Option<Self>, StoreError> {
        let table = match read.open_table(ABOUT) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        let format = table.get("format")?.ok_or(StoreError::NotAStore)?;
        let found = <[u8; 2]>::try_from(format.value()).map_err(|_| StoreError::NotAStore)?;
        let found = u16::from_le_bytes(found);
        if found != FORMAT {
            return Err(StoreError::UnsupportedVersion {
                found,
                supported: FORMAT,
            });
        }
        let rule_book = table.get("rule book")?.ok_or(StoreError::NotAStore)?;
        let rule_book = RuleBook::BUILT_IN
            .into_iter()
            .find(|known| known.name().as_bytes() == rule_book.value())
            .ok_or(StoreError::NotAStore)?;
        let settings = table.get("settings")?.ok_or(StoreError::NotAStore)?;
        Ok(Some(Self {
            rule_book,
            settings: String::from_utf8_lossy(settings.value()).into_owned(),
        }))
    }

    /// Writes it, and makes the other tables.
    fn write(&self, write: &WriteTransaction) -> Result<(), StoreError> {
        let mut table = write.open_table(ABOUT)?;
        table.insert("format", &FORMAT.to_le_bytes()[..])?;
        table.insert("rule book", self.rule_book.name().as_bytes())?;
        table.insert("settings", self.settings.as_bytes())?;
        write.open_table(LOG)?;
        write.open_table(SNAPSHOTS)?;
        write.open_table(PIECES)?;
        Ok(())
    }

    /// Whether an engine that says this of itself can go on with the store.
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
