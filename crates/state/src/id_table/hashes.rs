//! The hashes of the IDs of one table, and [`Probe`]s made of them.

use std::hash::{BuildHasher, RandomState};

use idmerge_core::Id;

use crate::hash::PairHash;
use crate::index::Hashes;
use crate::key::Key;
use crate::keys::Keys;
use crate::texts::TextSpan;

/// An ID, hashed and packed for a lookup in the table that made the probe.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'p> {
    pub(super) hash: u64,
    /// The key that the table would store, or a long text.
    pub(super) key: Result<Key, &'p str>,
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

impl Probe<'_> {
    /// Whether a key is of this ID. `None` if the text of the key is not there.
    #[inline]
    pub(super) fn is_of<'t>(
        &self,
        found: &Key,
        text: impl FnOnce(TextSpan) -> Option<&'t [u8]>,
    ) -> Option<bool> {
        match (self.key, found.long()) {
            (Ok(key), _) => Some(*found == key),
            (Err(wanted), Some((hash, span)))
                if hash == self.hash && span.bytes() == wanted.len() =>
            {
                Some(text(span)? == wanted.as_bytes())
            }
            (Err(_), _) => Some(false),
        }
    }
}

/// Computes the hashes of IDs, with the random keys of one table.
#[derive(Clone)]
pub(super) struct KeyHashes {
    /// Of long texts.
    pub(super) text: RandomState,
    /// Of UUIDs and short texts.
    packed: PairHash,
}

impl KeyHashes {
    #[allow(
        clippy::disallowed_methods,
        reason = "the random keys decide where the table stores an ID, never what it answers"
    )]
    pub(super) fn new() -> Self {
        let random = RandomState::new();
        Self {
            packed: PairHash::keyed(std::array::from_fn(|at| random.hash_one(at))),
            text: RandomState::new(),
        }
    }

    #[inline]
    pub(super) fn probe<'p>(&self, id: Id<'p>) -> Probe<'p> {
        let key = Key::packed(id);
        let hash = match key {
            Ok(key) => self.packed.hash(key.words().0, key.words().1),
            Err(text) => self.text.hash_one(text),
        };
        Probe { hash, key }
    }

    #[inline]
    pub(super) fn hash(&self, key: &Key) -> u64 {
        match key.long() {
            Some((hash, _)) => hash,
            None => self.packed.hash(key.words().0, key.words().1),
        }
    }
}

/// The IDs of a table, for its index.
pub(super) struct Others<'t> {
    pub(super) keys: &'t Keys,
    pub(super) hashes: &'t KeyHashes,
}

impl Hashes for Others<'_> {
    #[inline]
    fn hash(&self, number: u32) -> u64 {
        self.hashes.hash(self.keys.at(number))
    }

    #[inline]
    fn prefetch(&self, number: u32) {
        self.keys.prefetch(number);
    }
}
