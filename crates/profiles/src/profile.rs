//! [`Profile`]: properties by name.

use serde_json::{Map, Value};

/// The profile of a user or a group: properties with JSON values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    pub(crate) properties: Map<String, Value>,
}

impl Profile {
    /// Reads a profile that [`to_json`](Self::to_json) has written. `None` if the text is not a JSON
    /// object.
    pub fn from_json(json: &str) -> Option<Self> {
        let properties = serde_json::from_str(json).ok()?;
        Some(Self { properties })
    }

    /// The properties as a JSON object.
    pub fn to_json(&self) -> String {
        // This cannot fail: the keys are strings, and the output is in memory.
        serde_json::to_string(&self.properties).unwrap_or_default()
    }

    /// The value of a property.
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.properties.get(name)
    }

    /// All properties with their names.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.properties
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// The number of properties.
    pub fn len(&self) -> usize {
        self.properties.len()
    }

    /// Whether the profile has no properties. Such a profile still exists.
    pub fn is_empty(&self) -> bool {
        self.properties.is_empty()
    }
}
