//! A hash table of numbers.

use crate::memory::{prefetch, use_huge_pages};

/// Finds numbers by the hash of what they stand for, and compares nothing itself. Each number has
/// another one beside it, its owner, which is found with it.
///
/// One look touches one line of the cache in most cases: a bucket is a line, and has seven numbers
/// with their owners and a byte of the hash of each. A bucket that is full overflows into the next
/// one.
///
/// The table is made of parts, which grow on their own, each by another factor around a half. So
/// there is no moment when the whole table is copied, none when half of it is empty, and memory
/// grows evenly with the numbers.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// None or [`PARTS`].
    parts: Box<[Part]>,
}

/// What is found: a number and its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The number of an id.
    pub number: u32,
    /// The number of what the id belongs to.
    pub owner: u32,
}

/// Knows the hashes of the numbers in an index.
pub(crate) trait Hashes {
    /// The hash of a number.
    fn hash(&self, number: u32) -> u64;

    /// Asks for what the hash is made of.
    fn prefetch(&self, number: u32);
}

#[derive(Clone, Debug, Default)]
struct Part {
    buckets: Vec<Bucket>,
    numbers: u32,
    max_numbers: u32,
}

/// A line of the cache.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Bucket {
    /// One for each number, in the same order; the last one stays free.
    tags: [u8; 8],
    numbers: [u32; BUCKET_NUMBERS],
    owners: [u32; BUCKET_NUMBERS],
}

const PARTS: usize = 256;
const BUCKET_NUMBERS: usize = 7;
/// How full a part may be, in tenths: the fuller, the less memory, and the more looks touch a
/// second line.
const MAX_LOAD_TENTHS: usize = 9;
/// The tag of a place without a number. There is none behind it in its bucket either.
const FREE: u8 = 0;

/// The part that a hash belongs to: its highest 8 bits.
#[inline]
fn part_of(hash: u64) -> usize {
    (hash >> 56) as usize
}

/// The byte of a hash that stands beside its number: its lowest 8 bits, but not [`FREE`].
#[inline]
fn tag_of(hash: u64) -> u8 {
    (hash.to_le_bytes()[0]).max(FREE + 1)
}

impl Index {
    /// Of those with this hash, the number for which `is_it` holds.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<Found> {
        let part = self.parts.get(part_of(hash))?;
        let mut at = part.bucket_of(hash)?;
        loop {
            let bucket = &part.buckets[at];
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
            at = part.after(at);
        }
    }

    /// What may be the one to be found, and is in 9 of 10 cases. Looks at the first bucket only.
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> Option<Found> {
        let part = self.parts.get(part_of(hash))?;
        let bucket = &part.buckets[part.bucket_of(hash)?];
        bucket.first(bucket.matches(tag_of(hash)))
    }

    /// Asks for the line in which a look for this hash begins.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u64) {
        let part = self.parts.get(part_of(hash));
        if let Some(bucket) = part.and_then(|part| part.buckets.get(part.bucket_of(hash)?)) {
            prefetch(bucket);
        }
    }

    /// Adds a number, whether it is there or not. When the table grows it asks `others` for the
    /// hashes of the numbers that are there.
    pub(crate) fn insert(&mut self, hash: u64, new: Found, others: &impl Hashes) {
        if self.parts.is_empty() {
            self.parts = vec![Part::default(); PARTS].into_boxed_slice();
        }
        let at = part_of(hash);
        let part = &mut self.parts[at];
        if part.numbers == part.max_numbers {
            part.grow(at, others);
        }
        part.put(hash, new);
        part.numbers += 1;
    }

    /// Gives a number that is there another owner.
    pub(crate) fn set_owner(&mut self, hash: u64, changed: Found) {
        let Some(part) = self.parts.get_mut(part_of(hash)) else {
            return;
        };
        let mut at = part.bucket_of(hash).unwrap_or_default();
        loop {
            let bucket = &mut part.buckets[at];
            let mut numbers = bucket.numbers.iter().zip(&mut bucket.owners);
            // A free place may hold number 0 of nothing; its owner is nobody's business.
            let place = numbers.position(|(&number, _)| number == changed.number);
            if let Some(place) = place.filter(|&place| bucket.tags[place] == tag_of(hash)) {
                bucket.owners[place] = changed.owner;
                return;
            }
            if !bucket.is_full() {
                return;
            }
            at = part.after(at);
        }
    }
}

impl Part {
    /// The bucket in which a hash begins: as far into the part as its next 32 bits are into their
    /// range. `None` where there is no bucket.
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

    /// Puts a number into the first free place. There is one.
    fn put(&mut self, hash: u64, new: Found) {
        let mut at = self.bucket_of(hash).unwrap_or_default();
        while self.buckets[at].is_full() {
            at = self.after(at);
        }
        let bucket = &mut self.buckets[at];
        let free = bucket.matches(FREE).trailing_zeros() as usize / 8;
        bucket.tags[free] = tag_of(hash);
        bucket.numbers[free] = new.number;
        bucket.owners[free] = new.owner;
    }

    #[cold]
    fn grow(&mut self, at: usize, others: &impl Hashes) {
        let before = std::mem::take(&mut self.buckets);
        // By 3/8 to 5/8: since no two parts grow by the same factor, they do not grow together.
        let more = before.len() * (3 * PARTS / 2 + at) / (4 * PARTS);
        let buckets = before.len() + more + 1;
        self.buckets = vec![Bucket::default(); buckets];
        let max_numbers = buckets * BUCKET_NUMBERS * MAX_LOAD_TENTHS / 10;
        self.max_numbers = u32::try_from(max_numbers).unwrap_or(u32::MAX);
        // Some buckets at a time, so that waiting for one number overlaps with the others.
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

impl Bucket {
    /// The highest bit of each byte whose place has this tag, but for the last byte.
    #[inline]
    fn matches(&self, tag: u8) -> u64 {
        const ONES: u64 = u64::from_le_bytes([1; 8]);
        const LOW: u64 = ONES * 0x7f;
        let differences = u64::from_le_bytes(self.tags) ^ (ONES * u64::from(tag));
        // The highest bit of each byte that is zero, and of no other.
        let zeros = !(((differences & LOW) + LOW) | differences | LOW);
        zeros & (u64::MAX >> 8)
    }

    /// What stands at the first of these matches.
    #[inline]
    fn first(&self, matches: u64) -> Option<Found> {
        let place = matches.trailing_zeros() as usize / 8;
        (place < BUCKET_NUMBERS).then(|| self.at(place))
    }

    #[inline]
    fn at(&self, place: usize) -> Found {
        Found {
            number: self.numbers[place],
            owner: self.owners[place],
        }
    }

    fn all(&self) -> impl Iterator<Item = Found> {
        let is_taken = |&place: &usize| self.tags[place] != FREE;
        (0..BUCKET_NUMBERS)
            .filter(is_taken)
            .map(|place| self.at(place))
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

    /// Spreads numbers over all 64 bits, or over a few hashes only.
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
        fn what_was_inserted_is_found(numbers in 0..3_000_u32, hashes in 1..4_000_u32) {
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
                let buckets: usize = index.parts.iter().map(|part| part.buckets.len()).sum();
                let bytes = (buckets * size_of::<Bucket>()) as f64 / f64::from(number);
                assert!(
                    (11.0..13.5).contains(&bytes),
                    "{bytes} bytes a number at {number}"
                );
            }
        }
    }
}
