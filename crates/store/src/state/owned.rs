//! Ids that outlive the state that they come from.

use idmerge_core::{Claim, Cluster, DistinctId, Id};

/// A distinct_id that owns its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OwnedId {
    is_device: bool,
    text: String,
}

impl OwnedId {
    pub(crate) fn new(id: DistinctId<'_>) -> Self {
        Self {
            is_device: id.is_device(),
            text: id.id().text().into_owned(),
        }
    }

    pub(crate) fn get(&self) -> DistinctId<'_> {
        let Ok(id) = Id::new(&self.text) else {
            unreachable!("it was made of an id");
        };
        if self.is_device {
            DistinctId::device(id)
        } else {
            DistinctId::plain(id)
        }
    }
}

/// The two distinct_ids that a claim is about. `None` for a kind that came later.
pub(crate) fn distinct_ids(claim: Claim<'_>) -> Option<[DistinctId<'_>; 2]> {
    let (_, [first, second]) = crate::log::codec::parts(claim)?;
    let first = match claim {
        Claim::Link { .. } => DistinctId::device(first),
        _ => DistinctId::plain(first),
    };
    Some([first, DistinctId::plain(second)])
}

/// The members of the cluster of an id, or the id alone where it has none.
pub(crate) fn members<'a>(cluster: Option<Cluster<'a>>, id: DistinctId<'a>) -> Vec<DistinctId<'a>> {
    cluster.map_or_else(|| vec![id], |cluster| cluster.members)
}
