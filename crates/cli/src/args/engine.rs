//! The choice of an engine and its settings.

use clap::ValueEnum;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use idmerge_engines::{Model, Overrides, Settings, SettingsError};

use crate::report::wrong_usage;

/// A required choice of engine.
#[cfg(feature = "store")]
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EngineArgs {
    /// The model of ID Merge
    #[arg(long, value_enum)]
    engine: Model,

    #[command(flatten)]
    overrides: Overrides,
}

/// A choice of engine that may be left out, because an existing store has its own.
#[cfg(feature = "store")]
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OptionalEngineArgs {
    /// The model of ID Merge; required for a new store
    #[arg(long, value_enum)]
    engine: Option<Model>,

    #[command(flatten)]
    overrides: Overrides,
}

#[cfg(feature = "store")]
impl EngineArgs {
    /// The settings that the arguments choose.
    ///
    /// # Errors
    ///
    /// There is a setting that the model does not have.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        settings(self.engine, &self.overrides)
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
            Some(model) => settings(model, &self.overrides).map(Some),
            None if self.overrides.is_empty() => Ok(None),
            None => Err(wrong_usage(format_args!(
                "--max-cluster-ids and --anon-id-format need --engine; add it, or leave them out"
            ))),
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
                   under the other";
    models.chain([inspect.to_owned()])
}

/// The settings of a model with overrides from the arguments.
///
/// # Errors
///
/// There is a setting that the model does not have.
pub(crate) fn settings(model: Model, overrides: &Overrides) -> anyhow::Result<Settings> {
    Settings::new(model, overrides).map_err(|error| match error {
        SettingsError::NotOfModel { setting, model } => wrong_usage(format_args!(
            "{} is not a setting of --engine {model}; leave it out",
            option_of(setting)
        )),
        error => wrong_usage(format_args!("{error}")),
    })
}

/// The arguments that choose these settings.
#[cfg(feature = "store")]
pub(crate) fn arguments_of(settings: &Settings) -> String {
    let mut arguments = format!("--engine {}", settings.model());
    for (name, value) in settings_of_model(settings) {
        let value = match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        arguments += &format!(" {} {value}", option_of(&name));
    }
    arguments
}

/// The settings that only this model has, by name.
#[cfg(feature = "store")]
pub(crate) fn settings_of_model(settings: &Settings) -> serde_json::Map<String, serde_json::Value> {
    // The text of settings is a JSON object; the command line has no options for the rest of it.
    let mut all: serde_json::Map<_, _> =
        serde_json::from_str(&settings.to_string()).unwrap_or_default();
    all.retain(|name, _| !matches!(&**name, "engine" | "max_id_bytes" | "blocked_values"));
    all
}

fn option_of(setting: &str) -> String {
    format!("--{}", setting.replace('_', "-"))
}

#[cfg(all(test, feature = "store"))]
mod tests {
    use idmerge_engines::AnonIdFormat;

    use super::*;

    #[test]
    fn arguments_are_shown_as_they_are_typed() {
        let simplified = Settings::of(Model::Simplified);
        assert_eq!(arguments_of(&simplified), "--engine simplified");
        let overrides = Overrides {
            max_cluster_ids: Some(7),
            anon_id_format: Some(AnonIdFormat::Sdk),
        };
        let original = settings(Model::Original, &overrides).unwrap();
        assert_eq!(
            arguments_of(&original),
            "--engine original --max-cluster-ids 7 --anon-id-format sdk"
        );
    }
}
