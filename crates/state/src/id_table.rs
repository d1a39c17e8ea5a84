//! Interned IDs: each is stored once, with a number and a row.

use std::fmt;
use std::sync::OnceLock;

use idmerge_core::Id;

use crate::index::{Found, Index};
use crate::key::Key;
use crate::keys::Keys;
use crate::rows::Rows;
use crate::texts::Texts;

mod by_shard;
mod hashes;
mod image;
mod loader;
mod reader;

pub use hashes::Probe;
use hashes::{KeyHashes, Others};
pub use loader::IdLoader;
use reader::Views;
pub use reader::{IdReader, IdView, OutOfDate};

/// A table of IDs that numbers them in the order of their insertion: 0, 1, 2, …
///
/// Each ID has an owner, which is a number that the engine gives a meaning to, and a row for
/// everything else that the engine stores about the ID.
///
/// A lookup touches two cache lines: one of a hash table of numbers and owners, and one of keys: the ID in 16 bytes. An
/// ID that is not a UUID and is longer than 15 bytes has its text elsewhere, which takes a third cache line.
///
/// Other threads can look up IDs with a [`reader`](Self::reader) while one thread inserts. They take no lock.
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
    keys: Keys,
    rows: Rows<R>,
    texts: Texts,
    hashes: KeyHashes,
    max_ids: u32,
    /// What readers see, once there is a reader.
    views: OnceLock<Views>,
}

/// The number of IDs in one batch of lookups: enough to keep as many cache misses in flight as the
/// processor can, and few enough for the stack.
pub const BATCH_IDS: usize = 32;

impl<R> IdTable<R> {
    /// The most IDs that a table can hold. No ID has this number, so engines can use it for "none".
    pub const MAX_IDS: u32 = u32::MAX;

    /// An empty table. Allocates nothing.
    pub fn new() -> Self {
        Self::with_max_ids(Self::MAX_IDS)
    }

    /// An empty table that can hold this many IDs. Allocates nothing.
    pub fn with_max_ids(max_ids: u32) -> Self {
        Self {
            index: Index::default(),
            keys: Keys::default(),
            rows: Rows::new(),
            texts: Texts::default(),
            hashes: KeyHashes::new(),
            max_ids,
            views: OnceLock::new(),
        }
    }

    /// The number of IDs in the table. All their numbers are below it.
    pub fn len(&self) -> u32 {
        self.keys.len()
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
        self.hashes.probe(id)
    }

    /// The number and the owner of an ID, or `None` if it is not in the table.
    #[inline]
    pub fn find(&self, probe: &Probe<'_>) -> Option<Found> {
        self.index
            .find(probe.hash, |number| self.is_key_of(number, probe))
    }

    /// As [`find`](Self::find), for a caller that will need the row: it is loaded at the same time as the key.
    #[inline]
    pub fn find_with_row(&self, probe: &Probe<'_>) -> Option<Found> {
        self.index.find(probe.hash, |number| {
            self.rows.prefetch(number);
            self.is_key_of(number, probe)
        })
    }

    /// Finds up to [`BATCH_IDS`] IDs at once. The result of `None` is `None`.
    ///
    /// A lookup spends most of its time on cache misses, and misses can overlap. So this method
    /// starts loading all lines of the hash table, and then all rows. In between it calls
    /// `prefetch` with the likely number and owner of each ID, so that the engine can start loading its row, or data
    /// of that owner. They may be wrong.
    #[inline]
    pub fn find_all<'p>(
        &self,
        mut ids: impl Iterator<Item = Option<Id<'p>>>,
        prefetch: impl Fn(Found),
    ) -> ([Probe<'p>; BATCH_IDS], [Option<Found>; BATCH_IDS]) {
        let probes = std::array::from_fn(|_| match ids.next().flatten() {
            Some(id) => self.probe(id),
            None => Probe::default(),
        });
        let mut found = [None; BATCH_IDS];
        self.guess(&probes, &mut found);
        for &likely in found.iter().flatten() {
            prefetch(likely);
        }
        for (probe, found) in probes.iter().zip(&mut found) {
            if found.is_none_or(|guess| !self.is_key_of(guess.number, probe)) {
                *found = self.find(probe);
            }
        }
        (probes, found)
    }

    /// The first half of [`find_all`](Self::find_all): guesses the number and owner of each ID, and
    /// starts loading its key. A guess may be wrong, so compare it with [`find`](Self::find).
    #[inline]
    pub fn guess(&self, probes: &[Probe<'_>], guesses: &mut [Option<Found>]) {
        for probe in probes {
            self.index.prefetch(probe.hash);
        }
        for (probe, guess) in probes.iter().zip(guesses) {
            *guess = self.index.guess(probe.hash);
            if let Some(guess) = guess {
                self.keys.prefetch(guess.number);
            }
        }
    }

    /// The number and the owner of the ID with this number.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    pub fn found(&self, number: u32) -> Found {
        let hash = self.hash_of(number);
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
        let number = self.len();
        if self.push(probe, row) {
            self.publish();
        }
        // Before the index has the number, or a reader that finds it there would wait for its key.
        debug_assert!(self.is_published(number));
        let (keys, hashes) = (&self.keys, &self.hashes);
        let new = Found { number, owner };
        if self.index.insert(probe.hash, new, &Others { keys, hashes }) {
            self.publish();
        }
        number
    }

    /// Adds a key and a row without an entry in the index. Returns whether a view that was made before does not have
    /// the key.
    #[inline]
    fn push(&mut self, probe: &Probe<'_>, row: R) -> bool {
        let (key, is_new_block) = match probe.key {
            Ok(key) => (key, false),
            Err(text) => {
                let (span, is_new_block) = self.texts.push(text);
                (Key::of_long(probe.hash, span), is_new_block)
            }
        };
        let is_new_chunk = self.keys.push(key);
        self.rows.push(row);
        is_new_block || is_new_chunk
    }

    /// Changes the owner of the ID with this number.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    pub fn set_owner(&mut self, number: u32, owner: u32) {
        let hash = self.hash_of(number);
        self.index.set_owner(hash, Found { number, owner });
    }

    /// Starts loading an ID that will be needed soon. A number without an ID is ignored.
    #[inline]
    pub fn prefetch(&self, number: u32) {
        self.keys.prefetch(number);
    }

    /// Starts loading the row of an ID that will be needed soon. A number without an ID is ignored.
    #[inline]
    pub fn prefetch_row(&self, number: u32) {
        self.rows.prefetch(number);
    }

    /// The ID with this number.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    #[inline]
    pub fn id(&self, number: u32) -> Id<'_> {
        match self.keys.at(number).id(|span| Some(self.texts.at(span))) {
            Some(id) => id,
            None => unreachable!("every key was made from an ID"),
        }
    }

    /// The row of the ID with this number.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    #[inline]
    pub fn row(&self, number: u32) -> &R {
        self.rows.at(number)
    }

    /// The row of the ID with this number, to change it.
    ///
    /// # Panics
    ///
    /// If no ID has this number.
    #[inline]
    pub fn row_mut(&mut self, number: u32) -> &mut R {
        self.rows.at_mut(number)
    }

    #[inline]
    fn hash_of(&self, number: u32) -> u64 {
        self.hashes.hash(self.keys.at(number))
    }

    /// Whether the keys of two numbers are of the same ID.
    #[inline]
    fn is_same_key(&self, a: u32, b: u32) -> bool {
        let [a, b] = [a, b].map(|number| self.keys.at(number));
        match (a.long(), b.long()) {
            (Some((hash, a)), Some((other, b))) => {
                hash == other && self.texts.bytes_at(a) == self.texts.bytes_at(b)
            }
            _ => a == b,
        }
    }

    #[inline]
    fn is_key_of(&self, number: u32, probe: &Probe<'_>) -> bool {
        probe.is_of(self.keys.at(number), |span| Some(self.texts.bytes_at(span))) == Some(true)
    }

    /// A reader, which looks up IDs while this table changes. All readers see the same.
    ///
    /// From then on each insert for which memory must grow takes a microsecond or two more. If the last chunk of keys must
    /// grow, it is copied, up to 16 MiB, which takes up to a few milliseconds. What has grown is freed by a later insert for
    /// which memory must grow, once nobody reads it.
    pub fn reader(&self) -> IdReader {
        self.views.get_or_init(|| Views::new(self.view())).reader()
    }

    fn view(&self) -> IdView {
        IdView::new(
            self.index.view(),
            self.keys.view(),
            self.texts.view(),
            self.hashes.clone(),
        )
    }

    /// Whether readers can see the ID with this number.
    fn is_published(&self, number: u32) -> bool {
        let views = self.views.get();
        views.is_none_or(|views| views.now().id(number).is_ok())
    }

    /// Shows readers what has grown.
    #[cold]
    fn publish(&mut self) {
        if let Some(mut views) = self.views.take() {
            views.publish(self.view());
            self.views = views.into();
        }
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
                let (probes, found) = table.find_all(ids, |likely| owners.borrow_mut().push(likely.owner));
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
