//! IDs and rule books as strings, for the feature `serde`. The other types derive.

use std::borrow::Cow;

use ::serde::de::{Deserialize, Deserializer, Error};
use ::serde::ser::{Serialize, Serializer};

use crate::{DistinctId, DistinctIdBuf, Id, IdBuffer, IdRules, RuleBook};

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text_in(&mut IdBuffer::new()))
    }
}

impl Serialize for DistinctId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for DistinctIdBuf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_id().serialize(serializer)
    }
}

/// One leading `$device:` is the prefix of a device.
impl<'de> Deserialize<'de> for DistinctIdBuf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The fields of [`IdRules`] as they are written, before [`IdRules::new`] orders them.
#[derive(::serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdRulesFields {
    max_id_bytes: u16,
    blocked_values: Vec<String>,
}

impl From<IdRulesFields> for IdRules {
    fn from(fields: IdRulesFields) -> Self {
        Self::new(fields.max_id_bytes, fields.blocked_values)
    }
}

impl Serialize for RuleBook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Reads the name of a built-in rule book.
impl<'de> Deserialize<'de> for RuleBook {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use ::serde::Serialize;
    use ::serde::de::DeserializeOwned;

    use crate::*;

    fn writes(value: &impl Serialize, json: &str) {
        assert_eq!(serde_json::to_string(value).unwrap(), json);
    }

    fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
        value: &T,
        json: &str,
    ) {
        writes(value, json);
        assert_eq!(&serde_json::from_str::<T>(json).unwrap(), value);
    }

    #[test]
    fn borrowed_types_are_written() {
        let id = |text| Id::new(text).unwrap();
        let distinct_id = DistinctId::device(id("D1"));
        let (device, user) = (id("D1"), id("U1"));
        writes(&id("U1"), r#""U1""#);
        writes(&distinct_id, r#""$device:D1""#);
        writes(&DistinctId::plain(id("U1")), r#""U1""#);
        writes(
            &Claim::Link { device, user },
            r#"{"Link":{"device":"D1","user":"U1"}}"#,
        );
        writes(
            &Reading {
                distinct_id: Some(distinct_id),
                claim: None,
            },
            r#"{"distinct_id":"$device:D1","claim":null}"#,
        );
        writes(
            &Outcome::Rejected(Rejection::SameIds { id: id("A") }),
            r#"{"Rejected":{"SameIds":{"id":"A"}}}"#,
        );
        writes(
            &Cluster {
                canonical: distinct_id,
                members: vec![distinct_id],
            },
            r#"{"canonical":"$device:D1","members":["$device:D1"]}"#,
        );
        writes(&RuleBook::Custom("posthog"), r#""posthog""#);
    }

    #[test]
    fn owned_types_are_written_and_read() {
        round_trip(
            &"$device:\"D1".parse::<DistinctIdBuf>().unwrap(),
            r#""$device:\"D1""#,
        );
        round_trip(&RuleBook::Simplified, r#""simplified""#);
        round_trip(&Attribution::AtArrival, r#""at_arrival""#);
        round_trip(&ClaimKind::Identify, r#""identify""#);
        round_trip(&IdProperty::UserId, r#""$user_id""#);
        round_trip(
            &InvalidEvent::new(IdProperty::Alias, InvalidEventReason::NoAlias),
            r#"{"property":"alias","reason":"NoAlias"}"#,
        );
        round_trip(
            &IdRules::new(9, ["x"]),
            r#"{"max_id_bytes":9,"blocked_values":["x"]}"#,
        );
    }

    #[test]
    fn wrong_input_is_an_error() {
        assert!(serde_json::from_str::<DistinctIdBuf>(r#""""#).is_err());
        assert!(serde_json::from_str::<DistinctIdBuf>(r#""$device:""#).is_err());
        assert!(serde_json::from_str::<RuleBook>(r#""posthog""#).is_err());
        let misspelt = r#"{"max_id_bytes":9,"blocked_ids":["x"]}"#;
        assert!(serde_json::from_str::<IdRules>(misspelt).is_err());
    }
}
