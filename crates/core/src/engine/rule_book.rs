//! [`RuleBook`]: the model of ID Merge that an engine implements.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::ClaimKind;

/// The model of ID Merge that an engine implements.
///
/// The built-in rule books are those of `docs/rules.md`. A model that this workspace does not
/// know names itself with [`Custom`](Self::Custom); the conformance suite then holds its engine to
/// the laws that every model keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RuleBook {
    /// Simplified ID Merge: rules S-0 to S-10.
    Simplified,
    /// Original ID Merge: rules O-1 to O-18.
    Original,
    /// The rules before ID Merge, with aliases alone: rules L-1 to L-13.
    Legacy,
    /// Another model, by its name: lower case, without spaces, and not the name of a built-in one.
    Custom(&'static str),
}

impl RuleBook {
    /// The rule books of `docs/rules.md`.
    pub const BUILT_IN: [Self; 3] = [Self::Simplified, Self::Original, Self::Legacy];

    /// The name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simplified => "simplified",
            Self::Original => "original",
            Self::Legacy => "legacy",
            Self::Custom(name) => name,
        }
    }

    /// Whether an engine of this rule book weighs claims of this kind. It answers all others with
    /// [`Outcome::Ignored`](crate::Outcome::Ignored) (rules S-8 and L-11, and section 4 of the rules).
    ///
    /// A custom rule book may weigh any kind of claim, so the answer for it is always `true`.
    pub const fn weighs(self, kind: ClaimKind) -> bool {
        match self {
            Self::Simplified => matches!(kind, ClaimKind::Link),
            Self::Original => !matches!(kind, ClaimKind::Link),
            Self::Legacy => matches!(kind, ClaimKind::Alias),
            Self::Custom(_) => true,
        }
    }

    /// Whether `$device:X` and `X` are two different IDs. In Original ID Merge and in Legacy they are
    /// one ID (rules O-1 and L-1); in Simplified ID Merge a device and a user are two (rule S-9). For a custom rule
    /// book the answer is `true`: callers then keep the two apart, and a model without devices gives
    /// plain IDs alone, read with [`IdRules::id`](crate::IdRules::id).
    pub const fn has_device_namespace(self) -> bool {
        !matches!(self, Self::Original | Self::Legacy)
    }
}

impl fmt::Display for RuleBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name of a rule book that is not built in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name:?} is not a built-in rule book; choose simplified, original or legacy")]
pub struct UnknownRuleBook {
    name: String,
}

/// Reads the name of a built-in rule book. The name of a custom one is an error, because this crate
/// does not know it.
///
/// ```
/// use idmerge_core::RuleBook;
///
/// assert_eq!("original".parse(), Ok(RuleBook::Original));
/// assert!("Original".parse::<RuleBook>().is_err());
/// ```
impl FromStr for RuleBook {
    type Err = UnknownRuleBook;

    fn from_str(name: &str) -> Result<Self, UnknownRuleBook> {
        Self::BUILT_IN
            .into_iter()
            .find(|rule_book| rule_book.name() == name)
            .ok_or_else(|| UnknownRuleBook {
                name: name.to_owned(),
            })
    }
}

/// Whether joining two IDs changes how their past events are attributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Attribution {
    /// Events keep their own distinct_id and are resolved when they are read, so a merge also
    /// moves the events that came before it. Simplified and Original ID Merge work this way.
    #[default]
    Retroactive,
    /// An event is attributed once, when it arrives: resolve its distinct_id before the next claim
    /// is applied and store the answer. Later claims do not move it. Legacy works this way (rule L-3).
    AtArrival,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_book_is_shown_by_its_name() {
        let shown = RuleBook::BUILT_IN.map(|rule_book| format!("{rule_book:>11}"));
        assert_eq!(shown, [" simplified", "   original", "     legacy"]);
        assert_eq!(RuleBook::Custom("posthog").to_string(), "posthog");
    }

    #[test]
    fn the_name_of_a_built_in_rule_book_reads_back() {
        for rule_book in RuleBook::BUILT_IN {
            assert_eq!(rule_book.name().parse(), Ok(rule_book));
        }
        let error = "posthog".parse::<RuleBook>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#""posthog" is not a built-in rule book; choose simplified, original or legacy"#
        );
    }

    #[test]
    fn s_8_a_link_belongs_to_simplified_alone_and_l_11_legacy_weighs_aliases_alone() {
        for kind in ClaimKind::ALL {
            assert_ne!(
                RuleBook::Simplified.weighs(kind),
                RuleBook::Original.weighs(kind),
            );
            assert_eq!(RuleBook::Legacy.weighs(kind), kind == ClaimKind::Alias);
            assert!(RuleBook::Custom("posthog").weighs(kind));
        }
    }

    #[test]
    fn o_1_original_has_one_namespace_and_l_1_so_has_legacy() {
        assert!(RuleBook::Simplified.has_device_namespace());
        assert!(!RuleBook::Original.has_device_namespace());
        assert!(!RuleBook::Legacy.has_device_namespace());
    }
}
