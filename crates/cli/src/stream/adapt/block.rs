//! What became of the records of a block.

use idmerge_adapters::{Refusal, UserConflict};
use idmerge_events::EventParts;

/// What became of the records of a block, which other products wrote. The block has a line for each
/// event, and a blank line for each refusal.
#[derive(Debug)]
pub(crate) struct AdaptedBlock {
    /// How many lines or records the block had, blank ones included.
    pub(crate) records: u64,
    /// For each line of the block the number of its record in the block, counted from 1.
    pub(crate) numbers: Vec<u64>,
    /// For each line of the block the parts of its event, if they are known without a scan.
    pub(crate) parts: Vec<Option<EventParts>>,
    pub(crate) refused: Vec<RefusedRecord>,
    /// The users that records say are one person, and that no event joins (S-9).
    pub(crate) conflicts: Vec<UserConflict>,
}

impl AdaptedBlock {
    /// The parts of the event on a line of the block, counted from 1.
    #[inline]
    pub(crate) fn parts_of(&self, line: u64) -> Option<&EventParts> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        self.parts.get(index)?.as_ref()
    }
}

/// A record that cannot be turned into events.
#[derive(Debug)]
pub(crate) struct RefusedRecord {
    /// The number of its blank line in the block, counted from 1.
    pub(crate) line: u64,
    pub(crate) record: Vec<u8>,
    pub(crate) refusal: Refusal,
}
