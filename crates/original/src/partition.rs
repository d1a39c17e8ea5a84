//! The state: a partition of ids into clusters, and what each id was used as. It knows which ids
//! are together and which of them is canonical, and no guardrail.

use idmerge_core::{Cluster, DistinctId, Id};
use idmerge_state::IdTable;

/// The ids of a partition by number. A number is an id's age (rule O-14): the lower, the older.
///
/// Invariants: each id is in one cluster; the ids of one label are one ring; `clusters` has the
/// size, the oldest and the canonical id of each ring; between two calls of the engine no
/// cluster has one id only.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    pub(crate) ids: IdTable,
    rows: Vec<IdRow>,
    clusters: Vec<ClusterRow>,
    /// Labels of clusters that went up in another one.
    free_labels: Vec<u32>,
}

#[derive(Debug)]
struct IdRow {
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
    /// The number of an id, which enters in a cluster of its own where it is new.
    pub(crate) fn enter(&mut self, id: Id<'_>) -> u32 {
        let number = self.ids.intern(id);
        if number as usize == self.rows.len() {
            let row = ClusterRow {
                ids: 1,
                oldest: number,
                canonical: number,
            };
            let label = match self.free_labels.pop() {
                Some(label) => {
                    self.clusters[label as usize] = row;
                    label
                }
                None => {
                    self.clusters.push(row);
                    // There are never more labels than ids.
                    u32::try_from(self.clusters.len() - 1).unwrap_or(u32::MAX)
                }
            };
            self.rows.push(IdRow {
                label,
                next: number,
                marks: Marks::default(),
            });
        }
        number
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
        let (kept, given) = (self.row(keep).label, self.row(give).label);
        let mut id = give;
        loop {
            let row = &mut self.rows[id as usize];
            row.label = kept;
            id = row.next;
            if id == give {
                break;
            }
        }
        // Two rings become one by exchanging a link of each.
        let next = self.row(keep).next;
        self.rows[keep as usize].next = std::mem::replace(&mut self.rows[give as usize].next, next);

        let ClusterRow { ids, oldest, .. } = self.clusters[given as usize];
        let cluster = &mut self.clusters[kept as usize];
        cluster.ids += ids;
        cluster.oldest = cluster.oldest.min(oldest);
        cluster.canonical = canonical;
        self.free_labels.push(given);
    }

    /// O-13
    pub(crate) fn mark_identified(&mut self, id: u32) {
        self.rows[id as usize].marks.identified = true;
        let canonical = self.canonical_of([self.canonical(id), id]);
        let label = self.row(id).label;
        self.clusters[label as usize].canonical = canonical;
    }

    /// O-13
    pub(crate) fn mark_alias(&mut self, id: u32) {
        self.rows[id as usize].marks.alias = true;
    }

    /// Whether two ids are in one cluster.
    pub(crate) fn together(&self, a: u32, b: u32) -> bool {
        self.row(a).label == self.row(b).label
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
        self.row(id).marks
    }

    /// The label of the cluster of this id. Labels are below the number of ids.
    pub(crate) fn label(&self, id: u32) -> u32 {
        self.row(id).label
    }

    /// The cluster of this id.
    pub(crate) fn cluster(&self, id: u32) -> Cluster<'_> {
        let distinct_id = |number| DistinctId::plain(self.ids.id(number));
        let mut members = vec![id];
        let ring = std::iter::successors(Some(self.row(id).next), |&id| Some(self.row(id).next));
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

    fn row(&self, id: u32) -> &IdRow {
        &self.rows[id as usize]
    }

    fn cluster_row(&self, id: u32) -> &ClusterRow {
        &self.clusters[self.row(id).label as usize]
    }
}
