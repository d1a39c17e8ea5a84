//! An append-only arena of texts, for IDs that are neither UUIDs nor short.
#![allow(
    unsafe_code,
    reason = "to check again that a text is UTF-8 takes as long as the lookup of a long ID"
)]

use std::ops::Range;

use crate::part::{Appender, PartView};

/// An arena of texts in a few large blocks of memory. Texts are never removed.
///
/// Other threads can read them in a [view](Self::view) meanwhile.
// Invariant: each block is valid UTF-8 up to its length.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    blocks: Vec<Appender<u8>>,
    bytes: usize,
}

/// The blocks of an arena, as they were when the view was made. The later texts of the last block are there too.
#[derive(Debug, Default)]
pub(crate) struct TextsView {
    blocks: Box<[PartView<u8>]>,
}

/// The position of a text in the arena: block, start in the block, and length.
///
/// Packed into 62 bits, which leaves two bits for the tag of a [`Key`](crate::key::Key).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextSpan(u64);

const BYTES_BITS: u32 = 16;
const START_BITS: u32 = 22;
const BLOCK_BITS: u32 = 24;
const BLOCK_MAX_BYTES: usize = 1 << START_BITS;
const BLOCK_MIN_BYTES: usize = 1024;
/// A new block is a sixteenth of all texts so far, so that little memory is unused.
const BLOCK_PART: usize = 16;

impl TextSpan {
    /// The number of bits in use, from the lowest.
    pub(crate) const BITS: u32 = BYTES_BITS + START_BITS + BLOCK_BITS;

    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    /// The span with these bits (see [`to_bits`](Self::to_bits)). Higher bits are ignored.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits & ((1 << Self::BITS) - 1))
    }

    /// The span of a text of at most 65,535 bytes at this place. `None` if a span cannot have it.
    pub(crate) fn new(block: u32, start: usize, bytes: usize) -> Option<Self> {
        let is_one = block < 1 << BLOCK_BITS && start < 1 << START_BITS && bytes < 1 << BYTES_BITS;
        is_one.then(|| Self::packed([block as usize, start, bytes]))
    }

    fn packed(span: [usize; 3]) -> Self {
        let [block, start, bytes] = span.map(|number| number as u64);
        Self((block << START_BITS | start) << BYTES_BITS | bytes)
    }

    pub(crate) fn bytes(self) -> usize {
        (self.0 & ((1 << BYTES_BITS) - 1)) as usize
    }

    /// Its places in its block.
    fn places(self) -> Range<usize> {
        let start = (self.0 >> BYTES_BITS & ((1 << START_BITS) - 1)) as usize;
        start..start + self.bytes()
    }

    fn block(self) -> usize {
        (self.0 >> (BYTES_BITS + START_BITS)) as usize
    }
}

impl Texts {
    /// Adds a text of at most 65,535 bytes. Returns whether a block has come: a [view](Self::view) does not have the
    /// text then.
    ///
    /// # Panics
    ///
    /// If the texts fill 64 TiB.
    pub(crate) fn push(&mut self, text: &str) -> (TextSpan, bool) {
        let has_room = |block: &Appender<u8>| block.capacity() - block.len() >= text.len();
        let is_new = !self.blocks.last().is_some_and(has_room);
        if is_new {
            let part = self.bytes / BLOCK_PART;
            let bytes = part.clamp(BLOCK_MIN_BYTES, BLOCK_MAX_BYTES).max(text.len());
            self.blocks.push(Appender::with_capacity(bytes));
        }
        let number = self.blocks.len() - 1;
        assert!(number < 1 << BLOCK_BITS, "64 TiB of texts");
        let block = &mut self.blocks[number];
        let start = block.len();
        block.extend(text.as_bytes());
        self.bytes += text.len();
        (TextSpan::packed([number, start, text.len()]), is_new)
    }

    /// The texts of these blocks. None is longer than a block.
    ///
    /// # Panics
    ///
    /// If there are more blocks than can be numbered, or one is too long.
    pub(crate) fn of_blocks(blocks: Vec<String>) -> Self {
        assert!(blocks.len() <= 1 << BLOCK_BITS, "64 TiB of texts");
        assert!(blocks.iter().all(|block| block.len() <= BLOCK_MAX_BYTES));
        let bytes = blocks.iter().map(String::len).sum();
        let blocks = blocks.into_iter().map(String::into_bytes);
        let blocks = blocks.map(Appender::of_vec).collect();
        Self { blocks, bytes }
    }

    /// The text at a span that may come from anywhere; `None` if there is none.
    pub(crate) fn get(&self, span: TextSpan) -> Option<&str> {
        let block = self.blocks.get(span.block())?;
        // A span may begin or end within a character.
        str::from_utf8(block.slice(span.places())?).ok()
    }

    /// The bytes of the text at a span.
    #[inline]
    pub(crate) fn bytes_at(&self, span: TextSpan) -> &[u8] {
        match self.blocks[span.block()].slice(span.places()) {
            Some(bytes) => bytes,
            None => unreachable!("a span is of a text"),
        }
    }

    /// The text at a span that [`push`](Self::push) has returned, or that [`get`](Self::get) has checked.
    #[inline]
    pub(crate) fn at(&self, span: TextSpan) -> &str {
        text_of(self.bytes_at(span))
    }

    /// The blocks, for other threads.
    pub(crate) fn view(&self) -> TextsView {
        let blocks = self.blocks.iter();
        TextsView {
            blocks: blocks.map(Appender::view).collect(),
        }
    }
}

impl TextsView {
    /// The bytes of the text at a span; `None` if it is not in this view. If a key has the span, a later view has the
    /// text.
    #[inline]
    pub(crate) fn bytes_at(&self, span: TextSpan) -> Option<&[u8]> {
        self.blocks.get(span.block())?.slice(span.places())
    }

    /// The text at a span of a key of the same table; `None` as of [`bytes_at`](Self::bytes_at).
    #[inline]
    pub(crate) fn at(&self, span: TextSpan) -> Option<&str> {
        self.bytes_at(span).map(text_of)
    }
}

/// The text with these bytes, which are those of a whole span.
#[inline]
fn text_of(bytes: &[u8]) -> &str {
    debug_assert!(str::from_utf8(bytes).is_ok());
    // SAFETY: spans are made by `push`, of a whole text, and by `Key::of_long` and `Key::checked` of an image, whose
    // loader has asked `get` for each of them. Texts do not change.
    unsafe { str::from_utf8_unchecked(bytes) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_at_its_span(lengths in prop::collection::vec(
            prop_oneof![0..80_usize, 0..80_usize, Just(65_535)], 0..200,
        )) {
            let mut texts = Texts::default();
            let kept: Vec<_> = lengths.iter().enumerate().map(|(n, &length)| {
                let text = ["a", "b", "c"][n % 3].repeat(length);
                let (span, _) = texts.push(&text);
                prop_assert_eq!(TextSpan::from_bits(span.to_bits() | 3 << TextSpan::BITS), span);
                prop_assert_eq!(span.bytes(), length);
                Ok((span, text))
            }).collect::<Result<_, _>>()?;
            for (span, text) in kept {
                prop_assert_eq!(texts.at(span), text);
            }
        }
    }

    #[test]
    fn little_memory_is_unused() {
        let mut texts = Texts::default();
        let text = "1a208d979df0-05585c45d5bb8f-17462c6f-1fa40";
        for _ in 0..100_000 {
            texts.push(text);
        }
        let room: usize = texts.blocks.iter().map(Appender::capacity).sum();
        assert!(room < texts.bytes * 108 / 100, "{room} for {}", texts.bytes);
    }
}
