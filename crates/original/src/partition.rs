//! The state: a partition of IDs into clusters, and the marks of each ID. It knows which IDs are in
//! one cluster and which one is canonical. The guardrails are in `engine.rs`.

use std::collections::BinaryHeap;

use idmerge_core::{Cluster, DistinctId, Id};
use idmerge_state::{BATCH_IDS, Found, IdTable, Probe, Rows};

/// The IDs of the partition by number. The number of an ID is its age (rule O-14): a lower number
/// is older. The owner of an ID is the label of its cluster.
///
/// Invariants: each ID is in one cluster; the IDs with one label are one ring; `clusters` has the
/// size and the canonical ID of each ring; between two calls of the engine every cluster has at
/// least two IDs.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub(crate) ids: IdTable<IdRow>,
    clusters: Rows<ClusterRow>,
    /// Labels that are free again, because their clusters were merged into others.
    free_labels: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct IdRow {
    /// The next ID in the ring of the cluster.
    next: u32,
    marks: Marks,
}

#[derive(Debug)]
struct ClusterRow {
    ids: u32,
    canonical: u32,
}

/// How an ID was used in accepted claims (rule O-13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) identified: bool,
    pub(crate) alias: bool,
}

impl Partition {
    /// Adds an ID, to the cluster of another ID or to a cluster of its own.
    pub(crate) fn enter(&mut self, id: &Probe<'_>, other: Option<Found>) -> Found {
        let number = self.ids.len();
        let (label, next) = match other {
            Some(other) => {
                // The new ID is the youngest and has no marks, so the canonical ID stays.
                self.clusters.at_mut(other.owner).ids += 1;
                let next = &mut self.ids.row_mut(other.number).next;
                (other.owner, std::mem::replace(next, number))
            }
            None => (self.new_label(number), number),
        };
        let marks = Marks::default();
        self.ids.insert(id, label, IdRow { next, marks });
        Found {
            number,
            owner: label,
        }
    }

    /// Makes a cluster of one ID and returns its label.
    fn new_label(&mut self, number: u32) -> u32 {
        let row = ClusterRow {
            ids: 1,
            canonical: number,
        };
        match self.free_labels.pop() {
            Some(label) => {
                *self.clusters.at_mut(label) = row;
                label
            }
            None => {
                self.clusters.push(row);
                // There are never more labels than IDs.
                self.clusters.len() - 1
            }
        }
    }

    /// Merges the clusters of two IDs, which must be two clusters. Returns the label of the merged
    /// cluster.
    pub(crate) fn join(&mut self, a: Found, b: Found) -> u32 {
        debug_assert_ne!(a.owner, b.owner);
        let canonical = self.canonical_of([self.canonical(a), self.canonical(b)]);
        // The smaller cluster gets the label of the larger one.
        let (keep, give) = if self.cluster_ids(a) < self.cluster_ids(b) {
            (b, a)
        } else {
            (a, b)
        };
        let mut number = give.number;
        loop {
            self.ids.set_owner(number, keep.owner);
            number = self.ids.row(number).next;
            if number == give.number {
                break;
            }
        }
        // Exchanging one link of each ring makes one ring of the two.
        let next = self.ids.row(keep.number).next;
        let before = std::mem::replace(&mut self.ids.row_mut(give.number).next, next);
        self.ids.row_mut(keep.number).next = before;

        let given_ids = self.clusters.at(give.owner).ids;
        let cluster = self.clusters.at_mut(keep.owner);
        cluster.ids += given_ids;
        cluster.canonical = canonical;
        self.free_labels.push(give.owner);
        keep.owner
    }

    /// O-13
    pub(crate) fn mark_identified(&mut self, id: Found) {
        self.ids.row_mut(id.number).marks.identified = true;
        let canonical = self.canonical_of([self.canonical(id), id.number]);
        self.clusters.at_mut(id.owner).canonical = canonical;
    }

    /// O-13
    pub(crate) fn mark_alias(&mut self, id: Found) {
        self.ids.row_mut(id.number).marks.alias = true;
    }

    /// The number of IDs in the cluster of this ID.
    pub(crate) fn cluster_ids(&self, id: Found) -> u32 {
        self.clusters.at(id.owner).ids
    }

    /// The number of the canonical ID of the cluster of this ID.
    #[inline]
    pub(crate) fn canonical(&self, id: Found) -> u32 {
        self.clusters.at(id.owner).canonical
    }

    /// Looks up many IDs at once, and prefetches their clusters.
    #[inline]
    pub(crate) fn find_all<'p>(
        &self,
        ids: impl Iterator<Item = Option<Id<'p>>>,
    ) -> ([Probe<'p>; BATCH_IDS], [Option<Found>; BATCH_IDS]) {
        self.ids
            .find_all(ids, |label| self.clusters.prefetch(label))
    }

    /// The marks of the ID with this number.
    pub(crate) fn marks(&self, number: u32) -> Marks {
        self.ids.row(number).marks
    }

    /// The numbers of the IDs in the cluster of this ID, starting with this one.
    pub(crate) fn ring(&self, number: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(number), move |&id| {
            Some(self.ids.row(id).next).filter(|&next| next != number)
        })
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
    /// oldest ones. It looks at every member, and remembers only these.
    pub(crate) fn members_after(
        &self,
        id: Found,
        after: Option<Found>,
        limit: usize,
    ) -> Vec<DistinctId<'_>> {
        let mut oldest = BinaryHeap::new();
        let ring = self.ring(id.number);
        for number in ring.filter(|number| after.is_none_or(|after| after.number < *number)) {
            if oldest.len() < limit {
                oldest.push(number);
            } else if let Some(mut youngest) = oldest.peek_mut()
                && number < *youngest
            {
                *youngest = number;
            }
        }
        let members = oldest.into_sorted_vec().into_iter();
        members
            .map(|number| DistinctId::plain(self.ids.id(number)))
            .collect()
    }

    /// All clusters by oldest member.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = Cluster<'_>> {
        let mut seen = vec![false; self.ids.len() as usize];
        (0..self.ids.len()).filter_map(move |oldest| {
            if seen[oldest as usize] {
                return None;
            }
            for member in self.ring(oldest) {
                seen[member as usize] = true;
            }
            Some(self.cluster(self.ids.found(oldest)))
        })
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
