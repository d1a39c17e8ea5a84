//! A hash table of numbers that keeps no keys.

mod building;

use std::sync::Arc;

use crate::memory::{prefetch, use_huge_pages};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
pub(crate) use building::{Duplicate, ShardSizes};

/// A hash table from a hash to a number and the number's owner. The caller compares the keys.
///
/// Most lookups touch one cache line: a bucket fills one line, with seven numbers, their owners, and
/// one byte of each hash (the tag). A full bucket overflows into the next one.
///
/// The table is split into shards that grow independently, each by a different factor around 1.5.
/// So the table is never copied as a whole, never half empty, and memory grows evenly with the
/// count of numbers.
///
/// Other threads can look up in a [view](Self::view) meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Empty before the first insert, then [`SHARDS`] shards.
    shards: Box<[Shard]>,
}

/// The buckets of an index, as they were when the view was made: of a shard that has grown since, the view has those
/// before. What is inserted into one that has not grown is found.
#[derive(Debug, Default)]
pub(crate) struct IndexView {
    shards: Box<[Arc<[Bucket]>]>,
}

/// The result of a lookup: the number of an ID, and its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The number of the ID.
    pub number: u32,
    /// The number of the owner that the engine gave to the ID.
    pub owner: u32,
}

/// Computes the hash of a number that is in an index.
pub(crate) trait Hashes {
    /// The hash of a number.
    fn hash(&self, number: u32) -> u64;

    /// Starts loading the data that [`hash`](Self::hash) will read.
    fn prefetch(&self, number: u32);
}

#[derive(Clone, Debug)]
pub(crate) struct Shard {
    buckets: Arc<[Bucket]>,
    numbers: u32,
    max_numbers: u32,
}

/// The content of one cache line.
///
/// One thread writes while others read. It writes a number and its owner before it writes the tag, so a thread that
/// sees the tag sees the rest, and also the key, which was written before all of it. On x86-64 these are plain loads and
/// stores.
#[derive(Debug, Default)]
#[cfg_attr(not(loom), repr(align(64)))]
struct Bucket {
    /// The tag of each number, in the same order, the lowest byte first. The last byte is unused.
    tags: AtomicU64,
    numbers: [AtomicU32; BUCKET_NUMBERS],
    owners: [AtomicU32; BUCKET_NUMBERS],
}

pub(crate) const SHARDS: usize = 256;
const BUCKET_NUMBERS: usize = 7;
/// How full a shard may be, in tenths. A fuller shard takes less memory, but more lookups touch a
/// second cache line.
const MAX_LOAD_TENTHS: usize = 9;
/// The tag of a free slot. All slots after it in the bucket are free too.
const FREE: u8 = 0;

/// The shard of a hash: its highest 8 bits.
#[inline]
pub(crate) fn shard_of(hash: u64) -> usize {
    (hash >> 56) as usize
}

/// The tag of a hash: its lowest 8 bits, changed if they are [`FREE`].
#[inline]
fn tag_of(hash: u64) -> u8 {
    (hash.to_le_bytes()[0]).max(FREE + 1)
}

impl Index {
    /// The number with this hash for which `is_it` returns true.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<Found> {
        find(&self.shards.get(shard_of(hash))?.buckets, hash, is_it)
    }

    /// The buckets, for other threads. The view needs all of them, so this takes a microsecond or two.
    pub(crate) fn view(&self) -> IndexView {
        let shards = self.shards.iter();
        IndexView {
            shards: shards.map(|shard| shard.buckets.clone()).collect(),
        }
    }

    /// A guess at what [`find`](Self::find) returns, right in 9 of 10 cases: the first number in the
    /// first bucket whose tag matches.
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> Option<Found> {
        let buckets = &*self.shards.get(shard_of(hash))?.buckets;
        let bucket = &buckets[bucket_of(buckets, hash)?];
        bucket.first(matches(bucket.tags(), tag_of(hash)))
    }

    /// Starts loading the cache line in which a lookup of this hash begins.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        if let Some(shard) = self.shards.get(shard_of(hash)) {
            shard.prefetch(hash);
        }
    }

    /// Adds a number without a check whether it is there. If a shard has to grow, `others` gives the
    /// hashes of the numbers in it. Returns whether one has grown: a [view](Self::view) does not show the new number then.
    pub(crate) fn insert(&mut self, hash: u64, new: Found, others: &impl Hashes) -> bool {
        if self.shards.is_empty() {
            self.shards = vec![Shard::default(); SHARDS].into_boxed_slice();
        }
        let at = shard_of(hash);
        let shard = &mut self.shards[at];
        let is_full = shard.numbers == shard.max_numbers;
        if is_full {
            shard.grow(at, others);
        }
        put(&shard.buckets, hash, new);
        shard.numbers += 1;
        is_full
    }

    /// Changes the owner of a number. Does nothing if the number is not there.
    pub(crate) fn set_owner(&mut self, hash: u64, changed: Found) {
        let Some(shard) = self.shards.get(shard_of(hash)) else {
            return;
        };
        let mut at = bucket_of(&shard.buckets, hash).unwrap_or_default();
        loop {
            let bucket = &shard.buckets[at];
            let is_it = |number: &AtomicU32| number.load(Ordering::Relaxed) == changed.number;
            // A free slot also contains number 0. Its tag, checked below, tells it apart.
            let slot = bucket.numbers.iter().position(is_it);
            let tags = bucket.tags();
            if let Some(slot) = slot.filter(|&slot| tags.to_le_bytes()[slot] == tag_of(hash)) {
                bucket.owners[slot].store(changed.owner, Ordering::Release);
                return;
            }
            if !is_full(tags) {
                return;
            }
            at = after(&shard.buckets, at);
        }
    }
}

impl IndexView {
    /// As [`Index::find`]. A number that was inserted after the view was made may be found or not. Whoever sees it sees
    /// everything that was written before it was inserted.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<Found> {
        find(self.shards.get(shard_of(hash))?, hash, is_it)
    }
}

/// The bucket in which a lookup of a hash begins: bits 24 to 55 of the hash, scaled to the number
/// of buckets. `None` if there are no buckets.
#[inline]
fn bucket_of(buckets: &[Bucket], hash: u64) -> Option<usize> {
    let buckets = buckets.len() as u64;
    let at = (((hash >> 24) & u64::from(u32::MAX)) * buckets) >> 32;
    (buckets > 0).then_some(at as usize)
}

#[inline]
fn after(buckets: &[Bucket], at: usize) -> usize {
    if at + 1 == buckets.len() { 0 } else { at + 1 }
}

/// The number with this hash for which `is_it` returns true.
#[inline]
fn find(buckets: &[Bucket], hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<Found> {
    let mut at = bucket_of(buckets, hash)?;
    loop {
        let bucket = &buckets[at];
        let tags = bucket.tags();
        let mut matches = matches(tags, tag_of(hash));
        while let Some(found) = bucket.first(matches) {
            if is_it(found.number) {
                return Some(found);
            }
            matches &= matches - 1;
        }
        if !is_full(tags) {
            return None;
        }
        at = after(buckets, at);
    }
}

/// Puts a number into the first free slot. There must be one.
fn put(buckets: &[Bucket], hash: u64, new: Found) {
    let mut at = bucket_of(buckets, hash).unwrap_or_default();
    while is_full(buckets[at].tags()) {
        at = after(buckets, at);
    }
    buckets[at].put(hash, new);
}

/// A shard without buckets.
impl Default for Shard {
    fn default() -> Self {
        Self {
            buckets: Arc::default(),
            numbers: 0,
            max_numbers: 0,
        }
    }
}

impl Shard {
    fn prefetch(&self, hash: u64) {
        if let Some(bucket) = bucket_of(&self.buckets, hash).and_then(|at| self.buckets.get(at)) {
            prefetch(bucket);
        }
    }

    #[cold]
    fn grow(&mut self, at: usize, others: &impl Hashes) {
        let before = &self.buckets;
        let buckets = grown(before.len(), at);
        let more = free_buckets(buckets);
        // Rehash a few buckets at a time, so that their cache misses overlap.
        for buckets in before.chunks(4) {
            let all = || buckets.iter().flat_map(Bucket::all);
            for found in all() {
                others.prefetch(found.number);
            }
            for found in all() {
                put(&more, others.hash(found.number), found);
            }
        }
        use_huge_pages(&more);
        self.buckets = more;
        self.max_numbers = max_numbers(buckets);
    }
}

fn free_buckets(buckets: usize) -> Arc<[Bucket]> {
    (0..buckets).map(|_| Bucket::default()).collect()
}

/// The number of buckets of a shard that grows: 3/8 to 5/8 more, a different factor in each shard, so that
/// they do not grow together.
fn grown(buckets: usize, at: usize) -> usize {
    buckets + buckets * (3 * SHARDS / 2 + at) / (4 * SHARDS) + 1
}

/// How many numbers a shard with so many buckets may have.
fn max_numbers(buckets: usize) -> u32 {
    let max_numbers = buckets * BUCKET_NUMBERS * MAX_LOAD_TENTHS / 10;
    u32::try_from(max_numbers).unwrap_or(u32::MAX)
}

/// A bit mask of the slots with this tag: the highest bit of the slot's byte is set. The unused
/// last byte never matches.
#[inline]
fn matches(tags: u64, tag: u8) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const LOW: u64 = ONES * 0x7f;
    let differences = tags ^ (ONES * u64::from(tag));
    // Sets the highest bit of each byte that is zero, and no other bit.
    let zeros = !(((differences & LOW) + LOW) | differences | LOW);
    zeros & (u64::MAX >> 8)
}

/// Whether a bucket with these tags has no free slot.
#[inline]
fn is_full(tags: u64) -> bool {
    tags.to_le_bytes()[BUCKET_NUMBERS - 1] != FREE
}

impl Bucket {
    /// The tags. What was written before a tag that is there can be read afterwards.
    #[inline]
    fn tags(&self) -> u64 {
        self.tags.load(Ordering::Acquire)
    }

    /// Puts a number into the first free slot. The bucket must have one.
    #[inline]
    fn put(&self, hash: u64, new: Found) {
        let tags = self.tags.load(Ordering::Relaxed);
        let free = matches(tags, FREE).trailing_zeros() as usize / 8;
        self.numbers[free].store(new.number, Ordering::Relaxed);
        self.owners[free].store(new.owner, Ordering::Relaxed);
        // The slot is free, so its byte is zero.
        let tags = tags | u64::from(tag_of(hash)) << (8 * free);
        self.tags.store(tags, Ordering::Release);
    }

    /// The content of the first slot in this bit mask.
    #[inline]
    fn first(&self, matches: u64) -> Option<Found> {
        let slot = matches.trailing_zeros() as usize / 8;
        (slot < BUCKET_NUMBERS).then(|| self.at(slot))
    }

    #[inline]
    fn at(&self, slot: usize) -> Found {
        Found {
            number: self.numbers[slot].load(Ordering::Relaxed),
            owner: self.owners[slot].load(Ordering::Acquire),
        }
    }

    fn all(&self) -> impl Iterator<Item = Found> {
        let tags = self.tags().to_le_bytes();
        let is_taken = move |&slot: &usize| tags[slot] != FREE;
        (0..BUCKET_NUMBERS)
            .filter(is_taken)
            .map(|slot| self.at(slot))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A hash of a number that takes this many different values.
    fn hash(number: u32, hashes: u32) -> u64 {
        u64::from(number % hashes).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn found(number: u32) -> Found {
        Found {
            number,
            owner: number ^ 0xff,
        }
    }

    struct Spread(u32);

    impl Hashes for Spread {
        fn hash(&self, number: u32) -> u64 {
            hash(number, self.0)
        }

        fn prefetch(&self, _: u32) {}
    }

    proptest! {
        #[test]
        fn inserted_numbers_are_found(numbers in 0..3_000_u32, hashes in 1..4_000_u32) {
            let mut index = Index::default();
            for number in 0..numbers {
                prop_assert_eq!(index.find(hash(number, hashes), |other| other == number), None);
                index.insert(hash(number, hashes), found(number), &Spread(hashes));
            }
            for number in (0..numbers).step_by(3) {
                index.set_owner(hash(number, hashes), Found { number, owner: 7 });
            }
            for number in 0..numbers {
                let mut expected = found(number);
                if number % 3 == 0 {
                    expected.owner = 7;
                }
                let found = index.find(hash(number, hashes), |other| other == number);
                prop_assert_eq!(found, Some(expected));
            }
        }
    }

    fn built(numbers: u32, hashes: u32) -> Result<Index, Duplicate> {
        let mut sizes = ShardSizes::default();
        for number in 0..numbers {
            sizes.count(hash(number, hashes));
        }
        let all = (0..numbers).map(|number| (hash(number, hashes), found(number).owner));
        Index::build(&sizes, all, |a, b| a == b)
    }

    proptest! {
        #[test]
        fn an_index_that_is_built_is_like_one_that_was_filled(
            numbers in 0..3_000_u32, hashes in 1..4_000_u32, more in 0..1_000_u32,
        ) {
            let mut filled = Index::default();
            for number in 0..numbers {
                filled.insert(hash(number, hashes), found(number), &Spread(hashes));
            }
            let mut built = built(numbers, hashes).unwrap();
            // The shards have the same sizes, so the same inserts make them grow.
            for number in numbers..numbers + more {
                let sizes = |index: &Index| -> Vec<_> {
                    let shards = index.shards.iter();
                    shards.map(|shard| (shard.buckets.len(), shard.numbers, shard.max_numbers)).collect()
                };
                if number % 512 == 0 && !filled.shards.is_empty() {
                    prop_assert_eq!(sizes(&built), sizes(&filled));
                }
                for index in [&mut built, &mut filled] {
                    index.insert(hash(number, hashes), found(number), &Spread(hashes));
                }
            }
            for number in 0..numbers + more {
                let found = |index: &Index| index.find(hash(number, hashes), |other| other == number);
                prop_assert_eq!(found(&built), Some(self::found(number)));
                prop_assert_eq!(found(&filled), Some(self::found(number)));
            }
        }
    }

    #[test]
    fn numbers_of_the_same_key_are_not_built() {
        for hashes in [1, 2_000] {
            let mut sizes = ShardSizes::default();
            let all: Vec<_> = (0..3_000).map(|number| (hash(number, hashes), 0)).collect();
            for &(hash, _) in &all {
                sizes.count(hash);
            }
            // In the second case number 2,345 has the hash of number 345, and only of that one.
            let is_same = |a: u32, b| a.max(b) == 2_345 && a.min(b) == 345;
            let built = Index::build(&sizes, all.into_iter(), is_same);
            assert_eq!(built.err(), Some(Duplicate));
        }
    }

    #[test]
    fn a_guess_is_mostly_right() {
        let mut index = Index::default();
        let hash = |number| hash(number, u32::MAX);
        for number in 0..100_000 {
            assert_ne!(index.guess(hash(number)), Some(found(number)));
            index.insert(hash(number), found(number), &Spread(u32::MAX));
        }
        let right = (0..100_000).filter(|&number| index.guess(hash(number)) == Some(found(number)));
        assert!(right.count() > 85_000);
    }

    #[test]
    fn memory_grows_evenly() {
        let mut index = Index::default();
        let hash = |number| hash(number, u32::MAX);
        for number in 0..200_000_u32 {
            index.insert(hash(number), found(number), &Spread(u32::MAX));
            if number > 50_000 && number % 1_000 == 0 {
                let buckets: usize = index.shards.iter().map(|shard| shard.buckets.len()).sum();
                let bytes = (buckets * size_of::<Bucket>()) as f64 / f64::from(number);
                assert!(
                    (11.0..13.5).contains(&bytes),
                    "{bytes} bytes a number at {number}"
                );
            }
        }
    }
}
