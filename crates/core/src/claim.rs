//! [`Reading`], the result of reading an event by a rule book, and the [`Claim`] in it.

use std::fmt;

use crate::{DistinctId, Id, IdProperty, InvalidEvent, InvalidEventReason};

/// A statement of an event that two IDs belong together. Most events make no claim.
///
/// Each kind belongs to some of the built-in rule books; an engine of another rule book answers
/// [`Outcome::Ignored`](crate::Outcome::Ignored). A custom model uses the kinds that it needs, and
/// which ID is merged into which is a rule of that model. End a `match` with an arm that answers
/// `Ignored`: later versions may add kinds.
///
/// ```
/// use idmerge_core::{Claim, ClaimKind, Id};
///
/// let link = Claim::Link { device: Id::new("D1")?, user: Id::new("U1")? };
/// assert_eq!(link.kind(), ClaimKind::Link);
/// assert_eq!(link.ids().map(|id| id.to_string()), ["$device:D1", "U1"]);
/// assert_eq!(link.kind().roles(), ["device", "user"]);
/// # Ok::<(), idmerge_core::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Claim<'e> {
    /// This device belongs to this user: an event that carries both (Simplified, rule S-5).
    Link {
        /// `$device_id`, without the prefix `$device:`.
        device: Id<'e>,
        /// `$user_id`
        user: Id<'e>,
    },
    /// This anonymous ID is this identified user: `$identify` (Original, rule O-3).
    Identify {
        /// The ID of the user, identified from now on.
        identified: Id<'e>,
        /// The ID that the user had while anonymous.
        anon: Id<'e>,
    },
    /// This alias is another ID of this user: `$create_alias` (Original, rule O-4; Legacy, rule L-4).
    Alias {
        /// The ID that the user has already.
        distinct_id: Id<'e>,
        /// The ID that is added.
        alias: Id<'e>,
    },
    /// These two IDs are one user: `$merge` (Original, rule O-5).
    Merge {
        /// The first of `$distinct_ids`.
        first: Id<'e>,
        /// The second of `$distinct_ids`.
        second: Id<'e>,
    },
}

impl<'e> Claim<'e> {
    /// The kind of the claim.
    #[inline]
    pub const fn kind(&self) -> ClaimKind {
        match self {
            Self::Link { .. } => ClaimKind::Link,
            Self::Identify { .. } => ClaimKind::Identify,
            Self::Alias { .. } => ClaimKind::Alias,
            Self::Merge { .. } => ClaimKind::Merge,
        }
    }

    /// The two IDs that the claim names, in the order of its fields. The device of a
    /// [`Link`](Self::Link) carries the prefix `$device:`, every other ID is plain.
    #[inline]
    pub fn ids(&self) -> [DistinctId<'e>; 2] {
        let [first, second] = match *self {
            Self::Link { device, user } => {
                return [DistinctId::device(device), DistinctId::plain(user)];
            }
            Self::Identify { identified, anon } => [identified, anon],
            Self::Alias { distinct_id, alias } => [distinct_id, alias],
            Self::Merge { first, second } => [first, second],
        };
        [DistinctId::plain(first), DistinctId::plain(second)]
    }

    /// The claim of this kind that names these IDs, in the order of [`ids`](Self::ids).
    #[inline]
    pub const fn new(kind: ClaimKind, [first, second]: [Id<'e>; 2]) -> Self {
        match kind {
            ClaimKind::Link => Self::Link {
                device: first,
                user: second,
            },
            ClaimKind::Identify => Self::Identify {
                identified: first,
                anon: second,
            },
            ClaimKind::Alias => Self::Alias {
                distinct_id: first,
                alias: second,
            },
            ClaimKind::Merge => Self::Merge { first, second },
        }
    }
}

/// The kinds of [`Claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum ClaimKind {
    /// [`Claim::Link`]
    Link,
    /// [`Claim::Identify`]
    Identify,
    /// [`Claim::Alias`]
    Alias,
    /// [`Claim::Merge`]
    Merge,
}

impl ClaimKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Link, Self::Identify, Self::Alias, Self::Merge];

    /// The name in lower case, such as `link`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Identify => "identify",
            Self::Alias => "alias",
            Self::Merge => "merge",
        }
    }

    /// The roles of the two IDs, in the order of [`Claim::ids`]: the names of the claim's fields.
    pub const fn roles(self) -> [&'static str; 2] {
        match self {
            Self::Link => ["device", "user"],
            Self::Identify => ["identified", "anon"],
            Self::Alias => ["distinct_id", "alias"],
            Self::Merge => ["first", "second"],
        }
    }
}

impl fmt::Display for ClaimKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The result of reading one event by a rule book. It depends on no other event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Reading<'e> {
    /// The event's own distinct_id (rules S-1 to S-3; O-2 and O-6; L-2, L-4 and L-11). `None`: the event is
    /// accepted, but is attributed to no user (rule S-4).
    pub distinct_id: Option<DistinctId<'e>>,
    /// The claim of the event, if it makes one.
    pub claim: Option<Claim<'e>>,
}

impl<'e> Reading<'e> {
    /// The event's own distinct_id, for callers that cannot use an event without one.
    ///
    /// # Errors
    ///
    /// [`InvalidEvent`] (ID-2) if the event has no distinct_id.
    pub fn require_distinct_id(self) -> Result<DistinctId<'e>, InvalidEvent> {
        self.distinct_id
            .ok_or_else(|| InvalidEvent::new(IdProperty::DistinctId, InvalidEventReason::Empty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_its_kind_and_its_ids() {
        let ids = ["A", "B"].map(|text| Id::new(text).unwrap());
        for kind in ClaimKind::ALL {
            let claim = Claim::new(kind, ids);
            assert_eq!(claim.kind(), kind);
            assert_eq!(claim.ids().map(|id| id.id()), ids);
            let are_devices = claim.ids().map(|id| id.is_device());
            assert_eq!(are_devices, [kind == ClaimKind::Link, false]);
        }
    }
}
