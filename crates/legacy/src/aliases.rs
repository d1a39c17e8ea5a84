//! The state: which alias stands for which ID. It knows the root of each ID, and the order in which
//! the aliases were made. The rules about claims are in `engine.rs`.

use idmerge_core::{Id, SnapshotError};
use idmerge_state::{Found, Partition, PartitionLoader, Rows};

/// The IDs that were named in an alias that was made. They are numbered in the order in which they
/// entered: of the two IDs of an alias, the one that it stands for first. The canonical ID of a
/// cluster is its root; all others are aliases.
///
/// Invariant: between two calls of the engine every cluster has at least two IDs.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    /// With each ID is its place among the aliases, counted from 1, or 0 if it is no alias.
    pub(crate) ids: Partition<u32>,
    made: Rows<Alias>,
}

/// An alias and the ID that it was made for (rule L-8), by number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alias {
    pub(crate) alias: u32,
    pub(crate) stands_for: u32,
}

impl Aliases {
    /// L-8: from now on this alias, which is a root until now or has just entered, stands for the other
    /// ID.
    pub(crate) fn make(&mut self, alias: Found, stands_for: Found) {
        if alias.owner != stands_for.owner {
            let root = self.ids.canonical(stands_for);
            self.ids.join(stands_for, alias, root);
        }
        self.made.push(Alias {
            alias: alias.number,
            stands_for: stands_for.number,
        });
        *self.ids.data_mut(alias.number) = self.made.len();
    }

    /// Whether this ID is an alias.
    pub(crate) fn is_alias(&self, id: Found) -> bool {
        *self.ids.data(id.number) > 0
    }

    /// The number of the ID that an alias was made for. `None` if this ID is no alias.
    pub(crate) fn stands_for(&self, number: u32) -> Option<u32> {
        stands_for(*self.ids.data(number), &self.made)
    }

    /// The number of aliases.
    pub(crate) fn len(&self) -> u32 {
        self.made.len()
    }

    /// The aliases in the order in which they were made.
    pub(crate) fn made(&self) -> impl Iterator<Item = Alias> {
        (0..self.made.len()).map(|place| *self.made.at(place))
    }

    /// L-12: gives an ID its place among the members of its cluster: the root first, then the aliases
    /// in the order in which they were made.
    pub(crate) fn places(&self) -> impl Fn(u32) -> u32 {
        |number| *self.ids.data(number)
    }
}

/// Aliases that are loaded, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct AliasesLoader {
    ids: PartitionLoader<u32>,
    made: Rows<Alias>,
}

/// No cluster has these numbers, since there are fewer clusters than IDs: the cluster of this ID is not known
/// yet, or the way from it to its root is being followed.
const UNKNOWN: u32 = u32::MAX;
const ON_THE_WAY: u32 = u32::MAX - 1;

impl AliasesLoader {
    /// The number of IDs so far.
    pub(crate) fn ids(&self) -> u32 {
        self.ids.len()
    }

    /// Adds the next ID, and returns its number.
    pub(crate) fn id(&mut self, id: Id<'_>) -> Result<u32, SnapshotError> {
        self.ids.push(id)
    }

    /// L-8: adds the next alias. Returns `false` if it was made before (L-6).
    pub(crate) fn make(&mut self, alias: u32, stands_for: u32) -> bool {
        let place = self.ids.data_mut(alias);
        let is_new = *place == 0;
        self.made.push(Alias { alias, stands_for });
        *place = self.made.len();
        is_new
    }

    /// The aliases, if no ID was added twice and no alias stands for itself, at once or by a way of others.
    pub(crate) fn finish(mut self) -> Result<Aliases, SnapshotError> {
        let mut clusters = vec![UNKNOWN; self.ids.len() as usize];
        for number in 0..self.ids.len() {
            let root = self.walk(number, &mut clusters)?;
            let cluster = match clusters[root as usize] {
                ON_THE_WAY => self.ids.clusters(),
                known => known,
            };
            // All IDs on the way are in this cluster.
            let mut on_the_way = Some(number);
            while let Some(id) = on_the_way
                && clusters[id as usize] == ON_THE_WAY
            {
                clusters[id as usize] = cluster;
                on_the_way = self.stands_for(id);
            }
            let is_new = cluster == self.ids.clusters();
            self.ids.put(cluster);
            if is_new {
                self.ids.set_canonical(cluster, root);
            }
        }
        Ok(Aliases {
            ids: self.ids.finish()?,
            made: self.made,
        })
    }

    /// Follows the way from an ID to its root, or to the first ID whose cluster is known, and returns that one.
    fn walk(&self, from: u32, clusters: &mut [u32]) -> Result<u32, SnapshotError> {
        let mut at = from;
        loop {
            match std::mem::replace(&mut clusters[at as usize], ON_THE_WAY) {
                UNKNOWN => {}
                ON_THE_WAY => {
                    return Err(SnapshotError::Damaged {
                        what: "an alias stands for itself",
                    });
                }
                known => {
                    clusters[at as usize] = known;
                    return Ok(at);
                }
            }
            match self.stands_for(at) {
                Some(next) => at = next,
                None => return Ok(at),
            }
        }
    }

    fn stands_for(&self, number: u32) -> Option<u32> {
        stands_for(*self.ids.data(number), &self.made)
    }
}

/// The number of the ID that the alias in this place was made for.
fn stands_for(place: u32, made: &Rows<Alias>) -> Option<u32> {
    Some(made.at(place.checked_sub(1)?).stands_for)
}
