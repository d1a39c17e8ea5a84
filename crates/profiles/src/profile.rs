//! [`Profile`]: properties by name.

use serde_json::{Map, Value};

/// What is known of a user or a group: properties, each a JSON value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    pub(crate) properties: Map<String, Value>,
}

impl Profile {
    /// Reads a profile that [`to_json`](Self::to_json) has written. `None` where the text is no
    /// JSON object.
    pub fn from_json(json: &str) -> Option<Self> {
        let properties = serde_json::from_str(json).ok()?;
        Some(Self { properties })
    }

    /// The properties as the text of a JSON object.
    pub fn to_json(&self) -> String {
        // A map with keys of text is written to memory, which takes everything.
        serde_json::to_string(&self.properties).unwrap_or_default()
    }

    /// The property with this name.
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.properties.get(name)
    }

    /// All properties with their names.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.properties
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// How many properties there are.
    pub fn len(&self) -> usize {
        self.properties.len()
    }

    /// Whether there is none. A profile without properties is a profile all the same.
    pub fn is_empty(&self) -> bool {
        self.properties.is_empty()
    }
}
