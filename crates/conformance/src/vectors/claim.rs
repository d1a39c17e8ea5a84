//! Claims and outcomes, as a vector spells them.

use idmerge_core::{Claim, ClaimKind, Id, Outcome};
use serde::Deserialize;

/// A claim that owns its IDs. A device has no prefix here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnedClaim {
    /// [`Claim::Link`]: device, user.
    Link(String, String),
    /// [`Claim::Identify`]: identified, anonymous.
    Identify(String, String),
    /// [`Claim::Alias`]: distinct_id, alias.
    Alias(String, String),
    /// [`Claim::Merge`]: first, second.
    Merge(String, String),
}

impl OwnedClaim {
    /// The two IDs, in the order of [`Claim::ids`].
    pub fn ids(&self) -> [&str; 2] {
        let (Self::Link(a, b) | Self::Identify(a, b) | Self::Alias(a, b) | Self::Merge(a, b)) =
            self;
        [a, b]
    }

    /// The same claim with other IDs.
    pub(crate) fn map_ids(&self, other: impl Fn(&str) -> String) -> Self {
        let [a, b] = self.ids().map(other);
        match self {
            Self::Link(..) => Self::Link(a, b),
            Self::Identify(..) => Self::Identify(a, b),
            Self::Alias(..) => Self::Alias(a, b),
            Self::Merge(..) => Self::Merge(a, b),
        }
    }

    /// The claim, borrowed.
    ///
    /// # Panics
    ///
    /// Panics if one of the texts is not an [`Id`].
    pub fn as_claim(&self) -> Claim<'_> {
        let ids = self.ids().map(|text| match Id::new(text) {
            Ok(id) => id,
            Err(error) => unreachable!("{error}"),
        });
        Claim::new(self.kind(), ids)
    }

    /// The claim in the syntax of a vector, such as `{ link = ["D1", "U1"] }`.
    pub fn to_toml(&self) -> String {
        let [a, b] = self.ids();
        format!("{{ {} = [{a:?}, {b:?}] }}", self.kind())
    }

    fn kind(&self) -> ClaimKind {
        match self {
            Self::Link(..) => ClaimKind::Link,
            Self::Identify(..) => ClaimKind::Identify,
            Self::Alias(..) => ClaimKind::Alias,
            Self::Merge(..) => ClaimKind::Merge,
        }
    }
}

impl From<Claim<'_>> for OwnedClaim {
    fn from(claim: Claim<'_>) -> Self {
        let [a, b] = claim.ids().map(|id| id.id().to_string());
        match claim.kind() {
            ClaimKind::Link => Self::Link(a, b),
            ClaimKind::Identify => Self::Identify(a, b),
            ClaimKind::Alias => Self::Alias(a, b),
            ClaimKind::Merge => Self::Merge(a, b),
            new => unreachable!("vectors have no claim of the kind {new}"),
        }
    }
}

/// An outcome, as a vector spells it.
pub fn outcome_text(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Merged => "merged".to_owned(),
        Outcome::AlreadyMerged => "already merged".to_owned(),
        Outcome::Ignored => "ignored".to_owned(),
        Outcome::Rejected(rejection) => format!("rejected {}", rejection.code()),
        other => format!("{other:?}"),
    }
}
