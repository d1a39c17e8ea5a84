//! [`Fingerprint`]: the fields in which a duplicate equals an event, and who sent it.

use idmerge_core::Event;
use idmerge_disk::VARIANT_SHIFT;

use crate::write::batch::Sender;

/// The bits of a fingerprint that depend on the rank too. Filters do not use them, so that the same
/// event of another rank has the same place in a filter. Earlier versions stored the hash itself,
/// which is the fingerprint of an event from anybody.
const RANK_SHIFT: u32 = VARIANT_SHIFT;

/// The most ranks that an event can have.
pub(crate) const RANKS_MAX: usize = 3;

/// The fingerprint of an event that can have duplicates.
#[derive(Clone, Copy)]
pub(crate) struct Fingerprint {
    pub(crate) fields: u128,
    pub(crate) rank: Rank,
    guarded: Guarded,
}

/// What counts of two events that are the same but for their content (AR-2): the one with the higher rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A `$create_alias` that may not count.
    Refused,
    /// An event from anybody; a `$merge` of this rank may not count.
    Anybody,
    /// A `$merge` from a holder of the token that counts.
    TokenOnly,
    /// An event that came with a credential.
    Credential,
}

/// The events whose claims count only if their sender may join any two IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarded {
    No,
    Merge,
    Alias,
}

impl Guarded {
    pub(crate) fn of(event: &Event<'_>) -> Self {
        match event.name {
            Event::MERGE => Self::Merge,
            Event::CREATE_ALIAS => Self::Alias,
            _ => Self::No,
        }
    }
}

impl Fingerprint {
    /// From the hash of the fields in which a duplicate equals the event. `may_claim` is whether a claim of the
    /// event counts.
    pub(crate) fn new(fields: u128, guarded: Guarded, sender: Sender, may_claim: bool) -> Self {
        let rank = match (guarded, sender) {
            (_, Sender::Credential) => Rank::Credential,
            (Guarded::Merge, Sender::TokenOnly) => Rank::TokenOnly,
            (Guarded::Alias, _) if !may_claim => Rank::Refused,
            // To send another event, the token is enough.
            _ => Rank::Anybody,
        };
        Self {
            fields,
            rank,
            guarded,
        }
    }

    /// The fingerprint in the index of the same event with a rank.
    pub(crate) fn with(self, rank: Rank) -> u128 {
        let bits: u128 = match rank {
            Rank::Anybody => 0,
            Rank::TokenOnly => 1,
            Rank::Credential => 2,
            Rank::Refused => 3,
        };
        self.fields ^ bits << RANK_SHIFT
    }

    /// The ranks of such an event, from the highest to the lowest.
    pub(crate) fn ranks(self) -> &'static [Rank] {
        match self.guarded {
            Guarded::No => &[Rank::Credential, Rank::Anybody],
            Guarded::Merge => &[Rank::Credential, Rank::TokenOnly, Rank::Anybody],
            Guarded::Alias => &[Rank::Credential, Rank::Anybody, Rank::Refused],
        }
    }

    /// Whether the claim of such an event with a rank was weighed.
    pub(crate) fn is_weighed(self, rank: Rank) -> bool {
        !matches!(
            (self.guarded, rank),
            (Guarded::Merge, Rank::Anybody) | (Guarded::Alias, Rank::Refused)
        )
    }
}
