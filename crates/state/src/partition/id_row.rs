//! [`IdRow`]: what a partition stores of an ID.

/// What a partition stores of an ID.
#[derive(Debug)]
pub(super) struct IdRow<D> {
    /// The next ID in the ring of the cluster.
    pub(super) next: u32,
    pub(super) data: D,
}
