//! [`Outcome`]: the answer of an engine to a claim.

use std::fmt;

use crate::{Id, RuleBook};

/// The answer of an engine to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// This claim joined the two IDs.
    Merged,
    /// The two IDs were joined before. The clusters did not change. The canonical ID of the cluster
    /// may have changed; in Original it does if the claim marks an ID (rule O-13).
    AlreadyMerged,
    /// The claim belongs to another rule book and has no effect here.
    Ignored,
    /// A guardrail turned the claim down; nothing changed.
    Rejected(Rejection<'a>),
}

/// Why a guardrail turned a well-formed claim down. It is an outcome, not an error: the event is
/// kept, and the reason is written onto it.
///
/// The variants are those of the built-in models. A custom model uses the one that fits best.
///
/// [`code`](Rejection::code) is the vendor's `$failure_reason`; the `Display` text is the
/// `$failure_description`.
///
/// ```
/// use idmerge_core::Rejection;
///
/// let rejection = Rejection::ManyIds { cluster_ids: 501, max_cluster_ids: 500 };
/// assert_eq!(rejection.code(), "errManyIDs");
/// assert_eq!(
///     rejection.to_string(),
///     "the merged cluster would have 501 IDs; at most 500 are allowed",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Rejection<'a> {
    /// The claim names one ID twice (rules O-7, L-5).
    SameIds {
        /// That ID.
        id: Id<'a>,
    },
    /// The anonymous ID does not have the form that the settings require (rule O-8).
    AnonDistinctIdNonGuidForm {
        /// The anonymous ID.
        anon: Id<'a>,
    },
    /// The anonymous ID or device already belongs to another user (rules O-11, S-7).
    AnonDistinctIdAssignedAlready {
        /// The anonymous ID or device.
        anon: Id<'a>,
        /// The user that it belongs to: the oldest identified ID of its cluster, or its user ID.
        holder: Id<'a>,
    },
    /// The alias was used before as an alias of another user (rules O-9, L-6).
    AliasAlreadyExists {
        /// The alias.
        alias: Id<'a>,
    },
    /// The merged cluster would be too large (rule O-12).
    ManyIds {
        /// The number of IDs that it would have.
        cluster_ids: u64,
        /// The most IDs that it may have.
        max_cluster_ids: u64,
    },
}

impl Rejection<'_> {
    /// The number of the rule in `docs/rules.md` that turned the claim down. Another rule book
    /// that rejects for the same reason gets the number of the Original rule.
    pub const fn rule(&self, rule_book: RuleBook) -> &'static str {
        match (self, rule_book) {
            (Self::SameIds { .. }, RuleBook::Legacy) => "L-5",
            (Self::AliasAlreadyExists { .. }, RuleBook::Legacy) => "L-6",
            (Self::AnonDistinctIdAssignedAlready { .. }, RuleBook::Simplified) => "S-7",
            (Self::AnonDistinctIdAssignedAlready { .. }, _) => "O-11",
            (Self::SameIds { .. }, _) => "O-7",
            (Self::AnonDistinctIdNonGuidForm { .. }, _) => "O-8",
            (Self::AliasAlreadyExists { .. }, _) => "O-9",
            (Self::ManyIds { .. }, _) => "O-12",
        }
    }

    /// The vendor's code, as in `$failure_reason`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SameIds { .. } => "errSameIDs",
            Self::AnonDistinctIdNonGuidForm { .. } => "errAnonDistinctIdNonGUIDForm",
            Self::AnonDistinctIdAssignedAlready { .. } => "errAnonDistinctIdAssignedAlready",
            Self::AliasAlreadyExists { .. } => "errAliasAlreadyExists",
            Self::ManyIds { .. } => "errManyIDs",
        }
    }
}

impl fmt::Display for Rejection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameIds { id } => write!(f, "both IDs are {id:?}"),
            Self::AnonDistinctIdNonGuidForm { anon } => {
                write!(
                    f,
                    "the anonymous ID {anon:?} does not have the form of a GUID"
                )
            }
            Self::AnonDistinctIdAssignedAlready { anon, holder } => {
                write!(f, "the anonymous ID {anon:?} already belongs to {holder:?}")
            }
            Self::AliasAlreadyExists { alias } => {
                write!(f, "the alias {alias:?} is already in use")
            }
            Self::ManyIds {
                cluster_ids,
                max_cluster_ids,
            } => write!(
                f,
                "the merged cluster would have {cluster_ids} IDs; at most {max_cluster_ids} are allowed"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_has_the_vendors_code_and_names_the_ids() {
        let id = |text| Id::new(text).unwrap();
        let all: [(Rejection<'_>, &str, &[&str]); 5] = [
            (Rejection::SameIds { id: id("A") }, "errSameIDs", &["\"A\""]),
            (
                Rejection::AnonDistinctIdNonGuidForm { anon: id("A") },
                "errAnonDistinctIdNonGUIDForm",
                &["\"A\""],
            ),
            (
                Rejection::AnonDistinctIdAssignedAlready {
                    anon: id("A"),
                    holder: id("B"),
                },
                "errAnonDistinctIdAssignedAlready",
                &["\"A\"", "\"B\""],
            ),
            (
                Rejection::AliasAlreadyExists { alias: id("A") },
                "errAliasAlreadyExists",
                &["\"A\""],
            ),
            (
                Rejection::ManyIds {
                    cluster_ids: 501,
                    max_cluster_ids: 500,
                },
                "errManyIDs",
                &["501", "500"],
            ),
        ];
        for (rejection, code, about) in all {
            assert_eq!(rejection.code(), code);
            let text = rejection.to_string();
            assert!(about.iter().all(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn a_rejection_names_its_rule() {
        let id = Id::new("A").unwrap();
        let all = |rejection: Rejection<'_>| RuleBook::BUILT_IN.map(|book| rejection.rule(book));
        let assigned = Rejection::AnonDistinctIdAssignedAlready {
            anon: id,
            holder: id,
        };
        assert_eq!(all(assigned), ["S-7", "O-11", "O-11"]);
        assert_eq!(all(Rejection::SameIds { id }), ["O-7", "O-7", "L-5"]);
        let form = Rejection::AnonDistinctIdNonGuidForm { anon: id };
        assert_eq!(all(form), ["O-8"; 3]);
        assert_eq!(
            all(Rejection::AliasAlreadyExists { alias: id }),
            ["O-9", "O-9", "L-6"]
        );
        let many = Rejection::ManyIds {
            cluster_ids: 501,
            max_cluster_ids: 500,
        };
        assert_eq!(all(many), ["O-12"; 3]);
    }
}
