//! How many users there are, before ids are joined and after.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::mem;

use foldhash::quality::RandomState;
use idmerge_core::DistinctId;

/// Counts different distinct_ids by a hash of 64 bits, so that none has to be kept.
///
/// The key of the hash is another in each process: whoever chooses ids cannot make two of them
/// count as one. By chance that happens to one of a billion users once in forty runs.
#[derive(Debug, Default)]
pub(crate) struct UserCount {
    state: RandomState,
    before: HashSet<u64, BuildHasherDefault<NoHasher>>,
    after: HashSet<u64, BuildHasherDefault<NoHasher>>,
    events_of_nobody: u64,
}

/// The users of some events, which are counted later.
#[derive(Debug)]
pub(crate) struct SomeUsers {
    state: RandomState,
    /// Of each event of somebody, the hashes of the own and of the canonical distinct_id.
    hashes: Vec<(u64, u64)>,
    events_of_nobody: u64,
}

impl SomeUsers {
    /// An event with its own distinct_id and the canonical one.
    pub(crate) fn add(&mut self, own: Option<DistinctId<'_>>, canonical: Option<DistinctId<'_>>) {
        let (Some(own), Some(canonical)) = (own, canonical) else {
            self.events_of_nobody += 1;
            return;
        };
        let hash = self.state.hash_one(own);
        let hash_after = if canonical == own {
            hash
        } else {
            self.state.hash_one(canonical)
        };
        let hashes = (hash, hash_after);
        // Events of one user often come in a row.
        if self.hashes.last() != Some(&hashes) {
            self.hashes.push(hashes);
        }
    }
}

impl UserCount {
    /// None so far, to be [counted](Self::take) here.
    pub(crate) fn some(&self) -> SomeUsers {
        SomeUsers {
            state: self.state.clone(),
            hashes: Vec::new(),
            events_of_nobody: 0,
        }
    }

    /// Counts these users, and takes them away.
    pub(crate) fn take(&mut self, users: &mut SomeUsers) {
        for (own, canonical) in users.hashes.drain(..) {
            self.before.insert(own);
            self.after.insert(canonical);
        }
        self.events_of_nobody += mem::take(&mut users.events_of_nobody);
    }

    pub(crate) fn events_of_nobody(&self) -> u64 {
        self.events_of_nobody
    }

    pub(crate) fn before(&self) -> u64 {
        self.before.len() as u64
    }

    pub(crate) fn after(&self) -> u64 {
        self.after.len() as u64
    }
}

/// Of what is a hash already.
#[derive(Debug, Default)]
struct NoHasher(u64);

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
    fn users_are_counted_once_whoever_met_them() {
        let id = |text| DistinctId::plain(Id::new(text).unwrap());
        let device = |text| DistinctId::device(Id::new(text).unwrap());
        let mut count = UserCount::default();
        for _ in 0..2 {
            let (mut some, mut others) = (count.some(), count.some());
            some.add(Some(device("D1")), Some(id("U1")));
            some.add(None, None);
            some.add(Some(id("D1")), Some(id("D1")));
            others.add(Some(id("U1")), Some(id("U1")));
            others.add(Some(device("D1")), Some(id("U1")));
            count.take(&mut some);
            count.take(&mut others);
        }
        assert_eq!((count.before(), count.after()), (3, 2));
        assert_eq!(count.events_of_nobody(), 2);
    }
}
