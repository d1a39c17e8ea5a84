//! Ids as strings, for the feature `serde`. The other types derive.

use ::serde::de::{Deserialize, Deserializer, Error};
use ::serde::ser::{Serialize, Serializer};

use crate::{DEVICE_PREFIX, DistinctId, Id, IdBuffer};

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text_in(&mut IdBuffer::new()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        Id::new(text).ok_or_else(|| D::Error::custom("an ID has 1 to 65,535 bytes"))
    }
}

impl Serialize for DistinctId<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One leading `$device:` is the mark.
impl<'de: 'a, 'a> Deserialize<'de> for DistinctId<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let (rest, make): (_, fn(Id<'a>) -> Self) = match text.strip_prefix(DEVICE_PREFIX) {
            Some(rest) => (rest, DistinctId::device),
            None => (text, DistinctId::plain),
        };
        Id::new(rest)
            .map(make)
            .ok_or_else(|| D::Error::custom("an ID has 1 to 65,535 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use crate::*;

    fn round_trip<'a, T>(value: &T, json: &'a str)
    where
        T: ::serde::Serialize + ::serde::Deserialize<'a> + PartialEq + std::fmt::Debug,
    {
        assert_eq!(serde_json::to_string(value).unwrap(), json);
        assert_eq!(&serde_json::from_str::<T>(json).unwrap(), value);
    }

    #[test]
    fn public_data_types_go_through_json_and_back() {
        let id = |text| Id::new(text).unwrap();
        let distinct_id = DistinctId::device(id("D1"));
        round_trip(&id("U1"), r#""U1""#);
        round_trip(&distinct_id, r#""$device:D1""#);
        round_trip(&DistinctId::plain(id("U1")), r#""U1""#);
        round_trip(
            &Claim::Link {
                device: id("D1"),
                user: id("U1"),
            },
            r#"{"Link":{"device":"D1","user":"U1"}}"#,
        );
        round_trip(
            &Reading {
                distinct_id: Some(distinct_id),
                claim: None,
            },
            r#"{"distinct_id":"$device:D1","claim":null}"#,
        );
        round_trip(
            &Outcome::Rejected(Rejection::SameIds { id: id("A") }),
            r#"{"Rejected":{"SameIds":{"id":"A"}}}"#,
        );
        round_trip(
            &Cluster {
                canonical: distinct_id,
                members: vec![distinct_id],
            },
            r#"{"canonical":"$device:D1","members":["$device:D1"]}"#,
        );
        round_trip(&RuleBook::Simplified, r#""simplified""#);
        round_trip(&IdProperty::UserId, r#""$user_id""#);
        round_trip(
            &InvalidEvent::new(IdProperty::Alias, InvalidEventReason::NoAlias),
            r#"{"property":"alias","reason":"NoAlias"}"#,
        );
        round_trip(
            &IdRules::new(9, ["x"]),
            r#"{"max_id_bytes":9,"blocked_values":["x"]}"#,
        );
        let event = Event {
            user_id: "U1".into(),
            ..Event::named("A")
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event<'_>>(&json).unwrap(), event);
    }

    #[test]
    fn an_empty_id_does_not_deserialize() {
        assert!(serde_json::from_str::<Id<'_>>(r#""""#).is_err());
        assert!(serde_json::from_str::<DistinctId<'_>>(r#""$device:""#).is_err());
    }
}
