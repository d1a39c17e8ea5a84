//! [`Overrides`]: settings that a user gives before the model is chosen.
#![allow(
    clippy::doc_markdown,
    reason = "doc comments are help text, and a terminal shows backticks as they are"
)]

use idmerge_core::IdRules;
use idmerge_original::AnonIdFormat;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::{BlockedIds, Model};

/// Settings that differ from the defaults of a model, as a command line or a configuration file
/// gives them. A model refuses a setting that it does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// The most IDs that a cluster may have, in Original [default: 500]
    ///
    /// The vendor documents 500. A live project of the vendor joined a user with 500 devices, which are
    /// 501 IDs, and left the other 10 of 510 devices apart: for its clusters, set 501.
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))
    )]
    pub max_cluster_ids: Option<u32>,

    /// The form of anonymous IDs that $identify accepts, in Original: uuid_v4, guid or sdk
    /// [default: uuid_v4]
    #[cfg_attr(feature = "clap", arg(long, value_name = "FORMAT"))]
    #[serde(deserialize_with = "anon_id_format")]
    pub anon_id_format: Option<AnonIdFormat>,

    /// Refuse IDs longer than N bytes, 1 to 65535 [default: 255]
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))
    )]
    pub max_id_bytes: Option<u16>,

    /// Values that are not IDs. The caller reads them from a file.
    #[cfg_attr(feature = "clap", arg(skip))]
    #[serde(skip)]
    pub blocked_ids: Option<BlockedIds>,
}

/// Reads the format by its name, so that the error lists the names.
fn anon_id_format<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<AnonIdFormat>, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map(Some).map_err(serde::de::Error::custom)
}

impl Overrides {
    /// Whether no setting is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The rules for valid IDs (rules ID-2 and ID-4).
    pub(crate) fn id_rules(&self) -> IdRules {
        let max_id_bytes = self.max_id_bytes.unwrap_or(IdRules::DEFAULT_MAX_ID_BYTES);
        match &self.blocked_ids {
            Some(blocked_ids) => blocked_ids.id_rules(max_id_bytes),
            None => IdRules::new(max_id_bytes, IdRules::DEFAULT_BLOCKED_VALUES),
        }
    }

    /// Checks that the model has every setting that is given, and that the values can be used.
    pub(crate) fn check(&self, model: Model) -> Result<(), SettingsError> {
        if self.max_cluster_ids == Some(0) {
            return Err(SettingsError::NoClusterIds);
        }
        if self.max_id_bytes == Some(0) {
            return Err(SettingsError::NoIdBytes);
        }
        let of_original = [
            ("max_cluster_ids", self.max_cluster_ids.is_some()),
            ("anon_id_format", self.anon_id_format.is_some()),
        ];
        let given = of_original.iter().find(|(_, is_given)| *is_given);
        match given {
            Some((setting, _)) if model != Model::Original => {
                Err(SettingsError::NotOfModel { setting, model })
            }
            _ => Ok(()),
        }
    }
}

/// Settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The model does not have this setting. Leave it out, or choose another model.
    #[error("{setting} is a setting of engine original; leave it out with engine {model}")]
    NotOfModel {
        /// The name of the setting, as a configuration file spells it.
        setting: &'static str,
        /// The model that was chosen.
        model: Model,
    },
    /// A limit of 0 IDs, which no cluster can keep. Give 2 or more.
    #[error("max_cluster_ids must be at least 1")]
    NoClusterIds,
    /// A limit of 0 bytes, which no ID can keep.
    #[error("max_id_bytes must be at least 1")]
    NoIdBytes,
}

impl SettingsError {
    /// The name of the setting, as a configuration file spells it.
    pub fn setting(&self) -> &'static str {
        match self {
            Self::NotOfModel { setting, .. } => setting,
            Self::NoClusterIds => "max_cluster_ids",
            Self::NoIdBytes => "max_id_bytes",
        }
    }
}
