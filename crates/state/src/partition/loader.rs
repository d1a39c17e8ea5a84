//! [`PartitionLoader`]: a partition that is filled in one go.

use idmerge_core::{Id, ImageSource, SnapshotError};

use super::id_row::IdRow;
use crate::id_table::{IdLoader, IdTable};
use crate::rows::Rows;
use crate::snapshot::image::ImageIds;

/// The IDs of a state that is loaded, in the order of their numbers, and their clusters: [`finish`](Self::finish)
/// makes a [`Partition`](crate::Partition) of them. It takes a fraction of the time that entering and joining them takes.
///
/// ```
/// use idmerge_core::Id;
/// use idmerge_state::PartitionLoader;
///
/// let id = |text| Id::new(text).unwrap();
/// let mut loader = PartitionLoader::<()>::default();
/// for (text, cluster) in [("a", 0), ("b", 1), ("c", 0)] {
///     loader.push(id(text)).unwrap();
///     loader.put(cluster);
/// }
/// loader.set_canonical(0, 2);
/// let ids = loader.finish().unwrap();
/// let [a, c] = [0, 2].map(|number| ids.found(number));
/// assert_eq!((a.owner, ids.cluster_ids(a)), (c.owner, 2));
/// assert_eq!(ids.canonical(a), c.number);
/// ```
#[derive(Debug)]
pub struct PartitionLoader<D> {
    ids: IdLoader<IdRow<D>>,
    /// The cluster of each ID that was [put](Self::put) into one.
    owners: Rows<u32>,
    clusters: Vec<Ring>,
}

/// The IDs of a partition, and the number of IDs and the canonical ID of each cluster.
type LoadedRows<D> = (IdTable<IdRow<D>>, Vec<(u32, u32)>);

/// The ring of a cluster, which is closed in the end: each ID leads to the one that came before it.
#[derive(Debug)]
struct Ring {
    ids: u32,
    canonical: u32,
    first: u32,
    last: u32,
}

impl<D: Default> PartitionLoader<D> {
    /// Reads the IDs of an image. Each must be [put](Self::put) into its cluster, which is given here too. End with
    /// [`finish_image`](Self::finish_image).
    ///
    /// # Errors
    ///
    /// If the image is damaged, or there are fewer clusters than IDs.
    pub fn read_image(
        image: &dyn ImageSource,
        ids: &ImageIds,
        clusters: &[u32],
    ) -> Result<Self, SnapshotError>
    where
        D: Send + Sync,
    {
        let row = |&cluster: &u32| {
            let data = D::default();
            (IdRow { next: 0, data }, cluster)
        };
        let rows = |id: u32| {
            clusters
                .get(id as usize..)
                .unwrap_or_default()
                .iter()
                .map(row)
        };
        Ok(Self {
            ids: IdLoader::read_image(image, ids, rows)?,
            ..Self::default()
        })
    }

    /// The number of IDs so far.
    pub fn len(&self) -> u32 {
        self.ids.len()
    }

    /// Whether there are no IDs.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The number of clusters so far. They are numbered in the order of their first IDs.
    #[inline]
    pub fn clusters(&self) -> u32 {
        // There are never more clusters than IDs.
        u32::try_from(self.clusters.len()).unwrap_or(u32::MAX)
    }

    /// Adds the next ID, and returns its number. It must be [put](Self::put) into a cluster, now or later.
    ///
    /// # Errors
    ///
    /// If there are more IDs than can be numbered.
    #[inline]
    pub fn push(&mut self, id: Id<'_>) -> Result<u32, SnapshotError> {
        let data = D::default();
        self.ids.push(id, IdRow { next: 0, data })
    }

    /// Puts the first ID that is in no cluster into this one. If it is the number of clusters, the ID makes a new
    /// cluster, with itself as canonical ID.
    ///
    /// # Panics
    ///
    /// If all IDs are in clusters, or the number of the cluster is larger.
    #[inline]
    pub fn put(&mut self, cluster: u32) {
        let number = self.owners.len();
        let is_new = cluster == self.clusters();
        let row = self.ids.row_mut(number);
        if is_new {
            row.next = number;
            self.clusters.push(Ring {
                ids: 1,
                canonical: number,
                first: number,
                last: number,
            });
        } else {
            let ring = &mut self.clusters[cluster as usize];
            ring.ids += 1;
            row.next = std::mem::replace(&mut ring.last, number);
        }
        self.owners.push(cluster);
    }

    /// What is stored of the ID with this number.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    #[inline]
    pub fn data(&self, number: u32) -> &D {
        &self.ids.row(number).data
    }

    /// What is stored of the ID with this number, to change it.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    #[inline]
    pub fn data_mut(&mut self, number: u32) -> &mut D {
        &mut self.ids.row_mut(number).data
    }

    /// The number of IDs in a cluster.
    ///
    /// # Panics
    ///
    /// If no cluster has this number.
    pub fn cluster_ids(&self, cluster: u32) -> u32 {
        self.clusters[cluster as usize].ids
    }

    /// The number of the canonical ID of a cluster.
    ///
    /// # Panics
    ///
    /// If no cluster has this number.
    #[inline]
    pub fn canonical(&self, cluster: u32) -> u32 {
        self.clusters[cluster as usize].canonical
    }

    /// Makes this member of a cluster its canonical ID.
    ///
    /// # Panics
    ///
    /// If no cluster has this number.
    #[inline]
    pub fn set_canonical(&mut self, cluster: u32, number: u32) {
        self.clusters[cluster as usize].canonical = number;
    }

    /// The IDs with their rings closed, and the clusters. If the IDs were read from an image, it is given again.
    pub(super) fn into_rows(
        self,
        image: Option<&dyn ImageSource>,
    ) -> Result<LoadedRows<D>, SnapshotError>
    where
        D: Send + Sync,
    {
        let Self {
            mut ids,
            owners,
            clusters: rings,
        } = self;
        for ring in &rings {
            ids.row_mut(ring.first).next = ring.last;
        }
        let clusters = rings
            .iter()
            .map(|ring| (ring.ids, ring.canonical))
            .collect();
        let owner = |number| *owners.at(number);
        let ids = match image {
            Some(image) => ids.finish_image(image)?,
            None => ids.finish((0..owners.len()).map(owner))?,
        };
        Ok((ids, clusters))
    }
}

impl<D> Default for PartitionLoader<D> {
    fn default() -> Self {
        Self {
            ids: IdLoader::default(),
            owners: Rows::new(),
            clusters: Vec::new(),
        }
    }
}
