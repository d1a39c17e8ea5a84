//! [`Model`]: the built-in models of ID Merge.
#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

use std::fmt;
use std::str::FromStr;

use idmerge_core::{RuleBook, UnknownRuleBook};
use serde::{Deserialize, Serialize};

/// A built-in model of ID Merge: what `--engine` chooses.
// The comments of the variants are the help of `--engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Model {
    /// A device belongs to the first user who logs in on it
    Simplified,
    /// $identify, $create_alias and $merge join IDs
    Original,
    /// $create_alias joins IDs, for the events that come later: projects without ID Merge
    Legacy,
}

impl Model {
    /// Every built-in model.
    pub const ALL: [Self; 3] = [Self::Simplified, Self::Original, Self::Legacy];

    /// The rules of the model.
    pub const fn rule_book(self) -> RuleBook {
        match self {
            Self::Simplified => RuleBook::Simplified,
            Self::Original => RuleBook::Original,
            Self::Legacy => RuleBook::Legacy,
        }
    }

    /// The name in lower case, as `--engine` and configuration files spell it.
    pub const fn name(self) -> &'static str {
        self.rule_book().name()
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Model {
    type Err = UnknownRuleBook;

    fn from_str(name: &str) -> Result<Self, UnknownRuleBook> {
        let rule_book: RuleBook = name.parse()?;
        Ok(match rule_book {
            RuleBook::Simplified => Self::Simplified,
            RuleBook::Legacy => Self::Legacy,
            _ => Self::Original,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_reads_back_by_its_name() {
        for model in Model::ALL {
            assert_eq!(model.to_string().parse(), Ok(model));
            let json = serde_json::to_string(&model).unwrap();
            assert_eq!(json, format!("\"{model}\""));
            assert_eq!(serde_json::from_str::<Model>(&json).unwrap(), model);
        }
        assert!("posthog".parse::<Model>().is_err());
    }
}
