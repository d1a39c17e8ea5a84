//! Ctrl-C and similar signals: files that are not finished are deleted.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
#[cfg(unix)]
use std::thread;
use std::{fs, io};

use anyhow::Context;
use tempfile::NamedTempFile;

#[cfg(unix)]
use crate::startup;

/// The files to delete on an interrupt.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Installs the handler that deletes unfinished files on SIGINT, SIGTERM and SIGHUP, and ends the program
/// with 128 plus the number of the signal as exit code.
///
/// A signal that the program was started to ignore, as by `nohup` or by a shell in the background,
/// is still ignored. A program that is killed leaves its temporary files behind.
///
/// # Errors
///
/// The operating system refuses the handler.
#[cfg(unix)]
pub(crate) fn install() -> anyhow::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let signals = [SIGINT, SIGTERM, SIGHUP];
    let heard = signals
        .into_iter()
        .filter(|signal| !startup::is_ignored(*signal));
    let mut signals = Signals::new(heard).context("cannot listen for signals")?;
    let listen = move || {
        if let Some(signal) = signals.forever().next() {
            end(128 + signal);
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listen)
        .context("cannot start a thread")?;
    Ok(())
}

/// Installs the handler that deletes unfinished files on Ctrl-C and ends the program.
///
/// # Errors
///
/// The operating system refuses the handler.
#[cfg(not(unix))]
pub(crate) fn install() -> anyhow::Result<()> {
    ctrlc::set_handler(|| end(130)).context("cannot listen for Ctrl-C")
}

fn end(exit_code: i32) {
    // Keep the lock to the end, so that no file is created or renamed meanwhile.
    let unfinished = lock();
    for path in unfinished.iter() {
        // Best effort: the program ends here.
        let _gone = fs::remove_file(path);
    }
    std::process::exit(exit_code)
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
