//! [`PartitionReader`]: resolves while another thread changes a partition.

use std::sync::Arc;

use idmerge_core::{ConcurrentReader, DistinctId};

use super::roots::Roots;
use crate::id_table::IdReader;
use crate::published::pin;

/// Resolves IDs of a partition while another thread enters IDs and joins clusters.
///
/// An ID that enters becomes visible by one store of the hash table; a merge of clusters, and a new canonical ID, by one
/// store of [`Roots`].
#[derive(Debug)]
pub(super) struct PartitionReader {
    pub(super) ids: IdReader,
    pub(super) roots: Arc<Roots>,
}

impl ConcurrentReader for PartitionReader {
    fn resolve(&self, id: &DistinctId<'_>, canonical: &mut dyn FnMut(&DistinctId<'_>)) {
        let pin = pin();
        let Some(entered) = self.ids.look(&pin, |ids| ids.find(id.id())) else {
            return canonical(&DistinctId::plain(id.id()));
        };
        let number = self.roots.canonical(entered.owner);
        let found = self.ids.look(&pin, |ids| ids.id(number));
        canonical(&DistinctId::plain(found));
    }
}
