//! The text in front of a scalar.

use wide::u8x16;

/// How many bytes are compared together.
pub(super) const CHUNK_BYTES: usize = 16;

/// The text in front of a scalar: keys, commas, colons and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    bytes: usize,
    /// The text. Most have one chunk or two.
    first: Chunk,
    others: Box<[Chunk]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    text: [u8; CHUNK_BYTES],
    /// A bit for each byte that does not count: they are after the end.
    ignored: u32,
}

impl Chunk {
    fn new(part: &[u8]) -> Self {
        let mut text = [0; CHUNK_BYTES];
        text[..part.len()].copy_from_slice(part);
        Self {
            text,
            ignored: !0 << part.len(),
        }
    }

    /// Whether a padded text has this chunk at `at`.
    #[inline(always)]
    fn is_at(&self, padded: &[u8], at: usize) -> Option<bool> {
        let found = chunk_at(padded, at)?;
        let are_same = found.simd_eq(u8x16::new(self.text)).to_bitmask();
        Some(are_same | self.ignored == !0)
    }
}

impl Literal {
    pub(super) fn new(text: &[u8]) -> Self {
        let (first, others) = text.split_at(text.len().min(CHUNK_BYTES));
        Self {
            bytes: text.len(),
            first: Chunk::new(first),
            others: others.chunks(CHUNK_BYTES).map(Chunk::new).collect(),
        }
    }

    /// Where it ends in a padded text in which it begins at `at`. `None` if the text has something else there.
    #[inline(always)]
    pub(super) fn end_in(&self, padded: &[u8], at: usize) -> Option<usize> {
        if !self.first.is_at(padded, at)? {
            return None;
        }
        let mut from = at;
        for chunk in &self.others {
            from += CHUNK_BYTES;
            if !chunk.is_at(padded, from)? {
                return None;
            }
        }
        Some(at + self.bytes)
    }
}

/// The bytes of a padded text from `at`. `None` if that is after its end.
#[inline(always)]
pub(super) fn chunk_at(padded: &[u8], at: usize) -> Option<u8x16> {
    let chunk = padded.get(at..at + CHUNK_BYTES)?.first_chunk()?;
    Some(u8x16::new(*chunk))
}
