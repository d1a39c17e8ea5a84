//! The connected component of IDs: the entries that can influence each other.

use std::collections::{BTreeSet, HashSet};

use idmerge_core::Id;

use super::index::{Index, fingerprint, fingerprints};
use crate::error::StoreError;

impl Index<'_> {
    /// All entries whose IDs are connected with these IDs by claims, rejected and withdrawn claims
    /// included. Leaving any of these entries out changes no answer to any other entry (law 9).
    pub(crate) fn component<'i>(
        &self,
        ids: impl Iterator<Item = Id<'i>>,
    ) -> Result<BTreeSet<u64>, StoreError> {
        let mut new: HashSet<u64> = ids.map(fingerprint).collect();
        let mut known = new.clone();
        let mut component = BTreeSet::new();
        while !new.is_empty() {
            let mut found = BTreeSet::new();
            self.find(&new, &mut found)?;
            new.clear();
            let unseen = found.difference(&component).copied().collect();
            self.log.each_of(&unseen, &mut |entry| {
                let others = fingerprints(&entry).into_iter();
                new.extend(others.filter(|fingerprint| known.insert(*fingerprint)));
                Ok(())
            })?;
            component.extend(unseen);
        }
        Ok(component)
    }
}
