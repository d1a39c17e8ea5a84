//! The state: which alias stands for which ID. It knows the root of each ID, and the order in which
//! the aliases were made. The rules about claims are in `engine.rs`.

use idmerge_state::{Found, Partition, Rows};

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
        let place = self.ids.data(number).checked_sub(1)?;
        Some(self.made.at(place).stands_for)
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
