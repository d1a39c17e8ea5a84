//! The file of a journal: where it is, how it is made, read and removed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::frames::Frames;
use super::row::JournalRow;
use crate::log::file::{file_of, has_name, new_file, remove_left, sync_names};

/// The name of the journal in the folder of a store. It begins with the name of the store's file, so that a restore
/// takes it for a file of a store.
pub(crate) const JOURNAL_FILE: &str = "store.redb.journal";

/// Where the journal of a store is, if it may have one.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Nowhere,
    /// In a folder, as [`JOURNAL_FILE`], while it is in use.
    Folder(PathBuf),
    File(Arc<dyn StorageBackend>),
}

/// A journal that can be written.
#[derive(Debug)]
pub(crate) struct JournalFile {
    pub(crate) backend: Arc<dyn StorageBackend>,
    /// The path, and what is known of the file that this process made there.
    path: Option<(PathBuf, fs::Metadata)>,
}

impl Place {
    /// Makes a journal of this length, with zeros. All of it is on the disk when this returns, and so is its name: a
    /// later sync has nothing to write but pages.
    pub(crate) fn make(&self, bytes: u32) -> io::Result<JournalFile> {
        let file = match self {
            Self::Nowhere => return Err(io::ErrorKind::Unsupported.into()),
            Self::File(backend) => JournalFile {
                backend: backend.clone(),
                path: None,
            },
            Self::Folder(folder) => {
                let path = folder.join(JOURNAL_FILE);
                remove_left(&path)?;
                let new = new_file(&path)?;
                // Whoever may read the store may read its last entries. Not every file system has modes.
                let store = fs::metadata(file_of(folder));
                let _is_shared = store.and_then(|it| new.set_permissions(it.permissions()));
                let made = new.metadata()?;
                let backend = FileBackend::new(new).map_err(io::Error::other)?;
                JournalFile {
                    backend: Arc::new(backend),
                    path: Some((path, made)),
                }
            }
        };
        let filled = fill(&*file.backend, bytes).and_then(|()| match self {
            Self::Folder(folder) => sync_names(folder),
            _ => Ok(()),
        });
        match filled {
            Ok(()) => Ok(file),
            Err(error) => {
                file.remove();
                Err(error)
            }
        }
    }

    /// The frames of an epoch. Those from `end` on do not count.
    pub(crate) fn frames(&self, row: JournalRow, end: Option<u64>) -> io::Result<Frames> {
        match self {
            Self::Nowhere => Ok(Frames::missing()),
            Self::File(backend) => Frames::read(&**backend, row, end),
            Self::Folder(folder) => match open(&folder.join(JOURNAL_FILE))? {
                None => Ok(Frames::missing()),
                Some(file) => Frames::read(&file, row, end),
            },
        }
    }

    /// Removes a journal that does not count any more. It may not exist, and if it stays, it does no harm, so errors are
    /// ignored.
    pub(crate) fn remove(&self) {
        match self {
            Self::Nowhere => {}
            Self::Folder(folder) => drop(remove_left(&folder.join(JOURNAL_FILE))),
            Self::File(backend) => drop(empty(&**backend)),
        }
    }
}

impl JournalFile {
    /// Removes the file, which does not count any more, as [`Place::remove`] does. Another process may have made another
    /// one under its name, if the store was discarded: that one stays.
    pub(crate) fn remove(self) {
        match &self.path {
            None => drop(empty(&*self.backend)),
            Some((path, made)) if has_name(path, made) => {
                // An open file cannot be removed on every system.
                drop(self.backend);
                drop(fs::remove_file(path));
            }
            Some(_) => {}
        }
    }
}

/// Writes the zeros and not only a length: a page that was never written has no place on the disk, and its first sync
/// would have to note one.
fn fill(backend: &dyn StorageBackend, bytes: u32) -> io::Result<()> {
    let length = u64::from(bytes);
    backend.set_len(length)?;
    let zeros = vec![0; usize::try_from(bytes).unwrap_or_default()];
    backend.write(0, &zeros)?;
    backend.sync_data()
}

fn empty(backend: &dyn StorageBackend) -> io::Result<()> {
    if backend.len()? > 0 {
        backend.set_len(0)?;
        backend.sync_data()?;
    }
    Ok(())
}

#[allow(clippy::disallowed_types, reason = "the journal is a file")]
fn open(path: &Path) -> io::Result<Option<FileBackend>> {
    match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => Ok(Some(FileBackend::new(file?).map_err(io::Error::other)?)),
    }
}
