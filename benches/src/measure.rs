//! The clock, and what is made of several readings of it.

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use crate::inputs::links::Texts;
use crate::rows::{Row, look};

/// Readings of one thing, of which the middle counts.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a reading.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The middle one. Not a number where there are none.
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => self.0[middle],
            _ => f64::midpoint(self.0[middle - 1], self.0[middle]),
        }
    }

    /// From the least to the greatest.
    pub fn spread(&self) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(least), Some(most)) if *most < 10.0 => format!("{least:.2} to {most:.2}"),
            (Some(least), Some(most)) => format!("{least:.0} to {most:.0}"),
            _ => String::new(),
        }
    }
}

/// How many seconds something takes, and what it answers.
pub fn timed<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let answer = run();
    (start.elapsed().as_secs_f64(), answer)
}

/// How many seconds something takes.
pub fn seconds(run: impl FnOnce()) -> f64 {
    timed(run).0
}

/// How many nanoseconds each of `count` takes.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
pub fn nanoseconds_each(count: usize, run: impl FnOnce()) -> f64 {
    seconds(run) * 1e9 / count as f64
}

/// How a row is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// `resolve`
    OneByOne,
    /// `resolve_batch`
    InBatches,
}

/// How long a row takes for each of these ids, and what was seen of the answers. `None`: it has no
/// batches.
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

/// How much memory of this process is in use now, as the system sees it. `None`: it does not say.
pub fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_counts() {
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
