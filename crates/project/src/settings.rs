//! Which engine a project has, and how it is kept.

use idmerge_core::{IdRules, IdentityResolver, RuleBook};
use idmerge_original::Original;
use idmerge_profiles::Limits;
use idmerge_simplified::Simplified;
use serde_json::json;

/// An engine chosen at run time.
pub(crate) type Engine = Box<dyn IdentityResolver>;

/// The rule book of a project with its settings. They cannot be changed once the project holds
/// data: the way out is a new project.
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
        }
    }

    /// Whose rules they are.
    pub fn rule_book(&self) -> RuleBook {
        match self {
            Self::Simplified(_) => RuleBook::Simplified,
            Self::Original(_) => RuleBook::Original,
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        match self {
            Self::Simplified(settings) => Box::new(Simplified::new(settings.clone())),
            Self::Original(settings) => Box::new(Original::new(settings.clone())),
        }
    }

    /// How many IDs a cluster may have, where there is a limit.
    pub(crate) fn max_cluster_ids(&self) -> Option<u32> {
        match self {
            Self::Simplified(_) => None,
            Self::Original(settings) => Some(settings.max_cluster_ids),
        }
    }

    /// The settings as the store keeps them: the same settings have the same text.
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

/// How a project is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The most bytes of text that may wait to be written. A single batch is always taken where
    /// nothing else waits.
    pub queue_bytes_max: usize,
    /// The most batches that may wait to be written.
    pub queue_batches_max: usize,
    /// So many bytes of text share a commit at most.
    pub commit_bytes_max: usize,
    /// What a profile may have.
    pub profile_limits: Limits,
    /// How many events a funnel may be about.
    pub funnel_events_max: usize,
    /// How much of the file the database may keep in memory.
    pub cache_bytes: usize,
    /// After so many entries in the log of claims a snapshot is made, so that opening is quick.
    pub snapshot_entries: u64,
    /// After so many events the index of what came last is written, and no more kept in memory.
    /// With more than the default, repeated events are found more slowly.
    pub index_events: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue_bytes_max: 64 << 20,
            queue_batches_max: 10_000,
            commit_bytes_max: 8 << 20,
            profile_limits: Limits::DOCUMENTED,
            funnel_events_max: 20_000_000,
            cache_bytes: 64 << 20,
            snapshot_entries: 1_000_000,
            index_events: 1 << 17,
        }
    }
}
