//! The state: a partition of IDs into clusters, and the marks of each ID. It knows which IDs are in
//! one cluster and which one is canonical. The guardrails are in `engine.rs`.

use idmerge_core::{Cluster, DistinctId, Id};
use idmerge_state::{BATCH_IDS, Found, Partition as Ids, Probe};

/// The IDs of the partition by number. The number of an ID is its age (rule O-14): a lower number
/// is older.
///
/// Invariant: between two calls of the engine every cluster has at least two IDs.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub(crate) ids: Ids<Marks>,
}

/// How an ID was used in accepted claims (rule O-13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) identified: bool,
    pub(crate) alias: bool,
}

impl Partition {
    /// Adds an ID, to the cluster of another ID or to a cluster of its own. It is the youngest and has
    /// no marks, so the canonical ID of the other cluster stays.
    pub(crate) fn enter(&mut self, id: &Probe<'_>, other: Option<Found>) -> Found {
        self.ids.enter(id, other, Marks::default())
    }

    /// Merges the clusters of two IDs, which must be two clusters. Returns the label of the merged
    /// cluster.
    pub(crate) fn join(&mut self, a: Found, b: Found) -> u32 {
        let canonical = self.canonical_of([self.canonical(a), self.canonical(b)]);
        self.ids.join(a, b, canonical)
    }

    /// O-13
    pub(crate) fn mark_identified(&mut self, id: Found) {
        self.ids.data_mut(id.number).identified = true;
        let number = self.canonical_of([self.canonical(id), id.number]);
        self.ids.set_canonical(Found { number, ..id });
    }

    /// O-13
    pub(crate) fn mark_alias(&mut self, id: Found) {
        self.ids.data_mut(id.number).alias = true;
    }

    /// The number of IDs in the cluster of this ID.
    pub(crate) fn cluster_ids(&self, id: Found) -> u32 {
        self.ids.cluster_ids(id)
    }

    /// The number of the canonical ID of the cluster of this ID.
    #[inline]
    pub(crate) fn canonical(&self, id: Found) -> u32 {
        self.ids.canonical(id)
    }

    /// Looks up many IDs at once, and prefetches their clusters.
    #[inline]
    pub(crate) fn find_all<'p>(
        &self,
        ids: impl Iterator<Item = Option<Id<'p>>>,
    ) -> ([Probe<'p>; BATCH_IDS], [Option<Found>; BATCH_IDS]) {
        self.ids.find_all(ids)
    }

    /// The marks of the ID with this number.
    pub(crate) fn marks(&self, number: u32) -> Marks {
        *self.ids.data(number)
    }

    /// The numbers of the IDs in the cluster of this ID, starting with this one.
    pub(crate) fn ring(&self, number: u32) -> impl Iterator<Item = u32> {
        self.ids.ring(number)
    }

    /// The cluster of this ID.
    pub(crate) fn cluster(&self, id: Found) -> Cluster<'_> {
        let distinct_id = |number| DistinctId::plain(self.ids.id(number));
        let mut members: Vec<u32> = self.ring(id.number).collect();
        // O-17: oldest first.
        members.sort_unstable();
        Cluster {
            canonical: distinct_id(self.canonical(id)),
            members: members.into_iter().map(distinct_id).collect(),
        }
    }

    /// O-17, in part: at most `limit` members of the cluster of this ID, those after a member or the
    /// oldest ones.
    pub(crate) fn members_after(
        &self,
        id: Found,
        after: Option<Found>,
        limit: usize,
    ) -> Vec<DistinctId<'_>> {
        let is_after = |number| after.is_none_or(|after| after.number < number);
        let by_age = |number| is_after(number).then_some(number);
        let members = self.ids.first_members(id, limit, by_age).into_iter();
        members
            .map(|number| DistinctId::plain(self.ids.id(number)))
            .collect()
    }

    /// All clusters by oldest member.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = Cluster<'_>> {
        let oldest = self.ids.first_of_clusters(0..self.ids.len());
        oldest.map(|oldest| self.cluster(oldest))
    }

    /// O-15: the oldest identified ID, or the oldest ID if none is identified.
    fn canonical_of(&self, candidates: [u32; 2]) -> u32 {
        let [a, b] = candidates;
        match (self.marks(a).identified, self.marks(b).identified) {
            (true, false) => a,
            (false, true) => b,
            _ => a.min(b),
        }
    }
}
