//! Texts one behind the other, for ids that are neither UUIDs nor short.

/// Texts that are never removed, in a few large blocks of memory.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    blocks: Vec<String>,
    bytes: usize,
}

/// Where a text stands: the block, the start in it and the length. Packed into 62 bits, so that
/// two are left for whoever keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u64);

const BYTES_BITS: u32 = 16;
const START_BITS: u32 = 22;
const BLOCK_BITS: u32 = 24;
const BLOCK_MAX_BYTES: usize = 1 << START_BITS;
const BLOCK_MIN_BYTES: usize = 1024;
/// A new block has this part of all that is there, so that little is unused.
const BLOCK_PART: usize = 16;

impl Place {
    /// The lowest 62 bits are used.
    pub(crate) const BITS: u32 = BYTES_BITS + START_BITS + BLOCK_BITS;

    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    /// Of bits that [`to_bits`](Self::to_bits) gave; higher bits are passed over.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits & ((1 << Self::BITS) - 1))
    }

    pub(crate) fn bytes(self) -> usize {
        (self.0 & ((1 << BYTES_BITS) - 1)) as usize
    }

    fn start(self) -> usize {
        (self.0 >> BYTES_BITS & ((1 << START_BITS) - 1)) as usize
    }

    fn block(self) -> usize {
        (self.0 >> (BYTES_BITS + START_BITS)) as usize
    }
}

impl Texts {
    /// Keeps a text of at most 65,535 bytes.
    ///
    /// # Panics
    ///
    /// At 64 TiB.
    pub(crate) fn push(&mut self, text: &str) -> Place {
        let has_room = |block: &String| block.capacity() - block.len() >= text.len();
        if !self.blocks.last().is_some_and(has_room) {
            let part = self.bytes / BLOCK_PART;
            let bytes = part.clamp(BLOCK_MIN_BYTES, BLOCK_MAX_BYTES).max(text.len());
            self.blocks.push(String::with_capacity(bytes));
        }
        let number = self.blocks.len() - 1;
        assert!(number < 1 << BLOCK_BITS, "64 TiB of texts");
        let block = &mut self.blocks[number];
        let start = block.len();
        block.push_str(text);
        self.bytes += text.len();
        let [number, start, bytes] = [number, start, text.len()].map(|n| n as u64);
        Place((number << START_BITS | start) << BYTES_BITS | bytes)
    }

    #[inline]
    pub(crate) fn at(&self, place: Place) -> &str {
        let start = place.start();
        &self.blocks[place.block()][start..start + place.bytes()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_stand_where_they_were_put(lengths in prop::collection::vec(
            prop_oneof![0..80_usize, 0..80_usize, Just(65_535)], 0..200,
        )) {
            let mut texts = Texts::default();
            let kept: Vec<_> = lengths.iter().enumerate().map(|(n, &length)| {
                let text = ["a", "b", "c"][n % 3].repeat(length);
                let place = texts.push(&text);
                prop_assert_eq!(Place::from_bits(place.to_bits() | 3 << Place::BITS), place);
                prop_assert_eq!(place.bytes(), length);
                Ok((place, text))
            }).collect::<Result<_, _>>()?;
            for (place, text) in kept {
                prop_assert_eq!(texts.at(place), text);
            }
        }
    }

    #[test]
    fn little_is_unused() {
        let mut texts = Texts::default();
        let text = "1a208d979df0-05585c45d5bb8f-17462c6f-1fa40";
        for _ in 0..100_000 {
            texts.push(text);
        }
        let room: usize = texts.blocks.iter().map(String::capacity).sum();
        assert!(room < texts.bytes * 108 / 100, "{room} for {}", texts.bytes);
    }
}
