//! The keys of `properties` that idmerge reads or writes.

use idmerge_core::IdProperty;

/// A key of `properties` that is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// An identity property.
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
    /// IN-5. It is only removed.
    PreshuffleDistinctId,
    /// AR-4. It is only read.
    Unweighed,
}

impl Key {
    pub(crate) const COUNT: usize = IdProperty::ALL.len() + 7;

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Id(property) => property.key(),
            Self::BeforeIdentity => "$distinct_id_before_identity",
            Self::IsReshuffled => "$is_reshuffled",
            Self::IdentityFailureReason => "$identity_failure_reason",
            Self::FailureReason => "$failure_reason",
            Self::FailureDescription => "$failure_description",
            Self::PreshuffleDistinctId => "$preshuffle_distinct_id",
            Self::Unweighed => "$idmerge_unweighed",
        }
    }

    /// The position of the key in an array of [`COUNT`](Self::COUNT).
    pub(crate) const fn index(self) -> usize {
        const IDS: usize = IdProperty::ALL.len();
        match self {
            Self::Id(property) => property as usize,
            Self::BeforeIdentity => IDS,
            Self::IsReshuffled => IDS + 1,
            Self::IdentityFailureReason => IDS + 2,
            Self::FailureReason => IDS + 3,
            Self::FailureDescription => IDS + 4,
            Self::PreshuffleDistinctId => IDS + 5,
            Self::Unweighed => IDS + 6,
        }
    }

    /// Whether the property is an answer to an event, which the next answer replaces (IN-5, W-6).
    pub(crate) const fn is_answer(self) -> bool {
        matches!(
            self,
            Self::BeforeIdentity
                | Self::IsReshuffled
                | Self::IdentityFailureReason
                | Self::FailureReason
                | Self::FailureDescription
                | Self::PreshuffleDistinctId
        )
    }

    /// The key with this text. `None` for all other keys of an event.
    pub(crate) fn with_text(text: &[u8]) -> Option<Self> {
        // The compiler compares the length first, and that rules out most keys of an event.
        Some(match text {
            b"distinct_id" => Self::Id(IdProperty::DistinctId),
            b"$user_id" => Self::Id(IdProperty::UserId),
            b"$device_id" => Self::Id(IdProperty::DeviceId),
            b"$identified_id" => Self::Id(IdProperty::IdentifiedId),
            b"$anon_id" => Self::Id(IdProperty::AnonId),
            b"$anon_distinct_id" => Self::Id(IdProperty::AnonDistinctId),
            b"alias" => Self::Id(IdProperty::Alias),
            b"$distinct_ids" => Self::Id(IdProperty::DistinctIds),
            b"$distinct_id_before_identity" => Self::BeforeIdentity,
            b"$is_reshuffled" => Self::IsReshuffled,
            b"$identity_failure_reason" => Self::IdentityFailureReason,
            b"$failure_reason" => Self::FailureReason,
            b"$failure_description" => Self::FailureDescription,
            b"$preshuffle_distinct_id" => Self::PreshuffleDistinctId,
            b"$idmerge_unweighed" => Self::Unweighed,
            _ => return None,
        })
    }
}

/// Whether a property of this name is an answer to an event, which the next answer replaces (IN-5, W-6).
///
/// ```
/// assert!(idmerge_events::is_answer(b"$distinct_id_before_identity"));
/// assert!(!idmerge_events::is_answer(b"distinct_id"));
/// ```
pub fn is_answer(property: &[u8]) -> bool {
    Key::with_text(property).is_some_and(Key::is_answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_found_by_its_text_and_has_its_own_index() {
        let keys = IdProperty::ALL.into_iter().map(Key::Id).chain([
            Key::BeforeIdentity,
            Key::IsReshuffled,
            Key::IdentityFailureReason,
            Key::FailureReason,
            Key::FailureDescription,
            Key::PreshuffleDistinctId,
            Key::Unweighed,
        ]);
        let mut counts = [0; Key::COUNT];
        for key in keys {
            assert_eq!(Key::with_text(key.text().as_bytes()), Some(key));
            counts[key.index()] += 1;
        }
        assert_eq!(counts, [1; Key::COUNT]);
        for other in ["", "$", "event", "$insert_id", "distinct_id ", "Alias"] {
            assert_eq!(Key::with_text(other.as_bytes()), None);
        }
    }
}
