//! The peers as rows: code that a service would write without an engine.
//!
//! Each but [`Expert`] is written in the usual way: the standard `HashMap` with its default hasher. None has an initial
//! capacity, because the length of a stream of claims is not known. They do less than the engines: no
//! limit on clusters, no order or listing of members, no snapshot, and no check of IDs.

use std::collections::HashMap;

use ena::unify::{InPlaceUnificationTable, UnifyKey};
use foldhash::fast::RandomState;
use petgraph::unionfind::UnionFind;
use uuid::Uuid;

use crate::inputs::links::{Links, Texts};
use crate::rows::Row;

/// A map from a device to its user. For resolving it is equal to Simplified ID Merge: the first user
/// stays (rule S-7).
#[derive(Debug, Default)]
pub struct Map(HashMap<String, String>);

impl Row for Map {
    fn apply(&mut self, links: &Links) {
        for link in links.iter() {
            self.0
                .entry(link.device.to_owned())
                .or_insert_with(|| link.user.to_owned());
        }
    }

    fn resolve(&mut self, ids: &Texts, answer: &mut dyn FnMut(&str)) {
        for id in ids.iter() {
            answer(self.0.get(id).map_or(id, String::as_str));
        }
    }
}

/// What an expert writes for the same question: UUIDs as keys of 16 bytes in the table itself, a faster hasher, and
/// each text of a user once.
#[derive(Debug, Default)]
pub struct Expert {
    uuids: hashbrown::HashMap<u128, u32, RandomState>,
    others: hashbrown::HashMap<String, u32, RandomState>,
    numbers: hashbrown::HashMap<Box<str>, u32, RandomState>,
    users: Vec<Box<str>>,
}

impl Expert {
    fn user(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = u32::try_from(self.users.len()).unwrap_or(u32::MAX);
        self.users.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }
}

impl Row for Expert {
    fn apply(&mut self, links: &Links) {
        for link in links.iter() {
            let user = self.user(link.user);
            match Uuid::try_parse(link.device) {
                Ok(device) => *self.uuids.entry(device.as_u128()).or_insert(user),
                Err(_) => *self.others.entry_ref(link.device).or_insert(user),
            };
        }
    }

    fn resolve(&mut self, ids: &Texts, answer: &mut dyn FnMut(&str)) {
        for id in ids.iter() {
            let user = match Uuid::try_parse(id) {
                Ok(device) => self.uuids.get(&device.as_u128()),
                Err(_) => self.others.get(id),
            };
            answer(user.map_or(id, |&user| &self.users[user as usize]));
        }
    }
}

/// Disjoint sets of numbers.
pub trait Sets: Default {
    /// Adds a set with the next number.
    fn add(&mut self) -> u32;
    /// The number that represents the set of this number.
    fn find(&mut self, number: u32) -> u32;
    /// Merges two sets.
    fn union(&mut self, one: u32, other: u32);
}

/// Disjoint sets behind a map from texts to numbers.
#[derive(Debug, Default)]
pub struct BehindMap<S> {
    numbers: HashMap<String, u32>,
    sets: S,
    /// The user of each set, at the number that represents it.
    users: Vec<Option<u32>>,
    user_texts: Vec<String>,
}

impl<S: Sets> BehindMap<S> {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.sets.add();
        self.numbers.insert(text.to_owned(), number);
        self.users.push(None);
        number
    }

    fn link(&mut self, device: &str, user_text: &str) {
        let (device, user) = (self.number(device), self.number(user_text));
        let (device, user) = (self.sets.find(device), self.sets.find(user));
        if self.users[device as usize].is_some() {
            // Rules S-6 and S-7, O-10 and O-11.
            return;
        }
        let name = self.users[user as usize].unwrap_or_else(|| {
            self.user_texts.push(user_text.to_owned());
            u32::try_from(self.user_texts.len() - 1).unwrap_or(u32::MAX)
        });
        self.sets.union(device, user);
        let both = self.sets.find(user);
        self.users[both as usize] = Some(name);
    }
}

impl<S: Sets> Row for BehindMap<S> {
    fn apply(&mut self, links: &Links) {
        for link in links.iter() {
            self.link(link.device, link.user);
        }
    }

    fn resolve(&mut self, ids: &Texts, answer: &mut dyn FnMut(&str)) {
        for id in ids.iter() {
            let user = self
                .numbers
                .get(id)
                .and_then(|&number| self.users[self.sets.find(number) as usize]);
            answer(user.map_or(id, |user| &self.user_texts[user as usize]));
        }
    }
}

/// The disjoint sets of petgraph.
#[derive(Debug)]
pub struct Petgraph(UnionFind<u32>);

impl Default for Petgraph {
    fn default() -> Self {
        Self(UnionFind::new_empty())
    }
}

impl Sets for Petgraph {
    fn add(&mut self) -> u32 {
        self.0.new_set()
    }

    fn find(&mut self, number: u32) -> u32 {
        self.0.find_mut(number)
    }

    fn union(&mut self, one: u32, other: u32) {
        self.0.union(one, other);
    }
}

/// The disjoint sets of ena, which rustc uses.
#[derive(Debug, Default)]
pub struct Ena(InPlaceUnificationTable<EnaKey>);

/// A number, as a key of ena.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnaKey(u32);

impl UnifyKey for EnaKey {
    type Value = ();

    fn index(&self) -> u32 {
        self.0
    }

    fn from_index(number: u32) -> Self {
        Self(number)
    }

    fn tag() -> &'static str {
        "number"
    }
}

impl Sets for Ena {
    fn add(&mut self) -> u32 {
        self.0.new_key(()).0
    }

    fn find(&mut self, number: u32) -> u32 {
        self.0.find(EnaKey(number)).0
    }

    fn union(&mut self, one: u32, other: u32) {
        self.0.union(EnaKey(one), EnaKey(other));
    }
}

/// The disjoint sets of the crate disjoint-sets.
#[derive(Debug, Default)]
pub struct DisjointSets(disjoint_sets::UnionFind<u32>);

impl Sets for DisjointSets {
    fn add(&mut self) -> u32 {
        self.0.alloc()
    }

    fn find(&mut self, number: u32) -> u32 {
        self.0.find(number)
    }

    fn union(&mut self, one: u32, other: u32) {
        self.0.union(one, other);
    }
}
