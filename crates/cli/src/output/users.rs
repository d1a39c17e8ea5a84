//! Counts users, before and after their IDs are joined.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::mem;

use foldhash::quality::RandomState;
use idmerge_core::DistinctId;

/// Counts different distinct_ids by a 64-bit hash, so that no ID has to be kept.
///
/// The hash has a random key, so that a sender cannot choose two IDs that count as one. With a
/// billion users a collision miscounts one user in about one run of forty.
#[derive(Debug, Default)]
pub(crate) struct UserCount {
    state: RandomState,
    before: HashSet<u64, BuildHasherDefault<NoHasher>>,
    after: HashSet<u64, BuildHasherDefault<NoHasher>>,
    events_without_id: u64,
}

/// The users of some events, collected without the lock and counted later.
#[derive(Clone, Debug)]
pub(crate) struct UserBatch {
    state: RandomState,
    /// For each event with a user, the hashes of its own and of its canonical distinct_id.
    hashes: Vec<(u64, u64)>,
    events_without_id: u64,
}

impl UserBatch {
    /// Adds an event with its own and its canonical distinct_id.
    pub(crate) fn add(&mut self, own: Option<DistinctId<'_>>, canonical: Option<DistinctId<'_>>) {
        let (Some(own), Some(canonical)) = (own, canonical) else {
            self.events_without_id += 1;
            return;
        };
        let hash = self.state.hash_one(own);
        let hash_after = if canonical == own {
            hash
        } else {
            self.state.hash_one(canonical)
        };
        self.push((hash, hash_after));
    }

    fn push(&mut self, hashes: (u64, u64)) {
        // Successive events often have the same user.
        if self.hashes.last() != Some(&hashes) {
            self.hashes.push(hashes);
        }
    }
}

#[cfg(feature = "tables")]
impl UserBatch {
    /// As [`add`](Self::add), of IDs as texts. The IDs of one count are all added in one of these ways.
    pub(crate) fn add_text(&mut self, own: Option<&str>, canonical: Option<&str>) {
        let (Some(own), Some(canonical)) = (own, canonical) else {
            self.events_without_id += 1;
            return;
        };
        let hash = self.state.hash_one(own);
        let hash_after = match canonical == own {
            true => hash,
            false => self.state.hash_one(canonical),
        };
        self.push((hash, hash_after));
    }
}

impl UserCount {
    /// An empty batch, to be [added](Self::add) to this count.
    pub(crate) fn batch(&self) -> UserBatch {
        UserBatch {
            state: self.state.clone(),
            hashes: Vec::new(),
            events_without_id: 0,
        }
    }

    /// Counts the users of a batch, and empties it.
    pub(crate) fn add(&mut self, users: &mut UserBatch) {
        for (own, canonical) in users.hashes.drain(..) {
            self.before.insert(own);
            self.after.insert(canonical);
        }
        self.events_without_id += mem::take(&mut users.events_without_id);
    }

    pub(crate) fn events_without_id(&self) -> u64 {
        self.events_without_id
    }

    pub(crate) fn before(&self) -> u64 {
        self.before.len() as u64
    }

    pub(crate) fn after(&self) -> u64 {
        self.after.len() as u64
    }
}

/// Passes through a value that is a hash already.
#[derive(Debug, Default)]
pub(crate) struct NoHasher(u64);

impl Hasher for NoHasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only hashes are in these sets");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use idmerge_core::Id;

    use super::*;

    #[test]
    fn users_are_counted_once_over_all_batches() {
        let id = |text| DistinctId::plain(Id::new(text).unwrap());
        let device = |text| DistinctId::device(Id::new(text).unwrap());
        let mut count = UserCount::default();
        for _ in 0..2 {
            let (mut some, mut others) = (count.batch(), count.batch());
            some.add(Some(device("D1")), Some(id("U1")));
            some.add(None, None);
            some.add(Some(id("D1")), Some(id("D1")));
            others.add(Some(id("U1")), Some(id("U1")));
            others.add(Some(device("D1")), Some(id("U1")));
            count.add(&mut some);
            count.add(&mut others);
        }
        assert_eq!((count.before(), count.after()), (3, 2));
        assert_eq!(count.events_without_id(), 2);
    }
}
