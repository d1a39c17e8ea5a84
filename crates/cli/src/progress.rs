//! How far it is, on stderr where that is a terminal.

use std::io::Read;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::input::Input;

/// A bar that counts bytes of input as they are read.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar for reading these inputs so many times.
    pub(crate) fn new(inputs: &[Input], times: u64, quiet: bool) -> Self {
        if quiet {
            return Self(ProgressBar::hidden());
        }
        let bytes: Option<u64> = inputs.iter().map(Input::bytes).sum();
        let (bar, template) = match bytes {
            Some(bytes) => (
                ProgressBar::new(bytes * times),
                "{msg:8} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
            ),
            // Of a pipe nobody knows how long it is.
            None => (
                ProgressBar::new_spinner(),
                "{msg:8} {spinner} {bytes} {bytes_per_sec}",
            ),
        };
        Self::styled(bar, template)
    }

    /// A bar for making so many events.
    pub(crate) fn of_events(events: u64, quiet: bool) -> Self {
        if quiet {
            return Self(ProgressBar::hidden());
        }
        Self::styled(
            ProgressBar::new(events),
            "{msg:8} {wide_bar} {human_pos}/{human_len} events {eta} left",
        )
    }

    /// On stderr. Where that is no terminal nothing is drawn, and no thread is needed to do it.
    fn styled(bar: ProgressBar, template: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self(bar)
    }

    /// What is being done now.
    pub(crate) fn stage(&self, stage: &'static str) {
        self.0.set_message(stage);
    }

    pub(crate) fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }

    /// Counts what is read.
    pub(crate) fn watch<'r>(&self, reader: impl Read + Send + 'r) -> impl Read + Send + 'r {
        self.0.wrap_read(reader)
    }

    /// Takes the bar away for as long as `other` writes text.
    pub(crate) fn aside<T>(&self, other: impl FnOnce() -> T) -> T {
        self.0.suspend(other)
    }

    /// Takes the bar away for good, so that other text can follow.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
        self.0.set_draw_target(ProgressDrawTarget::hidden());
    }
}
