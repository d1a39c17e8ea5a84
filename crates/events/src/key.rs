//! The keys of `properties` that idmerge reads or writes.

use std::fmt;

use idmerge_core::IdProperty;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A key of `properties` that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A property that the rules read.
    Id(IdProperty),
    /// W-2
    BeforeIdentity,
    /// W-2
    IsReshuffled,
    /// W-3
    IdentityFailureReason,
    /// W-4
    FailureReason,
    /// W-4
    FailureDescription,
}

impl Key {
    pub(crate) const COUNT: usize = IdProperty::ALL.len() + 5;

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Id(property) => property.key(),
            Self::BeforeIdentity => "$distinct_id_before_identity",
            Self::IsReshuffled => "$is_reshuffled",
            Self::IdentityFailureReason => "$identity_failure_reason",
            Self::FailureReason => "$failure_reason",
            Self::FailureDescription => "$failure_description",
        }
    }

    /// A number below [`COUNT`](Self::COUNT), another for each key.
    pub(crate) const fn index(self) -> usize {
        const IDS: usize = IdProperty::ALL.len();
        match self {
            Self::Id(property) => property as usize,
            Self::BeforeIdentity => IDS,
            Self::IsReshuffled => IDS + 1,
            Self::IdentityFailureReason => IDS + 2,
            Self::FailureReason => IDS + 3,
            Self::FailureDescription => IDS + 4,
        }
    }

    fn with_text(text: &str) -> Option<Self> {
        // Most keys of an event are none of ours, and most of those begin with another letter.
        if !matches!(text.as_bytes().first(), Some(b'$' | b'd' | b'a')) {
            return None;
        }
        IdProperty::with_key(text).map(Self::Id).or_else(|| {
            [
                Self::BeforeIdentity,
                Self::IsReshuffled,
                Self::IdentityFailureReason,
                Self::FailureReason,
                Self::FailureDescription,
            ]
            .into_iter()
            .find(|key| key.text() == text)
        })
    }
}

/// A key of `properties`, whatever it is. Escapes in it are read before it is compared (IN-2).
pub(crate) struct AnyKey(pub(crate) Option<Key>);

impl<'de> Deserialize<'de> for AnyKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = AnyKey;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<AnyKey, E> {
                Ok(AnyKey(Key::with_text(text)))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_found_by_its_text_and_has_a_place_of_its_own() {
        let keys = IdProperty::ALL.into_iter().map(Key::Id).chain([
            Key::BeforeIdentity,
            Key::IsReshuffled,
            Key::IdentityFailureReason,
            Key::FailureReason,
            Key::FailureDescription,
        ]);
        let mut places = [0; Key::COUNT];
        for key in keys {
            assert_eq!(Key::with_text(key.text()), Some(key));
            places[key.index()] += 1;
        }
        assert_eq!(places, [1; Key::COUNT]);
        for other in ["", "$", "event", "$insert_id", "distinct_id ", "Alias"] {
            assert_eq!(Key::with_text(other), None);
        }
    }
}
