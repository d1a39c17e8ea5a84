//! A copy of a project in a temporary file.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use idmerge_project::{MayGoOn, Project, ProjectError};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many bytes are read and sent at once.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// A copy may fill the disk up to this many bytes: events that arrive meanwhile need room too.
const ROOM_LEFT_BYTES: u64 = 64 << 20;

/// A copy of a project in a temporary file that has no name, so it takes no room once it is dropped,
/// also after a crash.
pub(super) struct Backup {
    pub(super) file: File,
    pub(super) bytes: u64,
    /// The number of the last entry of the log in it.
    pub(super) entries: u64,
    /// Held as long as the copy takes room on the disk.
    pub(super) permit: OwnedSemaphorePermit,
}

/// Why there is no backup.
#[derive(Debug, Error)]
pub(crate) enum BackupError {
    #[error("a backup of this project is being made or read; try again when it has ended")]
    Busy,
    #[error(
        "the disk has no room for a copy of the project: it needs {needed} bytes and {ROOM_LEFT_BYTES} \
         that stay free, and {free} are free"
    )]
    NoRoom { needed: u64, free: u64 },
    #[error("the temporary file cannot be written: {0}")]
    File(#[from] io::Error),
    #[error(transparent)]
    Project(#[from] ProjectError),
}

/// What a backup is made of. There is one backup of a project at a time: each takes as much room on the
/// disk as the project.
#[derive(Clone)]
pub(crate) struct Backups {
    folder: PathBuf,
    one_at_a_time: Arc<Semaphore>,
}

impl Backups {
    /// `folder` is that of the project.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            one_at_a_time: Arc::new(Semaphore::new(1)),
        }
    }

    /// The folder of the project.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Copies the project of one moment to a temporary file on its disk. Claims are taken meanwhile. Ends soon
    /// after `may_go_on` has returned `false`, and the file is gone then.
    pub(super) fn make(
        &self,
        project: &Project,
        may_go_on: MayGoOn,
    ) -> Result<Backup, BackupError> {
        let permit = self.try_hold().ok_or(BackupError::Busy)?;
        self.check_room()?;
        let mut file = tempfile::tempfile_in(&self.folder)?;
        let entries = project.backup_while(file.try_clone()?, may_go_on)?;
        let bytes = file.metadata()?.len();
        file.rewind()?;
        Ok(Backup {
            file,
            bytes,
            entries,
            permit,
        })
    }

    /// Keeps backups from being made until it is dropped. `None`: one is being made or read.
    pub(crate) fn try_hold(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.one_at_a_time).try_acquire_owned().ok()
    }

    /// Fails if a copy could fill the disk, so that events could not be taken any more.
    pub(crate) fn check_room(&self) -> Result<(), BackupError> {
        let mut needed = 0;
        for entry in fs::read_dir(&self.folder)? {
            needed += entry?.metadata()?.len();
        }
        // The pages of a copy are less full than those of a file that has grown slowly.
        needed += needed / 2;
        let free = free_bytes(&self.folder)?;
        match free < needed.saturating_add(ROOM_LEFT_BYTES) {
            true => Err(BackupError::NoRoom { needed, free }),
            false => Ok(()),
        }
    }
}

/// How many bytes are free on the disk of a folder.
fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// A temporary file without a name, for a copy of an unknown length. A write fails if the copy could fill
/// the disk, with [`io::ErrorKind::StorageFull`].
pub(crate) struct CopyFile<'f> {
    folder: &'f Path,
    file: File,
    room_left_bytes: u64,
}

impl<'f> CopyFile<'f> {
    /// An empty file on the disk of this folder.
    pub(crate) fn new(folder: &'f Path) -> io::Result<Self> {
        Ok(Self {
            folder,
            file: tempfile::tempfile_in(folder)?,
            room_left_bytes: ROOM_LEFT_BYTES,
        })
    }

    /// The file, to be read from its start.
    pub(crate) fn into_read(mut self) -> io::Result<File> {
        self.file.rewind()?;
        Ok(self.file)
    }
}

impl Write for CopyFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let free = free_bytes(self.folder)?;
        if free < self.room_left_bytes.saturating_add(bytes.len() as u64) {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!(
                    "the disk has no room for a copy: {} bytes must stay free, and {free} are free",
                    self.room_left_bytes
                ),
            ));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The bytes of a backup.
pub(super) struct Chunks {
    file: tokio::fs::File,
    left: u64,
    _permit: OwnedSemaphorePermit,
}

impl Chunks {
    pub(super) fn of(backup: Backup) -> Self {
        Self {
            file: tokio::fs::File::from_std(backup.file),
            left: backup.bytes,
            _permit: backup.permit,
        }
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        match self.file.read_buf(&mut chunk).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.left = self.left.saturating_sub(read as u64);
                Ok(Some(chunk.freeze()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_copy_leaves_room_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = CopyFile::new(folder.path()).unwrap();
        copy.room_left_bytes = 0;
        copy.write_all(b"row").unwrap();
        copy.room_left_bytes = u64::MAX;
        let error = copy.write_all(b"row").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let mut text = String::new();
        let mut file = copy.into_read().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "row");
    }
}
