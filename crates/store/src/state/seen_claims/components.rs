//! The components that attempted claims connect: accepted, rejected and withdrawn ones.

use std::collections::HashMap;

/// Set in the value of the ID that represents its component. The other bits count the identified IDs
/// of the component, up to [`SEVERAL`]. The value of another ID is the key of an ID nearer to the
/// representative.
const REPRESENTS: u32 = 1 << 31;

const SEVERAL: u32 = 2;

/// The key of an ID with this hash: 31 bits.
pub(super) fn key(hash: u64) -> u32 {
    (hash >> 33) as u32
}

/// The components of the IDs. An ID takes 8 bytes, because there can be very many.
///
/// The smallest key represents a component, so that equal components have an equal form on disk.
#[derive(Debug, Default)]
pub(super) struct Components {
    ids: HashMap<u32, u32>,
    /// By representative, for components with several identified IDs: the last entry of a new claim.
    last_entries: HashMap<u32, u64>,
}

impl Components {
    /// Connects two IDs by the entry of this number, which names `new_identified` new identified IDs.
    /// Returns whether the component then has several identified IDs.
    pub(super) fn connect(&mut self, keys: [u32; 2], new_identified: u32, sequence: u64) -> bool {
        let [(a, a_identified), (b, b_identified)] = keys.map(|key| self.representative(key));
        let (keep, give) = (a.min(b), a.max(b));
        let mut identified = a_identified + new_identified;
        if keep != give {
            identified += b_identified;
            self.ids.insert(give, keep);
            self.last_entries.remove(&give);
        }
        let identified = identified.min(SEVERAL);
        self.ids.insert(keep, REPRESENTS | identified);
        let has_several = identified == SEVERAL;
        if has_several {
            self.last_entries.insert(keep, sequence);
        }
        has_several
    }

    /// The last entry of a new claim in the component of an ID; `None` if the component does not have
    /// several identified IDs.
    pub(super) fn last_entry(&mut self, key: u32) -> Option<u64> {
        let (representative, _) = self.representative(key);
        self.last_entries.get(&representative).copied()
    }

    /// The ID that represents the component of an ID, and how many identified IDs the component has.
    fn representative(&mut self, key: u32) -> (u32, u32) {
        let mut at = key;
        loop {
            let next = *self.ids.entry(at).or_insert(REPRESENTS);
            if next & REPRESENTS != 0 {
                return (at, next & !REPRESENTS);
            }
            // Shorten the way for the next time.
            match self.ids.get(&next) {
                Some(&after) if after & REPRESENTS == 0 => {
                    self.ids.insert(at, after);
                    at = after;
                }
                _ => at = next,
            }
        }
    }

    /// Each ID with its value in the shortest form, sorted.
    pub(super) fn sorted_ids(&self) -> Vec<(u32, u32)> {
        let mut ids: Vec<_> = self.ids.iter().map(|(key, next)| (*key, *next)).collect();
        for (_, value) in &mut ids {
            while let Some(&next) = self.ids.get(value)
                && next & REPRESENTS == 0
            {
                *value = next;
            }
        }
        ids.sort_unstable();
        ids
    }

    /// The components with several identified IDs, sorted.
    pub(super) fn sorted_last_entries(&self) -> Vec<(u32, u64)> {
        let mut all: Vec<_> = self
            .last_entries
            .iter()
            .map(|(key, at)| (*key, *at))
            .collect();
        all.sort_unstable();
        all
    }

    /// Inserts an ID with its value. Returns `false` for a value that no ID has: a way leads to smaller
    /// keys, so that it ends.
    pub(super) fn insert_id(&mut self, key: u32, value: u32) -> bool {
        self.ids.insert(key, value);
        value & REPRESENTS != 0 || value < key
    }

    pub(super) fn insert_last_entry(&mut self, key: u32, sequence: u64) {
        self.last_entries.insert(key, sequence);
    }
}
