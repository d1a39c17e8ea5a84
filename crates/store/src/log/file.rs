//! The file of a store: making and opening it.

pub(crate) mod last_sync;

use std::fs::{self, TryLockError};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use idmerge_disk::STORE_FILE;
use redb::Database;
use redb::backends::FileBackend;

use crate::error::StoreError;
use crate::log::journal::place::Place;
use crate::options::Options;

/// The name of the file while it is being made.
pub(crate) const UNFINISHED_FILE: &str = "store.redb.unfinished";

/// The file of the store in a folder.
pub fn file_of(folder: impl AsRef<Path>) -> PathBuf {
    folder.as_ref().join(STORE_FILE)
}

/// Whether a folder has the file of a store.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn exists(folder: impl AsRef<Path>) -> io::Result<bool> {
    fs::exists(file_of(folder))
}

/// Removes the store in a folder. Call it only while this process has a store open that it has made: nobody else can
/// have written it then. What is open is dropped afterwards.
///
/// # Errors
///
/// If the file cannot be removed.
pub fn discard(folder: impl AsRef<Path>) -> io::Result<()> {
    fs::remove_file(file_of(&folder))?;
    Place::Folder(folder.as_ref().to_owned()).remove();
    Ok(())
}

/// Opens the store in a folder for writing. Makes the folder and the store with this content if they
/// do not exist.
pub(crate) fn open_or_make(
    folder: &Path,
    options: &Options,
    content: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<Database, StoreError> {
    make_folder(folder)?;
    let file = folder.join(STORE_FILE);
    let open = || {
        // An erasure or a repair that failed when it synced its name would otherwise be undone by a crash, together
        // with what has been committed since.
        sync_names(folder)?;
        unpanicked(|| open_file(&file, options))
    };
    if fs::exists(&file)? {
        return open();
    }
    // Held until the store is open, so that nobody takes it from the process that made it.
    let _lock = FolderLock::take(folder)?;
    // Another process may have made it before the lock was taken.
    if !fs::exists(&file)? {
        make(folder, options, content)?;
    }
    open()
}

#[allow(clippy::disallowed_types, reason = "the store is in files")]
pub(crate) fn open_file(path: &Path, options: &Options) -> Result<Database, StoreError> {
    let file = fs::File::options().read(true).write(true).open(path)?;
    let opened = file.metadata()?;
    if opened.len() == 0 {
        return Err(StoreError::NotAStore);
    }
    let backend = options.last_sync.of(FileBackend::new(file)?);
    let database = builder(options).create_with_backend(backend)?;
    // Another process that had it open may have discarded or replaced it before this one could lock it. What is written to it
    // then would be lost. From now on nobody else does that.
    match has_name(path, &opened) {
        true => Ok(database),
        false => Err(StoreError::InUse),
    }
}

/// Whether an open file, of which this is known, still has this name.
#[cfg(unix)]
pub(crate) fn has_name(path: &Path, opened: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let now = fs::metadata(path);
    now.is_ok_and(|now| (now.dev(), now.ino()) == (opened.dev(), opened.ino()))
}

/// A file that is open cannot be removed there.
#[cfg(not(unix))]
pub(crate) fn has_name(_: &Path, _: &fs::Metadata) -> bool {
    true
}

/// Makes the file under another name and renames it, so that a crash leaves a whole store or none. The
/// folder is locked.
fn make(
    folder: &Path,
    options: &Options,
    content: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let unfinished = folder.join(UNFINISHED_FILE);
    fill(&unfinished, options, content)
        // Half a store is useless. It may not exist at all, so ignore an error.
        .inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    // Opening the file syncs its name.
    Ok(fs::rename(&unfinished, folder.join(STORE_FILE))?)
}

/// Makes a new file with this content, in place of anything that a crash has left.
pub(crate) fn fill(
    file: &Path,
    options: &Options,
    content: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    remove_left(file)?;
    let new = new_file(file)?;
    let database =
        unpanicked(|| Ok(builder(options).create_with_backend(FileBackend::new(new)?)?))?;
    content(&database)?;
    Ok(database.close()?)
}

/// Removes a file that a crash may have left.
pub(crate) fn remove_left(file: &Path) -> io::Result<()> {
    match fs::exists(file)? {
        true => fs::remove_file(file),
        false => Ok(()),
    }
}

/// Gives the [unfinished](UNFINISHED_FILE) file of a folder, which is whole and synced, the name of the store in one step.
pub(crate) fn give_name(folder: &Path) -> io::Result<()> {
    fs::rename(folder.join(UNFINISHED_FILE), folder.join(STORE_FILE))?;
    sync_names(folder)
}

/// Creates a file that only its owner can read: a store has the IDs of people.
#[allow(
    clippy::disallowed_types,
    reason = "the database creates a file that others can read"
)]
pub(crate) fn new_file(file: &Path) -> io::Result<fs::File> {
    let mut options = fs::File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

/// Creates a folder that only its owner can open, and those that lead to it. Leaves one that exists as it is.
///
/// # Errors
///
/// If the disk fails, or there is a file of that name.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The right to make a store in a folder. The system takes it back from a process that ends.
///
/// The lock is on the folder itself: the file of the store does not exist yet, and a lock file would stay
/// behind.
#[derive(Debug)]
#[allow(clippy::disallowed_types, reason = "no other way to lock a folder")]
pub(crate) struct FolderLock {
    /// The system keeps the lock as long as this is open.
    _folder: Option<fs::File>,
}

impl FolderLock {
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another process makes a store in this folder.
    #[allow(clippy::disallowed_types, reason = "no other way to lock a folder")]
    pub(crate) fn take(folder: &Path) -> Result<Self, StoreError> {
        // Not every system opens folders, and not every file system locks them. Without the lock two
        // processes that make one store at the same moment disturb each other.
        let Ok(opened) = fs::File::open(folder) else {
            return Ok(Self { _folder: None });
        };
        match opened.try_lock() {
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self {
                _folder: Some(opened),
            }),
        }
    }
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

/// The name of the file that [`check_room`] writes. A restore takes it for a file of a store, and goes on.
const ROOM_FILE: &str = "store.redb.room";

/// Fails if a disk has no room for this many bytes in a folder, by writing them to a file that is
/// removed.
///
/// # Errors
///
/// If the disk is full or fails.
pub fn check_room(folder: impl AsRef<Path>, bytes: usize) -> Result<(), StoreError> {
    let file = folder.as_ref().join(ROOM_FILE);
    let written = write_and_sync(&file, bytes);
    match fs::remove_file(&file) {
        // It could not be made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed?,
    }
    Ok(written?)
}

#[allow(clippy::disallowed_types, reason = "the store is in files")]
fn write_and_sync(file: &Path, bytes: usize) -> io::Result<()> {
    let mut file = fs::File::create(file)?;
    // Not zeros: a file system may leave those out.
    let part = [0xff; 1 << 16];
    let mut rest = bytes;
    while rest > 0 {
        let length = rest.min(part.len());
        file.write_all(&part[..length])?;
        rest -= length;
    }
    file.sync_data()
}

/// Syncs a folder: a new file survives a crash only if its name does.
///
/// # Errors
///
/// If the folder cannot be opened or the disk fails.
#[cfg(unix)]
#[allow(clippy::disallowed_types, reason = "no other way to sync a folder")]
pub fn sync_names(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Folders cannot be opened on this system, and it keeps names safe by itself.
#[cfg(not(unix))]
pub fn sync_names(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
#[allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the store is in files"
)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_removed_or_replaced_has_its_name_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["store", "other"].map(|name| folder.path().join(name));
        for path in [&path, &other] {
            fs::write(path, "a store").unwrap();
        }
        let opened = fs::File::open(&path).unwrap().metadata().unwrap();
        assert!(has_name(&path, &opened));
        fs::rename(&other, &path).unwrap();
        assert!(!has_name(&path, &opened));
        fs::remove_file(&path).unwrap();
        assert!(!has_name(&path, &opened));
    }
}
