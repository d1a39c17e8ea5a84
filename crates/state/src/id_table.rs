//! Interned ids: each is kept once, has a number, and a row beside it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use idmerge_core::Id;

use crate::hash::PairHash;
use crate::index::{Found, Hashes, Index};
use crate::key::Key;
use crate::rows::Rows;
use crate::texts::Texts;

/// A set of ids, each numbered by when it came: 0, 1, 2, … Each has an owner, which is a number of
/// what it belongs to, and a row of whatever else the engine keeps beside it.
///
/// Finding an id touches two lines of the cache, wherever they are: one of a hash table of numbers
/// and owners, and the row, in which the id itself stands as 16 bytes. Ids that are neither UUIDs
/// nor of at most 15 bytes have their text elsewhere.
///
/// The hash is keyed anew for each table, so that whoever chooses ids cannot make them collide; no
/// answer depends on the key.
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
    /// Of long texts.
    text_hash: RandomState,
    /// Of everything else.
    packed_hash: PairHash,
    max_ids: u32,
}

struct Entry<R> {
    key: Key,
    row: R,
}

/// How many ids are best looked for at once: as many as the processor can wait for together, and
/// few enough for the stack.
pub const BATCH_IDS: usize = 32;

/// An id, ready to be looked for in the table that made the probe.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'p> {
    hash: u64,
    /// As it would stand in the table; of a long text, the text.
    key: Result<Key, &'p str>,
}

/// Looks for nothing and finds nothing: a place in a batch that is not used.
impl Default for Probe<'_> {
    fn default() -> Self {
        Self {
            hash: 0,
            key: Err(""),
        }
    }
}

impl<R> IdTable<R> {
    /// The most ids that a table holds. The number above them is free to mean "none".
    pub const MAX_IDS: u32 = u32::MAX;

    /// An empty table. Allocates nothing.
    pub fn new() -> Self {
        Self::with_max_ids(Self::MAX_IDS)
    }

    /// An empty table that holds at most so many ids.
    #[allow(
        clippy::disallowed_methods,
        reason = "the key decides where an id stands in the table, never what is answered"
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

    /// How many ids there are. All numbers are below it.
    pub fn len(&self) -> u32 {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many more ids the table can hold.
    pub fn room(&self) -> u32 {
        self.max_ids - self.len()
    }

    /// Makes an id ready to be looked for.
    #[inline]
    pub fn probe<'p>(&self, id: Id<'p>) -> Probe<'p> {
        let key = Key::packed(id);
        let hash = match key {
            Ok(key) => self.packed_hash.hash(key.words().0, key.words().1),
            Err(text) => self.text_hash.hash_one(text),
        };
        Probe { hash, key }
    }

    /// The number and the owner of an id, if it is there.
    #[inline]
    pub fn find(&self, probe: &Probe<'_>) -> Option<Found> {
        self.index
            .find(probe.hash, |number| self.is_at(number, probe))
    }

    /// Looks for up to [`BATCH_IDS`] ids at once. `None` is not looked for and not found.
    ///
    /// Waiting for memory takes most of the time of a look, and one wait can overlap with others.
    /// So all lines of the index are asked for at once, and then all rows. In between,
    /// `prefetch_owner` is given what most likely is each id, to ask for what will be needed of its
    /// owner.
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
            if found.is_none_or(|guess| !self.is_at(guess.number, probe)) {
                *found = self.find(probe);
            }
        }
        (probes, found)
    }

    /// The first half of [`find_all`](Self::find_all): what most likely is each id. Its row is asked
    /// for.
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

    /// What [`find`](Self::find) finds for the id with this number.
    ///
    /// # Panics
    ///
    /// Where no id has the number.
    pub fn found(&self, number: u32) -> Found {
        let hash = self.key_hashes().hash(number);
        match self.index.find(hash, |other| other == number) {
            Some(found) => found,
            None => unreachable!("every row is in the index"),
        }
    }

    /// Adds an id that is not there. Answers with its number.
    ///
    /// # Panics
    ///
    /// Where there is no [`room`](Self::room).
    pub fn insert(&mut self, probe: &Probe<'_>, owner: u32, row: R) -> u32 {
        assert!(self.room() > 0, "the table is full; ask `room` first");
        debug_assert!(self.find(probe).is_none(), "an id stands once");
        let key = match probe.key {
            Ok(key) => key,
            Err(text) => Key::of_long(probe.hash, self.texts.push(text)),
        };
        let number = self.len();
        self.rows.push(Entry { key, row });
        // Not by the method, which would borrow the index too.
        let (rows, packed_hash) = (&self.rows, &self.packed_hash);
        let others = KeyHashes { rows, packed_hash };
        let new = Found { number, owner };
        self.index.insert(probe.hash, new, &others);
        number
    }

    /// Gives the id with this number another owner.
    ///
    /// # Panics
    ///
    /// Where no id has the number.
    pub fn set_owner(&mut self, number: u32, owner: u32) {
        let hash = self.key_hashes().hash(number);
        self.index.set_owner(hash, Found { number, owner });
    }

    /// Asks for the row of an id that will be needed soon. It may be any number.
    #[inline]
    pub fn prefetch(&self, number: u32) {
        self.rows.prefetch(number);
    }

    /// The id with this number.
    ///
    /// # Panics
    ///
    /// Where no id has the number.
    #[inline]
    pub fn id(&self, number: u32) -> Id<'_> {
        self.rows.at(number).key.id(&self.texts)
    }

    /// The row of the id with this number.
    ///
    /// # Panics
    ///
    /// Where no id has the number.
    #[inline]
    pub fn row(&self, number: u32) -> &R {
        &self.rows.at(number).row
    }

    /// The row of the id with this number.
    ///
    /// # Panics
    ///
    /// Where no id has the number.
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

    #[inline]
    fn is_at(&self, number: u32, probe: &Probe<'_>) -> bool {
        let found = &self.rows.at(number).key;
        match probe.key {
            Ok(key) => *found == key,
            Err(text) => found.long().is_some_and(|(hash, place)| {
                hash == probe.hash && place.bytes() == text.len() && self.texts.at(place) == text
            }),
        }
    }
}

/// The hashes of the ids of a table.
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
        fn a_table_numbers_ids_by_when_they_came(
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
                // The first is not looked for.
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
    fn a_full_table_says_so() {
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
