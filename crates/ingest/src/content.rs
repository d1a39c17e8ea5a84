//! The content of the beginning of an input, by which the input is known again (AR-3).

/// The beginning that an input is looked up by is not longer than this.
const HEAD_BYTES_MAX: u64 = 64 * 1024;

/// Identifies the beginning of an input: the bytes from its start to the end of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// How many bytes there are.
    pub bytes: u64,
    /// The hash of these bytes.
    pub hash: [u8; 32],
    /// The hash of the first 2ⁿ of these bytes, with the greatest n for which there are as many, up to
    /// 64 KiB.
    pub head: u64,
}

/// Hashes the decompressed bytes of an input.
///
/// The hash is BLAKE3, because strangers write much of the content of an input, and an input that had the
/// hash of another one would be left out.
#[derive(Clone, Debug, Default)]
pub struct ContentHasher {
    hasher: blake3::Hasher,
    bytes: u64,
    head: u64,
}

impl ContentHasher {
    /// Adds the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while let Some(missing) = self.missing_for_head()
            && !bytes.is_empty()
        {
            let missing = usize::try_from(missing).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(missing.min(bytes.len()));
            self.add(part);
            if self.bytes.is_power_of_two() {
                let hash = self.hasher.finalize();
                let (words, _) = hash.as_bytes().as_chunks();
                self.head = u64::from_le_bytes(words[0]);
            }
            bytes = rest;
        }
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// How many bytes were added.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes are missing until `head` changes; `None` if it does not change any more.
    pub(crate) fn missing_for_head(&self) -> Option<u64> {
        let next = (self.bytes + 1).next_power_of_two();
        (next <= HEAD_BYTES_MAX).then(|| next - self.bytes)
    }

    /// [`Content::head`] of the bytes so far.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// The content so far.
    pub fn content(&self) -> Content {
        Content {
            bytes: self.bytes,
            hash: *self.hasher.finalize().as_bytes(),
            head: self.head,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_matter_how_the_bytes_arrive() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        for length in [0, 1, 2, 3, 1_000, 1_024, 65_535, 65_536, 65_537, 200_000] {
            let of_parts = |part: usize| {
                let mut hasher = ContentHasher::default();
                bytes[..length]
                    .chunks(part)
                    .for_each(|part| hasher.update(part));
                hasher.content()
            };
            let whole = of_parts(bytes.len());
            assert_eq!(whole.bytes, length as u64);
            for part in [1_000, 4_096, 77_777] {
                assert_eq!(of_parts(part), whole, "{length} {part}");
            }
        }
    }

    #[test]
    fn the_head_is_of_the_first_bytes_alone() {
        let head = |length: usize, last: u8| {
            let mut bytes = vec![7; length];
            bytes[length - 1] = last;
            let mut hasher = ContentHasher::default();
            hasher.update(&bytes);
            hasher.content().head
        };
        for length in [3, 7, 1_025, 65_535, 65_537, 1_000_000] {
            assert_eq!(head(length, 7), head(length, 8), "{length}");
        }
        for length in [1, 2, 4, 1_024, 65_536] {
            assert_ne!(head(length, 7), head(length, 8), "{length}");
        }
        for length in [1, 2, 4, 1_024, 32_768] {
            assert_ne!(head(2 * length, 7), head(length, 7), "{length}");
        }
        assert_eq!(head(70_000, 7), head(140_000, 7));
    }
}
