//! [`Profile`]: properties by name.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Limits;
use crate::properties::{Properties, Stored, name_bytes};

/// The profile of a user or a group: properties with JSON values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    pub(crate) properties: Properties,
    /// For each property that [`fill`](Profile::fill) took from another profile: the ID of that
    /// profile.
    pub(crate) sources: BTreeMap<String, String>,
}

impl Profile {
    /// Reads a profile that [`to_json`](Self::to_json) has written. `None` if the text is not a JSON
    /// object.
    pub fn from_json(json: &str) -> Option<Self> {
        Some(Self {
            properties: Properties::read(json)?,
            sources: BTreeMap::new(),
        })
    }

    /// The same profile, with what [`sources_json`](Self::sources_json) has written. Ignores a text
    /// that is not a JSON object of strings.
    #[must_use]
    pub fn with_sources(mut self, json: &str) -> Self {
        self.sources = serde_json::from_str(json).unwrap_or_default();
        self
    }

    /// The properties that were taken from other profiles, with the IDs of those, as a JSON object.
    /// `None` if there are none.
    pub fn sources_json(&self) -> Option<String> {
        // This cannot fail: the keys are strings, and the output is in memory.
        let json = || serde_json::to_string(&self.sources).unwrap_or_default();
        (!self.sources.is_empty()).then(json)
    }

    /// Takes the properties that this profile lacks from another one, which was under `other_id`, as
    /// far as the limits allow. It remembers their source until an update changes them.
    ///
    /// ```
    /// use idmerge_profiles::{Limits, Profile};
    ///
    /// let mut ben = Profile::from_json(r#"{"plan":"free"}"#).unwrap();
    /// let visitor = Profile::from_json(r#"{"plan":"none","city":"Oslo"}"#).unwrap();
    /// ben.fill(&visitor, "$device:D1", &Limits::DOCUMENTED);
    /// assert_eq!(ben.to_json(), r#"{"plan":"free","city":"Oslo"}"#);
    ///
    /// // It was not ben's device.
    /// ben.return_properties(|source| source != "$device:D1");
    /// assert_eq!(ben.to_json(), r#"{"plan":"free"}"#);
    /// ```
    pub fn fill(&mut self, other: &Self, other_id: &str, limits: &Limits) {
        for (name, value) in other.properties.iter() {
            if self.properties.get(name).is_some() {
                continue;
            }
            // With a colon and a comma.
            let bytes = self.json_bytes() + name_bytes(name) + value.json_bytes() + 2;
            if self.len() >= limits.max_properties || bytes > limits.max_profile_bytes {
                return;
            }
            let source = other.sources.get(name).map_or(other_id, String::as_str);
            self.sources.insert(name.to_owned(), source.to_owned());
            let value = Stored::Text(value.json().into());
            self.properties.insert(name.to_owned(), value);
        }
    }

    /// Removes the properties that were taken from the profiles of IDs that are not of this user any
    /// more. Returns whether there are any.
    pub fn return_properties(&mut self, mut is_of_user: impl FnMut(&str) -> bool) -> bool {
        let before = self.sources.len();
        let properties = &mut self.properties;
        self.sources.retain(|name, source| {
            let stays = is_of_user(source);
            if !stays {
                properties.remove(name);
            }
            stays
        });
        self.sources.len() < before
    }

    /// The properties as a JSON object.
    pub fn to_json(&self) -> String {
        self.properties.to_json()
    }

    /// The length of [`to_json`](Self::to_json). It is known without writing the properties.
    pub fn json_bytes(&self) -> usize {
        self.properties.json_bytes()
    }

    /// The value of a property.
    pub fn property(&self, name: &str) -> Option<Value> {
        self.properties.get(name).map(value_of)
    }

    /// All properties with their names.
    pub fn properties(&self) -> impl Iterator<Item = (&str, Value)> {
        self.properties
            .iter()
            .map(|(name, value)| (name, value_of(value)))
    }

    /// The number of properties.
    pub fn len(&self) -> usize {
        self.properties.len()
    }

    /// Whether the profile has no properties. Such a profile still exists.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn value_of(stored: &Stored) -> Value {
    // This cannot fail: the text is JSON.
    serde_json::from_str(&stored.json()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(json: &str) -> Profile {
        Profile::from_json(json).unwrap()
    }

    #[test]
    fn a_profile_takes_what_it_lacks_and_gives_back_what_is_not_its_own() {
        let mut user = profile(r#"{"a":1}"#);
        let mut first = profile(r#"{"a":2,"b":2,"c":2}"#);
        first.fill(
            &profile(r#"{"d":3,"e":null}"#),
            "second",
            &Limits::DOCUMENTED,
        );
        user.fill(&first, "first", &Limits::DOCUMENTED);
        assert_eq!(user.to_json(), r#"{"a":1,"b":2,"c":2,"d":3,"e":null}"#);
        // What was stored comes back.
        let sources = user.sources_json().unwrap();
        assert_eq!(profile(&user.to_json()).with_sources(&sources), user);
        assert_eq!(profile("{}").sources_json(), None);
        assert_eq!(profile("{}").with_sources("[").sources_json(), None);

        assert!(!user.return_properties(|_| true));
        assert!(user.return_properties(|source| source == "first"));
        assert_eq!(user.to_json(), r#"{"a":1,"b":2,"c":2}"#);
        assert!(user.return_properties(|_| false));
        assert_eq!(user, profile(r#"{"a":1}"#));
    }

    #[test]
    fn a_property_that_was_changed_is_the_users_own() {
        let update = |json: &str, profile: Profile| {
            let update = crate::Update::parse(json, &Limits::DOCUMENTED).unwrap();
            let mut profile = Some(profile);
            update.apply(&mut profile, &Limits::DOCUMENTED).unwrap();
            profile.unwrap()
        };
        let mut user = Profile::default();
        let other = profile(r#"{"a":1,"b":1,"c":1,"d":1}"#);
        user.fill(&other, "other", &Limits::DOCUMENTED);
        let json = r#"{"$distinct_id":"U","$set":{"a":2},"$add":{"b":1},"$unset":["c"],"$set_once":{"d":9}}"#;
        let user = update(json, user);
        assert_eq!(user.sources_json().unwrap(), r#"{"d":"other"}"#);
        // Also one that was removed and set again.
        let mut user = update(r#"{"$distinct_id":"U","$set":{"c":5}}"#, user);
        assert!(user.return_properties(|_| false));
        assert_eq!(user, profile(r#"{"a":2,"b":2,"c":5}"#));
    }

    #[test]
    fn a_profile_is_filled_up_to_its_limits() {
        let other = profile(r#"{"a":1,"b":2,"\u0001":"\u0001","d":4}"#);
        for max_properties in 0..6 {
            let limits = Limits {
                max_properties,
                ..Limits::DOCUMENTED
            };
            let mut user = profile(r#"{"x":0}"#);
            user.fill(&other, "other", &limits);
            assert_eq!(user.len(), max_properties.clamp(1, 5));
        }
        for max_profile_bytes in 0..60 {
            let limits = Limits {
                max_profile_bytes,
                ..Limits::DOCUMENTED
            };
            let mut user = profile(r#"{"x":0}"#);
            user.fill(&other, "other", &limits);
            assert!(user.len() == 1 || user.to_json().len() <= max_profile_bytes);
        }
        let mut user = profile(r#"{"x":0}"#);
        let bytes = r#"{"x":0,"a":1,"b":2,"\u0001":"\u0001","d":4}"#.len();
        user.fill(
            &other,
            "other",
            &Limits {
                max_profile_bytes: bytes,
                ..Limits::DOCUMENTED
            },
        );
        assert_eq!(user.len(), 5);
    }
}
