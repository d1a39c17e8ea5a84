//! [`ErasedIds`]: the IDs that a store refuses because they were erased (E-2).

use std::collections::HashMap;
use std::fmt;

use idmerge_core::{Claim, DistinctId, Reading, RuleBook};
use redb::{Database, ReadTransaction, ReadableTable, TableError, WriteTransaction};

use crate::error::StoreError;
use crate::log::about::{self, KEY_BYTES};
use crate::log::codec;
use crate::log::entry::own;
use crate::log::tables::ERASED;

/// How many bytes of a hash are kept.
const HASH_BYTES: usize = 16;

/// The time until which an ID is refused for ever.
pub(crate) const FOR_EVER: i64 = i64::MAX;

/// The IDs that were erased from a store (E-2). Each is a hash with a random key of the store; the text is not
/// there. What names one of them is refused, for ever or until a time.
#[derive(Clone, Default)]
pub struct ErasedIds {
    /// `None` if nothing was ever erased.
    key: Option<[u8; KEY_BYTES]>,
    /// By hash: until when the ID is refused, in milliseconds since 1970.
    until_ms: HashMap<[u8; HASH_BYTES], i64>,
    /// Whether a device and a user with one text are two IDs.
    rule_book: Option<RuleBook>,
}

impl ErasedIds {
    pub(crate) fn read(read: &ReadTransaction, rule_book: RuleBook) -> Result<Self, StoreError> {
        let mut erased = Self {
            key: about::erasure_key(read)?,
            until_ms: HashMap::new(),
            rule_book: Some(rule_book),
        };
        match read.open_table(ERASED) {
            Err(TableError::TableDoesNotExist(_)) => {}
            table => {
                for row in table?.range::<&[u8]>(..)? {
                    let (hash, until_ms) = row?;
                    let hash = hash.value().try_into().map_err(|_| StoreError::NotAStore)?;
                    erased.until_ms.insert(hash, until_ms.value());
                }
            }
        }
        Ok(erased)
    }

    /// The key; `new` if nothing was erased before.
    pub(crate) fn key_or(&self, new: [u8; KEY_BYTES]) -> [u8; KEY_BYTES] {
        self.key.unwrap_or(new)
    }

    /// Whether no ID was ever erased.
    pub fn is_empty(&self) -> bool {
        self.until_ms.is_empty()
    }

    /// How many IDs were erased.
    pub fn len(&self) -> usize {
        self.until_ms.len()
    }

    /// Whether an ID was erased and is refused at this time, in milliseconds since 1970.
    pub fn refuses(&self, id: DistinctId<'_>, now_ms: i64) -> bool {
        let (Some(key), Some(rule_book)) = (&self.key, self.rule_book) else {
            return false;
        };
        let until_ms = self.until_ms.get(&hash(key, own(id, rule_book)));
        until_ms.is_some_and(|until_ms| now_ms < *until_ms)
    }

    /// Whether a claim names an ID that is refused.
    pub fn refuses_claim(&self, claim: Claim<'_>, now_ms: i64) -> bool {
        if self.is_empty() {
            return false;
        }
        let ids = named_ids(claim, self.rule_book);
        ids.into_iter().flatten().any(|id| self.refuses(id, now_ms))
    }

    /// Whether an event that is read so names an ID that is refused.
    pub fn refuses_event(&self, reading: &Reading<'_>, now_ms: i64) -> bool {
        if self.is_empty() {
            return false;
        }
        let own = reading.distinct_id;
        own.is_some_and(|id| self.refuses(id, now_ms))
            || reading
                .claim
                .is_some_and(|claim| self.refuses_claim(claim, now_ms))
    }
}

impl fmt::Debug for ErasedIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErasedIds")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// The IDs that a claim names. A model that ignores a claim does not say whether they are devices, so each is
/// looked up as both.
pub(crate) fn named_ids<'a>(
    claim: Claim<'a>,
    rule_book: Option<RuleBook>,
) -> [Option<DistinctId<'a>>; 4] {
    let [first, second] = claim.ids();
    if rule_book.is_none_or(|rule_book| rule_book.weighs(claim.kind())) {
        return [Some(first), Some(second), None, None];
    }
    let both = |id: DistinctId<'a>| [DistinctId::plain(id.id()), DistinctId::device(id.id())];
    let [[a, b], [c, d]] = [both(first), both(second)];
    [Some(a), Some(b), Some(c), Some(d)]
}

fn hash(key: &[u8; KEY_BYTES], id: DistinctId<'_>) -> [u8; HASH_BYTES] {
    let mut bytes = vec![u8::from(id.is_device())];
    codec::put_id(&mut bytes, id.id());
    let hash = blake3::keyed_hash(key, &bytes);
    let (hash, _) = hash.as_bytes().as_chunks();
    hash[0]
}

/// Writes the hashes of IDs that are erased now, in the commit that erases them. Those that were erased before
/// are refused until the later of the two times.
pub(crate) fn add<'i>(
    write: &WriteTransaction,
    key: &[u8; KEY_BYTES],
    ids: impl Iterator<Item = DistinctId<'i>>,
    until_ms: i64,
) -> Result<(), StoreError> {
    let mut table = write.open_table(ERASED)?;
    for id in ids {
        let hash = hash(key, id);
        let before = table.get(&hash[..])?.map(|row| row.value());
        let until_ms = before.map_or(until_ms, |before| before.max(until_ms));
        table.insert(&hash[..], until_ms)?;
    }
    Ok(())
}

/// Copies the hashes of erased IDs into another database.
pub(crate) fn copy(read: &ReadTransaction, copy: &Database) -> Result<(), StoreError> {
    let table = match read.open_table(ERASED) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        table => table?,
    };
    let write = copy.begin_write()?;
    {
        let mut to = write.open_table(ERASED)?;
        for row in table.range::<&[u8]>(..)? {
            let (hash, until_ms) = row?;
            to.insert(hash.value(), until_ms.value())?;
        }
    }
    Ok(write.commit()?)
}
