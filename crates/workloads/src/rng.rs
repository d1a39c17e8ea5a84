//! Randomness that is the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// The only source of randomness in a stream.
#[derive(Clone, Debug)]
pub(crate) struct Rng(ChaCha8Rng);

impl Rng {
    /// The seed is the key of the cipher, unchanged: `seed_from_u64` would spread it in a way that a
    /// later version of the library may change.
    pub(crate) fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`, by multiply-shift. The bias is less than `end` / 2^64, which no stream
    /// is long enough to show. 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let (_, high) = self.bits().carrying_mul(end, 0);
        high
    }

    /// An index into a list of `len` elements, at least one.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the value fits a usize")]
        let index = self.below(len as u64) as usize;
        index
    }

    /// `true` with this probability.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_below_the_end_and_reach_each_number() {
        let mut rng = Rng::new(1);
        let mut seen = [0_u32; 6];
        for _ in 0..6_000 {
            seen[rng.index(6)] += 1;
        }
        assert!(
            seen.iter().all(|times| (850..1_150).contains(times)),
            "{seen:?}"
        );
        assert_eq!(rng.below(1), 0);
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn percent_is_a_share() {
        let mut rng = Rng::new(2);
        let hits = (0..10_000).filter(|_| rng.percent(30)).count();
        assert!((2_800..3_200).contains(&hits), "{hits}");
        assert!((0..1_000).all(|_| !rng.percent(0) && rng.percent(100)));
    }

    /// The published first block of `ChaCha8` with the key of zeros.
    #[test]
    fn the_bits_are_those_of_chacha8() {
        assert_eq!(
            Rng::new(0).bits().to_le_bytes(),
            [0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6]
        );
        assert_ne!(Rng::new(1).bits(), Rng::new(0).bits());
        assert_ne!(Rng::new(1 << 63).bits(), Rng::new(0).bits());
    }
}
