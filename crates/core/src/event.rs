//! The part of an event that the rules read: its name and its identity properties.

use std::fmt;

/// The identity properties. The rules read no other property of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum IdProperty {
    /// `distinct_id`
    #[cfg_attr(feature = "serde", serde(rename = "distinct_id"))]
    DistinctId,
    /// `$user_id`: the ID that the product gives a logged-in user.
    #[cfg_attr(feature = "serde", serde(rename = "$user_id"))]
    UserId,
    /// `$device_id`: the ID of a device, used while its user is anonymous.
    #[cfg_attr(feature = "serde", serde(rename = "$device_id"))]
    DeviceId,
    /// `$identified_id` of `$identify`, as HTTP callers and Segment send it.
    #[cfg_attr(feature = "serde", serde(rename = "$identified_id"))]
    IdentifiedId,
    /// `$anon_id` of `$identify`, as HTTP callers and Segment send it.
    #[cfg_attr(feature = "serde", serde(rename = "$anon_id"))]
    AnonId,
    /// `$anon_distinct_id` of `$identify`, as browser and mobile SDKs send it.
    #[cfg_attr(feature = "serde", serde(rename = "$anon_distinct_id"))]
    AnonDistinctId,
    /// `alias` of `$create_alias`.
    #[cfg_attr(feature = "serde", serde(rename = "alias"))]
    Alias,
    /// `$distinct_ids` of `$merge`.
    #[cfg_attr(feature = "serde", serde(rename = "$distinct_ids"))]
    DistinctIds,
}

impl IdProperty {
    /// Every identity property.
    pub const ALL: [Self; 8] = [
        Self::DistinctId,
        Self::UserId,
        Self::DeviceId,
        Self::IdentifiedId,
        Self::AnonId,
        Self::AnonDistinctId,
        Self::Alias,
        Self::DistinctIds,
    ];

    /// The property's key in an event.
    pub const fn key(self) -> &'static str {
        match self {
            Self::DistinctId => "distinct_id",
            Self::UserId => "$user_id",
            Self::DeviceId => "$device_id",
            Self::IdentifiedId => "$identified_id",
            Self::AnonId => "$anon_id",
            Self::AnonDistinctId => "$anon_distinct_id",
            Self::Alias => "alias",
            Self::DistinctIds => "$distinct_ids",
        }
    }

    /// The property with this key.
    pub fn with_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|property| property.key() == key)
    }
}

impl fmt::Display for IdProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// The value of an identity property, classified by rule ID-3.
///
/// ```
/// use idmerge_core::Value;
///
/// assert_eq!(Value::from("U1"), Value::Text("U1"));
/// assert_eq!(Value::from(""), Value::Absent);
/// assert_eq!(Value::from(None::<&str>), Value::Absent);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Value<'e> {
    /// The key is missing, or the value is `null` or `""`.
    #[default]
    Absent,
    /// The text of a JSON string, or the decimal text of an integer that fits i64 or u64.
    /// Empty text counts as absent.
    Text(&'e str),
    /// Any other JSON value (a float, a boolean, an array, an object), in its original spelling.
    /// It is never an ID.
    NotAnId(&'e str),
}

impl Value<'_> {
    /// Whether rule ID-3 treats the property as absent.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent | Self::Text(""))
    }
}

impl<'e> From<&'e str> for Value<'e> {
    fn from(text: &'e str) -> Self {
        if text.is_empty() {
            Self::Absent
        } else {
            Self::Text(text)
        }
    }
}

impl<'e> From<Option<&'e str>> for Value<'e> {
    fn from(text: Option<&'e str>) -> Self {
        text.map_or(Self::Absent, Self::from)
    }
}

/// The value of `$distinct_ids`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum DistinctIds<'e> {
    /// The key is missing or the value is `null`.
    #[default]
    Absent,
    /// An array of exactly two values.
    Two([Value<'e>; 2]),
    /// Any other JSON value, in its original spelling.
    NotTwo(&'e str),
}

/// The part of an event that the rules read.
///
/// To make one by hand, name it and set the properties that it carries:
///
/// ```
/// use idmerge_core::Event;
///
/// let event = Event {
///     user_id: "U1".into(),
///     device_id: "D1".into(),
///     ..Event::named("Sign Up")
/// };
/// # let _ = event;
/// ```
///
/// `idmerge-events` makes one from JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Event<'e> {
    /// The event's name, such as `Page View` or `$identify`.
    pub name: &'e str,
    /// `distinct_id`. A rule that reads it reads [`own_distinct_id`](Self::own_distinct_id).
    pub distinct_id: Value<'e>,
    /// `$distinct_id_before_identity`, which exports carry (IN-5).
    pub distinct_id_before_identity: Value<'e>,
    /// `$user_id`
    pub user_id: Value<'e>,
    /// `$device_id`
    pub device_id: Value<'e>,
    /// `$identified_id`
    pub identified_id: Value<'e>,
    /// `$anon_id`
    pub anon_id: Value<'e>,
    /// `$anon_distinct_id`
    pub anon_distinct_id: Value<'e>,
    /// `alias`
    pub alias: Value<'e>,
    /// `$distinct_ids`
    pub distinct_ids: DistinctIds<'e>,
    /// Whether `$idmerge_unweighed` is `true`: the event makes no claim (AR-4).
    pub is_unweighed: bool,
}

impl<'e> Event<'e> {
    /// The name of the event that browser and mobile SDKs send when a user logs in.
    pub const IDENTIFY: &'static str = "$identify";
    /// The name of the event that SDKs send to give a user a second ID.
    pub const CREATE_ALIAS: &'static str = "$create_alias";
    /// The name of the event that servers send to join any two IDs.
    pub const MERGE: &'static str = "$merge";

    /// An event with this name and no identity property.
    pub fn named(name: &'e str) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    /// An event with this distinct_id and nothing else. An engine's `read` then gives the ID that a
    /// person or another system means by this text.
    pub fn with_distinct_id(text: &'e str) -> Self {
        Self {
            distinct_id: text.into(),
            ..Self::default()
        }
    }

    /// The value that a rule reads as `distinct_id` (IN-5): `$distinct_id_before_identity` if that is
    /// a valid ID, and else `distinct_id`. `is_valid` says whether a text is a valid ID by the rules
    /// of the engine.
    ///
    /// An event from an export has the canonical ID in `distinct_id`. Its own ID is the other one.
    ///
    /// ```
    /// use idmerge_core::{Event, Value};
    ///
    /// let exported = Event {
    ///     distinct_id: "U1".into(),
    ///     distinct_id_before_identity: "$device:D1".into(),
    ///     ..Event::named("View")
    /// };
    /// assert_eq!(exported.own_distinct_id(|_| true), Value::Text("$device:D1"));
    /// assert_eq!(exported.own_distinct_id(|_| false), Value::Text("U1"));
    /// ```
    #[inline]
    pub fn own_distinct_id(&self, is_valid: impl FnOnce(&str) -> bool) -> Value<'e> {
        match self.distinct_id_before_identity {
            before @ Value::Text(text) if !text.is_empty() && is_valid(text) => before,
            _ => self.distinct_id,
        }
    }

    /// Whether this is one of the identity events `$identify`, `$create_alias` and `$merge`.
    pub fn is_identity_event(&self) -> bool {
        matches!(self.name, Self::IDENTIFY | Self::CREATE_ALIAS | Self::MERGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_property_is_found_by_its_key() {
        for property in IdProperty::ALL {
            assert_eq!(IdProperty::with_key(property.key()), Some(property));
        }
        assert_eq!(IdProperty::with_key("$insert_id"), None);
        assert_eq!(IdProperty::with_key("$Device_id"), None);
    }

    #[test]
    fn id_3_null_and_empty_text_are_absent() {
        assert!(Value::Absent.is_absent());
        assert!(Value::Text("").is_absent());
        assert!(!Value::Text(" ").is_absent());
        assert!(!Value::NotAnId("false").is_absent());
        assert_eq!(Value::from(Some("a")), Value::Text("a"));
        assert_eq!(Value::from(Some("")), Value::Absent);
    }

    #[test]
    fn three_names_make_an_identity_event() {
        for name in ["$identify", "$create_alias", "$merge"] {
            assert!(Event::named(name).is_identity_event());
        }
        for name in ["identify", "$Identify", "", "$merge "] {
            assert!(!Event::named(name).is_identity_event());
        }
    }
}
