//! How settings are shown to people: as the arguments of `idmerge`, and by name.

use idmerge_core::IdRules;
use serde_json::{Map, Value};

use crate::Settings;

impl Settings {
    /// The arguments of `idmerge` that choose these settings, such as `--engine original
    /// --max-cluster-ids 500`. Leaves out rules for IDs that are the default.
    #[must_use]
    pub fn arguments(&self) -> String {
        let mut arguments = format!("--engine {}", self.model());
        for (name, value) in self.by_name() {
            let value = match value {
                Value::String(text) => text,
                // The option takes a file, which the settings do not have.
                Value::Array(ids) => format!("<{} IDs>", ids.len()),
                other => other.to_string(),
            };
            arguments += &format!(" --{} {value}", name.replace('_', "-"));
        }
        arguments
    }

    /// The settings by the names of their options, without the engine. Leaves out rules for IDs that are
    /// the default.
    #[must_use]
    pub fn by_name(&self) -> Map<String, Value> {
        // The text of settings is a JSON object.
        let all: Map<_, _> = serde_json::from_str(&self.to_string()).unwrap_or_default();
        let (rules, default) = (self.id_rules(), IdRules::default());
        let has_other_list = !rules.blocked_values().eq(default.blocked_values());
        let name_of = |name: String| match &*name {
            "engine" => None,
            "max_id_bytes" => (rules.max_id_bytes() != default.max_id_bytes()).then_some(name),
            "blocked_values" => has_other_list.then(|| "blocked_ids".to_owned()),
            _ => Some(name),
        };
        let named = |(name, value)| Some((name_of(name)?, value));
        all.into_iter().filter_map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AnonIdFormat, Model, Overrides};

    #[test]
    fn arguments_are_shown_as_they_are_typed() {
        let simplified = Settings::of(Model::Simplified);
        assert_eq!(simplified.arguments(), "--engine simplified");
        let overrides = Overrides {
            max_cluster_ids: Some(7),
            anon_id_format: Some(AnonIdFormat::Sdk),
            ..Overrides::default()
        };
        let original = Settings::new(Model::Original, &overrides).unwrap();
        let arguments = original.arguments();
        let arguments: std::collections::BTreeSet<_> = arguments.split(" --").collect();
        assert_eq!(
            arguments,
            [
                "--engine original",
                "max-cluster-ids 7",
                "anon-id-format sdk"
            ]
            .into()
        );
        let id_rules = simplified.with_id_rules(IdRules::new(9, ["a", "b"]));
        let arguments = id_rules.arguments();
        let arguments: std::collections::BTreeSet<_> = arguments.split(" --").collect();
        assert_eq!(
            arguments,
            [
                "--engine simplified",
                "max-id-bytes 9",
                "blocked-ids <2 IDs>"
            ]
            .into()
        );
    }
}
