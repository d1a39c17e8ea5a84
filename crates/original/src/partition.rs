//! The state: a partition of ids into clusters, and what each id was used as. It knows which ids
//! are together and which of them is canonical, and no guardrail.

use idmerge_core::{Cluster, DistinctId};
use idmerge_state::{Found, IdTable, Probe, Rows};

/// The ids of a partition by number. A number is an id's age (rule O-14): the lower, the older.
/// The owner of an id is the label of its cluster.
///
/// Invariants: each id is in one cluster, whose label stands in its row and beside its number; the
/// ids of one label are one ring; `clusters` has the size, the oldest and the canonical id of each
/// ring; between two calls of the engine no cluster has one id only.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub(crate) ids: IdTable<IdRow>,
    clusters: Rows<ClusterRow>,
    /// Labels of clusters that went up in another one.
    free_labels: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct IdRow {
    /// The label of its cluster.
    label: u32,
    /// The next id of the ring of its cluster.
    next: u32,
    marks: Marks,
}

#[derive(Debug)]
struct ClusterRow {
    ids: u32,
    oldest: u32,
    canonical: u32,
}

/// What an id was successfully used as (rule O-13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) identified: bool,
    pub(crate) alias: bool,
}

impl Partition {
    /// A new id enters, in the cluster of another one or in one of its own. Answers with its
    /// number.
    pub(crate) fn enter(&mut self, id: &Probe<'_>, other: Option<u32>) -> u32 {
        let number = self.ids.len();
        let (label, next) = match other {
            Some(other) => {
                let row = self.ids.row_mut(other);
                (row.label, std::mem::replace(&mut row.next, number))
            }
            None => (self.new_label(number), number),
        };
        if other.is_some() {
            // It is the youngest, and has no marks yet.
            self.clusters.at_mut(label).ids += 1;
        }
        let row = IdRow {
            label,
            next,
            marks: Marks::default(),
        };
        self.ids.insert(id, label, row)
    }

    /// The label of a new cluster of one id.
    fn new_label(&mut self, number: u32) -> u32 {
        let row = ClusterRow {
            ids: 1,
            oldest: number,
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

    /// Makes one cluster of the two clusters of these ids, which are not together yet.
    pub(crate) fn join(&mut self, a: u32, b: u32) {
        debug_assert!(!self.together(a, b));
        let canonical = self.canonical_of([self.canonical(a), self.canonical(b)]);
        // The smaller cluster takes the label of the larger.
        let (keep, give) = if self.cluster_ids(a) < self.cluster_ids(b) {
            (b, a)
        } else {
            (a, b)
        };
        let (kept, given) = (self.label(keep), self.label(give));
        let mut id = give;
        loop {
            self.ids.set_owner(id, kept);
            let row = self.ids.row_mut(id);
            row.label = kept;
            id = row.next;
            if id == give {
                break;
            }
        }
        // Two rings become one by exchanging a link of each.
        let next = self.ids.row(keep).next;
        let before = std::mem::replace(&mut self.ids.row_mut(give).next, next);
        self.ids.row_mut(keep).next = before;

        let ClusterRow { ids, oldest, .. } = *self.clusters.at(given);
        let cluster = self.clusters.at_mut(kept);
        cluster.ids += ids;
        cluster.oldest = cluster.oldest.min(oldest);
        cluster.canonical = canonical;
        self.free_labels.push(given);
    }

    /// O-13
    pub(crate) fn mark_identified(&mut self, id: u32) {
        self.ids.row_mut(id).marks.identified = true;
        let canonical = self.canonical_of([self.canonical(id), id]);
        self.clusters.at_mut(self.label(id)).canonical = canonical;
    }

    /// O-13
    pub(crate) fn mark_alias(&mut self, id: u32) {
        self.ids.row_mut(id).marks.alias = true;
    }

    /// Whether two ids are in one cluster.
    pub(crate) fn together(&self, a: u32, b: u32) -> bool {
        self.label(a) == self.label(b)
    }

    /// How many ids the cluster of this id has.
    pub(crate) fn cluster_ids(&self, id: u32) -> u32 {
        self.cluster_row(id).ids
    }

    /// The canonical id of the cluster of this id.
    pub(crate) fn canonical(&self, id: u32) -> u32 {
        self.cluster_row(id).canonical
    }

    pub(crate) fn marks(&self, id: u32) -> Marks {
        self.ids.row(id).marks
    }

    /// The label of the cluster of this id. Labels are below the number of ids.
    pub(crate) fn label(&self, id: u32) -> u32 {
        self.ids.row(id).label
    }

    /// The cluster of this id.
    pub(crate) fn cluster(&self, id: u32) -> Cluster<'_> {
        let distinct_id = |number| DistinctId::plain(self.ids.id(number));
        let mut members = vec![id];
        let next = |id: u32| self.ids.row(id).next;
        let ring = std::iter::successors(Some(next(id)), |&id| Some(next(id)));
        members.extend(ring.take_while(|&other| other != id));
        // O-17: oldest first.
        members.sort_unstable();
        Cluster {
            canonical: distinct_id(self.canonical(id)),
            members: members.into_iter().map(distinct_id).collect(),
        }
    }

    /// All clusters by oldest member.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = Cluster<'_>> {
        (0..self.ids.len())
            .filter(|&id| self.cluster_row(id).oldest == id)
            .map(|id| self.cluster(id))
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

    fn cluster_row(&self, id: u32) -> &ClusterRow {
        self.clusters.at(self.label(id))
    }

    /// The number of the canonical id of an id that was found.
    #[inline]
    pub(crate) fn canonical_of_found(&self, id: Found) -> u32 {
        self.clusters.at(id.owner).canonical
    }

    /// Asks for the cluster of what may be an id.
    #[inline]
    pub(crate) fn prefetch_cluster(&self, id: Found) {
        self.clusters.prefetch(id.owner);
    }
}
