//! The state: a partition of IDs into clusters, and the marks of each ID. It knows which IDs are in
//! one cluster and which one is canonical. The guardrails are in `engine.rs`.

use idmerge_state::{Found, Partition as Ids, PartitionLoader, Probe};

/// The IDs of the partition by number. The number of an ID is its age (rule O-14): a lower number
/// is older. An ID that enters has no marks, so the canonical ID of the cluster that it enters stays.
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
    /// O-14: brings two IDs into one cluster. One that is in none enters, in the order in which the claim names them.
    /// O-13: the first one is marked if the claim identifies it.
    ///
    /// Other threads may resolve meanwhile, and must see the whole claim or nothing of it. So what IDs resolve to is
    /// changed by the last call of `ids` only. Those before leave each ID its canonical ID, or itself.
    pub(crate) fn unite(
        &mut self,
        probes: &[Probe<'_>; 2],
        found: [Option<Found>; 2],
        identifies: bool,
    ) -> [Found; 2] {
        let (first, second) = match found {
            [Some(first), Some(second)] => (first, second),
            [None, Some(second)] if identifies => (self.ids.enter(&probes[0], None), second),
            // Without the mark the canonical ID stays: it is older.
            [None, Some(second)] => return [self.ids.enter(&probes[0], Some(second)), second],
            [first, None] => {
                let first = first.unwrap_or_else(|| self.ids.enter(&probes[0], None));
                let canonical = self.ids.canonical(first);
                self.ids.data_mut(first.number).identified |= identifies;
                if self.canonical_of([canonical, first.number]) == canonical {
                    return [first, self.ids.enter(&probes[1], Some(first))];
                }
                (first, self.ids.enter(&probes[1], None))
            }
        };
        let owner = self.join(first, second, identifies);
        [first, second].map(|id| Found { owner, ..id })
    }

    /// Merges the clusters of two IDs, which must be two clusters, and marks the first ID if the claim identifies it.
    /// Returns the label of the merged cluster.
    pub(crate) fn join(&mut self, first: Found, second: Found, identifies: bool) -> u32 {
        self.ids.data_mut(first.number).identified |= identifies;
        let mut canonical = self.canonical_of([first, second].map(|id| self.ids.canonical(id)));
        if identifies {
            canonical = self.canonical_of([canonical, first.number]);
        }
        self.ids.join(first, second, canonical)
    }

    /// O-13, if the IDs of the claim are in one cluster already.
    pub(crate) fn mark_identified(&mut self, id: Found) {
        self.ids.data_mut(id.number).identified = true;
        let number = self.canonical_of([self.ids.canonical(id), id.number]);
        self.ids.set_canonical(Found { number, ..id });
    }

    /// O-13
    pub(crate) fn mark_alias(&mut self, id: Found) {
        self.ids.data_mut(id.number).alias = true;
    }

    /// The marks of the ID with this number.
    pub(crate) fn marks(&self, number: u32) -> Marks {
        *self.ids.data(number)
    }

    fn canonical_of(&self, candidates: [u32; 2]) -> u32 {
        canonical_of(candidates, |number| self.marks(number))
    }
}

/// O-15: the oldest identified ID, or the oldest ID if none is identified.
fn canonical_of(candidates: [u32; 2], marks: impl Fn(u32) -> Marks) -> u32 {
    let [a, b] = candidates;
    match (marks(a).identified, marks(b).identified) {
        (true, false) => a,
        (false, true) => b,
        _ => a.min(b),
    }
}

/// The IDs of a partition that is loaded, the oldest first.
pub(crate) type Loader = PartitionLoader<Marks>;

/// Puts the latest ID of a partition that is loaded into its cluster.
pub(crate) fn put(loader: &mut Loader, id: u32, cluster: u32, marks: Marks) {
    loader.put(cluster);
    *loader.data_mut(id) = marks;
    // Without the mark the canonical ID stays: it is older.
    if marks.identified {
        let candidates = [loader.canonical(cluster), id];
        let canonical = canonical_of(candidates, |number| *loader.data(number));
        loader.set_canonical(cluster, canonical);
    }
}

/// O-17: the place of an ID among the members of its cluster, the oldest first.
pub(crate) fn by_age(number: u32) -> u32 {
    number
}
