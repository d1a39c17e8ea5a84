//! Interned IDs: each is stored once, with a number and a row.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use idmerge_core::Id;

use crate::hash::PairHash;
use crate::index::{Found, Hashes, Index};
use crate::key::Key;
use crate::rows::Rows;
use crate::texts::Texts;

mod by_shard;
mod image;
mod loader;

pub use loader::IdLoader;

/// A table of IDs that numbers them in the order of their insertion: 0, 1, 2, …
///
/// Each ID has an owner, which is a number that the engine gives a meaning to, and a row for
/// everything else that the engine stores about the ID.
///
/// A lookup touches two cache lines: one of a hash table of numbers and owners, and the row, which
/// also contains the ID in 16 bytes. An ID that is not a UUID and is longer than 15 bytes has its
/// text elsewhere, which takes a third cache line.
///
/// Each table has its own random hash keys, so that an attacker cannot choose IDs that collide. No
/// answer depends on the keys.
///
/// ```
/// use idmerge_core::Id;
/// use idmerge_state::IdTable;
///
/// let id = |text| Id::new(text).unwrap();
/// let mut ids = IdTable::new();
/// let (u1, d1) = (ids.probe(id("U1")), ids.probe(id("D1")));
/// assert_eq!(ids.find(&u1), None);
/// assert_eq!(ids.insert(&u1, 0, "a row"), 0);
/// assert_eq!(ids.insert(&d1, 0, "another"), 1);
/// assert_eq!(ids.find(&d1).unwrap().number, 1);
/// assert_eq!(ids.id(1), id("D1"));
/// assert_eq!(*ids.row(1), "another");
/// ```
pub struct IdTable<R> {
    index: Index,
    rows: Rows<Entry<R>>,
    texts: Texts,
    /// The hash of long texts.
    text_hash: RandomState,
    /// The hash of UUIDs and short texts.
    packed_hash: PairHash,
    max_ids: u32,
}

struct Entry<R> {
    key: Key,
    row: R,
}

/// The number of IDs in one batch of lookups: enough to keep as many cache misses in flight as the
/// processor can, and few enough for the stack.
pub const BATCH_IDS: usize = 32;

/// An ID, hashed and packed for a lookup in the table that made the probe.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'p> {
    hash: u64,
    /// The key that the table would store, or a long text.
    key: Result<Key, &'p str>,
}

/// A probe that finds nothing, for an unused slot of a batch.
impl Default for Probe<'_> {
    fn default() -> Self {
        Self {
            hash: 0,
            key: Err(""),
        }
    }
}

impl<R> IdTable<R> {
    /// The most IDs that a table can hold. No ID has this number, so engines can use it for "none".
    pub const MAX_IDS: u32 = u32::MAX;

    /// An empty table. Allocates nothing.
    pub fn new() -> Self {
        Self::with_max_ids(Self::MAX_IDS)
    }

    /// An empty table that can hold this many IDs. Allocates nothing.
    #[allow(
        clippy::disallowed_methods,
        reason = "the random keys decide where the table stores an ID, never what it answers"
    )]
    pub fn with_max_ids(max_ids: u32) -> Self {
        let random = RandomState::new();
        Self {
            index: Index::default(),
            rows: Rows::new(),
            texts: Texts::default(),
            packed_hash: PairHash::keyed(std::array::from_fn(|at| random.hash_one(at))),
            text_hash: RandomState::new(),
            max_ids,
        }
    }

    /// The number of IDs in the table. All their numbers are below it.
    pub fn len(&self) -> u32 {
        self.rows.len()
    }

    /// Whether the table has no IDs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of IDs that can still be inserted.
    pub fn room(&self) -> u32 {
        self.max_ids - self.len()
    }

    /// Hashes and packs an ID for a lookup in this table.
    #[inline]
    pub fn probe<'p>(&self, id: Id<'p>) -> Probe<'p> {
        let key = Key::packed(id);
        let hash = match key {
            Ok(key) => self.packed_hash.hash(key.words().0, key.words().1),
            Err(text) => self.text_hash.hash_one(text),
        };
        Probe { hash, key }
    }

    /// The number and the owner of an ID, or `None` if it is not in the table.
    #[inline]
    pub fn find(&self, probe: &Probe<'_>) -> Option<Found> {
        self.index
            .find(probe.hash, |number| self.is_key_of(number, probe))
    }

    /// Finds up to [`BATCH_IDS`] IDs at once. The result of `None` is `None`.
    ///
    /// A lookup spends most of its time on cache misses, and misses can overlap. So this method
    /// starts loading all lines of the hash table, and then all rows. In between it calls
    /// `prefetch_owner` with the likely owner of each ID, so that the engine can start loading data
    /// of that owner. A likely owner may be wrong.
    #[inline]
    pub fn find_all<'p>(
        &self,
        mut ids: impl Iterator<Item = Option<Id<'p>>>,
        prefetch_owner: impl Fn(u32),
    ) -> ([Probe<'p>; BATCH_IDS], [Option<Found>; BATCH_IDS]) {
        let probes = std::array::from_fn(|_| match ids.next().flatten() {
            Some(id) => self.probe(id),
            None => Probe::default(),
        });
        let mut found = [None; BATCH_IDS];
        self.guess(&probes, &mut found);
        for likely in found.iter().flatten() {
            prefetch_owner(likely.owner);
        }
        for (probe, found) in probes.iter().zip(&mut found) {
            if found.is_none_or(|guess| !self.is_key_of(guess.number, probe)) {
                *found = self.find(probe);
            }
        }
        (probes, found)
    }

    /// The first half of [`find_all`](Self::find_all): guesses the number and owner of each ID, and
    /// starts loading its row. A guess may be wrong, so compare it with [`find`](Self::find).
    #[inline]
    pub fn guess(&self, probes: &[Probe<'_>], guesses: &mut [Option<Found>]) {
        for probe in probes {
            self.index.prefetch(probe.hash);
        }
        for (probe, guess) in probes.iter().zip(guesses) {
            *guess = self.index.guess(probe.hash);
            if let Some(guess) = guess {
                self.rows.prefetch(guess.number);
            }
        }
    }

    /// The number and the owner of the ID with this number.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    pub fn found(&self, number: u32) -> Found {
        let hash = self.key_hashes().hash(number);
        match self.index.find(hash, |other| other == number) {
            Some(found) => found,
            None => unreachable!("every row is in the index"),
        }
    }

    /// Inserts an ID that is not in the table, and returns its number.
    ///
    /// # Panics
    ///
    /// If there is no [`room`](Self::room).
    pub fn insert(&mut self, probe: &Probe<'_>, owner: u32, row: R) -> u32 {
        assert!(self.room() > 0, "the table is full; ask `room` first");
        debug_assert!(self.find(probe).is_none(), "an ID is inserted once");
        let number = self.push(probe, row);
        // Not `self.key_hashes()`: it would borrow the index, which changes below.
        let (rows, packed_hash) = (&self.rows, &self.packed_hash);
        let others = KeyHashes { rows, packed_hash };
        let new = Found { number, owner };
        self.index.insert(probe.hash, new, &others);
        number
    }

    /// Adds a row without an entry in the index, and returns its number.
    #[inline]
    fn push(&mut self, probe: &Probe<'_>, row: R) -> u32 {
        let key = match probe.key {
            Ok(key) => key,
            Err(text) => Key::of_long(probe.hash, self.texts.push(text)),
        };
        let number = self.len();
        self.rows.push(Entry { key, row });
        number
    }

    /// Changes the owner of the ID with this number.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    pub fn set_owner(&mut self, number: u32, owner: u32) {
        let hash = self.key_hashes().hash(number);
        self.index.set_owner(hash, Found { number, owner });
    }

    /// Starts loading the row of an ID that will be needed soon. A number without an ID is ignored.
    #[inline]
    pub fn prefetch(&self, number: u32) {
        self.rows.prefetch(number);
    }

    /// The ID with this number.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    #[inline]
    pub fn id(&self, number: u32) -> Id<'_> {
        self.rows.at(number).key.id(&self.texts)
    }

    /// The row of the ID with this number.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    #[inline]
    pub fn row(&self, number: u32) -> &R {
        &self.rows.at(number).row
    }

    /// The row of the ID with this number, to change it.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    #[inline]
    pub fn row_mut(&mut self, number: u32) -> &mut R {
        &mut self.rows.at_mut(number).row
    }

    fn key_hashes(&self) -> KeyHashes<'_, R> {
        KeyHashes {
            rows: &self.rows,
            packed_hash: &self.packed_hash,
        }
    }

    /// Whether the keys of two numbers are of the same ID.
    #[inline]
    fn is_same_key(&self, a: u32, b: u32) -> bool {
        let [a, b] = [a, b].map(|number| &self.rows.at(number).key);
        match (a.long(), b.long()) {
            (Some((hash, a)), Some((other, b))) => {
                hash == other && self.texts.at(a) == self.texts.at(b)
            }
            _ => a == b,
        }
    }

    #[inline]
    fn is_key_of(&self, number: u32, probe: &Probe<'_>) -> bool {
        let found = &self.rows.at(number).key;
        match probe.key {
            Ok(key) => *found == key,
            Err(text) => found.long().is_some_and(|(hash, span)| {
                hash == probe.hash && span.bytes() == text.len() && self.texts.at(span) == text
            }),
        }
    }
}

/// Computes the hashes of the IDs in a table from their keys.
struct KeyHashes<'t, R> {
    rows: &'t Rows<Entry<R>>,
    packed_hash: &'t PairHash,
}

impl<R> Hashes for KeyHashes<'_, R> {
    #[inline]
    fn hash(&self, number: u32) -> u64 {
        let key = &self.rows.at(number).key;
        match key.long() {
            Some((hash, _)) => hash,
            None => self.packed_hash.hash(key.words().0, key.words().1),
        }
    }

    #[inline]
    fn prefetch(&self, number: u32) {
        self.rows.prefetch(number);
    }
}

impl<R> Default for IdTable<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> fmt::Debug for IdTable<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTable")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> Id<'_> {
        Id::new(text).unwrap()
    }

    fn number(found: Option<Found>) -> Option<u32> {
        found.map(|found| found.number)
    }

    proptest! {
        #[test]
        fn ids_are_numbered_in_the_order_of_insertion(
            texts in prop::collection::vec(
                "[ab]{1,4}|[ab]{16,20}|5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f[ab]{4}|5C7F0E7C-6A52-4B26-9FB8-6C5A9F0F[AB]{4}",
                0..200,
            ),
            later in prop::collection::vec("[abc]{1,4}|[abc]{16,20}", 0..100),
        ) {
            let mut table = IdTable::new();
            let mut numbers = BTreeMap::new();
            for text in &texts {
                let next = u32::try_from(numbers.len()).unwrap();
                let probe = table.probe(id(text));
                prop_assert_eq!(number(table.find(&probe)), numbers.get(text).copied());
                if numbers.contains_key(text) {
                    continue;
                }
                prop_assert_eq!(table.insert(&probe, 0, text.clone()), next);
                numbers.insert(text.clone(), next);
            }
            prop_assert_eq!(table.len() as usize, numbers.len());
            prop_assert_eq!(table.is_empty(), texts.is_empty());
            for (text, &number) in &numbers {
                prop_assert_eq!(table.id(number), id(text));
                prop_assert_eq!(table.row(number), text);
                table.set_owner(number, number + 1);
                prop_assert_eq!(table.found(number), Found { number, owner: number + 1 });
            }
            let all: Vec<_> = texts.iter().chain(&later).collect();
            for some in all.chunks(BATCH_IDS - 1) {
                // The first ID of each batch is `None`.
                let ids = [None].into_iter().chain(some.iter().map(|text| Some(id(text))));
                let owners = RefCell::new(Vec::new());
                let (probes, found) = table.find_all(ids, |owner| owners.borrow_mut().push(owner));
                prop_assert_eq!(found[0], None);
                for ((text, found), probe) in some.iter().zip(&found[1..]).zip(&probes[1..]) {
                    prop_assert_eq!(number(*found), numbers.get(*text).copied());
                    prop_assert!(found.is_none_or(|found| found.owner == found.number + 1));
                    prop_assert_eq!(table.find(probe), *found);
                }
                prop_assert!(found[some.len() + 1..].iter().all(Option::is_none));
                let owners = owners.into_inner();
                prop_assert!(owners.iter().all(|&owner| owner <= table.len()));
            }
        }
    }

    #[test]
    fn room_counts_down_to_the_limit() {
        let mut table = IdTable::with_max_ids(2);
        for (text, room) in [("a", 1), ("b", 0)] {
            table.insert(&table.probe(id(text)), 0, ());
            assert_eq!(table.room(), room);
        }
    }

    #[test]
    #[should_panic(expected = "full")]
    fn an_insert_into_a_full_table_panics() {
        let mut table = IdTable::with_max_ids(0);
        table.insert(&table.probe(id("a")), 0, ());
    }

    #[test]
    fn rows_can_be_changed() {
        let mut table = IdTable::new();
        table.insert(&table.probe(id("a")), 0, 1);
        *table.row_mut(0) += 1;
        assert_eq!(*table.row(0), 2);
    }
}
