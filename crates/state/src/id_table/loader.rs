//! [`IdLoader`]: a table that is filled in one go.

use idmerge_core::{Id, SnapshotError};

use super::IdTable;
use super::by_shard::Read;
use crate::index::{Index, ShardSizes};

/// The IDs of a state that is loaded, in the order of their numbers: [`finish`](Self::finish) makes an [`IdTable`] of
/// them.
///
/// Nothing is looked up before, and the hash table never grows. That takes a fraction of the time that inserting
/// the IDs takes, and gives an equal table. Memory is in proportion to the IDs that came, whatever number of
/// them was announced.
///
/// ```
/// use idmerge_core::Id;
/// use idmerge_state::IdLoader;
///
/// let id = |text| Id::new(text).unwrap();
/// let mut loader = IdLoader::default();
/// assert_eq!(loader.push(id("U1"), "a row").unwrap(), 0);
/// assert_eq!(loader.push(id("D1"), "another").unwrap(), 1);
/// let ids = loader.finish([7, 8].into_iter()).unwrap();
/// assert_eq!(ids.find(&ids.probe(id("D1"))).unwrap().owner, 8);
///
/// let mut loader = IdLoader::default();
/// for _ in 0..2 {
///     loader.push(id("U1"), ()).unwrap();
/// }
/// let error = loader.finish([7, 8].into_iter()).unwrap_err();
/// assert_eq!(error.to_string(), "the snapshot is damaged: an ID occurs twice");
/// ```
pub struct IdLoader<R> {
    /// The table, without its index.
    pub(super) ids: IdTable<R>,
    pub(super) sizes: ShardSizes,
    /// Only of an image: its IDs, to be put into the index.
    pub(super) read: Read,
}

impl<R> IdLoader<R> {
    /// The number of IDs so far.
    pub fn len(&self) -> u32 {
        self.ids.len()
    }

    /// Whether there are no IDs.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Adds the next ID, and returns its number.
    ///
    /// # Errors
    ///
    /// If there are more IDs than can be numbered.
    #[inline]
    pub fn push(&mut self, id: Id<'_>, row: R) -> Result<u32, SnapshotError> {
        if self.ids.room() == 0 {
            return Err(SnapshotError::Damaged {
                what: "it has more IDs than can be numbered",
            });
        }
        let probe = self.ids.probe(id);
        self.sizes.count(probe.hash);
        let number = self.ids.len();
        self.ids.push(&probe, row);
        Ok(number)
    }

    /// The row of the ID with this number.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    #[inline]
    pub fn row(&self, number: u32) -> &R {
        self.ids.row(number)
    }

    /// The row of the ID with this number, to change it.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    #[inline]
    pub fn row_mut(&mut self, number: u32) -> &mut R {
        self.ids.row_mut(number)
    }

    /// The table of these IDs, with the owner of each in the order of their numbers.
    ///
    /// # Errors
    ///
    /// If an ID occurs twice.
    ///
    /// # Panics
    ///
    /// If there is not one owner for each ID.
    pub fn finish(self, owners: impl Iterator<Item = u32>) -> Result<IdTable<R>, SnapshotError> {
        let Self { mut ids, sizes, .. } = self;
        let mut owned = 0;
        let index = {
            let numbers = (0..ids.len()).zip(owners).map(|(number, owner)| {
                owned = number + 1;
                (ids.hash_of(number), owner)
            });
            let is_same = |a, b| ids.is_same_key(a, b);
            Index::build(&sizes, numbers, is_same)
        };
        ids.index = index.map_err(|_| SnapshotError::Damaged {
            what: "an ID occurs twice",
        })?;
        assert_eq!(owned, ids.len(), "each ID has an owner");
        Ok(ids)
    }
}

impl<R> Default for IdLoader<R> {
    fn default() -> Self {
        Self {
            ids: IdTable::new(),
            sizes: ShardSizes::default(),
            read: Read::default(),
        }
    }
}

impl<R> std::fmt::Debug for IdLoader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdLoader")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> Id<'_> {
        Id::new(text).unwrap()
    }

    /// Texts of all forms of keys. Few of the short ones, so that some are equal.
    fn texts(count: usize) -> impl Strategy<Value = Vec<String>> {
        let text = "[ab]{1,2}|[a-z]{1,15}|[a-z]{16,40}|5c7f0e7c-6a52-4b26-9fb8-6c5a9f[0-9a-f]{6}";
        prop::collection::vec(text, 0..count)
    }

    /// How many other IDs there are: mostly few, because many take long.
    fn fillers() -> impl Strategy<Value = u32> {
        prop_oneof![9 => 0..30_u32, 1 => 0..3_000_u32]
    }

    proptest! {
        #[test]
        fn a_loaded_table_is_like_one_that_was_filled_one_by_one(
            first in texts(80), later in texts(80), filler in fillers(),
        ) {
            let mut loader = IdLoader::default();
            let mut inserted = IdTable::new();
            let filler = (0..filler).map(|number| format!("filler {number}"));
            let unique: BTreeSet<_> = first.iter().cloned().chain(filler).collect();
            for (text, owner) in unique.iter().zip(7..) {
                let number = inserted.insert(&inserted.probe(id(text)), owner, owner + 1);
                prop_assert_eq!(loader.push(id(text), 0).unwrap(), number);
                *loader.row_mut(number) = owner + 1;
                prop_assert_eq!(*loader.row(number), owner + 1);
            }
            prop_assert_eq!(loader.len(), inserted.len());
            prop_assert_eq!(loader.is_empty(), inserted.is_empty());
            let mut loaded = loader.finish((7..).take(unique.len())).unwrap();
            // The same later IDs, so that shards grow in both.
            for text in first.iter().chain(&later) {
                let found = loaded.find(&loaded.probe(id(text)));
                prop_assert_eq!(found, inserted.find(&inserted.probe(id(text))));
                if found.is_none() {
                    let number = inserted.insert(&inserted.probe(id(text)), 5, 6);
                    prop_assert_eq!(loaded.insert(&loaded.probe(id(text)), 5, 6), number);
                }
            }
            for number in 0..inserted.len() {
                inserted.set_owner(number, number % 3);
                loaded.set_owner(number, number % 3);
                prop_assert_eq!(loaded.id(number), inserted.id(number));
                prop_assert_eq!(loaded.row(number), inserted.row(number));
                let probe = loaded.probe(inserted.id(number));
                prop_assert_eq!(loaded.find(&probe), Some(inserted.found(number)));
                prop_assert_eq!(loaded.found(number), inserted.found(number));
            }
        }

        #[test]
        fn an_id_that_occurs_twice_is_an_error(mut all in texts(100), filler in fillers()) {
            let unique = all.iter().collect::<BTreeSet<_>>().len();
            let has_twice = unique < all.len();
            all.extend((0..filler).map(|number| format!("filler {number}")));
            let mut loader = IdLoader::default();
            for text in &all {
                loader.push(id(text), ()).unwrap();
            }
            prop_assert_eq!(loader.finish(std::iter::repeat(0)).is_err(), has_twice);
        }
    }

    #[test]
    fn a_full_table_is_an_error() {
        let mut loader = IdLoader::default();
        loader.ids.max_ids = 1;
        loader.push(id("a"), ()).unwrap();
        assert!(matches!(
            loader.push(id("b"), ()),
            Err(SnapshotError::Damaged { .. })
        ));
        assert_eq!(loader.finish([3].into_iter()).unwrap().len(), 1);
    }

    #[test]
    #[should_panic(expected = "each ID has an owner")]
    fn an_id_without_an_owner_panics() {
        let mut loader = IdLoader::default();
        loader.push(id("a"), ()).unwrap();
        let _missing = loader.finish(std::iter::empty());
    }
}
