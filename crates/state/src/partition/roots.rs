//! [`Roots`]: the canonical ID of each cluster, for threads that read while clusters merge.

use std::sync::OnceLock;

use crate::memory::prefetch;
use crate::sync::{AtomicU64, Ordering};

/// The canonical ID of each cluster, by the label of the cluster. One thread changes them, others read meanwhile.
///
/// A merge changes two clusters, and becomes visible by one store. A row has one of three forms:
///
/// ```text
/// root      the canonical ID of the cluster
/// changing  the number of a merge, and the canonical ID before it
/// moved     the label of the cluster that this one was merged into
/// ```
///
/// The merge itself is one more word: its number, the canonical ID after it, and whether it has happened. The two rows
/// are made `changing` first, so that a reader of either asks that word; then it says that the merge has happened; then
/// the rows are made `root` and `moved`. The labels of the IDs change last: until then, and in memory that a reader has
/// from before, the old label leads to the new one.
///
/// A reader that finds another merge in the word reads the row again, which that merge found as it is after this one. So
/// it goes on as soon as the writer does, and never waits for it.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    chunks: Chunks,
    /// The latest merge, if its number is not 0.
    merge: AtomicU64,
}

/// A row, or what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Root { canonical: u32 },
    Moved { label: u32 },
    Changing { merge: u32, before: u32 },
}

/// The number in the upper half of a row that is a root.
const ROOT: u32 = 0;
/// The number in the upper half of a row that has moved.
const MOVED: u32 = 1;
/// The first number of a merge. Numbers go round after 2³¹ - 2 merges: a reader that stops between two loads for so
/// many merges, and not one more or less, can take one for another.
const FIRST_MERGE: u32 = 2;
const LAST_MERGE: u32 = u32::MAX >> 1;

impl Row {
    #[inline]
    fn of(bits: u64) -> Self {
        let [upper, lower] = halves(bits);
        match upper {
            ROOT => Self::Root { canonical: lower },
            MOVED => Self::Moved { label: lower },
            merge => Self::Changing {
                merge,
                before: lower,
            },
        }
    }

    #[inline]
    fn bits(self) -> u64 {
        let (upper, lower) = match self {
            Self::Root { canonical } => (ROOT, canonical),
            Self::Moved { label } => (MOVED, label),
            Self::Changing { merge, before } => (merge, before),
        };
        u64::from(upper) << 32 | u64::from(lower)
    }
}

/// The merge that changes two rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Merge {
    number: u32,
    has_happened: bool,
    canonical: u32,
}

impl Merge {
    #[inline]
    fn of(bits: u64) -> Self {
        let [upper, canonical] = halves(bits);
        Self {
            number: upper >> 1,
            has_happened: upper & 1 == 1,
            canonical,
        }
    }

    #[inline]
    fn bits(self) -> u64 {
        let upper = self.number << 1 | u32::from(self.has_happened);
        u64::from(upper) << 32 | u64::from(self.canonical)
    }
}

/// The upper and the lower half.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "each half has 32 bits")]
fn halves(bits: u64) -> [u32; 2] {
    [(bits >> 32) as u32, bits as u32]
}

impl Roots {
    /// The canonical ID of the cluster with a label, or of the one that it was merged into. If the label has none, it is
    /// 0.
    #[inline]
    pub(crate) fn canonical(&self, label: u32) -> u32 {
        let mut label = label;
        loop {
            match self.row(label) {
                Row::Root { canonical } => return canonical,
                Row::Moved { label: other } => label = other,
                Row::Changing { merge, before } => {
                    let latest = Merge::of(self.merge.load(Ordering::Acquire));
                    if latest.number == merge {
                        return match latest.has_happened {
                            true => latest.canonical,
                            false => before,
                        };
                    }
                }
            }
        }
    }

    #[inline]
    fn row(&self, label: u32) -> Row {
        let row = self.chunks.get(label);
        Row::of(row.map_or(0, |row| row.load(Ordering::Acquire)))
    }

    fn put(&self, label: u32, row: Row) {
        self.chunks
            .get_or_make(label)
            .store(row.bits(), Ordering::Release);
    }

    /// Sets the canonical ID of a cluster. Only the thread that changes the partition calls this.
    pub(crate) fn set(&self, label: u32, canonical: u32) {
        self.put(label, Row::Root { canonical });
    }

    /// Merges the cluster `give` into the cluster `keep`, which then has this canonical ID. Only the thread that changes
    /// the partition calls this, and then gives the IDs of `give` their new label.
    pub(crate) fn merge(&self, keep: u32, give: u32, canonical: u32) {
        let last = Merge::of(self.merge.load(Ordering::Relaxed)).number;
        let number = match last {
            LAST_MERGE => FIRST_MERGE,
            last => (last + 1).max(FIRST_MERGE),
        };
        let mut merge = Merge {
            number,
            has_happened: false,
            canonical,
        };
        self.merge.store(merge.bits(), Ordering::Release);
        for label in [keep, give] {
            let before = self.canonical(label);
            self.put(
                label,
                Row::Changing {
                    merge: number,
                    before,
                },
            );
        }
        merge.has_happened = true;
        self.merge.store(merge.bits(), Ordering::Release);
        self.put(keep, Row::Root { canonical });
        self.put(give, Row::Moved { label: keep });
    }

    /// Starts loading a row that will be needed soon. A label without a row is ignored.
    #[inline]
    pub(crate) fn prefetch(&self, label: u32) {
        if let Some(row) = self.chunks.get(label) {
            prefetch(row);
        }
    }
}

type Chunk = OnceLock<Box<[AtomicU64]>>;

/// Words that never move, in chunks that double up to 2²⁰ words, and then have so many each.
#[derive(Debug, Default)]
struct Chunks {
    small: [Chunk; (LARGE_LOG2 - FIRST_LOG2) as usize],
    large: OnceLock<Box<[Chunk]>>,
}

const FIRST_LOG2: u32 = if cfg!(loom) { 1 } else { 4 };
const LARGE_LOG2: u32 = 20;
/// So many chunks have all labels.
const LARGE_CHUNKS: usize = 1 << (u32::BITS - LARGE_LOG2);

/// Where a word is.
enum Place {
    Small(usize, usize),
    Large(usize, usize),
}

#[inline]
fn place(label: u32) -> Place {
    const SMALL_ROWS: u32 = (1 << LARGE_LOG2) - (1 << FIRST_LOG2);
    if label < SMALL_ROWS {
        let label = label + (1 << FIRST_LOG2);
        let log2 = label.ilog2();
        let chunk = (log2 - FIRST_LOG2) as usize;
        return Place::Small(chunk, (label - (1 << log2)) as usize);
    }
    let label = label - SMALL_ROWS;
    let chunk = (label >> LARGE_LOG2) as usize;
    Place::Large(chunk, (label & ((1 << LARGE_LOG2) - 1)) as usize)
}

impl Chunks {
    #[inline]
    fn get(&self, label: u32) -> Option<&AtomicU64> {
        let (chunk, at) = match place(label) {
            Place::Small(chunk, at) => (&self.small[chunk], at),
            Place::Large(chunk, at) => (self.large.get()?.get(chunk)?, at),
        };
        chunk.get()?.get(at)
    }

    fn get_or_make(&self, label: u32) -> &AtomicU64 {
        let words = |words| (0..words).map(|_| AtomicU64::new(0)).collect();
        let chunks = |chunks| (0..chunks).map(|_| Chunk::new()).collect();
        match place(label) {
            Place::Small(chunk, at) => {
                let words =
                    self.small[chunk].get_or_init(|| words(1 << (chunk + FIRST_LOG2 as usize)));
                &words[at]
            }
            Place::Large(chunk, at) => {
                let large = self.large.get_or_init(|| chunks(LARGE_CHUNKS));
                &large[chunk].get_or_init(|| words(1 << LARGE_LOG2))[at]
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_label_has_a_row_of_its_own() {
        let roots = Roots::default();
        let small = || (0..3_000).chain([1 << 21, u32::MAX - 1, u32::MAX]);
        let labels = || small().chain((1 << 20) - 40..(1 << 20) + 40);
        for label in labels() {
            assert_eq!(roots.canonical(label), 0, "{label} has no row yet");
            roots.set(label, label ^ 5);
        }
        for label in labels() {
            assert_eq!(roots.canonical(label), label ^ 5);
            roots.prefetch(label);
        }
    }

    #[test]
    fn a_cluster_that_was_merged_leads_to_the_other_one() {
        let roots = Roots::default();
        for label in 0..4 {
            roots.set(label, 10 * label);
        }
        roots.merge(1, 2, 20);
        roots.merge(3, 1, 7);
        assert_eq!(
            [0, 1, 2, 3].map(|label| roots.canonical(label)),
            [0, 7, 7, 7]
        );
        roots.set(3, 8);
        assert_eq!(
            [0, 1, 2, 3].map(|label| roots.canonical(label)),
            [0, 8, 8, 8]
        );
    }

    #[test]
    fn rows_and_merges_are_read_as_they_were_written() {
        for row in [
            Row::Root {
                canonical: u32::MAX,
            },
            Row::Moved { label: u32::MAX },
            Row::Changing {
                merge: FIRST_MERGE,
                before: 0,
            },
            Row::Changing {
                merge: LAST_MERGE,
                before: u32::MAX,
            },
        ] {
            assert_eq!(Row::of(row.bits()), row);
        }
        for has_happened in [false, true] {
            for number in [FIRST_MERGE, LAST_MERGE] {
                let merge = Merge {
                    number,
                    has_happened,
                    canonical: u32::MAX,
                };
                assert_eq!(Merge::of(merge.bits()), merge);
            }
        }
    }

    #[test]
    fn the_numbers_of_merges_go_round() {
        let roots = Roots::default();
        let last = Merge {
            number: LAST_MERGE,
            has_happened: true,
            canonical: 0,
        };
        roots.merge.store(last.bits(), Ordering::Relaxed);
        roots.merge(0, 1, 9);
        let merge = Merge::of(roots.merge.load(Ordering::Relaxed));
        assert_eq!((merge.number, roots.canonical(1)), (FIRST_MERGE, 9));
    }
}
