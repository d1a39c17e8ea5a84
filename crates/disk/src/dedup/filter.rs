//! Filters: which fingerprints a run may have.

use foldhash::HashSet;

use crate::row;

const TIME_RANGE_BYTES: usize = 16;

/// The part of a filter that one fingerprint uses: a cache line.
type Line = [u64; 8];
/// Chosen so that a filter fits its pages of the database.
const FILTER_LINES: usize = (256 << 10) / 64 - 4;
const LINE_BITS: usize = 512;
/// How many bits a filter has.
pub(super) const FILTER_BITS: usize = FILTER_LINES * LINE_BITS;
/// How many bits of its line a fingerprint sets.
pub(super) const FINGERPRINT_BITS: usize = 6;

/// The range of the times of some events. Empty if the minimum is above the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeRange {
    min_ms: i64,
    max_ms: i64,
}

impl TimeRange {
    pub(super) const EMPTY: Self = Self {
        min_ms: i64::MAX,
        max_ms: i64::MIN,
    };

    pub(super) fn of(time_ms: i64) -> Self {
        Self {
            min_ms: time_ms,
            max_ms: time_ms,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.min_ms = self.min_ms.min(other.min_ms);
        self.max_ms = self.max_ms.max(other.max_ms);
    }

    pub(super) fn contains(self, time_ms: i64) -> bool {
        self.min_ms <= time_ms && time_ms <= self.max_ms
    }

    pub(super) fn write(self, row: &mut Vec<u8>) {
        row.extend(self.min_ms.to_le_bytes());
        row.extend(self.max_ms.to_le_bytes());
    }

    /// Reads a range from the start of a row, and returns the rest of the row.
    pub(super) fn read(row: &[u8]) -> Option<(Self, &[u8])> {
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
#[cfg_attr(test, derive(Clone))]
pub(super) struct Filter {
    pub(super) times: TimeRange,
    lines: Vec<Line>,
}

impl Filter {
    pub(super) fn new(fingerprints: &HashSet<u128>, times: TimeRange) -> Self {
        let mut lines = vec![Line::default(); FILTER_LINES];
        for &fingerprint in fingerprints {
            let line = &mut lines[line_of(fingerprint)];
            for (word, bit) in bits_of(fingerprint) {
                line[word] |= bit;
            }
        }
        Self { times, lines }
    }

    pub(super) fn may_contain(&self, fingerprint: u128) -> bool {
        let line = &self.lines[line_of(fingerprint)];
        bits_of(fingerprint).all(|(word, bit)| line[word] & bit != 0)
    }

    /// Calls `visit` with the place of each bit that is set, in order.
    pub(super) fn each_place(&self, mut visit: impl FnMut(usize)) {
        for (at, &word) in self.lines.as_flattened().iter().enumerate() {
            let mut rest = word;
            while rest != 0 {
                visit(64 * at + rest.trailing_zeros() as usize);
                rest &= rest - 1;
            }
        }
    }

    pub(super) fn row(&self, key: u64) -> Vec<u8> {
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

    pub(super) fn read(key: u64, row: &[u8]) -> Option<Self> {
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

/// The places of the bits of a fingerprint among all bits of a filter.
pub(super) fn places_of(fingerprint: u128) -> [usize; FINGERPRINT_BITS] {
    let line = line_of(fingerprint) * LINE_BITS;
    std::array::from_fn(|index| line + bit_of(fingerprint, index))
}

/// The place in its line of a bit of a fingerprint.
fn bit_of(fingerprint: u128, index: usize) -> usize {
    (fingerprint >> (9 * index)) as usize % LINE_BITS
}

fn bits_of(fingerprint: u128) -> impl Iterator<Item = (usize, u64)> {
    (0..FINGERPRINT_BITS).map(move |index| {
        let bit = bit_of(fingerprint, index);
        (bit / 64, 1 << (bit % 64))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use twox_hash::XxHash3_64;

    use super::*;

    impl TimeRange {
        pub(in super::super) fn new(min_ms: i64, max_ms: i64) -> Self {
            Self { min_ms, max_ms }
        }
    }

    pub(in super::super) fn fingerprints(from: u128, count: u128) -> HashSet<u128> {
        let fingerprint = |number: u128| {
            let half = |seed| XxHash3_64::oneshot_with_seed(seed, &number.to_le_bytes());
            u128::from(half(1)) << 64 | u128::from(half(2))
        };
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
