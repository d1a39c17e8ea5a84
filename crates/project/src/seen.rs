//! Which events are there already.
//!
//! A print of 128 bits of every event that can come again is in sorted runs, half of it as the key
//! and half as the value. To look each new event up in all runs would read pages for every one, so
//! before the runs stand filters in memory: one for each part of the events, with the times that
//! its events are of. An event of today is looked for in the filters that have events of its time,
//! and in the runs only where one of them says that it may be there.

use foldhash::HashSet;
use idmerge_store::redb::WriteTransaction;
use idmerge_store::redb::{ReadTransaction, TableDefinition, TableError};
use idmerge_store::{OpenRuns, Runs};

use crate::ProjectError;
use crate::keys::checksum;

/// The prints, once there are enough for a run.
pub(crate) const SEEN: Runs = Runs::new("seen_runs", "seen_pages");
/// The prints that no run has, a row for each commit.
const RECENT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("seen_recent");
/// A filter for each run as it was written.
const FILTERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("seen_filters");

const PRINT_BYTES: usize = 16;
const TIMES_BYTES: usize = 16;
const SUM_BYTES: usize = 8;

/// A part of a filter that one print looks at: as long as what a processor reads at once.
type Line = [u64; 8];
/// So that a filter fits its pages of the database.
const FILTER_LINES: usize = (256 << 10) / 64 - 4;
/// So many bits of a line are of one print.
const BITS_OF_PRINT: usize = 6;

/// The events of some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    min_ms: i64,
    max_ms: i64,
}

impl Times {
    const NONE: Self = Self {
        min_ms: i64::MAX,
        max_ms: i64::MIN,
    };

    fn add(&mut self, other: Self) {
        self.min_ms = self.min_ms.min(other.min_ms);
        self.max_ms = self.max_ms.max(other.max_ms);
    }

    fn of(time_ms: i64) -> Self {
        Self {
            min_ms: time_ms,
            max_ms: time_ms,
        }
    }

    fn has(self, time_ms: i64) -> bool {
        self.min_ms <= time_ms && time_ms <= self.max_ms
    }

    fn put(self, row: &mut Vec<u8>) {
        row.extend(self.min_ms.to_le_bytes());
        row.extend(self.max_ms.to_le_bytes());
    }

    fn take(row: &[u8]) -> Option<(Self, &[u8])> {
        let (times, rest) = row.split_first_chunk::<TIMES_BYTES>()?;
        let (words, _) = times.as_chunks::<8>();
        let times = Self {
            min_ms: i64::from_le_bytes(words[0]),
            max_ms: i64::from_le_bytes(words[1]),
        };
        Some((times, rest))
    }
}

/// Says of a print that it is not there, or that it may be.
struct Filter {
    times: Times,
    lines: Vec<Line>,
}

impl Filter {
    fn new(prints: &HashSet<u128>, times: Times) -> Self {
        let mut lines = vec![Line::default(); FILTER_LINES];
        for &print in prints {
            let line = &mut lines[line_of(print)];
            for (word, bit) in bits_of(print) {
                line[word] |= bit;
            }
        }
        Self { times, lines }
    }

    fn may_have(&self, print: u128) -> bool {
        let line = &self.lines[line_of(print)];
        bits_of(print).all(|(word, bit)| line[word] & bit != 0)
    }

    fn row(&self, place: u64) -> Vec<u8> {
        let mut row = vec![0; SUM_BYTES];
        self.times.put(&mut row);
        row.extend(
            self.lines
                .as_flattened()
                .iter()
                .flat_map(|word| word.to_le_bytes()),
        );
        with_sum(place, row)
    }

    fn read(place: u64, row: &[u8]) -> Option<Self> {
        let (times, words) = Times::take(without_sum(place, row)?)?;
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

/// The higher half says where, the lower half what; the number of lines is small beside both.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is below the number of lines"
)]
fn line_of(print: u128) -> usize {
    let high = u128::from((print >> 64) as u64);
    ((high * FILTER_LINES as u128) >> 64) as usize
}

fn bits_of(print: u128) -> impl Iterator<Item = (usize, u64)> {
    (0..BITS_OF_PRINT).map(move |at| {
        let bit = (print >> (9 * at)) as usize % 512;
        (bit / 64, 1 << (bit % 64))
    })
}

fn with_sum(place: u64, mut row: Vec<u8>) -> Vec<u8> {
    let sum = checksum(place, &row[SUM_BYTES..]);
    row[..SUM_BYTES].copy_from_slice(&sum.to_le_bytes());
    row
}

fn without_sum(place: u64, row: &[u8]) -> Option<&[u8]> {
    let (sum, rest) = row.split_first_chunk()?;
    (u64::from_le_bytes(*sum) == checksum(place, rest)).then_some(rest)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each half is what is wanted"
)]
fn halves(print: u128) -> (u64, u64) {
    ((print >> 64) as u64, print as u64)
}

/// The prints of all events that can come again.
pub(crate) struct Seen {
    /// Those that no run has, committed or not.
    recent: HashSet<u128>,
    recent_times: Times,
    /// Those that are not committed.
    new: Vec<u128>,
    new_times: Times,
    filters: Vec<Filter>,
}

impl Seen {
    pub(crate) fn read(read: &ReadTransaction) -> Result<Self, ProjectError> {
        let damaged = |number: u64| (number, "what is known of repeated events is damaged");
        let mut seen = Self {
            recent: HashSet::default(),
            recent_times: Times::NONE,
            new: Vec::new(),
            new_times: Times::NONE,
            filters: Vec::new(),
        };
        match read.open_table(FILTERS) {
            Err(TableError::TableDoesNotExist(_)) => {}
            table => {
                for row in table?.range(0..)? {
                    let (place, row) = row?;
                    let place = place.value();
                    let filter = Filter::read(place, row.value());
                    seen.filters.push(filter.ok_or_else(|| damaged(place))?);
                }
            }
        }
        match read.open_table(RECENT) {
            Err(TableError::TableDoesNotExist(_)) => {}
            table => {
                for row in table?.range(0..)? {
                    let (place, row) = row?;
                    let place = place.value();
                    let rest = without_sum(place, row.value()).and_then(Times::take);
                    let (times, prints) = rest.ok_or_else(|| damaged(place))?;
                    let (prints, _) = prints.as_chunks::<PRINT_BYTES>();
                    seen.recent
                        .extend(prints.iter().map(|print| u128::from_le_bytes(*print)));
                    seen.recent_times.add(times);
                }
            }
        }
        Ok(seen)
    }

    /// Whether the event was there already; if not, it is from now on.
    pub(crate) fn is_repeated(
        &mut self,
        print: u128,
        time_ms: i64,
        runs: &mut LazyRuns<'_>,
    ) -> Result<bool, ProjectError> {
        if self.recent.contains(&print) {
            return Ok(true);
        }
        let mut filters = self
            .filters
            .iter()
            .filter(|filter| filter.times.has(time_ms));
        if filters.any(|filter| filter.may_have(print)) {
            let (key, value) = halves(print);
            let mut is_there = false;
            runs.find(key, &mut |found| is_there |= found == value)?;
            if is_there {
                return Ok(true);
            }
        }
        self.recent.insert(print);
        self.recent_times.add(Times::of(time_ms));
        self.new.push(print);
        self.new_times.add(Times::of(time_ms));
        Ok(false)
    }

    /// Writes what is new.
    pub(crate) fn write(
        &mut self,
        write: &WriteTransaction,
        last: u64,
    ) -> Result<(), ProjectError> {
        if self.new.is_empty() {
            return Ok(());
        }
        let mut row = vec![0; SUM_BYTES];
        self.new_times.put(&mut row);
        row.extend(self.new.iter().flat_map(|print| print.to_le_bytes()));
        write
            .open_table(RECENT)?
            .insert(last, &*with_sum(last, row))?;
        self.new.clear();
        self.new_times = Times::NONE;
        Ok(())
    }

    /// Writes all that no run has as a run, with its filter.
    pub(crate) fn write_run(
        &mut self,
        write: &WriteTransaction,
        last: u64,
    ) -> Result<(), ProjectError> {
        self.new.clear();
        self.new_times = Times::NONE;
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
        self.recent_times = Times::NONE;
        Ok(SEEN.add(write, pairs, last)?)
    }
}

/// The runs, which are opened once they are needed.
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
            None => self.runs.insert(SEEN.open(self.read)?),
        };
        Ok(runs.find(key, visit)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prints(from: u128, count: u128) -> HashSet<u128> {
        let print = |at: u128| twox_hash::XxHash3_128::oneshot(&at.to_le_bytes());
        (from..from + count).map(print).collect()
    }

    #[test]
    fn a_filter_has_what_was_added_and_little_else() {
        let added = prints(0, 1 << 17);
        let times = Times {
            min_ms: -5,
            max_ms: 5,
        };
        let filter = Filter::new(&added, times);
        let row = filter.row(9);
        assert!(row.len() <= (256 << 10) - 128);
        let filter = Filter::read(9, &row).unwrap();
        assert_eq!(filter.times, times);
        assert!(added.iter().all(|&print| filter.may_have(print)));
        let others = prints(1 << 20, 100_000);
        let wrong = others
            .iter()
            .filter(|&&print| filter.may_have(print))
            .count();
        assert!(wrong < 500, "{wrong} of 100,000");
        assert!(Filter::read(8, &row).is_none());
        assert!(Filter::read(9, &row[..row.len() - 1]).is_none());
    }
}
