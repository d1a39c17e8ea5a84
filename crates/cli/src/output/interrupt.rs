//! Ctrl-C: files that are not finished are deleted.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use anyhow::Context;
use tempfile::NamedTempFile;

/// The files to delete on an interrupt.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The exit code after Ctrl-C: 128 plus the number of the signal.
const INTERRUPTED: i32 = 130;

/// Installs the handler that deletes unfinished files on an interrupt and ends the program.
///
/// A signal that the program was started to ignore, as by `nohup` or by a shell in the background,
/// is still ignored. A program that is killed leaves its temporary files behind.
///
/// # Errors
///
/// The operating system refuses the handler.
pub(crate) fn install() -> anyhow::Result<()> {
    let installed = ctrlc::try_set_handler(|| {
        // Keep the lock to the end, so that no file is created or renamed meanwhile.
        let unfinished = lock();
        for path in unfinished.iter() {
            // Best effort: the program ends here.
            let _gone = fs::remove_file(path);
        }
        std::process::exit(INTERRUPTED)
    });
    match installed {
        Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        installed => installed.context("cannot listen for interrupts"),
    }
}

/// A file that an interrupt deletes until it is finished.
#[derive(Debug)]
pub(crate) struct UnfinishedFile(PathBuf);

impl UnfinishedFile {
    /// Creates and registers a file. An interrupt comes before both or after both.
    pub(crate) fn create(
        create: impl FnOnce() -> io::Result<NamedTempFile>,
    ) -> io::Result<(NamedTempFile, Self)> {
        let mut unfinished = lock();
        let file = create()?;
        let path = file.path().to_owned();
        unfinished.push(path.clone());
        Ok((file, Self(path)))
    }

    /// Renames the file with `rename` and unregisters it. An interrupt comes before both or after
    /// both.
    pub(crate) fn finish<T>(self, rename: impl FnOnce() -> T) -> T {
        let mut unfinished = lock();
        let result = rename();
        unfinished.retain(|path| *path != self.0);
        result
    }
}

fn lock() -> MutexGuard<'static, Vec<PathBuf>> {
    // A panic cannot leave a list of paths half changed.
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}
