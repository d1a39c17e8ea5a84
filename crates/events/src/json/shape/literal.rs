//! The text in front of a scalar, or a part of it.

use wide::u8x16;

/// How many bytes are compared together.
pub(super) const CHUNK_BYTES: usize = 16;

/// The longest literal. Longer texts are several.
pub(super) const LITERAL_BYTES: usize = 2 * CHUNK_BYTES;

/// How many bytes of a scalar are looked at together: all of most.
pub(super) const SCALAR_BYTES: usize = 1 + 3 * CHUNK_BYTES;

/// How many bytes of a text are looked at together. There are as many zeros after a padded text.
pub(super) const WINDOW_BYTES: usize = LITERAL_BYTES + SCALAR_BYTES;

/// The bytes of a padded text from some offset.
pub(super) type Window = [u8; WINDOW_BYTES];

/// Keys, commas, colons and the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    chunks: [[u8; CHUNK_BYTES]; 2],
    /// A bit for each byte that does not count: they are after the end.
    ignored: u32,
    bytes: u8,
}

impl Literal {
    /// Of at most [`LITERAL_BYTES`].
    pub(super) fn new(text: &[u8]) -> Option<Self> {
        let mut chunks = [[0; CHUNK_BYTES]; 2];
        chunks
            .as_flattened_mut()
            .get_mut(..text.len())?
            .copy_from_slice(text);
        let bytes = u8::try_from(text.len()).ok()?;
        Some(Self {
            chunks,
            ignored: u32::MAX.checked_shl(bytes.into()).unwrap_or(0),
            bytes,
        })
    }

    #[inline(always)]
    pub(super) fn bytes(&self) -> usize {
        usize::from(self.bytes)
    }

    /// Whether a window begins with it.
    #[inline(always)]
    pub(super) fn begins(&self, window: &Window) -> bool {
        let (chunks, _) = window.as_chunks();
        let same = [0, 1].map(|at| {
            let same = u8x16::new(chunks[at]).simd_eq(u8x16::new(self.chunks[at]));
            same.to_bitmask()
        });
        same[0] | same[1] << CHUNK_BYTES | self.ignored == !0
    }
}
