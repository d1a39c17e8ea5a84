//! A hash of two numbers.

/// A hash that was drawn from so many that nobody can choose two inputs which it gives the same.
///
/// The upper half of `a + b * first + c * second`, modulo 2^128, with three random numbers of 128
/// bits: multilinear hashing, which is strongly universal (Lemire and Kaser, "Strongly universal
/// string hashing is fast", theorem 3.1; the idea is Dietzfelbinger's). Of any two inputs, whoever
/// chose them without seeing hashes, both have any pair of hashes with the same probability, so that
/// all 64 bits are equal for 2^-64 of the keys. No answer of a table shows a hash. What is left to
/// one who measures times is what a long run of ids in one bucket would cost, and to find such ids
/// takes a difference of times below that of one wait for memory.
///
/// A hash of this kind takes inputs in even steps to hashes in even steps. So its bits are mixed once
/// more, one to one, and numbered ids are spread as random ones are.
#[derive(Clone, Copy)]
pub(crate) struct PairHash {
    sum: u128,
    first: u128,
    second: u128,
}

impl PairHash {
    /// The hash with these keys, which are to be random.
    pub(crate) fn keyed(keys: [u64; 6]) -> Self {
        let [a, b, c, d, e, f] = keys.map(u128::from);
        Self {
            sum: a << 64 | b,
            first: c << 64 | d,
            second: e << 64 | f,
        }
    }

    /// The hash of two numbers, in a sixth of the instructions of `SipHash-1-3`: looking for an id
    /// is little more than a hash and waiting for memory.
    #[inline]
    pub(crate) fn hash(&self, first: u64, second: u64) -> u64 {
        let sum = self
            .sum
            .wrapping_add(self.first.wrapping_mul(u128::from(first)))
            .wrapping_add(self.second.wrapping_mul(u128::from(second)));
        mix((sum >> 64) as u64)
    }
}

/// Spreads each bit over those around and above it. No two numbers are mixed to the same.
#[inline]
fn mix(number: u64) -> u64 {
    // The golden ratio, as 64 bits after the point.
    let number = (number ^ (number >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number ^ (number >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Numbers without a pattern, the same each time.
    fn some_keys(seed: u64) -> [u64; 6] {
        std::array::from_fn(|at| mix(mix(seed * 6 + at as u64 + 1).rotate_left(17)))
    }

    fn any_keys() -> impl Strategy<Value = [u64; 6]> {
        any::<[u64; 6]>()
    }

    proptest! {
        #[test]
        fn it_is_what_its_theorem_is_about(
            keys in any_keys(), first in any::<u64>(), second in any::<u64>(),
        ) {
            // In 32 bits at a time, with the carries by hand.
            let words = |high: u64, low: u64| [low, low >> 32, high, high >> 32].map(|word| word & 0xffff_ffff);
            let mut sum = words(keys[0], keys[1]);
            for (number, factor) in [(first, words(keys[2], keys[3])), (second, words(keys[4], keys[5]))] {
                for (at, digit) in [number & 0xffff_ffff, number >> 32].into_iter().enumerate() {
                    let mut carry = 0;
                    for place in at..4 {
                        let product = digit * factor[place - at] + sum[place] + carry;
                        sum[place] = product & 0xffff_ffff;
                        carry = product >> 32;
                    }
                }
            }
            let expected = mix(sum[3] << 32 | sum[2]);
            prop_assert_eq!(PairHash::keyed(keys).hash(first, second), expected);
        }

        #[test]
        fn mixing_loses_nothing(number in any::<u64>()) {
            // The inverse of the factor, and of each shift.
            let inverse = 0xf1de_83e1_9937_733d_u64;
            let mixed = mix(number);
            let before = (mixed ^ (mixed >> 32)).wrapping_mul(inverse);
            prop_assert_eq!(before ^ (before >> 32), number);
        }

        #[test]
        fn every_key_counts(keys in any_keys(), at in 0..6_usize, first in 1_u64.., second in 1_u64..) {
            let mut others = keys;
            // A bit that reaches the upper half, whichever word it is in and whatever it is
            // multiplied with: in the lower word it is carried there.
            others[at] ^= 1 << 63;
            let (one, other) = (PairHash::keyed(keys), PairHash::keyed(others));
            let differs = (0..64).any(|shift| {
                let (first, second) = (first.rotate_left(shift), second.rotate_right(shift));
                one.hash(first, second) != other.hash(first, second)
            });
            prop_assert!(differs);
        }
    }

    /// How many of the hashes of these numbers are in the fullest of as many ranges of hashes.
    fn fullest(numbers: impl Iterator<Item = (u64, u64)>, hash: PairHash, shift: u32) -> usize {
        let mut ranges: Vec<_> = numbers
            .map(|(first, second)| hash.hash(first, second) << shift >> (64 - 12))
            .collect();
        assert_eq!(ranges.len(), 1 << 12);
        ranges.sort_unstable();
        let runs = ranges.chunk_by(|a, b| a == b).map(<[u64]>::len);
        runs.max().unwrap_or_default()
    }

    #[test]
    fn numbers_in_steps_are_spread_as_random_ones_are() {
        for keys in 0..20 {
            let hash = PairHash::keyed(some_keys(keys));
            for step in [1, 2, 10, 256, 1 << 20, 1 << 32, 0x9e37_79b9_7f4a_7c15_u64] {
                for shift in [0, 8, 20, 52] {
                    let first = (0..1 << 12).map(|number: u64| (number.wrapping_mul(step), 7));
                    let second = (0..1 << 12).map(|number: u64| (7, number.wrapping_mul(step)));
                    // Of random ones, 13 or more are in one range for one table of 3 million.
                    let most = fullest(first, hash, shift).max(fullest(second, hash, shift));
                    assert!(most <= 16, "{most} with step {step}, shift {shift}");
                }
            }
        }
    }

    #[test]
    fn equal_hashes_are_rare() {
        let hash = PairHash::keyed(some_keys(0));
        let hashes: BTreeSet<_> = (0..300)
            .flat_map(|first| (0..300).map(move |second| hash.hash(first, second)))
            .collect();
        assert_eq!(hashes.len(), 300 * 300);
    }
}
