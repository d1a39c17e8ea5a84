//! [`NearCap`]: counts clusters that are nearly full.

use std::collections::HashSet;

use idmerge_core::{DistinctId, Resolve};
use idmerge_engines::NEAR_CAP_PERCENT;
use idmerge_store::Change;
use parking_lot::Mutex;

/// The clusters that are nearly full.
pub(crate) struct NearCap {
    /// The most IDs of a cluster; `None` if there is no limit.
    max_ids: Option<usize>,
    canonical_ids: Mutex<HashSet<String>>,
}

impl NearCap {
    /// Finds the clusters of an engine that are nearly full.
    pub(crate) fn new(max_ids: Option<u32>, engine: &impl Resolve) -> Self {
        let max_ids = max_ids.map(|ids| ids as usize);
        let mut canonical_ids = HashSet::new();
        if let Some(max_ids) = max_ids {
            let full = engine
                .clusters()
                .filter(|cluster| is_near(cluster.members.len(), max_ids))
                .map(|cluster| cluster.canonical.to_string());
            canonical_ids.extend(full);
        }
        Self {
            max_ids,
            canonical_ids: Mutex::new(canonical_ids),
        }
    }

    /// Takes note of a merge: `id` is in the merged cluster, `before` and `after` are its canonical
    /// IDs.
    pub(crate) fn merged(
        &self,
        engine: &impl Resolve,
        id: DistinctId<'_>,
        before: &[String; 2],
        after: &str,
    ) {
        let Some(max_ids) = self.max_ids else {
            return;
        };
        let ids = engine.cluster_len(id);
        let mut canonical_ids = self.canonical_ids.lock();
        for id in before {
            canonical_ids.remove(id);
        }
        if is_near(ids, max_ids) {
            canonical_ids.insert(after.to_owned());
        }
    }

    /// Takes note of a retraction, which changed the canonical IDs of these IDs.
    pub(crate) fn revised(&self, engine: &impl Resolve, changes: &[Change]) {
        let Some(max_ids) = self.max_ids else {
            return;
        };
        let users: HashSet<_> = changes
            .iter()
            .flat_map(|change| [change.from.as_id(), change.to.as_id()])
            .collect();
        let mut canonical_ids = self.canonical_ids.lock();
        for user in users {
            let ids = engine.cluster_len(user);
            let is_canonical = engine.resolve(user) == user;
            match is_canonical && is_near(ids, max_ids) {
                true => drop(canonical_ids.insert(user.to_string())),
                false => drop(canonical_ids.remove(&user.to_string())),
            }
        }
    }

    /// How many clusters are nearly full.
    pub(crate) fn clusters(&self) -> usize {
        self.canonical_ids.lock().len()
    }
}

fn is_near(ids: usize, max_ids: usize) -> bool {
    ids as u64 * 100 >= max_ids as u64 * NEAR_CAP_PERCENT
}
