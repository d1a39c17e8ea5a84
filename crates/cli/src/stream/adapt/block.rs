//! What became of the records of a block.

use idmerge_adapters::Refusal;

/// What became of the records of a block, which other products wrote. The block has a line for each
/// event, and a blank line for each refusal.
#[derive(Debug)]
pub(crate) struct AdaptedBlock {
    /// How many lines or records the block had, blank ones included.
    pub(crate) records: u64,
    /// For each line of the block the number of its record in the block, counted from 1.
    pub(crate) numbers: Vec<u64>,
    pub(crate) refused: Vec<RefusedRecord>,
}

/// A record that cannot be turned into events.
#[derive(Debug)]
pub(crate) struct RefusedRecord {
    /// The number of its blank line in the block, counted from 1.
    pub(crate) line: u64,
    pub(crate) record: Vec<u8>,
    pub(crate) refusal: Refusal,
}
