//! The choice of an engine and its settings.

#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

#[cfg(feature = "store")]
use std::fmt;

#[cfg(feature = "store")]
use anyhow::{Context, bail};
use clap::ValueEnum;
use idmerge_core::IdentityResolver;
#[cfg(feature = "store")]
use idmerge_core::RuleBook;
use idmerge_original::{AnonIdFormat, Original, Settings};
use idmerge_simplified::Simplified;

use crate::report::wrong_usage;

/// A required choice of engine.
#[cfg(feature = "store")]
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EngineArgs {
    /// The model of ID Merge
    #[arg(long, value_enum)]
    engine: EngineName,

    #[command(flatten)]
    settings: SettingsArgs,
}

/// Settings that only one engine has.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SettingsArgs {
    /// The most IDs that a cluster may have, in Original [default: 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_cluster_ids: Option<u32>,

    /// The form of anonymous IDs that $identify accepts, in Original: uuid_v4, guid or sdk
    /// [default: uuid_v4]
    #[arg(long, value_name = "FORMAT")]
    anon_id_format: Option<AnonIdFormat>,
}

/// A choice of engine that may be left out, because an existing store has its own.
#[cfg(feature = "store")]
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OptionalEngineArgs {
    /// The model of ID Merge; needed for a new store, checked against an existing one
    #[arg(long, value_enum)]
    engine: Option<EngineName>,

    #[command(flatten)]
    settings: SettingsArgs,
}

#[cfg(feature = "store")]
impl OptionalEngineArgs {
    /// The model that the arguments choose, if they do.
    ///
    /// # Errors
    ///
    /// There is a setting without an engine, or one that the engine does not have.
    pub(crate) fn model(&self) -> anyhow::Result<Option<Model>> {
        if self.engine.is_none() && self.settings.is_any() {
            return Err(wrong_usage(format_args!(
                "--max-cluster-ids and --anon-id-format need --engine original"
            )));
        }
        self.engine
            .map(|engine| self.settings.model(engine))
            .transpose()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    /// A device belongs to the first user who logs in on it
    Simplified,
    /// $identify, $create_alias and $merge join IDs
    Original,
}

#[cfg(feature = "store")]
impl EngineArgs {
    /// The model that the arguments choose.
    ///
    /// # Errors
    ///
    /// There is a setting that the engine does not have.
    pub(crate) fn model(&self) -> anyhow::Result<Model> {
        self.settings.model(self.engine)
    }
}

impl SettingsArgs {
    pub(crate) fn model(&self, engine: EngineName) -> anyhow::Result<Model> {
        match engine {
            EngineName::Simplified => {
                let of_original = [
                    ("--max-cluster-ids", self.max_cluster_ids.is_some()),
                    ("--anon-id-format", self.anon_id_format.is_some()),
                ];
                if let Some((option, _)) = of_original.iter().find(|(_, given)| *given) {
                    return Err(wrong_usage(format_args!(
                        "{option} is a setting of --engine original; leave it out with --engine \
                         simplified"
                    )));
                }
                Ok(Model::Simplified)
            }
            EngineName::Original => {
                let default = Settings::default();
                Ok(Model::Original {
                    max_cluster_ids: self.max_cluster_ids.unwrap_or(default.max_cluster_ids),
                    anon_id_format: self.anon_id_format.unwrap_or(default.anon_id_format),
                })
            }
        }
    }

    #[cfg(feature = "store")]
    fn is_any(&self) -> bool {
        self.max_cluster_ids.is_some() || self.anon_id_format.is_some()
    }
}

/// An engine and its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    Simplified,
    Original {
        max_cluster_ids: u32,
        anon_id_format: AnonIdFormat,
    },
}

impl Model {
    /// A new engine.
    pub(crate) fn engine(self) -> Box<dyn IdentityResolver> {
        match self {
            Self::Simplified => Box::new(Simplified::default()),
            Self::Original {
                max_cluster_ids,
                anon_id_format,
            } => Box::new(Original::new(Settings {
                max_cluster_ids,
                anon_id_format,
                ..Settings::default()
            })),
        }
    }
}

#[cfg(feature = "store")]
impl Model {
    /// The other rule book, with its default settings.
    pub(crate) fn of_other_rule_book(self) -> Self {
        match self {
            Self::Simplified => {
                let default = Settings::default();
                Self::Original {
                    max_cluster_ids: default.max_cluster_ids,
                    anon_id_format: default.anon_id_format,
                }
            }
            Self::Original { .. } => Self::Simplified,
        }
    }

    /// The settings in the form that a store keeps.
    pub(crate) fn settings(self) -> String {
        match self {
            Self::Simplified => String::new(),
            Self::Original {
                max_cluster_ids,
                anon_id_format,
            } => format!("max_cluster_ids={max_cluster_ids} anon_id_format={anon_id_format}"),
        }
    }

    /// The model that a store was made with.
    pub(crate) fn of_store(rule_book: RuleBook, settings: &str) -> anyhow::Result<Self> {
        match rule_book {
            RuleBook::Simplified if settings.is_empty() => Ok(Self::Simplified),
            RuleBook::Original => {
                let words: Vec<_> = settings
                    .split(' ')
                    .filter_map(|w| w.split_once('='))
                    .collect();
                let [("max_cluster_ids", max), ("anon_id_format", format)] = words[..] else {
                    bail!("the store has settings that this version does not know: {settings:?}");
                };
                Ok(Self::Original {
                    max_cluster_ids: max.parse().context("the settings of the store")?,
                    anon_id_format: format
                        .parse()
                        .map_err(|error| anyhow::anyhow!("the settings of the store: {error}"))?,
                })
            }
            _ => {
                bail!("the store has settings that this version does not know: {settings:?}")
            }
        }
    }
}

/// The arguments that choose this model.
#[cfg(feature = "store")]
impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simplified => f.write_str("--engine simplified"),
            Self::Original {
                max_cluster_ids,
                anon_id_format,
            } => write!(
                f,
                "--engine original --max-cluster-ids {max_cluster_ids} --anon-id-format {anon_id_format}"
            ),
        }
    }
}

#[cfg(all(test, feature = "store"))]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_back_from_a_store() {
        let original = Model::Original {
            max_cluster_ids: 7,
            anon_id_format: AnonIdFormat::Sdk,
        };
        for model in [Model::Simplified, original] {
            let rule_book = model.engine().rule_book();
            let again = Model::of_store(rule_book, &model.settings()).unwrap();
            assert_eq!(again, model);
        }
        for (rule_book, settings) in [
            (RuleBook::Simplified, "x"),
            (RuleBook::Original, ""),
            (RuleBook::Original, "max_cluster_ids=x anon_id_format=sdk"),
            (RuleBook::Original, "max_cluster_ids=5 anon_id_format=x"),
        ] {
            assert!(Model::of_store(rule_book, settings).is_err(), "{settings}");
        }
    }
}
