//! [`Settings`]: the engine of a project.

use idmerge_core::{IdRules, IdentityResolver, RuleBook};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use serde_json::json;

/// An engine chosen at run time.
pub(crate) type AnyEngine = Box<dyn IdentityResolver>;

/// The rule book of a project with its settings. They cannot change once the project holds data:
/// make a new project instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// Simplified ID Merge.
    Simplified(idmerge_simplified::Settings),
    /// Original ID Merge.
    Original(idmerge_original::Settings),
}

impl Settings {
    /// The default settings of a rule book.
    pub fn of(rule_book: RuleBook) -> Self {
        match rule_book {
            RuleBook::Simplified => Self::Simplified(idmerge_simplified::Settings::default()),
            RuleBook::Original => Self::Original(idmerge_original::Settings::default()),
            custom => unreachable!("a project has no rule book {custom}"),
        }
    }

    /// The rule book.
    pub fn rule_book(&self) -> RuleBook {
        match self {
            Self::Simplified(_) => RuleBook::Simplified,
            Self::Original(_) => RuleBook::Original,
        }
    }

    pub(crate) fn engine(&self) -> AnyEngine {
        match self {
            Self::Simplified(settings) => Box::new(Simplified::new(settings.clone())),
            Self::Original(settings) => Box::new(Original::new(settings.clone())),
        }
    }

    /// The most IDs of a cluster; `None` if there is no limit.
    pub(crate) fn max_cluster_ids(&self) -> Option<u32> {
        match self {
            Self::Simplified(_) => None,
            Self::Original(settings) => Some(settings.max_cluster_ids),
        }
    }

    /// The text of the settings in the store. Equal settings have equal texts.
    pub(crate) fn text(&self) -> String {
        let ids = |rules: &IdRules| {
            let blocked: Vec<_> = rules.blocked_values().collect();
            json!({"max_id_bytes": rules.max_id_bytes(), "blocked_values": blocked})
        };
        match self {
            Self::Simplified(settings) => ids(&settings.id_rules).to_string(),
            Self::Original(settings) => {
                let mut all = ids(&settings.id_rules);
                all["max_cluster_ids"] = settings.max_cluster_ids.into();
                all["anon_id_format"] = settings.anon_id_format.name().into();
                all.to_string()
            }
        }
    }
}
