//! [`Sequences`]: the numbers of some entries.

use std::fmt;

use idmerge_disk::varint;

/// The numbers of some entries, smallest first. They are decoded when they are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sequences<'a> {
    /// The difference of each number to the one before it, at least 1; for the first one to 0.
    pub(in crate::log) bytes: &'a [u8],
}

impl<'a> Sequences<'a> {
    /// The bytes of these numbers, which must be in order.
    pub(crate) fn encode(sequences: impl IntoIterator<Item = u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut before = 0;
        for sequence in sequences {
            varint::put(&mut bytes, sequence - before);
            before = sequence;
        }
        bytes
    }

    /// The numbers in bytes that [`encode`](Self::encode) wrote.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The numbers in these bytes; `None` if the bytes are anything else.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut before = 0_u64;
        while !rest.is_empty() {
            let difference = varint::take(&mut rest).ok()?;
            before = before.checked_add(difference)?;
            if difference == 0 {
                return None;
            }
        }
        Some(Self { bytes })
    }

    /// The numbers, smallest first.
    pub fn iter(self) -> impl Iterator<Item = u64> + 'a {
        let mut rest = self.bytes;
        let mut before = 0;
        std::iter::from_fn(move || {
            before += varint::take(&mut rest).ok()?;
            Some(before)
        })
    }

    /// The smallest number; 0 if there is none.
    pub fn first(self) -> u64 {
        self.iter().next().unwrap_or_default()
    }
}

impl fmt::Debug for Sequences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
