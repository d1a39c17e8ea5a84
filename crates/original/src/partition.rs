//! The state: a partition of ids into clusters, and what each id was used as. It knows which ids
//! are together and which of them is canonical, and no guardrail.

use idmerge_core::{Cluster, DistinctId, Id};
use idmerge_state::{BATCH_IDS, Found, IdTable, Probe, Rows};

/// The ids of a partition by number. A number is an id's age (rule O-14): the lower, the older.
/// The owner of an id is the label of its cluster.
///
/// Invariants: each id is in one cluster; the ids of one label are one ring; `clusters` has the
/// size and the canonical id of each ring; between two calls of the engine no cluster has one id
/// only.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub(crate) ids: IdTable<IdRow>,
    clusters: Rows<ClusterRow>,
    /// Labels of clusters that went up in another one.
    free_labels: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct IdRow {
    /// The next id of the ring of its cluster.
    next: u32,
    marks: Marks,
}

#[derive(Debug)]
struct ClusterRow {
    ids: u32,
    canonical: u32,
}

/// What an id was successfully used as (rule O-13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) identified: bool,
    pub(crate) alias: bool,
}

impl Partition {
    /// A new id enters, in the cluster of another one or in one of its own.
    pub(crate) fn enter(&mut self, id: &Probe<'_>, other: Option<Found>) -> Found {
        let number = self.ids.len();
        let (label, next) = match other {
            Some(other) => {
                // The new one is the youngest and has no marks, so that the canonical one stays.
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

    /// The label of a new cluster of one id.
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
                // There are never more labels than ids.
                self.clusters.len() - 1
            }
        }
    }

    /// Makes one cluster of the clusters of two ids, which are not together yet. Answers with its
    /// label.
    pub(crate) fn join(&mut self, a: Found, b: Found) -> u32 {
        debug_assert_ne!(a.owner, b.owner);
        let canonical = self.canonical_of([self.canonical(a), self.canonical(b)]);
        // The smaller cluster takes the label of the larger.
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
        // Two rings become one by exchanging a link of each.
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

    /// How many ids the cluster of this id has.
    pub(crate) fn cluster_ids(&self, id: Found) -> u32 {
        self.clusters.at(id.owner).ids
    }

    /// The number of the canonical id of the cluster of this id.
    #[inline]
    pub(crate) fn canonical(&self, id: Found) -> u32 {
        self.clusters.at(id.owner).canonical
    }

    /// Looks for many ids at once, and asks for their clusters.
    #[inline]
    pub(crate) fn find_all<'p>(
        &self,
        ids: impl Iterator<Item = Option<Id<'p>>>,
    ) -> ([Probe<'p>; BATCH_IDS], [Option<Found>; BATCH_IDS]) {
        self.ids
            .find_all(ids, |label| self.clusters.prefetch(label))
    }

    /// What the id with this number was used as.
    pub(crate) fn marks(&self, number: u32) -> Marks {
        self.ids.row(number).marks
    }

    /// The numbers of the ids that are together with this one, which comes first.
    pub(crate) fn ring(&self, number: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(number), move |&id| {
            Some(self.ids.row(id).next).filter(|&next| next != number)
        })
    }

    /// The cluster of this id.
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

    /// O-15: the oldest identified id; where none is identified, the oldest.
    fn canonical_of(&self, candidates: [u32; 2]) -> u32 {
        let [a, b] = candidates;
        match (self.marks(a).identified, self.marks(b).identified) {
            (true, false) => a,
            (false, true) => b,
            _ => a.min(b),
        }
    }
}
