//! A socket in the folder of each project, through which `idmerge store backup` gets a backup while the
//! server has the store open.
//!
//! Whoever can open the socket can read the folder, and so all data: it needs no secret. A connection is
//! one backup: a line of JSON with its length or with the error, and the bytes after it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use idmerge_project::Project;
use idmerge_store::BACKUP_SOCKET;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

use super::copy::{Backups, Chunks};

/// The socket of a project. It is removed when this is dropped.
pub(crate) struct BackupSocket {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl BackupSocket {
    /// Listens in the folder of a project, which no other server has open. A socket that a crash left is
    /// replaced. The server also works without it, so an error is only logged. A client that does not read
    /// a chunk within `write_timeout` gets no more.
    pub(crate) fn open(
        project: Arc<Project>,
        backups: Backups,
        write_timeout: Duration,
    ) -> Option<Self> {
        let path = backups.folder().join(BACKUP_SOCKET);
        match listen(&path) {
            Ok(listener) => Some(Self {
                path,
                task: tokio::spawn(serve(listener, project, backups, write_timeout)),
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

async fn serve(
    listener: UnixListener,
    project: Arc<Project>,
    backups: Backups,
    write_timeout: Duration,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (project, backups) = (Arc::clone(&project), backups.clone());
                tokio::spawn(async move {
                    // The client may be gone; it sees a broken backup by its length.
                    drop(answer(stream, project, backups, write_timeout).await);
                });
            }
            // Too many open files: some are closed soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(
    mut stream: UnixStream,
    project: Arc<Project>,
    backups: Backups,
    write_timeout: Duration,
) -> io::Result<()> {
    let made = tokio::task::spawn_blocking(move || backups.make(&project)).await?;
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
