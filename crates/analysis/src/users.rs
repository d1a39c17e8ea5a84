//! Numbers for IDs, so that a fold holds each ID once.

use std::mem::size_of;

use foldhash::HashMap;
use idmerge_core::{AsDistinctId, DistinctId, DistinctIdBuf};

/// Numbers IDs from 0.
#[derive(Debug, Default)]
pub(crate) struct Users {
    numbers: HashMap<DistinctIdBuf, u32>,
    /// The bytes of the texts of all IDs.
    text_bytes: usize,
}

/// The memory that an allocator needs for a small piece, besides its bytes.
pub(crate) const ALLOCATION_BYTES: usize = 16;

/// The memory of a table, without what its keys and values point to. It has a byte more for each place, and an
/// eighth of its places is free at least.
pub(crate) fn table_bytes<K, V>(table: &HashMap<K, V>) -> usize {
    table.capacity() * (size_of::<(K, V)>() + 1) * 8 / 7
}

impl Users {
    /// The number of an ID.
    pub(crate) fn number(&mut self, id: DistinctId<'_>) -> u32 {
        if let Some(number) = self.numbers.get(&id as &dyn AsDistinctId) {
            return *number;
        }
        // Four billion IDs do not fit into memory.
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.text_bytes += id.id().text_bytes();
        self.numbers.insert(id.to_buf(), number);
        number
    }

    /// The numbers of the user of an event, and of the distinct_id that it was sent with.
    pub(crate) fn numbers(&mut self, user: DistinctId<'_>, own: DistinctId<'_>) -> [u32; 2] {
        let number = self.number(user);
        // Most events are sent with the canonical ID, which saves a lookup.
        [
            number,
            if own == user {
                number
            } else {
                self.number(own)
            },
        ]
    }

    /// About how much memory the IDs take.
    pub(crate) fn bytes_held(&self) -> usize {
        table_bytes(&self.numbers) + self.text_bytes + self.numbers.len() * ALLOCATION_BYTES
    }

    /// All IDs with their numbers, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DistinctId<'_>, u32)> {
        self.numbers
            .iter()
            .map(|(id, number)| (id.as_id(), *number))
    }
}
