//! The connected component of IDs: the entries that can influence each other.

use std::collections::{BTreeSet, HashSet};

use idmerge_core::{Id, Outcome};

use super::entry::{Entry, What};
use super::index::{Index, fingerprint, fingerprints};
use crate::error::StoreError;

/// Which claims connect IDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Connection {
    /// Those that were accepted when they came.
    #[default]
    Accepted,
    /// All, also those that were rejected or withdrawn.
    Attempted,
}

impl Connection {
    fn connects(self, entry: &Entry<'_>) -> bool {
        match entry.what {
            What::Claim { outcome, .. } => {
                self == Self::Attempted
                    || matches!(outcome, Outcome::Merged | Outcome::AlreadyMerged)
            }
            _ => self == Self::Attempted,
        }
    }
}

impl Index<'_> {
    /// All entries whose IDs are connected with these IDs by claims. With all attempted claims, leaving
    /// these entries out changes no answer to any other entry (law 9). If nothing was ever withdrawn, the
    /// accepted claims alone give the same users, because a rejected claim leaves no trace (law 7).
    pub(crate) fn component<'i>(
        &self,
        ids: impl Iterator<Item = Id<'i>>,
        connection: Connection,
    ) -> Result<BTreeSet<u64>, StoreError> {
        let mut new: HashSet<u64> = ids.map(fingerprint).collect();
        let mut known = new.clone();
        let mut seen = BTreeSet::new();
        let mut component = BTreeSet::new();
        while !new.is_empty() {
            let mut found = BTreeSet::new();
            self.find(&new, &mut found)?;
            new.clear();
            let unseen = found.difference(&seen).copied().collect();
            self.count_read(&unseen);
            self.log.each_of(&unseen, &mut |entry| {
                if connection.connects(&entry) {
                    component.insert(entry.sequence);
                    let others = fingerprints(&entry).into_iter();
                    new.extend(others.filter(|fingerprint| known.insert(*fingerprint)));
                }
                Ok(())
            })?;
            seen.extend(unseen);
        }
        Ok(component)
    }
}
