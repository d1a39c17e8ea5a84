//! Blocks: the entries in one row of the log.

use idmerge_disk::row;

use crate::error::StoreError;
use crate::log::codec::{Decoder, Encoder, Wrong};
use crate::log::entry::Entry;

/// A block of this many bytes is full. Its row then fits four pages of the database.
const FULL_BYTES: usize = 15_000;

/// A block that entries are added to.
#[derive(Debug)]
pub(crate) struct Block {
    /// The number of the first entry.
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) entries: Encoder,
}

impl Block {
    pub(crate) fn starting_at(first: u64) -> Self {
        Self {
            first,
            count: 0,
            entries: Encoder::default(),
        }
    }

    /// Reads a row back to add more entries.
    pub(crate) fn read(first: u64, row: &[u8]) -> Result<Self, Wrong> {
        let (count, bytes) = open(first, row)?;
        Ok(Self {
            first,
            count,
            entries: Encoder::after(bytes)?,
        })
    }

    /// Adds entries in the bytes that they had at this place of another copy of the block.
    pub(crate) fn append(&mut self, count: u32, bytes: &[u8]) -> Result<(), Wrong> {
        self.entries.bytes.extend(bytes);
        self.count = self.count.checked_add(count).ok_or("too many entries")?;
        Ok(())
    }

    /// Reads what was [added](Self::append), so that more entries can be written after it.
    pub(crate) fn reread(&mut self) -> Result<(), Wrong> {
        let mut decoder = Decoder::new(&self.entries.bytes, self.first);
        let mut found = 0;
        while decoder.next()?.is_some() {
            found += 1;
        }
        if found != self.count {
            return Err("the number of entries in a block is wrong");
        }
        self.entries = Encoder::after(&self.entries.bytes)?;
        Ok(())
    }

    /// The number of the next entry.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// Counts an entry that was written to `entries`.
    pub(crate) fn count_one(&mut self) {
        self.count += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries.bytes.len() >= FULL_BYTES
    }

    /// The bytes of the row.
    pub(crate) fn row(&self) -> Vec<u8> {
        self.row_up_to(self.count, self.entries.bytes.len())
    }

    /// The bytes of the row without its last entries: so many entries in so many bytes.
    pub(crate) fn row_up_to(&self, count: u32, bytes: usize) -> Vec<u8> {
        let mut row = row::start_with_capacity(4 + bytes);
        row.extend(count.to_le_bytes());
        row.extend(&self.entries.bytes[..bytes]);
        row::seal(self.first, row)
    }
}

/// The number of entries in a row, and their bytes.
fn open(first: u64, row: &[u8]) -> Result<(u32, &[u8]), Wrong> {
    let content = row::open(first, row).ok_or("the checksum of a block is wrong")?;
    let (count, bytes) = content
        .split_first_chunk::<4>()
        .ok_or("a block is cut off")?;
    Ok((u32::from_le_bytes(*count), bytes))
}

/// Calls `visit` with each entry of a row until `visit` answers `false`. Returns the number after the
/// last entry, or `None` if `visit` stopped.
pub(crate) fn each_entry(
    first: u64,
    row: &[u8],
    visit: &mut dyn FnMut(Entry<'_>) -> Result<bool, StoreError>,
) -> Result<Option<u64>, StoreError> {
    let (count, bytes) = open(first, row).map_err(|wrong| (first, wrong))?;
    let mut decoder = Decoder::new(bytes, first);
    let mut next = first;
    while let Some(entry) = decoder.next().map_err(|wrong| (next, wrong))? {
        next += 1;
        if !visit(entry)? {
            return Ok(None);
        }
    }
    if next != first + u64::from(count) {
        return Err((next, "the number of entries in a block is wrong").into());
    }
    Ok(Some(next))
}

/// The row without its entries after `until`, and whether the entry `until` is in it.
pub(crate) fn up_to(first: u64, row: &[u8], until: u64) -> Result<(Vec<u8>, bool), StoreError> {
    let mut cut = Block::starting_at(first);
    let (mut is_cut, mut is_last) = (false, false);
    each_entry(first, row, &mut |entry| {
        is_last |= entry.sequence == until;
        if entry.sequence > until {
            is_cut = true;
        } else {
            cut.entries.entry(entry).ok_or(StoreError::UnknownClaim)?;
            cut.count_one();
        }
        Ok(true)
    })?;
    let row = if is_cut { cut.row() } else { row.to_vec() };
    Ok((row, is_last))
}

#[cfg(test)]
mod tests {
    use idmerge_core::{Claim, Id, Outcome};

    use super::*;
    use crate::log::entry::Cause;

    fn block() -> Block {
        let [first, second] = ["A", "B"].map(|text| Id::new(text).unwrap());
        let mut block = Block::starting_at(5);
        for outcome in [Outcome::Merged, Outcome::AlreadyMerged] {
            let claim = Claim::Merge { first, second };
            block
                .entries
                .claim(claim, outcome, Cause::default())
                .unwrap();
            block.count_one();
        }
        block
    }

    fn sequences(first: u64, row: &[u8]) -> Result<Vec<u64>, StoreError> {
        let mut sequences = Vec::new();
        each_entry(first, row, &mut |entry| {
            sequences.push(entry.sequence);
            Ok(true)
        })?;
        Ok(sequences)
    }

    #[test]
    fn a_row_has_the_entries_of_its_block() {
        let row = block().row();
        assert_eq!(sequences(5, &row).unwrap(), [5, 6]);
        assert_eq!(Block::read(5, &row).unwrap().row(), row);
        assert_eq!(each_entry(5, &row, &mut |_| Ok(true)).unwrap(), Some(7));
        assert_eq!(each_entry(5, &row, &mut |_| Ok(false)).unwrap(), None);
    }

    #[test]
    fn a_row_that_is_changed_cut_off_or_elsewhere_is_an_error() {
        let row = block().row();
        assert!(sequences(6, &row).is_err(), "in another place");
        for place in 0..row.len() {
            let mut changed = row.clone();
            changed[place] ^= 1;
            assert!(sequences(5, &changed).is_err(), "{place}");
            assert!(sequences(5, &row[..place]).is_err(), "{place}");
        }
    }

    #[test]
    fn a_block_that_miscounts_is_an_error() {
        for count in [1, 3] {
            let mut block = block();
            block.count = count;
            let error = sequences(5, &block.row()).unwrap_err();
            assert!(matches!(error, StoreError::DamagedLog { sequence: 7, .. }));
        }
    }
}
