//! The state: which alias stands for which ID. It knows the root of each ID, and the order in which
//! the aliases were made. The rules about claims are in `engine.rs`.

use idmerge_core::{Cluster, DistinctId, Id};
use idmerge_state::{Found, IdTable, Partition, Probe, Rows};

/// The IDs that were named in an alias that was made. They are numbered in the order in which they
/// entered: of the two IDs of an alias, the one that it stands for first. The canonical ID of a
/// cluster is its root; all others are aliases.
///
/// Invariant: between two calls of the engine every cluster has at least two IDs.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    /// With each ID is its place in the list of aliases, or [`NO_ALIAS`].
    pub(crate) ids: Partition<u32>,
    made: Rows<Alias>,
}

/// An alias and the ID that it was made for (rule L-8), by number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alias {
    pub(crate) alias: u32,
    pub(crate) stands_for: u32,
}

/// There are fewer aliases than IDs, so no alias has this place.
const NO_ALIAS: u32 = IdTable::<()>::MAX_IDS;

impl Aliases {
    /// Adds an ID, to the cluster of another ID or to a cluster of its own.
    pub(crate) fn enter(&mut self, id: &Probe<'_>, other: Option<Found>) -> Found {
        self.ids.enter(id, other, NO_ALIAS)
    }

    /// L-8: from now on this alias, which is a root until now or has just entered, stands for the other
    /// ID.
    pub(crate) fn make(&mut self, alias: Found, stands_for: Found) {
        if alias.owner != stands_for.owner {
            let root = self.ids.canonical(stands_for);
            self.ids.join(stands_for, alias, root);
        }
        *self.ids.data_mut(alias.number) = self.made.len();
        self.made.push(Alias {
            alias: alias.number,
            stands_for: stands_for.number,
        });
    }

    /// Whether this ID is an alias.
    pub(crate) fn is_alias(&self, id: Found) -> bool {
        *self.ids.data(id.number) != NO_ALIAS
    }

    /// The number of aliases.
    pub(crate) fn len(&self) -> u32 {
        self.made.len()
    }

    /// The aliases in the order in which they were made.
    pub(crate) fn made(&self) -> impl Iterator<Item = Alias> {
        (0..self.made.len()).map(|place| *self.made.at(place))
    }

    /// The root of an ID, or the ID itself if it is in no cluster.
    #[inline]
    pub(crate) fn root<'a>(&'a self, id: Id<'a>) -> Id<'a> {
        match self.find(id) {
            Some(found) => self.ids.id(self.ids.canonical(found)),
            None => id,
        }
    }

    #[inline]
    pub(crate) fn find(&self, id: Id<'_>) -> Option<Found> {
        self.ids.find(&self.ids.probe(id))
    }

    /// L-12: the cluster of this ID, its root first, then its aliases in the order in which they were
    /// made.
    pub(crate) fn cluster(&self, id: Found) -> Cluster<'_> {
        Cluster {
            canonical: DistinctId::plain(self.ids.id(self.ids.canonical(id))),
            members: self.members_after(id, None, usize::MAX),
        }
    }

    /// L-12, in part: at most `limit` members of the cluster of this ID, those after a member or the
    /// first ones.
    pub(crate) fn members_after(
        &self,
        id: Found,
        after: Option<Found>,
        limit: usize,
    ) -> Vec<DistinctId<'_>> {
        // The root is in front of place 0.
        let place = |number| match *self.ids.data(number) {
            NO_ALIAS => 0,
            place => place + 1,
        };
        let after = after.map(|after| place(after.number));
        let is_after = |place: &u32| after.is_none_or(|after| after < *place);
        let members = self
            .ids
            .first_members(id, limit, |number| Some(place(number)).filter(is_after));
        members
            .into_iter()
            .map(|number| DistinctId::plain(self.ids.id(number)))
            .collect()
    }

    /// L-12: all clusters by oldest alias.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = Cluster<'_>> {
        let oldest = self.made().map(|made| made.alias);
        let clusters = self.ids.first_of_clusters(oldest);
        clusters.map(|alias| self.cluster(alias))
    }
}
