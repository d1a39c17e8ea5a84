//! [`Dedup`]: detects events that were stored before.
//!
//! The index has a 128-bit fingerprint of each event that can be repeated, in sorted runs: one half
//! is the key and the other half the value. Searching all runs for each new event would read a page
//! per run. So each run has a filter in memory, with the range of times of its events. A new event
//! is looked up only in filters whose range includes its time, and in the runs only if such a
//! filter says that it may be there.

use foldhash::HashSet;
use idmerge_disk::{OpenRuns, Runs, row};
use idmerge_store::redb::{ReadTransaction, TableDefinition, TableError, WriteTransaction};

use crate::error::ProjectError;

/// Fingerprints in sorted runs.
pub(crate) const FINGERPRINT_INDEX: Runs = Runs::new("seen_runs", "seen_pages");
/// Fingerprints that are not in a run yet, one row per commit.
const RECENT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("seen_recent");
/// One filter for each run as it was first written. Merging runs keeps their filters.
const FILTERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("seen_filters");

const FINGERPRINT_BYTES: usize = 16;
const TIME_RANGE_BYTES: usize = 16;

/// The part of a filter that one fingerprint uses: a cache line.
type Line = [u64; 8];
/// Chosen so that a filter fits its pages of the database.
const FILTER_LINES: usize = (256 << 10) / 64 - 4;
/// How many bits of its line a fingerprint sets.
const FINGERPRINT_BITS: usize = 6;

/// The range of the times of some events. Empty if the minimum is above the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TimeRange {
    min_ms: i64,
    max_ms: i64,
}

impl TimeRange {
    const EMPTY: Self = Self {
        min_ms: i64::MAX,
        max_ms: i64::MIN,
    };

    fn of(time_ms: i64) -> Self {
        Self {
            min_ms: time_ms,
            max_ms: time_ms,
        }
    }

    fn add(&mut self, other: Self) {
        self.min_ms = self.min_ms.min(other.min_ms);
        self.max_ms = self.max_ms.max(other.max_ms);
    }

    fn contains(self, time_ms: i64) -> bool {
        self.min_ms <= time_ms && time_ms <= self.max_ms
    }

    fn write(self, row: &mut Vec<u8>) {
        row.extend(self.min_ms.to_le_bytes());
        row.extend(self.max_ms.to_le_bytes());
    }

    /// Reads a range from the start of a row, and returns the rest of the row.
    fn read(row: &[u8]) -> Option<(Self, &[u8])> {
        let (range, rest) = row.split_first_chunk::<TIME_RANGE_BYTES>()?;
        let (words, _) = range.as_chunks::<8>();
        let range = Self {
            min_ms: i64::from_le_bytes(words[0]),
            max_ms: i64::from_le_bytes(words[1]),
        };
        Some((range, rest))
    }
}

/// A blocked Bloom filter: says that a fingerprint is not in a run, or that it may be.
struct Filter {
    times: TimeRange,
    lines: Vec<Line>,
}

impl Filter {
    fn new(fingerprints: &HashSet<u128>, times: TimeRange) -> Self {
        let mut lines = vec![Line::default(); FILTER_LINES];
        for &fingerprint in fingerprints {
            let line = &mut lines[line_of(fingerprint)];
            for (word, bit) in bits_of(fingerprint) {
                line[word] |= bit;
            }
        }
        Self { times, lines }
    }

    fn may_contain(&self, fingerprint: u128) -> bool {
        let line = &self.lines[line_of(fingerprint)];
        bits_of(fingerprint).all(|(word, bit)| line[word] & bit != 0)
    }

    fn row(&self, key: u64) -> Vec<u8> {
        let mut row = row::start();
        self.times.write(&mut row);
        row.extend(
            self.lines
                .as_flattened()
                .iter()
                .flat_map(|word| word.to_le_bytes()),
        );
        row::seal(key, row)
    }

    fn read(key: u64, row: &[u8]) -> Option<Self> {
        let (times, words) = TimeRange::read(row::open(key, row)?)?;
        let words: Vec<u64> = words
            .as_chunks()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        let lines = words.as_chunks().0.to_vec();
        (lines.len() == FILTER_LINES).then_some(Self { times, lines })
    }
}

/// The higher half of a fingerprint selects the line, the lower half the bits in it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the result is below the number of lines"
)]
fn line_of(fingerprint: u128) -> usize {
    let high = u128::from((fingerprint >> 64) as u64);
    ((high * FILTER_LINES as u128) >> 64) as usize
}

fn bits_of(fingerprint: u128) -> impl Iterator<Item = (usize, u64)> {
    (0..FINGERPRINT_BITS).map(move |index| {
        let bit = (fingerprint >> (9 * index)) as usize % 512;
        (bit / 64, 1 << (bit % 64))
    })
}

/// The key and the value of a fingerprint in a run.
#[expect(clippy::cast_possible_truncation, reason = "these are the two halves")]
fn halves(fingerprint: u128) -> (u64, u64) {
    ((fingerprint >> 64) as u64, fingerprint as u64)
}

/// The fingerprints of all stored events that can be repeated.
pub(crate) struct Dedup {
    /// Those that are in no run, committed or not.
    recent: HashSet<u128>,
    recent_times: TimeRange,
    /// Those that are not committed.
    new: Vec<u128>,
    new_times: TimeRange,
    filters: Vec<Filter>,
}

impl Dedup {
    /// Reads the filters and the recent fingerprints into memory.
    pub(crate) fn open(read: &ReadTransaction) -> Result<Self, ProjectError> {
        let damaged =
            |key| ProjectError::damaged(key, "the index of repeated events cannot be read");
        let mut dedup = Self {
            recent: HashSet::default(),
            recent_times: TimeRange::EMPTY,
            new: Vec::new(),
            new_times: TimeRange::EMPTY,
            filters: Vec::new(),
        };
        match read.open_table(FILTERS) {
            Err(TableError::TableDoesNotExist(_)) => {}
            table => {
                for row in table?.range(0..)? {
                    let (key, row) = row?;
                    let key = key.value();
                    let filter = Filter::read(key, row.value());
                    dedup.filters.push(filter.ok_or_else(|| damaged(key))?);
                }
            }
        }
        match read.open_table(RECENT) {
            Err(TableError::TableDoesNotExist(_)) => {}
            table => {
                for row in table?.range(0..)? {
                    let (key, row) = row?;
                    let key = key.value();
                    let rest = row::open(key, row.value()).and_then(TimeRange::read);
                    let (times, fingerprints) = rest.ok_or_else(|| damaged(key))?;
                    let (fingerprints, _) = fingerprints.as_chunks::<FINGERPRINT_BYTES>();
                    dedup
                        .recent
                        .extend(fingerprints.iter().map(|bytes| u128::from_le_bytes(*bytes)));
                    dedup.recent_times.add(times);
                }
            }
        }
        Ok(dedup)
    }

    /// Whether the event was stored before. If not, it is added.
    pub(crate) fn is_repeated(
        &mut self,
        fingerprint: u128,
        time_ms: i64,
        runs: &mut LazyRuns<'_>,
    ) -> Result<bool, ProjectError> {
        if self.recent.contains(&fingerprint) {
            return Ok(true);
        }
        let mut filters = self
            .filters
            .iter()
            .filter(|filter| filter.times.contains(time_ms));
        if filters.any(|filter| filter.may_contain(fingerprint)) {
            let (key, value) = halves(fingerprint);
            let mut is_stored = false;
            runs.find(key, &mut |found| is_stored |= found == value)?;
            if is_stored {
                return Ok(true);
            }
        }
        self.recent.insert(fingerprint);
        self.recent_times.add(TimeRange::of(time_ms));
        self.new.push(fingerprint);
        self.new_times.add(TimeRange::of(time_ms));
        Ok(false)
    }

    /// Writes the new fingerprints. `last` is the number of the last event of the commit.
    pub(crate) fn write(
        &mut self,
        write: &WriteTransaction,
        last: u64,
    ) -> Result<(), ProjectError> {
        if self.new.is_empty() {
            return Ok(());
        }
        let mut row = row::start();
        self.new_times.write(&mut row);
        row.extend(
            self.new
                .iter()
                .flat_map(|fingerprint| fingerprint.to_le_bytes()),
        );
        write
            .open_table(RECENT)?
            .insert(last, &*row::seal(last, row))?;
        self.new.clear();
        self.new_times = TimeRange::EMPTY;
        Ok(())
    }

    /// Writes the fingerprints that are in no run as a new run with its filter.
    pub(crate) fn write_run(
        &mut self,
        write: &WriteTransaction,
        last: u64,
    ) -> Result<(), ProjectError> {
        self.new.clear();
        self.new_times = TimeRange::EMPTY;
        write.delete_table(RECENT)?;
        if self.recent.is_empty() {
            return Ok(());
        }
        let filter = Filter::new(&self.recent, self.recent_times);
        write
            .open_table(FILTERS)?
            .insert(last, &*filter.row(last))?;
        self.filters.push(filter);
        let pairs = self.recent.drain().map(halves).collect();
        self.recent_times = TimeRange::EMPTY;
        Ok(FINGERPRINT_INDEX.add(write, pairs, last)?)
    }
}

/// The runs, opened when they are first searched.
pub(crate) struct LazyRuns<'r> {
    read: &'r ReadTransaction,
    runs: Option<OpenRuns>,
}

impl<'r> LazyRuns<'r> {
    pub(crate) fn new(read: &'r ReadTransaction) -> Self {
        Self { read, runs: None }
    }

    fn find(&mut self, key: u64, visit: &mut dyn FnMut(u64)) -> Result<(), ProjectError> {
        let runs = match &self.runs {
            Some(runs) => runs,
            None => self.runs.insert(FINGERPRINT_INDEX.open(self.read)?),
        };
        Ok(runs.find(key, visit)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprints(from: u128, count: u128) -> HashSet<u128> {
        let fingerprint = |number: u128| twox_hash::XxHash3_128::oneshot(&number.to_le_bytes());
        (from..from + count).map(fingerprint).collect()
    }

    #[test]
    fn a_filter_contains_what_was_added_and_little_else() {
        let added = fingerprints(0, 1 << 17);
        let times = TimeRange {
            min_ms: -5,
            max_ms: 5,
        };
        let filter = Filter::new(&added, times);
        let row = filter.row(9);
        assert!(row.len() <= (256 << 10) - 128);
        let filter = Filter::read(9, &row).unwrap();
        assert_eq!(filter.times, times);
        assert!(
            added
                .iter()
                .all(|&fingerprint| filter.may_contain(fingerprint))
        );
        let others = fingerprints(1 << 20, 100_000);
        let wrong = others
            .iter()
            .filter(|&&fingerprint| filter.may_contain(fingerprint))
            .count();
        assert!(wrong < 500, "{wrong} of 100,000");
        assert!(Filter::read(8, &row).is_none());
        assert!(Filter::read(9, &row[..row.len() - 1]).is_none());
    }
}
