//! Counts the users of a table.

use std::hash::BuildHasher as _;

use arrow_array::StringArray;
use foldhash::HashMap;
use foldhash::quality::RandomState;

use idmerge_columns::parallel;

/// The users of a table, before and after their IDs are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Users {
    pub(crate) before: u64,
    pub(crate) after: u64,
}

/// IDs are told apart by a 64-bit hash with a random key, as the command does it, whose lowest two bits make room for
/// these.
const BEFORE: u64 = 1;
const AFTER: u64 = 2;

/// The IDs are counted in parts, by the highest bits of their hashes: the table of one part stays in a cache.
const PART_BITS: u32 = 6;

/// The IDs of a batch, each as a hash and when it was seen.
pub(super) struct Seen<'k> {
    key: &'k RandomState,
    parts: Vec<Vec<u64>>,
    last: u64,
}

impl<'k> Seen<'k> {
    pub(super) fn new(key: &'k RandomState, own: &StringArray, canonical: &StringArray) -> Self {
        let mut seen = Self {
            key,
            parts: vec![Vec::new(); 1 << PART_BITS],
            last: 0,
        };
        for (own, canonical) in own.iter().zip(canonical) {
            match own.zip(canonical) {
                Some((own, canonical)) if own == canonical => seen.push(own, BEFORE | AFTER),
                Some((own, canonical)) => {
                    seen.push(own, BEFORE);
                    seen.push(canonical, AFTER);
                }
                None => {}
            }
        }
        seen
    }

    fn push(&mut self, id: &str, when: u64) {
        let seen = (self.key.hash_one(id) & !(BEFORE | AFTER)) | when;
        // Successive events often have the same user.
        if self.last != seen {
            self.last = seen;
            self.parts[part_of(seen)].push(seen);
        }
    }
}

fn part_of(seen: u64) -> usize {
    (seen >> (u64::BITS - PART_BITS)) as usize
}

/// Counts different IDs. All batches have been hashed with the same key.
pub(super) fn count(batches: &[Seen<'_>]) -> Users {
    let parts = parallel::map(1 << PART_BITS, |part| {
        let mut ids: HashMap<u64, u64> = HashMap::default();
        for seen in batches.iter().flat_map(|batch| &batch.parts[part]) {
            *ids.entry(seen & !(BEFORE | AFTER)).or_default() |= seen & (BEFORE | AFTER);
        }
        let of = |when| ids.values().filter(|seen| *seen & when != 0).count() as u64;
        Users {
            before: of(BEFORE),
            after: of(AFTER),
        }
    });
    Users {
        before: parts.iter().map(|part| part.before).sum(),
        after: parts.iter().map(|part| part.after).sum(),
    }
}
