//! What became of the records of another product.

use idmerge_adapters::{Counts, Format, Receipts};

/// What became of the records of another product.
#[derive(Clone, Debug)]
pub(crate) struct AdaptReport {
    pub(crate) format: Format,
    pub(crate) counts: Counts,
    pub(crate) duplicates: u64,
    pub(crate) receipts: Receipts,
    /// About fields that the arguments name, and that no record had.
    pub(crate) unfound: Vec<String>,
}

impl AdaptReport {
    /// Whether more than 1 % of the records were received before the one in front of them.
    pub(crate) fn is_out_of_order(&self) -> bool {
        self.receipts.backwards * 100 > self.receipts.count
    }
}
