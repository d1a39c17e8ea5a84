//! Ctrl-C: what is half written goes away with the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;

/// Files that are to be deleted where the program is stopped.
static HALF_WRITTEN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The exit code of a program that was stopped by Ctrl-C: 128 and the number of the signal.
const INTERRUPTED: i32 = 130;

/// From now on an interrupt deletes what is half written and ends the program.
pub(crate) fn install() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        // Held until the end, so that no file is put in its place meanwhile.
        let half_written = lock();
        for path in half_written.iter() {
            // Best effort: there is nobody left to tell.
            let _gone = fs::remove_file(path);
        }
        std::process::exit(INTERRUPTED)
    })
    .context("cannot listen for interrupts")
}

/// A file that an interrupt deletes, until it is put in its place.
#[derive(Debug)]
pub(crate) struct HalfWritten(PathBuf);

impl HalfWritten {
    pub(crate) fn new(path: &Path) -> Self {
        lock().push(path.to_owned());
        Self(path.to_owned())
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
