//! The values of the options of `migrate`.

use clap::ValueEnum;
use idmerge_engines::Model;
use idmerge_migrate::{OnConflict, SourceRules};

/// The model, or the tool, that the events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// A project with Original ID Merge
    Original,
}

impl Source {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
        }
    }

    /// The model whose rules say who is who in the source.
    pub(crate) fn model(self) -> Model {
        match self {
            Self::Original => Model::Original,
        }
    }
}

/// The model of the new project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// A project with Simplified ID Merge
    Simplified,
    /// A project with Original ID Merge
    Original,
}

impl Target {
    pub(crate) fn model(self) -> Model {
        match self {
            Self::Simplified => Model::Simplified,
            Self::Original => Model::Original,
        }
    }
}

/// Which claims of the source count (M-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rules {
    /// Those that the source accepted
    AsWas,
    /// Also those that it turned down because a cluster was full or an anonymous ID was no UUID
    BeyondLimits,
}

impl Rules {
    pub(crate) fn source_rules(self) -> SourceRules {
        match self {
            Self::AsWas => SourceRules::AsWas,
            Self::BeyondLimits => SourceRules::BeyondLimits,
        }
    }
}

/// What becomes of a person with more than one user ID (M-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Conflict {
    /// Link none of the devices
    Report,
    /// Link each device to the user with whom it has the best evidence
    Direct,
    /// As direct; the oldest user gets the other devices
    Oldest,
    /// As direct; the youngest user gets the other devices
    Latest,
    /// As direct; the user with the most events gets the other devices
    MostEvents,
}

impl Conflict {
    pub(crate) fn on_conflict(self) -> OnConflict {
        match self {
            Self::Report => OnConflict::Report,
            Self::Direct => OnConflict::Direct,
            Self::Oldest => OnConflict::Oldest,
            Self::Latest => OnConflict::Latest,
            Self::MostEvents => OnConflict::MostEvents,
        }
    }
}
