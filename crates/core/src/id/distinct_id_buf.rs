//! [`DistinctIdBuf`]: a distinct_id that owns its text.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::distinct_id::DistinctId;
use super::plain::{Id, IdForm, InvalidId};
use super::uuid_text::UuidText;

/// A distinct_id that owns its text. Keep it when the event or the engine that a [`DistinctId`]
/// borrows from goes away. A UUID needs no allocation.
///
/// It compares, orders and hashes like the `DistinctId` that it was made from. A map that is keyed
/// by `DistinctIdBuf` can be searched with a borrowed ID through [`AsDistinctId`]:
///
/// ```
/// use std::collections::HashMap;
///
/// use idmerge_core::{AsDistinctId, DistinctId, DistinctIdBuf};
///
/// let mut events: HashMap<DistinctIdBuf, u32> = HashMap::new();
/// let device = DistinctId::try_from("$device:D1")?;
/// events.insert(device.to_buf(), 3);
///
/// assert_eq!(events.get(&device as &dyn AsDistinctId), Some(&3));
/// # Ok::<(), idmerge_core::InvalidId>(())
/// ```
#[derive(Clone)]
pub struct DistinctIdBuf {
    is_device: bool,
    id: IdBuf,
}

#[derive(Clone)]
enum IdBuf {
    Uuid(UuidText),
    Text(Box<str>),
}

impl DistinctIdBuf {
    /// The borrowed form.
    #[inline]
    pub fn as_id(&self) -> DistinctId<'_> {
        let id = Id::from_form(match &self.id {
            IdBuf::Uuid(uuid) => IdForm::Uuid(*uuid),
            IdBuf::Text(text) => IdForm::Text(text),
        });
        if self.is_device {
            DistinctId::device(id)
        } else {
            DistinctId::plain(id)
        }
    }
}

impl DistinctId<'_> {
    /// A copy that owns its text.
    pub fn to_buf(&self) -> DistinctIdBuf {
        DistinctIdBuf::from(*self)
    }
}

impl From<DistinctId<'_>> for DistinctIdBuf {
    fn from(id: DistinctId<'_>) -> Self {
        Self {
            is_device: id.is_device(),
            id: match id.id().form() {
                IdForm::Uuid(uuid) => IdBuf::Uuid(uuid),
                IdForm::Text(text) => IdBuf::Text(text.into()),
            },
        }
    }
}

/// Reads the text of a distinct_id, as [`DistinctId::try_from`] does.
impl std::str::FromStr for DistinctIdBuf {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        DistinctId::try_from(text).map(Self::from)
    }
}

impl PartialEq for DistinctIdBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_id() == other.as_id()
    }
}

impl Eq for DistinctIdBuf {}

impl PartialOrd for DistinctIdBuf {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for DistinctIdBuf {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_id().cmp(&other.as_id())
    }
}

impl Hash for DistinctIdBuf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_id().hash(state);
    }
}

impl PartialEq<str> for DistinctIdBuf {
    fn eq(&self, text: &str) -> bool {
        self.as_id() == *text
    }
}

impl PartialEq<&str> for DistinctIdBuf {
    fn eq(&self, text: &&str) -> bool {
        self.as_id() == **text
    }
}

impl fmt::Display for DistinctIdBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_id(), f)
    }
}

impl fmt::Debug for DistinctIdBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_id(), f)
    }
}

/// A distinct_id, owned or borrowed: the key to search a map of [`DistinctIdBuf`] with.
pub trait AsDistinctId {
    /// The borrowed form.
    fn as_distinct_id(&self) -> DistinctId<'_>;
}

impl AsDistinctId for DistinctIdBuf {
    fn as_distinct_id(&self) -> DistinctId<'_> {
        self.as_id()
    }
}

impl AsDistinctId for DistinctId<'_> {
    fn as_distinct_id(&self) -> DistinctId<'_> {
        *self
    }
}

impl<'a> Borrow<dyn AsDistinctId + 'a> for DistinctIdBuf {
    fn borrow(&self) -> &(dyn AsDistinctId + 'a) {
        self
    }
}

impl PartialEq for dyn AsDistinctId + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.as_distinct_id() == other.as_distinct_id()
    }
}

impl Eq for dyn AsDistinctId + '_ {}

impl PartialOrd for dyn AsDistinctId + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn AsDistinctId + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_distinct_id().cmp(&other.as_distinct_id())
    }
}

impl Hash for dyn AsDistinctId + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_distinct_id().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::*;

    const TEXTS: [&str; 6] = [
        "$device:5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
        "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e",
        "5C7F0E7C-6A52-4B26-9FB8-6C5A9F0F4C1E",
        "$device:$device:D1",
        "ben",
        "👩‍🚀",
    ];

    #[test]
    fn an_owned_id_equals_the_borrowed_one() {
        for text in TEXTS {
            let id = DistinctId::try_from(text).unwrap();
            let owned: DistinctIdBuf = text.parse().unwrap();
            assert_eq!(owned, id.to_buf());
            assert_eq!(owned.as_id(), id);
            assert_eq!(owned, text);
            assert_eq!(owned.to_string(), text);
            assert_eq!(format!("{owned:?}"), format!("{text:?}"));
        }
    }

    #[test]
    fn a_map_of_owned_ids_is_searched_with_borrowed_ones() {
        let hashed: HashMap<DistinctIdBuf, &str> =
            TEXTS.map(|text| (text.parse().unwrap(), text)).into();
        let sorted: BTreeMap<DistinctIdBuf, &str> =
            TEXTS.map(|text| (text.parse().unwrap(), text)).into();
        for text in TEXTS {
            let id = DistinctId::try_from(text).unwrap();
            assert_eq!(hashed.get(&id as &dyn AsDistinctId), Some(&text));
            assert_eq!(sorted.get(&id as &dyn AsDistinctId), Some(&text));
        }
        let other = DistinctId::try_from("Ben").unwrap();
        assert_eq!(hashed.get(&other as &dyn AsDistinctId), None);
        let mut by_id = TEXTS.map(|text| DistinctId::try_from(text).unwrap());
        by_id.sort_unstable();
        assert!(sorted.keys().map(DistinctIdBuf::as_id).eq(by_id));
    }
}
