//! Ctrl-C: what is half written goes away with the program.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use anyhow::Context;
use tempfile::NamedTempFile;

/// Files that are to be deleted where the program is stopped.
static HALF_WRITTEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The exit code of a program that was stopped by Ctrl-C: 128 and the number of the signal.
const INTERRUPTED: i32 = 130;

/// From now on an interrupt deletes what is half written and ends the program.
///
/// Unless the program was started so that it ignores one, as `nohup` does and a shell for what
/// runs in the background. It ignores that one still; what else ends it leaves a temporary file.
pub(crate) fn install() -> anyhow::Result<()> {
    let installed = ctrlc::try_set_handler(|| {
        // Held until the end, so that no file is made or put in its place meanwhile.
        let half_written = lock();
        for path in half_written.iter() {
            // Best effort: there is nobody left to tell.
            let _gone = fs::remove_file(path);
        }
        std::process::exit(INTERRUPTED)
    });
    match installed {
        Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        installed => installed.context("cannot listen for interrupts"),
    }
}

/// A file that an interrupt deletes, until it is put in its place.
#[derive(Debug)]
pub(crate) struct HalfWritten(PathBuf);

impl HalfWritten {
    /// Makes the file, before which or after which an interrupt may come, but not in between.
    pub(crate) fn make(
        make: impl FnOnce() -> io::Result<NamedTempFile>,
    ) -> io::Result<(NamedTempFile, Self)> {
        let mut half_written = lock();
        let file = make()?;
        let path = file.path().to_owned();
        half_written.push(path.clone());
        Ok((file, Self(path)))
    }

    /// Does `put`, before which or after which an interrupt may come, but not in between.
    pub(crate) fn put_in_place<T>(self, put: impl FnOnce() -> T) -> T {
        let mut half_written = lock();
        let done = put();
        half_written.retain(|path| *path != self.0);
        done
    }
}

fn lock() -> MutexGuard<'static, Vec<PathBuf>> {
    // A list of paths is as good after a panic as before.
    HALF_WRITTEN.lock().unwrap_or_else(PoisonError::into_inner)
}
