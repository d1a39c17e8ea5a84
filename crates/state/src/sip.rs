//! `SipHash-1-3` of two numbers.

/// The keys of a hash that nobody can make collide who does not know them.
#[derive(Clone, Copy)]
pub(crate) struct SipKeys(pub(crate) u64, pub(crate) u64);

impl SipKeys {
    /// What the standard library's hasher gives for two `u64`, in half of its instructions, since
    /// the length is known: looking for an id is little more than a hash and waiting for memory.
    #[inline]
    pub(crate) fn hash(self, first: u64, second: u64) -> u64 {
        const BYTES: u64 = 2 * size_of::<u64>() as u64;
        let mut state = [
            self.0 ^ 0x736f_6d65_7073_6575,
            self.1 ^ 0x646f_7261_6e64_6f6d,
            self.0 ^ 0x6c79_6765_6e65_7261,
            self.1 ^ 0x7465_6462_7974_6573,
        ];
        for word in [first, second, BYTES << 56] {
            state[3] ^= word;
            round(&mut state);
            state[0] ^= word;
        }
        state[2] ^= 0xff;
        for _ in 0..3 {
            round(&mut state);
        }
        state[0] ^ state[1] ^ state[2] ^ state[3]
    }
}

#[inline]
fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hasher};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_hash_of_the_standard_library(first in any::<u64>(), second in any::<u64>()) {
            // Its keys are 0.
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(first);
            hasher.write_u64(second);
            prop_assert_eq!(SipKeys(0, 0).hash(first, second), hasher.finish());
        }
    }

    #[test]
    fn both_keys_count() {
        let hashes = [SipKeys(0, 0), SipKeys(1, 0), SipKeys(0, 1)].map(|keys| keys.hash(2, 3));
        assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[2] != hashes[0]);
    }
}
