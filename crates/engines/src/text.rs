//! The canonical text of [`Settings`], and the texts that earlier stores hold.
//!
//! The text is one JSON object with all settings, defaults included, so that a later version with
//! other defaults reads the same settings. Blocked values are compared in any ASCII case and as a
//! set, so they are written in lower case and sorted: equal settings have equal texts.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use idmerge_core::{IdRules, RuleBook};
use idmerge_original::AnonIdFormat;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Model, Settings};

/// Why a text cannot be read as settings.
#[derive(Debug, Error)]
#[error("cannot read the settings {text}: {reason}")]
pub struct SettingsTextError {
    text: String,
    reason: String,
}

impl SettingsTextError {
    /// Quotes the beginning of the text, because a list of blocked IDs can take megabytes.
    fn new(text: &str, reason: String) -> Self {
        let text = match text.char_indices().nth(QUOTED_CHARS_MAX) {
            Some((end, _)) => format!("{:?}… ({} bytes)", &text[..end], text.len()),
            None => format!("{text:?}"),
        };
        Self { text, reason }
    }
}

/// The most characters of a text that an error quotes.
const QUOTED_CHARS_MAX: usize = 400;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    engine: Model,
    max_id_bytes: u16,
    blocked_values: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_cluster_ids: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anon_id_format: Option<AnonIdFormat>,
}

impl From<&Settings> for Text {
    fn from(settings: &Settings) -> Self {
        let rules = settings.id_rules();
        let (max_cluster_ids, anon_id_format) = match settings {
            Settings::Simplified(_) | Settings::Legacy(_) => (None, None),
            Settings::Original(of) => (Some(of.max_cluster_ids), Some(of.anon_id_format)),
        };
        Self {
            engine: settings.model(),
            max_id_bytes: rules.max_id_bytes(),
            blocked_values: rules
                .blocked_values()
                .map(str::to_ascii_lowercase)
                .collect(),
            max_cluster_ids,
            anon_id_format,
        }
    }
}

impl TryFrom<Text> for Settings {
    type Error = String;

    fn try_from(text: Text) -> Result<Self, String> {
        let id_rules = IdRules::new(text.max_id_bytes, text.blocked_values);
        match (text.engine, text.max_cluster_ids, text.anon_id_format) {
            (Model::Simplified, None, None) => Ok(idmerge_simplified::Settings { id_rules }.into()),
            (Model::Original, Some(max_cluster_ids), Some(anon_id_format)) => {
                Ok(idmerge_original::Settings {
                    id_rules,
                    max_cluster_ids,
                    anon_id_format,
                }
                .into())
            }
            (Model::Legacy, None, None) => Ok(idmerge_legacy::Settings { id_rules }.into()),
            (model @ (Model::Simplified | Model::Legacy), ..) => {
                Err(format!("{model} has no cluster limit and no ID format"))
            }
            (Model::Original, ..) => Err("max_cluster_ids or anon_id_format is missing".into()),
        }
    }
}

/// The canonical text.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(&Text::from(self)).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

/// Reads the canonical text.
impl FromStr for Settings {
    type Err = SettingsTextError;

    fn from_str(text: &str) -> Result<Self, SettingsTextError> {
        let read = serde_json::from_str::<Text>(text).map_err(|error| error.to_string());
        read.and_then(Self::try_from)
            .map_err(|reason| SettingsTextError::new(text, reason))
    }
}

impl Settings {
    /// Reads the settings of a store: the canonical text, or one that an earlier version of the
    /// command line or of the server wrote. These do not name the engine; the store does.
    ///
    /// # Errors
    ///
    /// [`SettingsTextError`] if no version wrote this text for this rule book.
    pub fn of_store(rule_book: RuleBook, text: &str) -> Result<Self, SettingsTextError> {
        let failed = |reason: String| SettingsTextError::new(text, reason);
        let model: Model = rule_book
            .name()
            .parse()
            .map_err(|error| failed(format!("{error}")))?;
        let settings = if !text.starts_with('{') {
            Self::of_command_text(model, text).map_err(failed)?
        } else if let Ok(settings) = text.parse::<Self>() {
            settings
        } else {
            Self::of_server_text(model, text).map_err(failed)?
        };
        if settings.model() == model {
            Ok(settings)
        } else {
            Err(failed(format!("the store has the rule book {rule_book}")))
        }
    }

    /// The command line of an older version: nothing, or two settings with default ID rules.
    fn of_command_text(model: Model, text: &str) -> Result<Self, String> {
        let words: Option<Vec<_>> = text.split_whitespace().map(|w| w.split_once('=')).collect();
        match (model, words.as_deref()) {
            (Model::Simplified, Some([])) => Ok(Self::of(model)),
            (Model::Original, Some([("max_cluster_ids", max), ("anon_id_format", format)])) => {
                Ok(idmerge_original::Settings {
                    max_cluster_ids: max.parse().map_err(|error| format!("{max:?}: {error}"))?,
                    anon_id_format: format.parse().map_err(|error| format!("{error}"))?,
                    ..idmerge_original::Settings::default()
                }
                .into())
            }
            _ => Err(format!("not the settings of {model}")),
        }
    }

    /// The server of an older version: an object as today's, without the engine.
    fn of_server_text(model: Model, text: &str) -> Result<Self, String> {
        let mut object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        object
            .entry("engine")
            .or_insert_with(|| model.name().into());
        let text: Text =
            serde_json::from_value(object.into()).map_err(|error| error.to_string())?;
        Self::try_from(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn original() -> Settings {
        idmerge_original::Settings {
            id_rules: IdRules::new(9, ["Zoë", "\"b\" c=d", "Zoë"]),
            max_cluster_ids: 7,
            anon_id_format: AnonIdFormat::Sdk,
        }
        .into()
    }

    #[test]
    fn the_canonical_text_is_pinned() {
        assert_eq!(
            original().to_string(),
            r#"{"engine":"original","max_id_bytes":9,"blocked_values":["\"b\" c=d","zoë"],"max_cluster_ids":7,"anon_id_format":"sdk"}"#
        );
        assert_eq!(
            Settings::of(Model::Simplified).to_string(),
            r#"{"engine":"simplified","max_id_bytes":255,"blocked_values":["-1","0","00000000-0000-0000-0000-000000000000","<nil>","[]","anon","anonymous","false","n/a","na","nil","none","null","true","undefined","unknown","{}"]}"#
        );
    }

    #[test]
    fn the_text_reads_back() {
        for settings in Model::ALL.map(Settings::of).into_iter().chain([original()]) {
            let text = settings.to_string();
            let read: Settings = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(read.max_cluster_ids(), settings.max_cluster_ids());
            let stored = Settings::of_store(settings.rule_book(), &text).unwrap();
            assert_eq!(stored, settings);
        }
    }

    #[test]
    fn the_texts_of_the_first_edition_are_read() {
        let settings = Settings::of(Model::Original);
        for text in [
            "max_cluster_ids=500 anon_id_format=uuid_v4",
            // The server wrote the keys in either order, depending on how it was built.
            r#"{"anon_id_format":"uuid_v4","blocked_values":["00000000-0000-0000-0000-000000000000","anon","anonymous","nil","none","null","n/a","na","undefined","unknown","<nil>","0","-1","true","false","[]","{}"],"max_cluster_ids":500,"max_id_bytes":255}"#,
            r#"{"max_id_bytes":255,"blocked_values":["00000000-0000-0000-0000-000000000000","anon","anonymous","nil","none","null","n/a","na","undefined","unknown","<nil>","0","-1","true","false","[]","{}"],"max_cluster_ids":500,"anon_id_format":"uuid_v4"}"#,
        ] {
            let read = Settings::of_store(RuleBook::Original, text).unwrap();
            assert_eq!(read, settings, "{text}");
        }
        let read = Settings::of_store(RuleBook::Simplified, "").unwrap();
        assert_eq!(read, Settings::of(Model::Simplified));
    }

    #[test]
    fn other_texts_are_errors_that_quote_them() {
        for (rule_book, text) in [
            (RuleBook::Simplified, "x"),
            (RuleBook::Original, ""),
            (RuleBook::Original, "max_cluster_ids=x anon_id_format=sdk"),
            (RuleBook::Original, "max_cluster_ids=5 anon_id_format=x"),
            (RuleBook::Original, "{}"),
            (
                RuleBook::Original,
                r#"{"max_id_bytes":9,"blocked_values":[]}"#,
            ),
            (RuleBook::Custom("posthog"), ""),
        ] {
            let error = Settings::of_store(rule_book, text).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
        let other = Settings::of(Model::Original).to_string();
        let error = Settings::of_store(RuleBook::Simplified, &other).unwrap_err();
        assert!(
            error.to_string().contains("rule book simplified"),
            "{error}"
        );
        let long = format!("{{{}", "x".repeat(5_000_000));
        let error = long.parse::<Settings>().unwrap_err().to_string();
        assert!(
            error.len() < 1_000 && error.contains("5000001 bytes"),
            "{error}"
        );
        let unknown = r#"{"engine":"simplified","max_id_bytes":9,"blocked_values":[],"speed":1}"#;
        let error = unknown.parse::<Settings>().unwrap_err().to_string();
        assert!(error.contains("unknown field `speed`"), "{error}");
    }
}
