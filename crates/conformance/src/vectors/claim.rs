//! Claims as a vector spells them.

use idmerge_core::{Claim, Id, Outcome};
use serde::Deserialize;

/// A claim that owns its ids.
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
    /// The two ids, in the order in which they are written.
    pub fn ids(&self) -> [&str; 2] {
        let (Self::Link(a, b) | Self::Identify(a, b) | Self::Alias(a, b) | Self::Merge(a, b)) =
            self;
        [a, b]
    }

    /// The claim, borrowed.
    ///
    /// # Panics
    ///
    /// Where one of the texts can be no id at all.
    pub fn as_claim(&self) -> Claim<'_> {
        let [a, b] = self.ids().map(|text| match Id::new(text) {
            Ok(id) => id,
            Err(error) => unreachable!("{error}"),
        });
        match self {
            Self::Link(..) => Claim::Link { device: a, user: b },
            Self::Identify(..) => Claim::Identify {
                identified: a,
                anon: b,
            },
            Self::Alias(..) => Claim::Alias {
                distinct_id: a,
                alias: b,
            },
            Self::Merge(..) => Claim::Merge {
                first: a,
                second: b,
            },
        }
    }

    /// As it stands in a vector.
    pub fn to_toml(&self) -> String {
        let verb = match self {
            Self::Link(..) => "link",
            Self::Identify(..) => "identify",
            Self::Alias(..) => "alias",
            Self::Merge(..) => "merge",
        };
        let [a, b] = self.ids();
        format!("{{ {verb} = [{a:?}, {b:?}] }}")
    }
}

/// An outcome as a vector spells it.
pub fn outcome_text(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Merged => "merged".to_owned(),
        Outcome::AlreadyMerged => "already merged".to_owned(),
        Outcome::Ignored => "ignored".to_owned(),
        Outcome::Rejected(rejection) => format!("rejected {}", rejection.code()),
        other => format!("{other:?}"),
    }
}
