//! A partition of interned IDs into clusters.

use std::collections::BinaryHeap;
use std::sync::{Arc, OnceLock};

use idmerge_core::{
    Cluster, ConcurrentReader, DistinctId, EngineError, Id, ImageSource, SnapshotError,
};

use crate::id_table::{BATCH_IDS, IdTable, Probe};
use crate::index::Found;
use crate::rows::Rows;

mod id_row;
mod loader;
mod pairs;
mod reader;
mod roots;

use id_row::IdRow;
pub use loader::PartitionLoader;
pub use pairs::Pairs;
use reader::PartitionReader;
pub(crate) use roots::Roots;

/// IDs in clusters, each with one canonical ID that the engine chooses. IDs are numbered in the order
/// in which they enter, and are never removed.
///
/// The owner of an ID is the label of its cluster. Resolving goes from the hash bucket of the ID to
/// the label, and from there to the canonical ID: no path is followed, so nothing is compressed. When
/// two clusters merge, the IDs of the smaller one get the label of the larger one. The members of a
/// cluster form a ring, and two rings are joined by exchanging two links.
///
/// `D` is what the engine stores of each ID. An ID enters with the default.
///
/// Other threads can resolve with a [reader](Self::concurrent_reader) meanwhile. They see each of [`enter`](Self::enter),
/// [`join`](Self::join) and [`set_canonical`](Self::set_canonical) wholly or not at all. A claim that needs two of them
/// must change what IDs resolve to with one only.
///
/// Methods with the name of a method of [`Resolve`](idmerge_core::Resolve) answer as that one does, for
/// a model with one namespace: the prefix of a device does not count.
///
/// ```
/// use idmerge_core::Id;
/// use idmerge_state::Partition;
///
/// let id = |text| Id::new(text).unwrap();
/// let mut ids = Partition::<()>::default();
/// let a = ids.enter(&ids.probe(id("a")), None);
/// let b = ids.enter(&ids.probe(id("b")), Some(a));
/// let c = ids.enter(&ids.probe(id("c")), None);
/// assert_eq!(ids.canonical(b), a.number);
/// let label = ids.join(a, c, c.number);
/// assert_eq!(ids.found(b.number).owner, label);
/// assert_eq!(ids.canonical(ids.found(b.number)), c.number);
/// ```
// Invariants: each ID is in one cluster; the IDs with one label are one ring; `sizes` has the number of IDs of each ring,
// and `roots` its canonical ID.
#[derive(Debug)]
pub struct Partition<D> {
    ids: IdTable<IdRow<D>>,
    sizes: Rows<u32>,
    roots: Arc<Roots>,
    /// Labels that are free again, because their clusters were merged into others.
    free_labels: Vec<u32>,
    /// Once somebody has asked for it.
    reader: OnceLock<Arc<dyn ConcurrentReader>>,
}

// Here and not in `loader.rs`, so that that file need not import this one.
impl<D: Default + Send + Sync> PartitionLoader<D> {
    /// The partition of these IDs.
    ///
    /// # Errors
    ///
    /// If an ID occurs twice.
    ///
    /// # Panics
    ///
    /// If an ID is in no cluster.
    pub fn finish(self) -> Result<Partition<D>, SnapshotError> {
        self.finish_with(None)
    }

    /// The partition of these IDs, which were [read](Self::read_image) from this image.
    ///
    /// # Errors
    ///
    /// If an ID occurs twice.
    ///
    /// # Panics
    ///
    /// If an ID is in no cluster.
    pub fn finish_image(self, image: &dyn ImageSource) -> Result<Partition<D>, SnapshotError> {
        self.finish_with(Some(image))
    }

    fn finish_with(self, image: Option<&dyn ImageSource>) -> Result<Partition<D>, SnapshotError> {
        let (ids, clusters) = self.into_rows(image)?;
        let mut partition = Partition {
            ids,
            ..Partition::default()
        };
        for (label, (ids, canonical)) in (0..).zip(clusters) {
            partition.sizes.push(ids);
            partition.roots.set(label, canonical);
        }
        Ok(partition)
    }
}

impl<D> Partition<D> {
    /// An empty partition that can hold this many IDs. Allocates nothing.
    pub fn with_max_ids(max_ids: u32) -> Self {
        Self {
            ids: IdTable::with_max_ids(max_ids),
            sizes: Rows::new(),
            roots: Arc::default(),
            free_labels: Vec::new(),
            reader: OnceLock::new(),
        }
    }

    /// What resolves IDs while another thread changes this partition. From then on labels are not used again, since a
    /// reader may still have them.
    pub fn concurrent_reader(&self) -> &Arc<dyn ConcurrentReader> {
        self.reader.get_or_init(|| {
            Arc::new(PartitionReader {
                ids: self.ids.reader(),
                roots: self.roots.clone(),
            })
        })
    }

    /// The number of IDs. All their numbers are below it.
    pub fn len(&self) -> u32 {
        self.ids.len()
    }

    /// Whether there are no IDs.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The number of IDs that can still enter.
    pub fn room(&self) -> u32 {
        self.ids.room()
    }

    /// Checks that those of two IDs that are not found can enter.
    ///
    /// # Errors
    ///
    /// [`EngineError::Full`] if they cannot.
    pub fn check_room(&self, found: [Option<Found>; 2]) -> Result<(), EngineError> {
        let new_ids = found.iter().filter(|id| id.is_none()).count();
        if (self.room() as usize) < new_ids {
            let ids = u64::from(self.len());
            return Err(EngineError::Full { ids });
        }
        Ok(())
    }

    /// Hashes and packs an ID for a lookup.
    #[inline]
    pub fn probe<'p>(&self, id: Id<'p>) -> Probe<'p> {
        self.ids.probe(id)
    }

    /// The number of an ID and the label of its cluster, or `None` if it has not entered.
    #[inline]
    pub fn find(&self, probe: &Probe<'_>) -> Option<Found> {
        self.ids.find(probe)
    }

    /// As [`find`](Self::find), for a claim that names the ID: what it may change is loaded at the same time.
    #[inline]
    pub fn find_named(&self, probe: &Probe<'_>) -> Option<Found> {
        self.ids.find_with_row(probe)
    }

    /// Looks up many IDs at once, and prefetches their clusters. See [`IdTable::find_all`].
    #[inline]
    pub fn find_all<'p>(
        &self,
        ids: impl Iterator<Item = Option<Id<'p>>>,
    ) -> ([Probe<'p>; BATCH_IDS], [Option<Found>; BATCH_IDS]) {
        self.ids.find_all(ids, |id| self.roots.prefetch(id.owner))
    }

    /// As [`find_all`](Self::find_all), for claims that name the IDs: see [`find_named`](Self::find_named).
    #[inline]
    fn find_all_named<'p>(
        &self,
        ids: impl Iterator<Item = Option<Id<'p>>>,
    ) -> ([Probe<'p>; BATCH_IDS], [Option<Found>; BATCH_IDS]) {
        self.ids.find_all(ids, |id| {
            self.ids.prefetch_row(id.number);
            self.sizes.prefetch(id.owner);
            self.roots.prefetch(id.owner);
        })
    }

    /// The ID with this number, and the label of its cluster.
    ///
    /// # Panics
    ///
    /// If no ID has this number; so do all methods that take a number.
    pub fn found(&self, number: u32) -> Found {
        self.ids.found(number)
    }

    /// The ID with this number.
    #[inline]
    pub fn id(&self, number: u32) -> Id<'_> {
        self.ids.id(number)
    }

    /// What the engine stores of the ID with this number.
    #[inline]
    pub fn data(&self, number: u32) -> &D {
        &self.ids.row(number).data
    }

    /// What the engine stores of the ID with this number, to change it.
    #[inline]
    pub fn data_mut(&mut self, number: u32) -> &mut D {
        &mut self.ids.row_mut(number).data
    }

    /// Adds an ID, to the cluster of another ID or as the canonical ID of a cluster of its own.
    pub fn enter(&mut self, id: &Probe<'_>, other: Option<Found>) -> Found
    where
        D: Default,
    {
        let number = self.ids.len();
        let (label, next) = match other {
            Some(other) => {
                *self.sizes.at_mut(other.owner) += 1;
                let next = &mut self.ids.row_mut(other.number).next;
                (other.owner, std::mem::replace(next, number))
            }
            None => (self.new_label(number), number),
        };
        let data = D::default();
        self.ids.insert(id, label, IdRow { next, data });
        Found {
            number,
            owner: label,
        }
    }

    /// Makes a cluster of one ID and returns its label.
    fn new_label(&mut self, number: u32) -> u32 {
        let label = match self.free_labels.pop() {
            Some(label) => {
                *self.sizes.at_mut(label) = 1;
                label
            }
            None => {
                self.sizes.push(1);
                // There are never more labels than IDs.
                self.sizes.len() - 1
            }
        };
        self.roots.set(label, number);
        label
    }

    /// Merges the clusters of two IDs, which must be two clusters, and gives the merged one this
    /// canonical ID. Returns its label.
    ///
    /// # Panics
    ///
    /// If the two are in one cluster, or no ID has the number of the canonical ID.
    pub fn join(&mut self, a: Found, b: Found, canonical: u32) -> u32 {
        assert_ne!(
            a.owner, b.owner,
            "a cluster that leads to itself has no end"
        );
        self.assert_entered(canonical);
        // The smaller cluster gets the label of the larger one.
        let (keep, give) = if self.cluster_ids(a) < self.cluster_ids(b) {
            (b, a)
        } else {
            (a, b)
        };
        // First the readers: the IDs get their label one by one.
        self.roots.merge(keep.owner, give.owner, canonical);
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

        *self.sizes.at_mut(keep.owner) += *self.sizes.at(give.owner);
        if self.reader.get().is_none() {
            self.free_labels.push(give.owner);
        }
        keep.owner
    }

    /// A reader would look for the ID of another number for ever.
    #[inline]
    fn assert_entered(&self, canonical: u32) {
        assert!(canonical < self.len(), "no ID has this number");
    }

    /// The number of IDs in the cluster of this ID.
    pub fn cluster_ids(&self, id: Found) -> u32 {
        *self.sizes.at(id.owner)
    }

    /// The number of the canonical ID of the cluster of this ID.
    #[inline]
    pub fn canonical(&self, id: Found) -> u32 {
        self.roots.canonical(id.owner)
    }

    /// Makes a member of a cluster its canonical ID.
    ///
    /// # Panics
    ///
    /// If no ID has its number.
    pub fn set_canonical(&mut self, id: Found) {
        self.assert_entered(id.number);
        self.roots.set(id.owner, id.number);
    }

    /// The numbers of the IDs in the cluster of this ID, starting with this one.
    pub fn ring(&self, number: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(number), move |&id| {
            Some(self.ids.row(id).next).filter(|&next| next != number)
        })
    }

    /// The entry of an ID, without the prefix of a device.
    #[inline]
    fn entry(&self, id: DistinctId<'_>) -> Option<Found> {
        self.find(&self.probe(id.id()))
    }

    /// The canonical ID of the cluster of an ID, or the ID itself if it is in none.
    #[inline]
    pub fn resolve<'a>(&'a self, id: DistinctId<'a>) -> DistinctId<'a> {
        let canonical = self.entry(id).map(|found| self.id(self.canonical(found)));
        DistinctId::plain(canonical.unwrap_or(id.id()))
    }

    /// Replaces each ID by what it resolves to.
    pub fn resolve_batch<'a>(&'a self, ids: &mut [DistinctId<'a>]) {
        for ids in ids.chunks_mut(BATCH_IDS) {
            let (_, found) = self.find_all(ids.iter().map(|id| Some(id.id())));
            let canonical = found.map(|found| found.map(|id| self.canonical(id)));
            for &canonical in canonical.iter().flatten() {
                self.ids.prefetch(canonical);
            }
            for (id, canonical) in ids.iter_mut().zip(canonical) {
                let canonical = canonical.map(|number| self.id(number));
                *id = DistinctId::plain(canonical.unwrap_or(id.id()));
            }
        }
    }

    /// The number of IDs in the cluster of an ID, or 0 if it is in none.
    pub fn cluster_len(&self, id: DistinctId<'_>) -> usize {
        let ids = |found| self.cluster_ids(found) as usize;
        self.entry(id).map_or(0, ids)
    }

    /// The cluster of an ID. Its members are in the order of their places; two IDs of a cluster have
    /// different places.
    pub fn cluster(&self, id: DistinctId<'_>, place: impl Fn(u32) -> u32) -> Option<Cluster<'_>> {
        let found = self.entry(id)?;
        Some(self.cluster_of(found, place))
    }

    fn cluster_of(&self, id: Found, place: impl Fn(u32) -> u32) -> Cluster<'_> {
        let mut members: Vec<u32> = self.ring(id.number).collect();
        members.sort_unstable_by_key(|&number| place(number));
        let distinct_id = |number| DistinctId::plain(self.id(number));
        Cluster {
            canonical: distinct_id(self.canonical(id)),
            members: members.into_iter().map(distinct_id).collect(),
        }
    }

    /// All clusters, each once. The order is that in which `numbers` has their first IDs; the members
    /// are in the order of their places.
    pub fn clusters(
        &self,
        numbers: impl Iterator<Item = u32>,
        place: impl Fn(u32) -> u32,
    ) -> impl Iterator<Item = Cluster<'_>> {
        let first = self.first_of_clusters(numbers);
        first.map(move |first| self.cluster_of(first, &place))
    }

    /// Some members of the cluster of an ID in the order of their places: at most `limit` of those after
    /// the member `after`, or the first ones.
    pub fn members_after<'a>(
        &'a self,
        id: DistinctId<'_>,
        after: Option<DistinctId<'_>>,
        limit: usize,
        place: impl Fn(u32) -> u32,
    ) -> Option<Vec<DistinctId<'a>>> {
        let id = self.entry(id)?;
        let after = match after.map(|after| self.entry(after)) {
            None => None,
            Some(Some(after)) if after.owner == id.owner => Some(place(after.number)),
            Some(_) => return Some(Vec::new()),
        };
        let is_after = |place: &u32| after.is_none_or(|after| after < *place);
        let members = self.first_members(id, limit, |id| Some(place(id)).filter(is_after));
        let distinct_id = |number| DistinctId::plain(self.id(number));
        Some(members.into_iter().map(distinct_id).collect())
    }

    /// The first members of a cluster in the order of their places, at most `limit` of them. Members
    /// without a place are left out. It looks at every member, and remembers only these.
    fn first_members(
        &self,
        id: Found,
        limit: usize,
        place: impl Fn(u32) -> Option<u32>,
    ) -> Vec<u32> {
        let mut first = BinaryHeap::new();
        for number in self.ring(id.number) {
            let Some(place) = place(number) else {
                continue;
            };
            let member = (place, number);
            if first.len() < limit {
                first.push(member);
            } else if let Some(mut last) = first.peek_mut()
                && member < *last
            {
                *last = member;
            }
        }
        let members = first.into_sorted_vec();
        members.into_iter().map(|(_, number)| number).collect()
    }

    /// One ID of each cluster: the first of `numbers` that is in it. The order is that of `numbers`.
    fn first_of_clusters(&self, numbers: impl Iterator<Item = u32>) -> impl Iterator<Item = Found> {
        let mut seen = vec![false; self.ids.len() as usize];
        numbers.filter_map(move |first| {
            if seen[first as usize] {
                return None;
            }
            for member in self.ring(first) {
                seen[member as usize] = true;
            }
            Some(self.found(first))
        })
    }
}

/// An empty partition. Allocates nothing.
impl<D> Default for Partition<D> {
    fn default() -> Self {
        Self::with_max_ids(IdTable::<D>::MAX_IDS)
    }
}

#[cfg(test)]
mod tests;
