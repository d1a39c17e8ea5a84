//! The progress bar on stderr, drawn only if stderr is a terminal.

#[cfg(feature = "tables")]
use std::fs::File;
use std::io::Read;
#[cfg(feature = "tables")]
use std::io::{self, Seek, SeekFrom};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

#[cfg(feature = "tables")]
struct Watched {
    file: File,
    bar: ProgressBar,
}

#[cfg(feature = "tables")]
impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.bar.inc(bytes as u64);
        Ok(bytes)
    }
}

#[cfg(feature = "tables")]
impl Seek for Watched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// A bar that counts bytes of input as they are read, or events as they are made.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar for reading this many bytes. `None` if the number is not known, as with a pipe.
    pub(crate) fn of_bytes(bytes: Option<u64>, quiet: bool) -> Self {
        if quiet {
            return Self(ProgressBar::hidden());
        }
        let (bar, template) = match bytes {
            Some(bytes) => (
                ProgressBar::new(bytes),
                "{msg:8} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{msg:8} {spinner} {bytes} {bytes_per_sec}",
            ),
        };
        Self::styled(bar, template)
    }

    /// A bar for making this many events.
    pub(crate) fn of_events(events: u64, quiet: bool) -> Self {
        let template = "{msg:8} {wide_bar} {human_pos}/{human_len} events {eta} left";
        Self::of(events, template, quiet)
    }

    /// A bar for replaying this many claims.
    pub(crate) fn of_claims(claims: u64, quiet: bool) -> Self {
        let template = "{msg:8} {wide_bar} {human_pos}/{human_len} claims {eta} left";
        Self::of(claims, template, quiet)
    }

    fn of(steps: u64, template: &str, quiet: bool) -> Self {
        match quiet {
            true => Self(ProgressBar::hidden()),
            false => Self::styled(ProgressBar::new(steps), template),
        }
    }

    /// A bar that is not drawn needs no thread to redraw it.
    fn styled(bar: ProgressBar, template: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self(bar)
    }

    /// Names what is being done now.
    pub(crate) fn stage(&self, stage: &'static str) {
        self.0.set_message(stage);
    }

    pub(crate) fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }

    /// Counts the bytes that are read from `reader`.
    pub(crate) fn watch<'r>(&self, reader: impl Read + Send + 'r) -> impl Read + Send + 'r {
        self.0.wrap_read(reader)
    }

    /// Counts the bytes that are read from a file, wherever they are in it.
    #[cfg(feature = "tables")]
    pub(crate) fn watch_file(&self, file: File) -> impl Read + Seek + Send + 'static {
        let bar = self.0.clone();
        Watched { file, bar }
    }

    /// Hides the bar while `write` writes to stderr.
    pub(crate) fn suspended<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// Removes the bar for good, so that other text can follow.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
        self.0.set_draw_target(ProgressDrawTarget::hidden());
    }
}
