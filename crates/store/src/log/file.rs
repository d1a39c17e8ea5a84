//! The one file of a store: how it is made, named and opened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::{fs, io};

use redb::Database;

use crate::error::StoreError;
use crate::options::Options;

use idmerge_disk::STORE_FILE;

/// Its name while it is made.
pub(crate) const UNFINISHED_FILE: &str = "store.redb.unfinished";

/// Whether a folder has a store, or something in its place.
///
/// # Errors
///
/// If the folder may not be read.
pub fn exists(folder: impl AsRef<Path>) -> io::Result<bool> {
    fs::exists(folder.as_ref().join(STORE_FILE))
}

/// Opens the store in a folder for writing, and makes both where they are not there, with this
/// content.
pub(crate) fn open_or_make(
    folder: &Path,
    options: &Options,
    content: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<Database, StoreError> {
    fs::create_dir_all(folder)?;
    let file = folder.join(STORE_FILE);
    if !fs::exists(&file)? {
        make(folder, options, content)?;
    }
    unpanicked(|| Ok(builder(options).open(file)?))
}

/// Makes a store under another name first, so that a crash leaves a whole one or none.
fn make(
    folder: &Path,
    options: &Options,
    content: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let unfinished = folder.join(UNFINISHED_FILE);
    fill(&unfinished, options, content)?;
    fs::rename(&unfinished, folder.join(STORE_FILE))?;
    Ok(sync_names(folder)?)
}

/// Makes a new file with this content. What a crash has left under its name is removed.
pub(crate) fn fill(
    file: &Path,
    options: &Options,
    content: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if fs::exists(file)? {
        fs::remove_file(file)?;
    }
    let database = unpanicked(|| Ok(builder(options).create(file)?))?;
    content(&database)?;
    Ok(database.close()?)
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
pub(crate) fn sync_names(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Folders cannot be opened here, and their names are safe without.
#[cfg(not(unix))]
pub(crate) fn sync_names(_: &Path) -> io::Result<()> {
    Ok(())
}
