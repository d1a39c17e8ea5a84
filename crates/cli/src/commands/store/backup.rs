//! `idmerge store backup` and `restore`.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use idmerge_store::{StoreError, sync_names};
use serde::Deserialize;
use serde_json::json;

use crate::args::store::{BackupArgs, RestoreArgs};
use crate::commands::store::open::open_for_reading;
use crate::output::destination::{Output, folder_of};
use crate::output::interrupt::UnfinishedFile;
use crate::output::json::write_line;

/// The most bytes of the line with which a server answers.
const LINE_BYTES_MAX: u64 = 4096;

/// Writes a backup to a new file. If a server has the store open, the server makes the backup.
pub(super) fn backup(args: &BackupArgs, output: &mut Output) -> anyhow::Result<()> {
    let folder = &args.store.folder;
    if fs::exists(&args.file)? {
        let path = args.file.clone();
        return Err(StoreError::Exists { path }.into());
    }
    let entries = match open_for_reading(folder) {
        Ok(store) => write_new(&args.file, |file| {
            Ok(store.history.backup_into(file.try_clone()?)?)
        })?,
        Err(error) if is_in_use(&error) => {
            let mut answer = ask(folder)?;
            write_new(&args.file, |file| answer.copy_to(file))?
        }
        Err(error) => return Err(error),
    };
    write_line(&json!({ "entries": entries }), output)
}

fn is_in_use(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<StoreError>())
        .any(|error| matches!(error, StoreError::InUse))
}

/// Writes a file that appears whole or not at all, and that replaces nothing. Only its owner can read it.
fn write_new<T>(path: &Path, write: impl FnOnce(&File) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let folder = folder_of(path);
    let create = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".idmerge-").tempfile_in(folder)
    };
    let cannot = || format!("cannot write {}", path.display());
    let (file, unfinished) = UnfinishedFile::create(create).with_context(cannot)?;
    let written = write(file.as_file()).with_context(cannot)?;
    // After a crash the name must not belong to a file that is not there.
    file.as_file().sync_all().with_context(cannot)?;
    match unfinished.finish(|| file.persist_noclobber(path)) {
        Ok(_file) => {
            sync_names(folder).with_context(cannot)?;
            Ok(written)
        }
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            let path = path.to_owned();
            Err(StoreError::Exists { path }.into())
        }
        Err(error) => Err(error.error).with_context(cannot),
    }
}

/// The line with which a server answers.
#[derive(Deserialize)]
struct Head {
    bytes: Option<u64>,
    entries: Option<u64>,
    error: Option<String>,
}

/// A backup that a server sends.
struct Answer<S> {
    bytes: u64,
    entries: u64,
    stream: BufReader<S>,
}

impl<S: Read> Answer<S> {
    fn read(stream: S) -> anyhow::Result<Self> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        (&mut stream).take(LINE_BYTES_MAX).read_line(&mut line)?;
        let head: Head = serde_json::from_str(&line)
            .context("the server ended before it answered; its log has the reason")?;
        match head {
            Head {
                bytes: Some(bytes),
                entries: Some(entries),
                ..
            } => Ok(Self {
                bytes,
                entries,
                stream,
            }),
            head => bail!("{}", head.error.unwrap_or(line)),
        }
    }

    /// Copies the backup to a file, and returns the number of the last entry in it.
    fn copy_to(&mut self, mut file: &File) -> anyhow::Result<u64> {
        let copied = io::copy(&mut self.stream, &mut file)?;
        if copied != self.bytes {
            bail!(
                "the server broke the backup off after {copied} of {} bytes; its log has the reason",
                self.bytes
            );
        }
        Ok(self.entries)
    }
}

/// Asks the server that has the store open, through the socket in the folder.
#[cfg(unix)]
fn ask(folder: &Path) -> anyhow::Result<Answer<std::os::unix::net::UnixStream>> {
    use std::os::unix::net::UnixStream;

    let socket = folder.join(idmerge_store::BACKUP_SOCKET);
    let stream = UnixStream::connect(socket).with_context(|| no_server(folder))?;
    Answer::read(stream)
        .with_context(|| format!("the server cannot back up the store {}", folder.display()))
}

#[cfg(not(unix))]
fn ask(folder: &Path) -> anyhow::Result<Answer<File>> {
    bail!("{}", no_server(folder))
}

fn no_server(folder: &Path) -> String {
    format!(
        "the store {} is in use by another process, which gives no backup through the folder; if it is a \
         server, ask it with `curl -f -u SECRET: http://HOST:8080/v1/backup -o FILE`, or else wait until \
         it ends",
        folder.display()
    )
}

pub(super) fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    File::open(&args.file).with_context(|| format!("cannot open {}", args.file.display()))?;
    idmerge_store::restore(&args.file, &args.store.folder)
        .with_context(|| format!("cannot restore {}", args.file.display()))
}
