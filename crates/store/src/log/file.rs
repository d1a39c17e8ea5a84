//! The one file of a store: making and opening it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::{fs, io};

use idmerge_disk::STORE_FILE;
use redb::Database;

use crate::error::StoreError;
use crate::options::Options;

/// The name of the file while it is being made.
pub(crate) const UNFINISHED_FILE: &str = "store.redb.unfinished";

/// Whether a folder has the file of a store.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn exists(folder: impl AsRef<Path>) -> io::Result<bool> {
    fs::exists(folder.as_ref().join(STORE_FILE))
}

/// Opens the store in a folder for writing. Makes the folder and the store with this content if they
/// do not exist.
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

/// Makes the file under another name and renames it, so that a crash leaves a whole store or none.
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

/// Makes a new file with this content, in place of anything that a crash has left.
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

/// Turns a panic into [`StoreError::DamagedFile`]: the database panics on some damaged files.
pub(crate) fn unpanicked<T>(
    opening: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    // The closure owns what it opens, so no half-open value outlives the panic.
    catch_unwind(AssertUnwindSafe(opening)).unwrap_or_else(|_| {
        Err(StoreError::DamagedFile {
            what: "the database cannot read it".to_owned(),
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

/// Syncs a folder: a new file survives a crash only if its name does.
#[cfg(unix)]
#[allow(clippy::disallowed_types, reason = "no other way to sync a folder")]
pub(crate) fn sync_names(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Folders cannot be opened on this system, and it keeps names safe by itself.
#[cfg(not(unix))]
pub(crate) fn sync_names(_: &Path) -> io::Result<()> {
    Ok(())
}
