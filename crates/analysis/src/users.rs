//! Numbers for IDs, so that a fold holds each ID once.

use foldhash::HashMap;
use idmerge_core::{AsDistinctId, DistinctId, DistinctIdBuf};

/// Numbers IDs from 0.
#[derive(Debug, Default)]
pub(crate) struct Users(HashMap<DistinctIdBuf, u32>);

impl Users {
    /// The number of an ID.
    pub(crate) fn number(&mut self, id: DistinctId<'_>) -> u32 {
        if let Some(number) = self.0.get(&id as &dyn AsDistinctId) {
            return *number;
        }
        // Four billion IDs do not fit into memory.
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(id.to_buf(), number);
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

    /// All IDs with their numbers, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DistinctId<'_>, u32)> {
        self.0.iter().map(|(id, number)| (id.as_id(), *number))
    }
}
