//! A keyed hash of two 64-bit numbers.

/// A keyed hash: an attacker who does not know the keys cannot choose inputs that collide.
///
/// The hash is the upper half of `a + b * first + c * second` modulo 2^128, with three random
/// 128-bit keys. This is multilinear hashing, which is strongly universal (Lemire and Kaser,
/// "Strongly universal string hashing is fast", theorem 3.1; the idea is Dietzfelbinger's): for two
/// different inputs that were chosen without seeing hashes, every pair of hashes is equally
/// probable, so all 64 bits collide for one key in 2^64. No answer of a table reveals a hash. An
/// attacker can only measure time, and would have to notice one more ID in a bucket, which takes
/// less time than one cache miss.
///
/// A hash of this kind maps evenly spaced inputs to evenly spaced hashes. A final bijective mixing
/// step removes that pattern, so that numbered IDs spread as evenly as random ones.
#[derive(Clone, Copy)]
pub(crate) struct PairHash {
    sum: u128,
    first: u128,
    second: u128,
}

impl PairHash {
    /// A hash with these keys. They must be random.
    pub(crate) fn keyed(keys: [u64; 6]) -> Self {
        let [a, b, c, d, e, f] = keys.map(u128::from);
        Self {
            sum: a << 64 | b,
            first: c << 64 | d,
            second: e << 64 | f,
        }
    }

    /// Hashes two numbers, with a sixth of the instructions of `SipHash-1-3`. That matters because
    /// a lookup is little more than one hash and its cache misses.
    #[inline]
    pub(crate) fn hash(&self, first: u64, second: u64) -> u64 {
        let sum = self
            .sum
            .wrapping_add(self.first.wrapping_mul(u128::from(first)))
            .wrapping_add(self.second.wrapping_mul(u128::from(second)));
        mix((sum >> 64) as u64)
    }
}

/// Spreads each bit over its neighbours and the bits above it. Bijective: no two numbers collide.
#[inline]
fn mix(number: u64) -> u64 {
    // The fraction of the golden ratio, in 64 bits.
    let number = (number ^ (number >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    number ^ (number >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Keys without a pattern, the same on every run.
    fn some_keys(seed: u64) -> [u64; 6] {
        std::array::from_fn(|at| mix(mix(seed * 6 + at as u64 + 1).rotate_left(17)))
    }

    fn any_keys() -> impl Strategy<Value = [u64; 6]> {
        any::<[u64; 6]>()
    }

    proptest! {
        #[test]
        fn the_hash_is_the_formula_of_the_theorem(
            keys in any_keys(), first in any::<u64>(), second in any::<u64>(),
        ) {
            // The same sum in schoolbook arithmetic: 32-bit digits, with explicit carries.
            let words = |high: u64, low: u64| [low, low >> 32, high, high >> 32].map(|word| word & 0xffff_ffff);
            let mut sum = words(keys[0], keys[1]);
            for (number, factor) in [(first, words(keys[2], keys[3])), (second, words(keys[4], keys[5]))] {
                for (at, digit) in [number & 0xffff_ffff, number >> 32].into_iter().enumerate() {
                    let mut carry = 0;
                    for digit_at in at..4 {
                        let product = digit * factor[digit_at - at] + sum[digit_at] + carry;
                        sum[digit_at] = product & 0xffff_ffff;
                        carry = product >> 32;
                    }
                }
            }
            let expected = mix(sum[3] << 32 | sum[2]);
            prop_assert_eq!(PairHash::keyed(keys).hash(first, second), expected);
        }

        #[test]
        fn mixing_is_bijective(number in any::<u64>()) {
            // The modular inverse of the factor. Each xor with a shift is its own inverse.
            let inverse = 0xf1de_83e1_9937_733d_u64;
            let mixed = mix(number);
            let before = (mixed ^ (mixed >> 32)).wrapping_mul(inverse);
            prop_assert_eq!(before ^ (before >> 32), number);
        }

        #[test]
        fn every_key_changes_the_hash(keys in any_keys(), at in 0..6_usize, first in 1_u64.., second in 1_u64..) {
            let mut others = keys;
            // This bit reaches the upper half whatever it is multiplied with: from the lower word
            // a carry takes it there.
            others[at] ^= 1 << 63;
            let (one, other) = (PairHash::keyed(keys), PairHash::keyed(others));
            let differs = (0..64).any(|shift| {
                let (first, second) = (first.rotate_left(shift), second.rotate_right(shift));
                one.hash(first, second) != other.hash(first, second)
            });
            prop_assert!(differs);
        }
    }

    /// Divides the hashes of these 4,096 numbers into 4,096 ranges and counts the fullest range.
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
    fn evenly_spaced_numbers_spread_like_random_ones() {
        for keys in 0..20 {
            let hash = PairHash::keyed(some_keys(keys));
            for step in [1, 2, 10, 256, 1 << 20, 1 << 32, 0x9e37_79b9_7f4a_7c15_u64] {
                for shift in [0, 8, 20, 52] {
                    let first = (0..1 << 12).map(|number: u64| (number.wrapping_mul(step), 7));
                    let second = (0..1 << 12).map(|number: u64| (7, number.wrapping_mul(step)));
                    // With random hashes, one table in 3 million has a range with 13 or more.
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
