//! A socket in the folder of each project, through which `idmerge store backup` gets a backup while the
//! server has the store open.
//!
//! Whoever can open the socket can read the folder, and so all data: it needs no secret. A connection is
//! one backup: a line of JSON with its length or with the error, and the bytes after it. A client that closes its
//! connection ends the backup.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use idmerge_project::{Project, ProjectError};
use idmerge_store::BACKUP_SOCKET;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::copy::{Backup, BackupError, Backups, Chunks};
use crate::read::gone::Cancellation;

/// What the socket of a project gives.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) project: Arc<Project>,
    pub(crate) backups: Backups,
    /// A client that does not read a chunk within this time gets no more.
    pub(crate) write_timeout: Duration,
    pub(crate) cancellation: Cancellation,
}

/// The socket of a project. It is removed when this is dropped.
pub(crate) struct BackupSocket {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl BackupSocket {
    /// Listens in the folder of a project, which no other server has open. A socket that a crash left is
    /// replaced. The server also works without it, so an error is only logged.
    pub(crate) fn open(served: Served) -> Option<Self> {
        let path = served.backups.folder().join(BACKUP_SOCKET);
        match listen(&path) {
            Ok(listener) => Some(Self {
                path,
                task: tokio::spawn(serve(listener, served)),
            }),
            Err(error) => {
                tracing::warn!(
                    path = %path.display(),
                    %error,
                    "cannot listen for `idmerge store backup`; GET /v1/backup gives the same"
                );
                None
            }
        }
    }
}

impl Drop for BackupSocket {
    fn drop(&mut self) {
        self.task.abort();
        // If it cannot be removed, the next start replaces it.
        drop(fs::remove_file(&self.path));
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn serve(listener: UnixListener, served: Served) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let served = served.clone();
                tokio::spawn(async move {
                    // The client may be gone; it sees a broken backup by its length.
                    drop(answer(stream, served).await);
                });
            }
            // Too many open files: some are closed soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(mut stream: UnixStream, served: Served) -> io::Result<()> {
    let write_timeout = served.write_timeout;
    let Some(made) = make(&mut stream, served).await? else {
        return Ok(());
    };
    let (line, chunks) = match made {
        Ok(backup) => (
            json!({ "bytes": backup.bytes, "entries": backup.entries }),
            Some(Chunks::of(backup)),
        ),
        Err(error) => (json!({ "error": error.to_string() }), None),
    };
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    let Some(mut chunks) = chunks else {
        return Ok(());
    };
    while let Some(chunk) = chunks.next().await? {
        // A client that does not read would keep others from a backup, and the copy on the disk.
        tokio::time::timeout(write_timeout, stream.write_all(&chunk)).await??;
    }
    stream.shutdown().await
}

/// Makes a backup. `None` if the client leaves before it is made.
async fn make(
    stream: &mut UnixStream,
    served: Served,
) -> io::Result<Option<Result<Backup, BackupError>>> {
    let gone = served.cancellation.of_query();
    // Dropped when this returns: the copy then ends soon.
    let _client = gone.client();
    let making = tokio::task::spawn_blocking(move || {
        let made = served.backups.make(&served.project, gone.may_go_on());
        if matches!(made, Err(BackupError::Project(ProjectError::Cancelled))) {
            served.cancellation.counter().inc();
        }
        made
    });
    tokio::select! {
        made = making => Ok(Some(made?)),
        () = leaves(stream) => Ok(None),
    }
}

/// Waits until the client has closed its connection. It has nothing to send.
async fn leaves(stream: &mut UnixStream) {
    let mut ignored = [0; 64];
    while stream.read(&mut ignored).await.is_ok_and(|bytes| bytes > 0) {}
}
