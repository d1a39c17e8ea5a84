//! [`JournalRow`]: what the database knows of the journal of its store.

/// The bytes of the row: the epoch, the length of the journal, and the format version without a journal.
const ROW_BYTES: usize = 16 + 4 + 2;

/// What the database knows of the journal of its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JournalRow {
    /// The frames of this epoch count, and no others.
    pub(crate) epoch: u128,
    /// The length of the journal.
    pub(crate) bytes: u32,
}

impl JournalRow {
    /// The bytes of the row in a store that has this format version without a journal.
    pub(crate) fn encode(self, format: u16) -> Vec<u8> {
        let mut row = Vec::with_capacity(ROW_BYTES);
        row.extend(self.epoch.to_le_bytes());
        row.extend(self.bytes.to_le_bytes());
        row.extend(format.to_le_bytes());
        row
    }

    /// The row and the format version; `None` if the bytes are not those of a row.
    pub(crate) fn decode(row: &[u8]) -> Option<(Self, u16)> {
        let (epoch, rest) = row.split_first_chunk()?;
        let (bytes, format) = rest.split_first_chunk()?;
        let row = Self {
            epoch: u128::from_le_bytes(*epoch),
            bytes: u32::from_le_bytes(*bytes),
        };
        Some((row, u16::from_le_bytes(format.try_into().ok()?)))
    }
}
