//! The settings that the suite asks an engine to have.

use idmerge_core::IdRules;
use serde::Deserialize;

/// The settings of the rule book. The default values are the documented ones.
///
/// An engine of Simplified ID Merge does not use the last two. An engine of a custom model uses those
/// that it has.
///
/// ```
/// use idmerge_conformance::EngineSettings;
///
/// let settings = EngineSettings { max_cluster_ids: 3, ..EngineSettings::default() };
/// assert_eq!(settings.max_id_bytes, 255);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// The most bytes of an ID (rule ID-2). With 0 no text is an ID.
    pub max_id_bytes: u16,
    /// The values that are not IDs, in any ASCII case (rule ID-4).
    pub blocked_values: Vec<String>,
    /// The most members of a cluster (rules O-12 and O-18). Original only.
    pub max_cluster_ids: u32,
    /// The form that `$identify` requires of an anonymous ID (rule O-8). Original only.
    pub anon_id_format: AnonIdFormat,
}

/// The setting `anon_id_format` (rule O-8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum AnonIdFormat {
    /// `uuid_v4`: rule ID-6.
    #[default]
    #[serde(rename = "uuid_v4")]
    UuidV4,
    /// `guid`: rule ID-6 with any version and variant digit.
    #[serde(rename = "guid")]
    Guid,
    /// `sdk`: `guid`, or the five groups that browser SDKs made before 2025.
    #[serde(rename = "sdk")]
    Sdk,
}

impl AnonIdFormat {
    /// The name of the setting's value, as the rules spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UuidV4 => "uuid_v4",
            Self::Guid => "guid",
            Self::Sdk => "sdk",
        }
    }
}

impl EngineSettings {
    /// The first two settings, as `IdRules`: these read IDs by rules ID-2 to ID-5.
    pub fn id_rules(&self) -> IdRules {
        IdRules::new(self.max_id_bytes, self.blocked_values.iter().cloned())
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            // ID-2: an ID has 1 to 255 bytes.
            max_id_bytes: 255,
            // ID-4: the list of the rule book.
            blocked_values: [
                "00000000-0000-0000-0000-000000000000",
                "anon",
                "anonymous",
                "nil",
                "none",
                "null",
                "n/a",
                "na",
                "undefined",
                "unknown",
                "<nil>",
                "0",
                "-1",
                "true",
                "false",
                "[]",
                "{}",
            ]
            .map(String::from)
            .to_vec(),
            // Section 4: the limit is a setting; its default is 500.
            max_cluster_ids: 500,
            // O-8: `uuid_v4` is the default.
            anon_id_format: AnonIdFormat::UuidV4,
        }
    }
}
