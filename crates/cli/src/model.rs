//! Which engine, with which settings.
#![allow(
    clippy::doc_markdown,
    reason = "here a doc comment is the help text, and a terminal shows backticks as they are"
)]

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use idmerge_core::{IdentityResolver, RuleBook};
use idmerge_original::{AnonIdFormat, Original, Settings};
use idmerge_simplified::Simplified;

use crate::args::wrong_usage;

/// The engine, as arguments say it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EngineArgs {
    /// The model of ID Merge
    #[arg(long, value_enum)]
    engine: Engine,

    #[command(flatten)]
    settings: SettingsArgs,
}

/// Settings that only one of the engines has.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SettingsArgs {
    /// How many IDs a cluster may have, in Original [default: 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_cluster_ids: Option<u32>,

    /// Which anonymous IDs $identify takes, in Original: uuid_v4, guid or sdk [default: uuid_v4]
    #[arg(long, value_name = "FORMAT")]
    anon_id_format: Option<AnonIdFormat>,
}

/// The engine, where the arguments may leave it to a store to know it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OptionalEngineArgs {
    /// The model of ID Merge, for a store that is made; of one that is there only to make sure
    #[arg(long, value_enum)]
    engine: Option<Engine>,

    #[command(flatten)]
    settings: SettingsArgs,
}

impl OptionalEngineArgs {
    pub(crate) fn model(&self) -> Option<Model> {
        if self.engine.is_none() && self.settings.is_any() {
            wrong_usage(format_args!(
                "a setting is one of an engine: give --engine too"
            ));
        }
        self.engine.map(|engine| self.settings.model(engine))
    }
}

/// Where it is from who is who, as arguments say it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SourceArgs {
    /// The model of ID Merge
    #[arg(long, value_enum, required_unless_present = "store")]
    engine: Option<Engine>,

    #[command(flatten)]
    settings: SettingsArgs,

    /// Take who is who from this store, with its engine; claims of the input are not weighed
    #[arg(long, value_name = "DIR", conflicts_with_all = ["engine", "max_cluster_ids", "anon_id_format"])]
    store: Option<PathBuf>,
}

/// Where it is from who is who.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    /// From the input, by an engine.
    Model(Model),
    /// From the store in this folder.
    Store(&'a Path),
}

impl SourceArgs {
    pub(crate) fn source(&self) -> Source<'_> {
        match (&self.store, self.engine) {
            (Some(folder), _) => Source::Store(folder),
            (None, Some(engine)) => Source::Model(self.settings.model(engine)),
            (None, None) => wrong_usage(format_args!("--engine or --store is needed")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// A device is the user's who first logs in on it
    Simplified,
    /// IDs are joined by $identify, $create_alias and $merge
    Original,
}

impl EngineArgs {
    /// What the arguments ask for. A setting that the engine does not have is wrong usage, and
    /// ends the program.
    pub(crate) fn model(&self) -> Model {
        self.settings.model(self.engine)
    }
}

impl SettingsArgs {
    pub(crate) fn model(&self, engine: Engine) -> Model {
        let foreign = [
            ("--max-cluster-ids", self.max_cluster_ids.is_some()),
            ("--anon-id-format", self.anon_id_format.is_some()),
        ];
        match engine {
            Engine::Simplified => {
                if let Some((option, _)) = foreign.iter().find(|(_, given)| *given) {
                    wrong_usage(format_args!(
                        "{option} is a setting of --engine original; Simplified ID Merge has none like it"
                    ));
                }
                Model::Simplified
            }
            Engine::Original => {
                let default = Settings::default();
                Model::Original {
                    max_cluster_ids: self.max_cluster_ids.unwrap_or(default.max_cluster_ids),
                    anon_id_format: self.anon_id_format.unwrap_or(default.anon_id_format),
                }
            }
        }
    }
}

impl SettingsArgs {
    /// Whether any is given.
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

    /// The other rule book, with its default settings.
    pub(crate) fn of_other_rule_book(self) -> Self {
        match self {
            Self::Simplified => SettingsArgs::default().model(Engine::Original),
            Self::Original { .. } => Self::Simplified,
        }
    }

    /// The settings as a store keeps them.
    pub(crate) fn settings(self) -> String {
        match self {
            Self::Simplified => String::new(),
            Self::Original {
                max_cluster_ids,
                anon_id_format,
            } => format!("max_cluster_ids={max_cluster_ids} anon_id_format={anon_id_format}"),
        }
    }

    /// What a store was made with.
    pub(crate) fn of_store(rule_book: RuleBook, settings: &str) -> anyhow::Result<Self> {
        match rule_book {
            RuleBook::Simplified if settings.is_empty() => Ok(Self::Simplified),
            RuleBook::Original => {
                let words: Vec<_> = settings
                    .split(' ')
                    .filter_map(|w| w.split_once('='))
                    .collect();
                let [("max_cluster_ids", max), ("anon_id_format", format)] = words[..] else {
                    bail!("the store has settings of another program: {settings:?}");
                };
                Ok(Self::Original {
                    max_cluster_ids: max.parse().context("the settings of the store")?,
                    anon_id_format: format
                        .parse()
                        .map_err(|error| anyhow::anyhow!("the settings of the store: {error}"))?,
                })
            }
            RuleBook::Simplified => {
                bail!("the store has settings of another program: {settings:?}")
            }
        }
    }
}

/// As the arguments that ask for it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_says_again_what_it_was_made_with() {
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
