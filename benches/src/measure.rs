//! The clock, and statistics of several measurements.

use std::fs;
use std::hint::black_box;
use std::io::{self, BufRead as _, BufReader, Read};
use std::time::Instant;

use crate::inputs::links::Texts;
use crate::rows::{Row, look};

/// Measurements of one quantity. The median counts.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a measurement.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// Whether there are no measurements.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The median. NaN if there are no measurements.
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => self.0[middle],
            _ => f64::midpoint(self.0[middle - 1], self.0[middle]),
        }
    }

    /// The least and the greatest measurement, as text.
    pub fn spread(&self) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(least), Some(most)) if *most < 10.0 => format!("{least:.2} to {most:.2}"),
            (Some(least), Some(most)) => format!("{least:.0} to {most:.0}"),
            _ => String::new(),
        }
    }
}

/// Runs a function. Returns its time in seconds, and its result.
pub fn timed<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let answer = run();
    (start.elapsed().as_secs_f64(), answer)
}

/// The time of a function in seconds.
pub fn seconds(run: impl FnOnce()) -> f64 {
    timed(run).0
}

/// The time of a function in nanoseconds, divided by `count`.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
pub fn nanoseconds_each(count: usize, run: impl FnOnce()) -> f64 {
    seconds(run) * 1e9 / count as f64
}

/// How to ask a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// `resolve`
    OneByOne,
    /// `resolve_batch`
    InBatches,
}

/// The nanoseconds that a row takes per ID, and a sum over its answers. `None` if it has no batches.
pub fn time_resolve(row: &mut dyn Row, ids: &Texts, asking: Asking) -> Option<(f64, u64)> {
    let mut seen = 0_u64;
    let mut answer = |text: &str| seen = seen.wrapping_add(look(text));
    let mut is_done = true;
    let nanoseconds = nanoseconds_each(ids.len(), || match asking {
        Asking::OneByOne => row.resolve(ids, &mut answer),
        Asking::InBatches => is_done = row.resolve_batch(ids, &mut answer),
    });
    is_done.then(|| (nanoseconds, black_box(seen)))
}

/// How many bytes and line feeds a stream has. It holds only a piece of it in memory.
///
/// # Errors
///
/// The stream cannot be read.
pub fn bytes_and_lines(stream: impl Read) -> io::Result<(usize, usize)> {
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    let (mut bytes, mut lines) = (0, 0);
    loop {
        let piece = stream.fill_buf()?;
        if piece.is_empty() {
            return Ok((bytes, lines));
        }
        lines += memchr::memchr_iter(b'\n', piece).count();
        let length = piece.len();
        bytes += length;
        stream.consume(length);
    }
}

/// The resident memory of this process now. `None` if the system does not tell.
pub fn resident_bytes() -> Option<u64> {
    bytes_of_status("VmRSS:")
}

/// The most resident memory that this process has had. `None` if the system does not tell.
pub fn peak_bytes() -> Option<u64> {
    bytes_of_status("VmHWM:")
}

fn bytes_of_status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_counts() {
        let mut samples = Samples::default();
        assert!(samples.median().is_nan() && samples.spread().is_empty());
        for value in [9.0, 1.0, 2.0] {
            samples.push(value);
        }
        assert_eq!(samples.median(), 2.0);
        samples.push(4.0);
        assert_eq!(samples.median(), 3.0);
        assert_eq!(samples.spread(), "1.00 to 9.00");
    }
}
