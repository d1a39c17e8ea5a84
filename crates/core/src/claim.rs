//! What an event says: whose it is, and what it claims.

use crate::{DistinctId, Id};

/// The little of an event that can change anything. Most events make no claim.
///
/// A claim belongs to one rule book; an engine of the other answers
/// [`Outcome::Ignored`](crate::Outcome::Ignored).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Claim<'e> {
    /// This device belongs to this user: an event that carries both (Simplified, rule S-5).
    Link {
        /// `$device_id`, without the mark.
        #[cfg_attr(feature = "serde", serde(borrow))]
        device: Id<'e>,
        /// `$user_id`
        user: Id<'e>,
    },
    /// This anonymous id is this identified user: `$identify` (Original, rule O-3).
    Identify {
        /// The id of the user, known from now on.
        identified: Id<'e>,
        /// The id that the user had while anonymous.
        anon: Id<'e>,
    },
    /// This alias is another id of this user: `$create_alias` (Original, rule O-4).
    Alias {
        /// The id that the user has already.
        distinct_id: Id<'e>,
        /// The id that is added.
        alias: Id<'e>,
    },
    /// These two ids are one user: `$merge` (Original, rule O-5).
    Merge {
        /// The first of `$distinct_ids`.
        first: Id<'e>,
        /// The second.
        second: Id<'e>,
    },
}

/// What a rule book makes of one event, whatever came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Reading<'e> {
    /// The event's own distinct_id (rules S-1 to S-3; O-2 and O-6). `None`: the event is
    /// accepted, but is no user's (rule S-4).
    #[cfg_attr(feature = "serde", serde(borrow))]
    pub distinct_id: Option<DistinctId<'e>>,
    /// What the event claims, if anything.
    pub claim: Option<Claim<'e>>,
}
