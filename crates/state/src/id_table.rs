//! Interned ids: each text is kept once and has a number.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use idmerge_core::Id;

/// A set of ids, each numbered by when it came: 0, 1, 2, …
///
/// The texts stand one behind the other in a single block of memory; looking one up is one probe
/// of a hash table of numbers. The hash is keyed anew for each table, so that whoever chooses ids
/// cannot make them collide; no answer depends on the key.
///
/// ```
/// use idmerge_core::Id;
/// use idmerge_state::IdTable;
///
/// let id = |text| Id::new(text).unwrap();
/// let mut ids = IdTable::new();
/// assert_eq!(ids.intern(id("U1")), 0);
/// assert_eq!(ids.intern(id("D1")), 1);
/// assert_eq!(ids.intern(id("U1")), 0);
/// assert_eq!(ids.number(id("D1")), Some(1));
/// assert_eq!(ids.number(id("D2")), None);
/// assert_eq!(ids.id(1), id("D1"));
/// ```
pub struct IdTable {
    /// The texts in the order of their numbers, with nothing between them.
    texts: String,
    /// Where each text ends in `texts`; it begins where the one before it ends.
    ends: Vec<usize>,
    /// The numbers, found by the hash of their text.
    numbers: HashTable<u32>,
    hash_keys: RandomState,
    max_ids: u32,
}

impl IdTable {
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
        Self {
            texts: String::new(),
            ends: Vec::new(),
            numbers: HashTable::new(),
            hash_keys: RandomState::new(),
            max_ids,
        }
    }

    /// How many ids there are. All numbers are below it.
    pub fn len(&self) -> u32 {
        // `intern` keeps the length within `max_ids`.
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many more ids the table can hold.
    pub fn room(&self) -> u32 {
        self.max_ids - self.len()
    }

    /// The number of an id, if it is there.
    pub fn number(&self, id: Id<'_>) -> Option<u32> {
        let text = &*id.text();
        self.numbers
            .find(self.hash(text), |&number| self.text(number) == text)
            .copied()
    }

    /// The number of an id, which is added where it is new.
    ///
    /// # Panics
    ///
    /// Where the id is new and there is no [`room`](Self::room).
    pub fn intern(&mut self, id: Id<'_>) -> u32 {
        let text = &*id.text();
        let hash = self.hash(text);
        if let Some(&number) = self.numbers.find(hash, |&number| self.text(number) == text) {
            return number;
        }
        assert!(self.room() > 0, "the table is full; ask `room` first");
        let number = self.len();
        self.texts.push_str(text);
        self.ends.push(self.texts.len());
        let Self {
            texts,
            ends,
            numbers,
            hash_keys,
            ..
        } = self;
        numbers.insert_unique(hash, number, |&other| {
            hash_keys.hash_one(text_of(texts, ends, other))
        });
        number
    }

    /// The id with this number.
    ///
    /// # Panics
    ///
    /// Where no id has the number.
    pub fn id(&self, number: u32) -> Id<'_> {
        match Id::new(self.text(number)) {
            Some(id) => id,
            None => unreachable!("every text came from an `Id`"),
        }
    }

    fn text(&self, number: u32) -> &str {
        text_of(&self.texts, &self.ends, number)
    }

    fn hash(&self, text: &str) -> u64 {
        self.hash_keys.hash_one(text)
    }
}

impl Default for IdTable {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for IdTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTable")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn text_of<'t>(texts: &'t str, ends: &[usize], number: u32) -> &'t str {
    let number = number as usize;
    let start = match number.checked_sub(1) {
        Some(before) => ends[before],
        None => 0,
    };
    &texts[start..ends[number]]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_table_numbers_ids_by_when_they_came(texts in prop::collection::vec("[ab]{1,4}", 0..200)) {
            let mut table = IdTable::new();
            let mut numbers = BTreeMap::new();
            for text in &texts {
                let id = Id::new(text).unwrap();
                let next = u32::try_from(numbers.len()).unwrap();
                prop_assert_eq!(table.number(id), numbers.get(text).copied());
                prop_assert_eq!(table.intern(id), *numbers.entry(text).or_insert(next));
            }
            prop_assert_eq!(table.len() as usize, numbers.len());
            prop_assert_eq!(table.is_empty(), texts.is_empty());
            for (text, &number) in &numbers {
                prop_assert_eq!(table.id(number), Id::new(text).unwrap());
            }
        }
    }

    #[test]
    fn room_counts_down_to_the_limit() {
        let id = |text| Id::new(text).unwrap();
        let mut table = IdTable::with_max_ids(2);
        table.intern(id("a"));
        assert_eq!(table.room(), 1);
        table.intern(id("b"));
        assert_eq!(table.room(), 0);
        // What is there already needs no room.
        assert_eq!(table.intern(id("a")), 0);
    }

    #[test]
    #[should_panic(expected = "full")]
    fn a_full_table_says_so() {
        let mut table = IdTable::with_max_ids(0);
        table.intern(Id::new("a").unwrap());
    }
}
