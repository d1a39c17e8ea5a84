//! From the bytes of one event to what the rules read of it.

use std::borrow::Cow;
use std::fmt;

use idmerge_core::{DistinctIds, Event, IdProperty, Value, quote};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::MalformedEvent;
use crate::key::{AnyKey, Key};

/// One event, as its bytes came.
#[derive(Clone, Debug)]
pub struct JsonEvent<'e> {
    /// The whole line.
    pub(crate) text: &'e str,
    name: Cow<'e, str>,
    pub(crate) properties: Properties<'e>,
    ids: [IdValue<'e>; IdProperty::ALL.len()],
    distinct_ids: Pair<'e>,
}

/// An owned or borrowed [`Value`].
#[derive(Clone, Debug, Default)]
enum IdValue<'e> {
    #[default]
    Absent,
    Text(Cow<'e, str>),
    NotAnId(&'e str),
}

/// An owned or borrowed [`DistinctIds`].
#[derive(Clone, Debug)]
enum Pair<'e> {
    Absent,
    Two([IdValue<'e>; 2]),
    NotTwo(&'e str),
}

impl<'e> JsonEvent<'e> {
    /// Reads one event: a JSON object with a string `event` and an object `properties` (IN-1).
    /// White space around it is allowed and kept. Of a key that stands twice the last counts
    /// (IN-2).
    ///
    /// # Errors
    ///
    /// [`MalformedEvent`] says what the line is instead.
    pub fn parse(line: &'e [u8]) -> Result<Self, MalformedEvent> {
        let text = str::from_utf8(line).map_err(|error| MalformedEvent::NotUtf8 {
            valid_bytes: error.valid_up_to(),
        })?;
        let Envelope { event, properties } =
            serde_json::from_str(text).map_err(|error| not_an_object(text, error))?;

        let raw_name = event.map(RawValue::get);
        let name = raw_name
            .and_then(string)
            .ok_or(MalformedEvent::NoName {
                json: raw_name.map(quote),
            })?
            .map_err(MalformedEvent::NotJson)?;
        let raw_properties = properties.map(RawValue::get);
        let object = raw_properties.filter(|json| json.starts_with('{')).ok_or(
            MalformedEvent::NoProperties {
                json: raw_properties.map(quote),
            },
        )?;
        let properties = Properties::read(object).map_err(MalformedEvent::NotJson)?;

        let ids = IdProperty::ALL.map(|property| {
            let json = properties.value(Key::Id(property));
            json.map_or(IdValue::Absent, IdValue::read)
        });
        let distinct_ids = properties
            .value(Key::Id(IdProperty::DistinctIds))
            .map_or(Pair::Absent, Pair::read);
        Ok(Self {
            text,
            name,
            properties,
            ids,
            distinct_ids,
        })
    }

    /// What the rules read of the event.
    pub fn event(&self) -> Event<'_> {
        let value = |property: IdProperty| self.ids[property as usize].value();
        Event {
            name: &self.name,
            distinct_id: value(IdProperty::DistinctId),
            user_id: value(IdProperty::UserId),
            device_id: value(IdProperty::DeviceId),
            identified_id: value(IdProperty::IdentifiedId),
            anon_id: value(IdProperty::AnonId),
            anon_distinct_id: value(IdProperty::AnonDistinctId),
            alias: value(IdProperty::Alias),
            distinct_ids: match &self.distinct_ids {
                Pair::Absent => DistinctIds::Absent,
                Pair::Two([first, second]) => DistinctIds::Two([first.value(), second.value()]),
                Pair::NotTwo(json) => DistinctIds::NotTwo(json),
            },
        }
    }
}

impl<'e> IdValue<'e> {
    /// ID-3
    fn read(json: &'e str) -> Self {
        match string(json) {
            Some(Ok(text)) if text.is_empty() => return Self::Absent,
            Some(Ok(text)) => return Self::Text(text),
            // Half a character in escapes: a JSON string, but no text.
            Some(Err(_)) => return Self::NotAnId(json),
            None => {}
        }
        match json {
            "null" => Self::Absent,
            "-0" => Self::Text(Cow::Borrowed("0")),
            // The text of a JSON integer is its decimal text; a float has a point or an exponent.
            _ if json.parse::<i64>().is_ok() || json.parse::<u64>().is_ok() => {
                Self::Text(Cow::Borrowed(json))
            }
            _ => Self::NotAnId(json),
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Absent => Value::Absent,
            Self::Text(text) => Value::Text(text),
            Self::NotAnId(json) => Value::NotAnId(json),
        }
    }
}

impl<'e> Pair<'e> {
    fn read(json: &'e str) -> Self {
        if json == "null" {
            return Self::Absent;
        }
        serde_json::from_str::<[&RawValue; 2]>(json).map_or(Self::NotTwo(json), |values| {
            Self::Two(values.map(|value| IdValue::read(value.get())))
        })
    }
}

/// The text of a JSON string, or `None` where the value is something else. Borrowed where it has
/// no escapes.
fn string(json: &str) -> Option<serde_json::Result<Cow<'_, str>>> {
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    Some(if text.contains('\\') {
        serde_json::from_str(json).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(text))
    })
}

/// What is wrong with a text that is no object.
fn not_an_object(text: &str, error: serde_json::Error) -> MalformedEvent {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(other) => MalformedEvent::NotAnObject {
            json: quote(other.get()),
        },
        Err(_) => MalformedEvent::NotJson(error),
    }
}

/// The outer object.
struct Envelope<'e> {
    event: Option<&'e RawValue>,
    properties: Option<&'e RawValue>,
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EnvelopeVisitor;
        impl<'de> Visitor<'de> for EnvelopeVisitor {
            type Value = Envelope<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut event, mut properties) = (None, None);
                // IN-2: the last one counts, of what type ever, so types are looked at later.
                while let Some(key) = map.next_key::<EnvelopeKey>()? {
                    match key {
                        EnvelopeKey::Event => event = Some(map.next_value()?),
                        EnvelopeKey::Properties => properties = Some(map.next_value()?),
                        EnvelopeKey::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Envelope { event, properties })
            }
        }
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum EnvelopeKey {
    Event,
    Properties,
    #[serde(other)]
    Other,
}

/// The object `properties`: where it stands, and the values of the keys that matter.
#[derive(Clone, Debug)]
pub(crate) struct Properties<'e> {
    /// The object, from brace to brace.
    pub(crate) json: &'e str,
    pub(crate) is_empty: bool,
    values: [Option<&'e RawValue>; Key::COUNT],
}

impl<'e> Properties<'e> {
    fn read(json: &'e str) -> serde_json::Result<Self> {
        struct PropertiesVisitor<'e>(&'e str);
        impl<'de> Visitor<'de> for PropertiesVisitor<'de> {
            type Value = Properties<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut properties = Properties {
                    json: self.0,
                    is_empty: true,
                    values: [None; Key::COUNT],
                };
                while let Some(AnyKey(key)) = map.next_key()? {
                    properties.is_empty = false;
                    match key {
                        // IN-2: a later one takes its place.
                        Some(key) => properties.values[key.index()] = Some(map.next_value()?),
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(properties)
            }
        }
        let mut deserializer = serde_json::Deserializer::from_str(json);
        deserializer.deserialize_map(PropertiesVisitor(json))
    }

    /// The JSON text of the value that counts.
    pub(crate) fn value(&self, key: Key) -> Option<&'e str> {
        self.values[key.index()].map(RawValue::get)
    }
}
