//! From the bytes of one event to what the rules read of it.

use std::borrow::Cow;

use idmerge_core::{DistinctIds, Event, IdProperty, Value, quote};
use serde::de::IgnoredAny;

use crate::MalformedEvent;
use crate::key::Key;
use crate::scan::Scanner;

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
            Envelope::scan(text).ok_or_else(|| not_an_object(text))?;
        let name = event
            .and_then(string)
            .ok_or(MalformedEvent::NoName {
                json: event.map(quote),
            })?
            .map_err(MalformedEvent::NotJson)?;
        let properties = match properties {
            Some(Ok(properties)) => properties,
            other => {
                let json = other.and_then(Result::err).map(quote);
                return Err(MalformedEvent::NoProperties { json });
            }
        };

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
        two_values(json).map_or(Self::NotTwo(json), |values| {
            Self::Two(values.map(IdValue::read))
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

/// The two values of an array that has exactly two.
fn two_values(json: &str) -> Option<[&str; 2]> {
    let mut scanner = Scanner::new(json.strip_prefix('[')?.strip_suffix(']')?);
    let first = scanner.value()?;
    scanner.pass(b',')?;
    let second = scanner.value()?;
    scanner.is_at_end().then_some([first, second])
}

/// What is wrong with a text that is no object.
#[cold]
fn not_an_object(text: &str) -> MalformedEvent {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => MalformedEvent::NotAnObject {
            json: quote(text.trim()),
        },
        Err(error) => MalformedEvent::NotJson(error),
    }
}

/// The values of the outer object that matter. Of a key that stands twice the last counts, of
/// what type ever (IN-2), so types are looked at later.
#[derive(Default)]
struct Envelope<'e> {
    event: Option<&'e str>,
    /// The object, or the text of what is there instead.
    properties: Option<Result<Properties<'e>, &'e str>>,
}

impl<'e> Envelope<'e> {
    /// `None` where the text is not a JSON object.
    fn scan(text: &'e str) -> Option<Self> {
        let mut envelope = Self::default();
        let mut scanner = Scanner::new(text);
        scanner.object(|scanner, key| {
            match &*key_text(key) {
                "event" => envelope.event = Some(scanner.value()?),
                "properties" => {
                    envelope.properties = Some(if scanner.peek()? == b'{' {
                        Ok(Properties::scan(scanner)?)
                    } else {
                        Err(scanner.value()?)
                    });
                }
                _ => {
                    scanner.value()?;
                }
            }
            Some(())
        })?;
        scanner.is_at_end().then_some(envelope)
    }
}

/// The text of a key, its escapes read (IN-2). A key whose escapes are no text is none of ours.
fn key_text(json: &str) -> Cow<'_, str> {
    match string(json) {
        Some(Ok(text)) => text,
        _ => Cow::Borrowed(""),
    }
}

/// The object `properties`: where it stands, and the values of the keys that matter.
#[derive(Clone, Debug)]
pub(crate) struct Properties<'e> {
    /// The object, from brace to brace.
    pub(crate) json: &'e str,
    pub(crate) is_empty: bool,
    values: [Option<&'e str>; Key::COUNT],
}

impl<'e> Properties<'e> {
    fn scan(scanner: &mut Scanner<'e>) -> Option<Self> {
        let mut values = [None; Key::COUNT];
        let mut is_empty = true;
        let json = scanner.object(|scanner, key| {
            is_empty = false;
            let value = scanner.value()?;
            if let Some(key) = Key::with_text(&key_text(key)) {
                // IN-2: a later one takes its place.
                values[key.index()] = Some(value);
            }
            Some(())
        })?;
        Some(Self {
            json,
            is_empty,
            values,
        })
    }

    /// The JSON text of the value that counts.
    pub(crate) fn value(&self, key: Key) -> Option<&'e str> {
        self.values[key.index()]
    }
}
