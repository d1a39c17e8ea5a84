//! The fingerprints of the events so far, in bounded memory.

mod run;

use std::fmt;
use std::io;

use foldhash::HashSet;

use crate::seen::run::Run;

/// How many fingerprints are held in memory before they are written to a temporary file: as many as fit into a
/// table of 18 MB.
const RECENT_MAX: usize = (1 << 20) / 8 * 7;

/// How many files of about one size are merged into one.
const RUNS_OF_A_SIZE_MAX: usize = 8;

/// The fingerprints of the events so far. A fingerprint is a hash, so that its bits are as good as random.
///
/// Most are in sorted temporary files, each with a filter in memory: 1.3 bytes a fingerprint.
///
/// ```
/// let mut seen = idmerge_spill::Seen::with_recent_max(2);
/// for fingerprint in 0..10 {
///     assert!(seen.insert(fingerprint)?);
/// }
/// assert!(!seen.insert(3)?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Seen {
    recent: HashSet<u128>,
    recent_max: usize,
    /// The largest first.
    runs: Vec<Run>,
}

impl Default for Seen {
    fn default() -> Self {
        Self::with_recent_max(RECENT_MAX)
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen")
            .field("recent", &self.recent.len())
            .field("runs", &self.runs)
            .finish_non_exhaustive()
    }
}

impl Seen {
    /// A set that holds at most this many fingerprints, 20 bytes each, before it writes them to a temporary file.
    /// With fewer of them in memory there are more files in which to look.
    pub fn with_recent_max(recent_max: usize) -> Self {
        Self {
            recent: HashSet::default(),
            recent_max,
            runs: Vec::new(),
        }
    }

    /// Adds a fingerprint. `false` if it is there already.
    ///
    /// # Errors
    ///
    /// A temporary file cannot be written or read.
    pub fn insert(&mut self, fingerprint: u128) -> io::Result<bool> {
        // One lookup is enough for most, which are new. The table is too large for caches.
        if !self.recent.insert(fingerprint) {
            return Ok(false);
        }
        for run in &mut self.runs {
            if run.contains(fingerprint)? {
                self.recent.remove(&fingerprint);
                return Ok(false);
            }
        }
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
        let low = (high ^ high >> 32).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        u128::from(high) << 64 | u128::from(low)
    }

    #[test]
    fn a_7_every_repeated_fingerprint_is_found_wherever_it_is_stored() {
        let mut seen = Seen::with_recent_max(64);
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

    #[test]
    fn a_7_a_fingerprint_takes_less_than_two_bytes_of_memory() {
        let peak_bytes = |fingerprints: u64| {
            let insert_all = || {
                let mut seen = Seen::with_recent_max(7 << 10);
                for number in 0..fingerprints {
                    assert!(seen.insert(scattered(number)).unwrap());
                }
            };
            allocation_counter::measure(insert_all).bytes_max
        };
        let (few, many) = (peak_bytes(100_000), peak_bytes(400_000));
        assert!(few < 1_000_000, "{few}");
        let more = many - few;
        assert!(more < 2 * 300_000, "{more} bytes for 300,000 more");
    }
}
