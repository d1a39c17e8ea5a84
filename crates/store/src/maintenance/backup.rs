//! Backing a store up to a file, and restoring it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use idmerge_core::IdentityResolver;
use idmerge_disk::STORE_FILE;
use redb::backends::FileBackend;
use redb::{ReadableDatabase, StorageBackend};

use crate::error::StoreError;
use crate::history::History;
use crate::log::about;
use crate::log::file::{
    FolderLock, UNFINISHED_FILE, builder, give_name, make_folder, new_file, remove_left,
    sync_names, unpanicked,
};
use crate::log::journal::place::Place;
use crate::maintenance::copy::copy_store;
use crate::maintenance::service_tables::Unreadable;
use crate::options::{MayGoOn, Options, Sharing};

/// The name of the socket in the folder of a store through which a server that has the store open gives
/// a backup of it.
pub const BACKUP_SOCKET: &str = "backup.sock";

/// How many bytes of the copy the database keeps in memory.
const CACHE_BYTES: usize = 8 << 20;

impl<R: IdentityResolver> History<R> {
    /// Writes a copy of the store to a new file, while other threads go on committing and resolving.
    /// Returns the number of the last entry in it. [`restore`] makes a store from the file.
    ///
    /// The copy also has the tables that a service keeps in the file, such as the events and profiles
    /// of a server, as they were when this history was opened. Only the owner of the file can read it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] if there is a file of that name, [`StoreError::DamagedLog`] if the log is
    /// damaged, [`StoreError::OtherTables`] if the file has a table that cannot be copied, and if a
    /// disk fails. No file is left then.
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<u64, StoreError> {
        let to = to.as_ref();
        if fs::exists(to)? {
            return Err(StoreError::Exists {
                path: to.to_owned(),
            });
        }
        let unfinished = unfinished_name(to);
        let backed_up = self.backup_under(&unfinished, to);
        // Half a copy is useless, and a whole one has its own name by now. It may not exist at all, so
        // ignore an error.
        drop(fs::remove_file(&unfinished));
        backed_up
    }

    fn backup_under(&self, unfinished: &Path, to: &Path) -> Result<u64, StoreError> {
        let file = new_file(unfinished)?;
        let last = self.backup_into(file.try_clone()?)?;
        file.sync_all()?;
        match fs::hard_link(unfinished, to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(StoreError::Exists {
                    path: to.to_owned(),
                });
            }
            Ok(()) => {}
            // The file system has no hard links.
            Err(_) => fs::rename(unfinished, to)?,
        }
        let folder = to.parent().filter(|folder| *folder != Path::new(""));
        sync_names(folder.unwrap_or(Path::new(".")))?;
        Ok(last)
    }

    /// Writes the copy of [`backup`](Self::backup) into an empty file that is open for reading and
    /// writing, such as a temporary one. The caller syncs the file if it must survive a crash.
    ///
    /// # Errors
    ///
    /// Those of [`backup`](Self::backup), and [`StoreError::Cancelled`] soon after the function of
    /// [`only_while`](Self::only_while) has returned `false`. The file may have half a copy then, which
    /// [`restore`] refuses.
    #[allow(
        clippy::disallowed_types,
        reason = "the caller decides which file it is"
    )]
    pub fn backup_into(&self, file: fs::File) -> Result<u64, StoreError> {
        let options = Options {
            cache_bytes: CACHE_BYTES,
            // Nobody else opens the copy, and the file has no locks.
            sharing: Sharing::Nobody,
            ..Options::default()
        };
        let may_go_on = self.log().may_go_on();
        let copied = unpanicked(|| {
            let file = Copied {
                file: FileBackend::new(file)?,
                may_go_on: may_go_on.clone(),
            };
            let copy = builder(&options).create_with_backend(file)?;
            about::begin_backup(&copy)?;
            copy_store(self.log(), &copy, self.last(), Unreadable::Fail)?;
            about::finish_backup(&copy)?;
            Ok(copy.close()?)
        });
        match may_go_on {
            Some(may_go_on) if copied.is_err() && !may_go_on() => Err(StoreError::Cancelled),
            _ => copied.map(|()| self.last()),
        }
    }
}

/// A name next to `to` that no other backup uses.
fn unfinished_name(to: &Path) -> PathBuf {
    static BACKUPS: AtomicU64 = AtomicU64::new(0);
    let number = BACKUPS.fetch_add(1, Ordering::Relaxed);
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".unfinished-{}-{number}", std::process::id()));
    name.into()
}

/// The file of a copy. Commits do not wait for it: a copy that a crash breaks off is made again from the start, and
/// waiting for the disk at each step would hold up the commits of the store that is copied. Writing fails once
/// the copy is no longer wanted.
struct Copied {
    file: FileBackend,
    may_go_on: Option<MayGoOn>,
}

impl Copied {
    fn check(&self) -> io::Result<()> {
        match &self.may_go_on {
            Some(may_go_on) if !may_go_on() => Err(io::Error::other(StoreError::Cancelled)),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Copied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copied").finish_non_exhaustive()
    }
}

impl StorageBackend for Copied {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.file.write(offset, data)
    }
}

/// Makes a store in a folder from a file that [`History::backup`] wrote. The file stays.
///
/// The folder must not exist, or be empty except for what an earlier store left there: a file that
/// [`repair`](crate::repair) put aside, or one that a crash left unfinished.
///
/// # Errors
///
/// [`StoreError::Exists`] if the folder has a store already, [`StoreError::NotEmpty`] if it has
/// something else, [`StoreError::InUse`] if another process makes a store there at this moment,
/// [`StoreError::BrokenBackup`], [`StoreError::NotAStore`] and others if the file is not a whole backup,
/// and if a disk fails. The folder is then as it was.
pub fn restore(from: impl AsRef<Path>, folder: impl AsRef<Path>) -> Result<(), StoreError> {
    let (from, folder) = (from.as_ref(), folder.as_ref());
    let was_there = fs::exists(folder)?;
    make_folder(folder)?;
    // Others that are refused the lock must not remove the folder: it can be empty still.
    let _lock = FolderLock::take(folder)?;
    let restored = restore_alone(from, folder);
    if restored.is_err() && !was_there {
        // Another process may have made a store in it; then it is not empty and stays.
        drop(fs::remove_dir(folder));
    }
    restored
}

/// Restores into a folder that is locked.
fn restore_alone(from: &Path, folder: &Path) -> Result<(), StoreError> {
    let file = folder.join(STORE_FILE);
    if fs::exists(&file)? {
        return Err(StoreError::Exists { path: file });
    }
    must_be_unused(folder, from)?;
    let unfinished = folder.join(UNFINISHED_FILE);
    remove_left(&unfinished)?;
    let copied = copy_checked(from, &unfinished);
    if let Err(error) = copied {
        drop(fs::remove_file(&unfinished));
        return Err(error);
    }
    give_name(folder)?;
    // It is of a store that was here before.
    Place::Folder(folder.to_owned()).remove();
    Ok(())
}

/// # Errors
///
/// The folder has something that is not of a store, such as the folders of a server's projects.
fn must_be_unused(folder: &Path, from: &Path) -> Result<(), StoreError> {
    let from = fs::canonicalize(from)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_of_store = name.as_encoded_bytes().starts_with(STORE_FILE.as_bytes())
            || name == BACKUP_SOCKET
            || fs::canonicalize(entry.path()).is_ok_and(|path| path == from);
        if !is_of_store {
            return Err(StoreError::NotEmpty {
                folder: folder.to_owned(),
                name: name.to_string_lossy().into_owned(),
            });
        }
    }
    Ok(())
}

/// Copies a backup and checks every byte of the copy that a store uses.
#[allow(clippy::disallowed_types, reason = "a backup is a file")]
fn copy_checked(from: &Path, to: &Path) -> Result<(), StoreError> {
    io::copy(&mut fs::File::open(from)?, &mut new_file(to)?)?;
    let verifying = Options {
        verify: true,
        ..Options::default()
    };
    let checked = unpanicked(|| {
        let database = builder(&verifying).open(to)?;
        let read = database.begin_read()?;
        about::check(&read)?;
        if about::is_unfinished_backup(&read)? {
            return Err(StoreError::BrokenBackup {
                what: "its end is missing".to_owned(),
            });
        }
        if about::journal(&read)?.is_some() {
            return Err(StoreError::BrokenBackup {
                what: "the journal of the store is missing".to_owned(),
            });
        }
        drop(read);
        // This commit also syncs the copy.
        about::forget_backup(&database)?;
        Ok(database.close()?)
    });
    checked.map_err(|error| match error {
        StoreError::DamagedFile { what } => StoreError::BrokenBackup { what },
        error => error,
    })
}
