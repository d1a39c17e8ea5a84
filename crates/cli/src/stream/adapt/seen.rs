//! The fingerprints of the events so far, in bounded memory.

mod run;

use std::io;

use anyhow::Context;
use foldhash::HashSet;

use crate::stream::adapt::seen::run::Run;

/// How many fingerprints are held in memory before they are written to a temporary file.
const RECENT_MAX: usize = 1 << 20;

/// How many files of about one size are merged into one.
const RUNS_OF_A_SIZE_MAX: usize = 8;

/// The fingerprints of the events so far. Most are in sorted temporary files, each with a filter of
/// 1.25 bytes a fingerprint in memory.
pub(crate) struct Seen {
    recent: HashSet<u128>,
    recent_max: usize,
    /// The largest first.
    runs: Vec<Run>,
}

impl Default for Seen {
    fn default() -> Self {
        Self::with_recent(RECENT_MAX)
    }
}

impl Seen {
    fn with_recent(recent_max: usize) -> Self {
        Self {
            recent: HashSet::default(),
            recent_max,
            runs: Vec::new(),
        }
    }

    /// Adds a fingerprint. `false` if it is there already.
    pub(crate) fn insert(&mut self, fingerprint: u128) -> anyhow::Result<bool> {
        self.try_insert(fingerprint)
            .context("cannot use a temporary file (TMPDIR sets another folder)")
    }

    fn try_insert(&mut self, fingerprint: u128) -> io::Result<bool> {
        if self.recent.contains(&fingerprint) {
            return Ok(false);
        }
        for run in &mut self.runs {
            if run.contains(fingerprint)? {
                return Ok(false);
            }
        }
        self.recent.insert(fingerprint);
        if self.recent.len() >= self.recent_max {
            self.spill()?;
        }
        Ok(true)
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut sorted: Vec<_> = self.recent.drain().collect();
        sorted.sort_unstable();
        let count = sorted.len() as u64;
        self.runs
            .push(Run::write(count, sorted.into_iter().map(Ok))?);
        while let Some(first) = self.first_to_merge() {
            let merged = Run::merge(self.runs.split_off(first))?;
            self.runs.push(merged);
        }
        Ok(())
    }

    /// The first of the last runs, if they are about one size and too many.
    fn first_to_merge(&self) -> Option<usize> {
        let first = self.runs.len().checked_sub(RUNS_OF_A_SIZE_MAX)?;
        let is_one_size = self.runs[first].count() < 2 * self.runs.last()?.count();
        is_one_size.then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, each different.
    fn scattered(number: u64) -> u128 {
        let high = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        u128::from(high) << 64 | u128::from(number)
    }

    #[test]
    fn a_7_every_repeated_fingerprint_is_found_wherever_it_is_stored() {
        let mut seen = Seen::with_recent(64);
        for number in 0..10_000 {
            assert!(seen.insert(scattered(number)).unwrap(), "{number}");
            let earlier = number * 7 % (number + 1);
            assert!(!seen.insert(scattered(earlier)).unwrap(), "{earlier}");
            assert!(seen.recent.len() < 64);
        }
        // 156 runs of 64: they are merged by size.
        let sizes: Vec<_> = seen.runs.iter().map(Run::count).collect();
        assert!(sizes.len() < 16, "{sizes:?}");
        assert_eq!(sizes.iter().sum::<u64>() + seen.recent.len() as u64, 10_000);
    }
}
