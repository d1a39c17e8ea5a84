//! An index that is built of all its numbers at once.

use super::{
    Found, Index, SHARDS, Shard, after, bucket_of, free_buckets, grown, is_full, matches,
    max_numbers, shard_of, tag_of,
};
use crate::memory::use_huge_pages;

/// The number of numbers in each shard of an index that will be [built](Index::build).
pub(crate) struct ShardSizes([u32; SHARDS]);

/// Two numbers are of the same key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Duplicate;

/// How many numbers are added together to an index that is built: so many cache misses overlap.
const BUILD_BATCH: usize = 32;

impl Default for ShardSizes {
    fn default() -> Self {
        Self([0; SHARDS])
    }
}

impl ShardSizes {
    /// Counts the hash of a number.
    #[inline]
    pub(crate) fn count(&mut self, hash: u64) {
        self.0[shard_of(hash)] += 1;
    }

    /// The number of numbers in a shard.
    pub(crate) fn of_shard(&self, at: usize) -> u32 {
        self.0[at]
    }

    /// The sums of these numbers for shards.
    pub(crate) fn of(counts: impl Iterator<Item = (usize, u32)>) -> Self {
        let mut sizes = Self::default();
        for (shard, count) in counts {
            sizes.0[shard] += count;
        }
        sizes
    }
}

/// Puts numbers into an index, a few at a time. `put` gets these with their hashes.
#[inline]
fn in_batches(
    numbers: impl Iterator<Item = (u64, Found)>,
    mut put: impl FnMut(&[(u64, Found)]) -> Result<(), Duplicate>,
) -> Result<(), Duplicate> {
    let mut numbers = numbers.fuse();
    let mut batch = Vec::with_capacity(BUILD_BATCH);
    loop {
        batch.clear();
        batch.extend(numbers.by_ref().take(BUILD_BATCH));
        if batch.is_empty() {
            return Ok(());
        }
        put(&batch)?;
    }
}

impl Index {
    /// An index of the numbers 0, 1, 2, …, with the hash and the owner of each in this order. `sizes` must
    /// have counted these hashes. `is_same` compares the keys of two numbers.
    ///
    /// The shards are as large as if the numbers had been inserted, and not smaller: if all were full, the
    /// next inserts would grow all of them, one soon after the other. But they never grow, so this takes a fraction
    /// of the time.
    pub(crate) fn build(
        sizes: &ShardSizes,
        numbers: impl Iterator<Item = (u64, u32)>,
        is_same: impl Fn(u32, u32) -> bool,
    ) -> Result<Self, Duplicate> {
        let shards = sizes.0.iter().enumerate();
        let index = Self {
            shards: shards.map(|(at, &size)| Shard::of_size(at, size)).collect(),
        };
        let found = |(number, (hash, owner))| (hash, Found { number, owner });
        in_batches((0..).zip(numbers).map(found), |batch| {
            for &(hash, _) in batch {
                index.prefetch(hash);
            }
            let mut numbers = batch.iter();
            numbers.try_for_each(|&(hash, new)| {
                index.shards[shard_of(hash)].put_new(hash, new, &is_same)
            })
        })?;
        for shard in &index.shards {
            use_huge_pages(&shard.buckets);
        }
        Ok(index)
    }

    /// An index of these shards. Each must have been [built](Shard::build) for its place.
    pub(crate) fn of_shards(shards: Vec<Shard>) -> Self {
        assert_eq!(shards.len(), SHARDS, "an index has each shard once");
        Self {
            shards: shards.into_boxed_slice(),
        }
    }
}

impl Shard {
    /// The shard in this place, with these numbers: all whose hashes are of this shard, `count` of them. The same as in an
    /// index that is [built](Index::build) as a whole.
    pub(crate) fn build(
        at: usize,
        count: u32,
        numbers: impl Iterator<Item = (u64, Found)>,
        is_same: impl Fn(u32, u32) -> bool,
    ) -> Result<Self, Duplicate> {
        let shard = Self::of_size(at, count);
        in_batches(numbers, |batch| {
            for &(hash, _) in batch {
                shard.prefetch(hash);
            }
            let mut numbers = batch.iter();
            numbers.try_for_each(|&(hash, new)| shard.put_new(hash, new, &is_same))
        })?;
        use_huge_pages(&shard.buckets);
        Ok(shard)
    }

    /// A shard with free slots for this many numbers, as large as it would have grown by inserting them.
    fn of_size(at: usize, numbers: u32) -> Self {
        let mut buckets = 0;
        while max_numbers(buckets) < numbers {
            buckets = grown(buckets, at);
        }
        Self {
            buckets: free_buckets(buckets),
            numbers,
            max_numbers: max_numbers(buckets),
        }
    }

    /// Puts a number into the first free slot, if none of the same key is there. The shard must have a free slot.
    #[inline]
    fn put_new(
        &self,
        hash: u64,
        new: Found,
        is_same: impl Fn(u32, u32) -> bool,
    ) -> Result<(), Duplicate> {
        // A number of the same key has the same hash, so it is in one of the buckets that `put` tries.
        let mut at = bucket_of(&self.buckets, hash).unwrap_or_default();
        loop {
            let bucket = &self.buckets[at];
            let tags = bucket.tags();
            let mut matches = matches(tags, tag_of(hash));
            while let Some(found) = bucket.first(matches) {
                if is_same(found.number, new.number) {
                    return Err(Duplicate);
                }
                matches &= matches - 1;
            }
            if !is_full(tags) {
                break;
            }
            at = after(&self.buckets, at);
        }
        self.buckets[at].put(hash, new);
        Ok(())
    }
}
