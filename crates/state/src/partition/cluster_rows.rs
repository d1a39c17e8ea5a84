//! The rows of a partition.

/// What a partition stores of an ID.
#[derive(Debug)]
pub(super) struct IdRow<D> {
    /// The next ID in the ring of the cluster.
    pub(super) next: u32,
    pub(super) data: D,
}

/// What a partition stores of a cluster.
#[derive(Debug)]
pub(super) struct ClusterRow {
    pub(super) ids: u32,
    pub(super) canonical: u32,
}
