//! A hash table of numbers that keeps no keys.

mod building;

use crate::memory::{prefetch, use_huge_pages};
pub(crate) use building::{Duplicate, ShardSizes};

/// A hash table from a hash to a number and the number's owner. The caller compares the keys.
///
/// Most lookups touch one cache line: a bucket fills one line, with seven numbers, their owners, and
/// one byte of each hash (the tag). A full bucket overflows into the next one.
///
/// The table is split into shards that grow independently, each by a different factor around 1.5.
/// So the table is never copied as a whole, never half empty, and memory grows evenly with the
/// count of numbers.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Empty before the first insert, then [`SHARDS`] shards.
    shards: Box<[Shard]>,
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

#[derive(Clone, Debug, Default)]
pub(crate) struct Shard {
    buckets: Vec<Bucket>,
    numbers: u32,
    max_numbers: u32,
}

/// The content of one cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Bucket {
    /// The tag of each number, in the same order. The last byte is unused.
    tags: [u8; 8],
    numbers: [u32; BUCKET_NUMBERS],
    owners: [u32; BUCKET_NUMBERS],
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
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<Found> {
        let shard = self.shards.get(shard_of(hash))?;
        let mut at = shard.bucket_of(hash)?;
        loop {
            let bucket = &shard.buckets[at];
            let mut matches = bucket.matches(tag_of(hash));
            while let Some(found) = bucket.first(matches) {
                if is_it(found.number) {
                    return Some(found);
                }
                matches &= matches - 1;
            }
            if !bucket.is_full() {
                return None;
            }
            at = shard.after(at);
        }
    }

    /// A guess at what [`find`](Self::find) returns, right in 9 of 10 cases: the first number in the
    /// first bucket whose tag matches.
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> Option<Found> {
        let shard = self.shards.get(shard_of(hash))?;
        let bucket = &shard.buckets[shard.bucket_of(hash)?];
        bucket.first(bucket.matches(tag_of(hash)))
    }

    /// Starts loading the cache line in which a lookup of this hash begins.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        let shard = self.shards.get(shard_of(hash));
        if let Some(bucket) = shard.and_then(|shard| shard.buckets.get(shard.bucket_of(hash)?)) {
            prefetch(bucket);
        }
    }

    /// Adds a number without a check whether it is there. If a shard has to grow, `others` gives the
    /// hashes of the numbers in it.
    pub(crate) fn insert(&mut self, hash: u64, new: Found, others: &impl Hashes) {
        if self.shards.is_empty() {
            self.shards = vec![Shard::default(); SHARDS].into_boxed_slice();
        }
        let at = shard_of(hash);
        let shard = &mut self.shards[at];
        if shard.numbers == shard.max_numbers {
            shard.grow(at, others);
        }
        shard.put(hash, new);
        shard.numbers += 1;
    }

    /// Changes the owner of a number. Does nothing if the number is not there.
    pub(crate) fn set_owner(&mut self, hash: u64, changed: Found) {
        let Some(shard) = self.shards.get_mut(shard_of(hash)) else {
            return;
        };
        let mut at = shard.bucket_of(hash).unwrap_or_default();
        loop {
            let bucket = &mut shard.buckets[at];
            let mut numbers = bucket.numbers.iter().zip(&mut bucket.owners);
            // A free slot also contains number 0. Its tag, checked below, tells it apart.
            let slot = numbers.position(|(&number, _)| number == changed.number);
            if let Some(slot) = slot.filter(|&slot| bucket.tags[slot] == tag_of(hash)) {
                bucket.owners[slot] = changed.owner;
                return;
            }
            if !bucket.is_full() {
                return;
            }
            at = shard.after(at);
        }
    }
}

impl Shard {
    /// The bucket in which a lookup of a hash begins: bits 24 to 55 of the hash, scaled to the number
    /// of buckets. `None` if there are no buckets.
    #[inline]
    fn bucket_of(&self, hash: u64) -> Option<usize> {
        let buckets = self.buckets.len() as u64;
        let at = (((hash >> 24) & u64::from(u32::MAX)) * buckets) >> 32;
        (buckets > 0).then_some(at as usize)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.buckets.len() {
            0
        } else {
            at + 1
        }
    }

    /// Puts a number into the first free slot. The shard must have one.
    fn put(&mut self, hash: u64, new: Found) {
        let mut at = self.bucket_of(hash).unwrap_or_default();
        while self.buckets[at].is_full() {
            at = self.after(at);
        }
        self.buckets[at].put(hash, new);
    }

    #[cold]
    fn grow(&mut self, at: usize, others: &impl Hashes) {
        let before = std::mem::take(&mut self.buckets);
        let buckets = grown(before.len(), at);
        self.buckets = vec![Bucket::default(); buckets];
        self.max_numbers = max_numbers(buckets);
        // Rehash a few buckets at a time, so that their cache misses overlap.
        for buckets in before.chunks(4) {
            let all = || buckets.iter().flat_map(Bucket::all);
            for found in all() {
                others.prefetch(found.number);
            }
            for found in all() {
                self.put(others.hash(found.number), found);
            }
        }
        use_huge_pages(&self.buckets);
    }
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

impl Bucket {
    /// Puts a number into the first free slot. The bucket must have one.
    #[inline]
    fn put(&mut self, hash: u64, new: Found) {
        let free = self.matches(FREE).trailing_zeros() as usize / 8;
        self.tags[free] = tag_of(hash);
        self.numbers[free] = new.number;
        self.owners[free] = new.owner;
    }

    /// A bit mask of the slots with this tag: the highest bit of the slot's byte is set. The unused
    /// last byte never matches.
    #[inline]
    fn matches(&self, tag: u8) -> u64 {
        const ONES: u64 = u64::from_le_bytes([1; 8]);
        const LOW: u64 = ONES * 0x7f;
        let differences = u64::from_le_bytes(self.tags) ^ (ONES * u64::from(tag));
        // Sets the highest bit of each byte that is zero, and no other bit.
        let zeros = !(((differences & LOW) + LOW) | differences | LOW);
        zeros & (u64::MAX >> 8)
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
            number: self.numbers[slot],
            owner: self.owners[slot],
        }
    }

    fn all(&self) -> impl Iterator<Item = Found> {
        let is_taken = |&slot: &usize| self.tags[slot] != FREE;
        (0..BUCKET_NUMBERS)
            .filter(is_taken)
            .map(|slot| self.at(slot))
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.tags[BUCKET_NUMBERS - 1] != FREE
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
