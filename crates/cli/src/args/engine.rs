//! The choice of an engine and its settings.

use std::fs;

use clap::ValueEnum;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
#[cfg(feature = "serve")]
use idmerge_core::IdRules;
use idmerge_engines::{BlockedIds, Model, Overrides, Settings, SettingsError};

use crate::report::wrong_usage;

/// The arguments that conflict with another source of settings.
pub(crate) const SETTINGS: [&str; 4] = [
    "max_cluster_ids",
    "anon_id_format",
    "max_id_bytes",
    "blocked_ids",
];

/// The settings of an engine.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SettingsArgs {
    #[command(flatten)]
    overrides: Overrides,

    /// Refuse the IDs in FILE instead of null, undefined and the like; +FILE refuses both
    ///
    /// FILE has one ID a line. A line that begins with # is a comment; for an ID that begins with #,
    /// write \#. Blank lines are passed over. In ASCII, upper and lower case do not matter. An empty
    /// FILE refuses no ID. Rule ID-4 has the default list (`idmerge help rules`).
    #[arg(long, value_name = "FILE|+FILE")]
    blocked_ids: Option<String>,
}

impl SettingsArgs {
    /// Whether no setting is given.
    #[cfg(feature = "store")]
    fn is_empty(&self) -> bool {
        self.overrides.is_empty() && self.blocked_ids.is_none()
    }

    /// The settings of a model, with those that are given.
    ///
    /// # Errors
    ///
    /// There is a setting that the model does not have, or the list of blocked IDs cannot be used.
    pub(crate) fn settings(&self, model: Model) -> anyhow::Result<Settings> {
        let mut overrides = self.overrides.clone();
        if let Some(blocked_ids) = &self.blocked_ids {
            overrides.blocked_ids =
                Some(BlockedIds::of_option(blocked_ids, |file| fs::read(file))?);
        }
        Settings::new(model, &overrides).map_err(|error| match error {
            SettingsError::NotOfModel { setting, model } => wrong_usage(format_args!(
                "{} is not a setting of --engine {model}; leave it out",
                option_of(setting)
            )),
            error => wrong_usage(format_args!("{error}")),
        })
    }
}

#[cfg(feature = "serve")]
impl SettingsArgs {
    /// The settings that are given, except the list of blocked IDs.
    pub(crate) fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// The value of `--blocked-ids`.
    pub(crate) fn blocked_ids(&self) -> Option<&str> {
        self.blocked_ids.as_deref()
    }

    /// The first argument that says something else than these settings, and the difference.
    ///
    /// # Errors
    ///
    /// Those of [`settings`](Self::settings).
    pub(crate) fn contradiction(
        &self,
        settings: &Settings,
    ) -> anyhow::Result<Option<(String, String)>> {
        for setting in SETTINGS {
            let difference = settings.difference_from(&self.only(setting).over(settings)?);
            if !difference.is_empty() {
                return Ok(Some((option_of(setting), difference)));
            }
        }
        Ok(None)
    }

    /// These arguments without all others than one.
    fn only(&self, setting: &str) -> Self {
        let mut only = self.clone();
        let Overrides {
            max_cluster_ids,
            anon_id_format,
            max_id_bytes,
            ..
        } = &mut only.overrides;
        max_cluster_ids.take_if(|_| setting != "max_cluster_ids");
        anon_id_format.take_if(|_| setting != "anon_id_format");
        max_id_bytes.take_if(|_| setting != "max_id_bytes");
        only.blocked_ids.take_if(|_| setting != "blocked_ids");
        only
    }

    /// The arguments that are given, in place of the same settings among these.
    fn over(&self, settings: &Settings) -> anyhow::Result<Settings> {
        let mut all = self.clone();
        if let Settings::Original(original) = settings {
            all.overrides
                .max_cluster_ids
                .get_or_insert(original.max_cluster_ids);
            all.overrides
                .anon_id_format
                .get_or_insert(original.anon_id_format);
        }
        let rules = settings.id_rules();
        all.overrides
            .max_id_bytes
            .get_or_insert(rules.max_id_bytes());
        let all = all.settings(settings.model())?;
        Ok(match self.blocked_ids {
            Some(_) => all,
            None => {
                let max_id_bytes = all.id_rules().max_id_bytes();
                all.with_id_rules(IdRules::new(max_id_bytes, rules.blocked_values()))
            }
        })
    }
}

/// A required choice of engine.
#[cfg(feature = "store")]
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EngineArgs {
    /// The model of ID Merge
    #[arg(long, value_enum)]
    engine: Model,

    #[command(flatten)]
    settings: SettingsArgs,
}

/// A choice of engine that may be left out, because an existing store has its own.
#[cfg(feature = "store")]
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OptionalEngineArgs {
    /// The model of ID Merge; required for a new store
    #[arg(long, value_enum)]
    engine: Option<Model>,

    #[command(flatten)]
    settings: SettingsArgs,
}

#[cfg(feature = "store")]
impl EngineArgs {
    /// The settings that the arguments choose.
    ///
    /// # Errors
    ///
    /// There is a setting that the model does not have.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        self.settings.settings(self.engine)
    }
}

#[cfg(feature = "store")]
impl OptionalEngineArgs {
    /// The settings that the arguments choose, if they do.
    ///
    /// # Errors
    ///
    /// There is a setting without a model, or one that the model does not have.
    pub(crate) fn settings(&self) -> anyhow::Result<Option<Settings>> {
        match self.engine {
            Some(model) => self.settings.settings(model).map(Some),
            None if self.settings.is_empty() => Ok(None),
            None => {
                let names = SETTINGS.map(option_of);
                let (last, others) = (&names[3], names[..3].join(", "));
                Err(wrong_usage(format_args!(
                    "{others} and {last} need --engine; add it, or leave them out"
                )))
            }
        }
    }
}

/// Lists the models and how to choose one, if the error is that `--engine` is missing.
pub(crate) fn with_models(mut error: clap::Error) -> clap::Error {
    let is_missing = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => {
            missing.iter().any(|it| it.starts_with("--engine "))
        }
        _ => false,
    };
    if error.kind() == ErrorKind::MissingRequiredArgument && is_missing {
        let tips = how_to_choose().map(StyledStr::from).collect();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// The models, and how to choose one, in lines.
pub(crate) fn how_to_choose() -> impl Iterator<Item = String> {
    let models = Model::value_variants().iter().filter_map(|model| {
        let value = model.to_possible_value()?;
        let help = value.get_help().map(ToString::to_string);
        Some(format!("--engine {model}: {}", help.unwrap_or_default()))
    });
    let inspect = "`idmerge inspect FILE` says which of them fits a file, and what would be lost \
                   under the others";
    models.chain([inspect.to_owned()])
}

fn option_of(setting: &str) -> String {
    format!("--{}", setting.replace('_', "-"))
}
