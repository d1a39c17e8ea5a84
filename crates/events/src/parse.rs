//! From the bytes of one event to what the rules read of it.

use std::borrow::Cow;

use idmerge_core::{DistinctIds, Event, IdProperty, Value, quote};
use serde::de::IgnoredAny;

use crate::MalformedEvent;
use crate::key::Key;
use crate::scan::{Place, Scanner, Span};

/// One event, as its bytes came.
#[derive(Clone, Debug)]
pub struct JsonEvent<'e> {
    /// The whole line.
    pub(crate) text: &'e str,
    name: Cow<'e, str>,
    pub(crate) properties: Properties,
    /// The ids that are not spelled as they are: rare, and then seldom more than one.
    unescaped: Vec<Unescaped<'e>>,
}

/// A JSON string with escapes, and its text.
#[derive(Clone, Debug)]
struct Unescaped<'e> {
    json: &'e str,
    /// An error where the escapes have half a character: a JSON string, but no text.
    text: Result<String, ()>,
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
        match str::from_utf8(line) {
            Ok(text) => Self::parse_text(text),
            Err(error) => Err(MalformedEvent::NotUtf8 {
                valid_bytes: error.valid_up_to(),
            }),
        }
    }

    /// Reads one event of which it is known that it is UTF-8. To check many lines in a row at once
    /// is cheaper than each for itself.
    ///
    /// ```
    /// use idmerge_events::JsonEvent;
    ///
    /// let lines = concat!(
    ///     r#"{"event":"View","properties":{"$device_id":"D1"}}"#, "\n",
    ///     r#"{"event":"Log In","properties":{"$device_id":"D1","$user_id":"U1"}}"#, "\n",
    /// );
    /// let names: Result<Vec<_>, _> = lines
    ///     .lines()
    ///     .map(|line| JsonEvent::parse_text(line).map(|event| event.event().name.to_owned()))
    ///     .collect();
    /// assert_eq!(names?, ["View", "Log In"]);
    /// # Ok::<(), idmerge_events::MalformedEvent>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_text(text: &'e str) -> Result<Self, MalformedEvent> {
        // Filled in its place: it is large, and to move it is a good part of the time.
        let mut event = Self {
            text,
            name: Cow::Borrowed(""),
            properties: Properties::default(),
            unescaped: Vec::new(),
        };
        let mut scanner = Scanner::new(text);
        let Some(envelope) = Envelope::scan(&mut scanner, &mut event.properties) else {
            return Err(not_an_object(text));
        };
        event.name = match envelope.event.map(|name| string(&scanner, name)) {
            Some(Some(Ok(name))) => name,
            Some(Some(Err(error))) => return Err(MalformedEvent::NotJson(error)),
            _ => {
                let json = envelope.event.map(|json| quote(scanner.text(json)));
                return Err(MalformedEvent::NoName { json });
            }
        };
        if envelope.properties != Some(Ok(())) {
            let json = envelope.properties.and_then(Result::err);
            let json = json.map(|json| quote(scanner.text(json)));
            return Err(MalformedEvent::NoProperties { json });
        }
        if scanner.has_escapes() {
            event.unescaped = event.unescaped();
        }
        Ok(event)
    }

    /// What the rules read of the event.
    pub fn event(&self) -> Event<'_> {
        self.read(&self.name, &self.unescaped)
    }

    /// As [`event`](Self::event), for as long as the text lives: all that the rules read stands in
    /// it. `None` where the name or an id is spelled with escapes.
    pub fn event_in_text(&self) -> Option<Event<'e>> {
        match &self.name {
            Cow::Borrowed(name) if self.unescaped.is_empty() => Some(self.read(name, &[])),
            _ => None,
        }
    }

    #[inline]
    fn read<'s>(&self, name: &'s str, unescaped: &'s [Unescaped<'e>]) -> Event<'s>
    where
        'e: 's,
    {
        let id = |property| match self.json(Key::Id(property)) {
            None => Value::Absent,
            Some(json) => value(json, unescaped),
        };
        Event {
            name,
            distinct_id: id(IdProperty::DistinctId),
            user_id: id(IdProperty::UserId),
            device_id: id(IdProperty::DeviceId),
            identified_id: id(IdProperty::IdentifiedId),
            anon_id: id(IdProperty::AnonId),
            anon_distinct_id: id(IdProperty::AnonDistinctId),
            alias: id(IdProperty::Alias),
            distinct_ids: match self.json(Key::Id(IdProperty::DistinctIds)) {
                None | Some("null") => DistinctIds::Absent,
                Some(json) => match two_values(json) {
                    Some(values) => DistinctIds::Two(values.map(|json| value(json, unescaped))),
                    None => DistinctIds::NotTwo(json),
                },
            },
        }
    }

    /// What the rules read of one property.
    #[inline]
    pub(crate) fn id(&self, property: IdProperty) -> Value<'_> {
        match self.json(Key::Id(property)) {
            None => Value::Absent,
            Some(json) => value(json, &self.unescaped),
        }
    }

    /// Whether an id is not spelled as it is.
    pub(crate) fn has_escaped_ids(&self) -> bool {
        !self.unescaped.is_empty()
    }

    /// The JSON text of the value that counts.
    #[inline]
    fn json(&self, key: Key) -> Option<&'e str> {
        let Place { start, end } = self.properties.place(key)?;
        Some(&self.text[start..end])
    }

    /// The text of each id that has escapes.
    #[cold]
    fn unescaped(&self) -> Vec<Unescaped<'e>> {
        let pair = self
            .json(Key::Id(IdProperty::DistinctIds))
            .and_then(two_values)
            .into_iter()
            .flatten();
        IdProperty::ALL
            .into_iter()
            .filter_map(|property| self.json(Key::Id(property)))
            .chain(pair)
            .filter(|json| json.starts_with('"') && json.contains('\\'))
            .map(|json| Unescaped {
                json,
                text: serde_json::from_str(json).map_err(|_| ()),
            })
            .collect()
    }
}

/// ID-3
#[inline]
fn value<'s>(json: &'s str, unescaped: &'s [Unescaped<'_>]) -> Value<'s> {
    let Some(text) = text_between_marks(json) else {
        return number_or_not(json);
    };
    match unescaped.iter().find(|found| found.json == json) {
        None => Value::from(text),
        Some(Unescaped { text: Ok(text), .. }) => Value::from(&**text),
        Some(Unescaped { text: Err(_), .. }) => Value::NotAnId(json),
    }
}

/// ID-3 for a value that is no string.
fn number_or_not(json: &str) -> Value<'_> {
    match json {
        "null" => Value::Absent,
        "-0" => Value::Text("0"),
        // The text of a JSON integer is its decimal text; a float has a point or an exponent.
        _ if json.parse::<i64>().is_ok() || json.parse::<u64>().is_ok() => Value::Text(json),
        _ => Value::NotAnId(json),
    }
}

/// The text of a JSON string, or `None` where the value is something else. Borrowed where it has
/// no escapes.
fn string<'e>(scanner: &Scanner<'e>, json: Span) -> Option<serde_json::Result<Cow<'e, str>>> {
    let text = text_between_marks(scanner.text(json))?;
    Some(if json.is_escaped {
        serde_json::from_str(scanner.text(json)).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(text))
    })
}

/// What stands in a JSON string, or `None` where the value is something else.
#[inline]
pub(crate) fn text_between_marks(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// The two values of an array that has exactly two.
fn two_values(json: &str) -> Option<[&str; 2]> {
    let mut scanner = Scanner::new(json.strip_prefix('[')?.strip_suffix(']')?);
    let first = scanner.value()?;
    scanner.pass(b',')?;
    let second = scanner.value()?;
    let values = [first, second].map(|value| scanner.text(value));
    scanner.is_at_end().then_some(values)
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
struct Envelope {
    event: Option<Span>,
    /// Whether they are an object, which was read, or where something else is instead.
    properties: Option<Result<(), Span>>,
}

impl Envelope {
    /// `None` where the text is not a JSON object.
    #[inline(always)]
    fn scan(scanner: &mut Scanner<'_>, properties: &mut Properties) -> Option<Self> {
        let mut envelope = Self::default();
        let mut has_more = scanner.has_members()?;
        while has_more {
            let key = scanner.key()?;
            match &*key_text(scanner, key) {
                b"event" => envelope.event = Some(scanner.value()?),
                b"properties" => {
                    envelope.properties = Some(if scanner.peek() == b'{' {
                        properties.scan(scanner)?;
                        Ok(())
                    } else {
                        Err(scanner.value()?)
                    });
                }
                _ => {
                    scanner.value()?;
                }
            }
            has_more = scanner.has_more_members()?;
        }
        scanner.is_at_end().then_some(envelope)
    }
}

/// The text of a key, its escapes read (IN-2). A key whose escapes are no text is none of ours.
#[inline(always)]
fn key_text<'e>(scanner: &Scanner<'e>, key: Span) -> Cow<'e, [u8]> {
    if key.is_escaped {
        escaped_key_text(scanner.text(key))
    } else {
        Cow::Borrowed(scanner.plain_text(key))
    }
}

#[cold]
fn escaped_key_text(json: &str) -> Cow<'static, [u8]> {
    let text = serde_json::from_str::<String>(json).unwrap_or_default();
    Cow::Owned(text.into_bytes())
}

/// The object `properties`: where it stands, and the values of the keys that matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties {
    /// From brace to brace.
    pub(crate) object: Place,
    pub(crate) is_empty: bool,
    values: [Place; Key::COUNT],
}

impl Properties {
    /// Reads the object that begins here, in the place of what was read before (IN-2).
    #[inline(always)]
    fn scan(&mut self, scanner: &mut Scanner<'_>) -> Option<()> {
        if !self.object.is_nowhere() {
            *self = Self::default();
        }
        let start = scanner.at();
        let mut has_more = scanner.has_members()?;
        self.is_empty = !has_more;
        while has_more {
            let key = scanner.key()?;
            let value = scanner.value()?;
            if let Some(key) = Key::with_text(&key_text(scanner, key)) {
                // IN-2: a later one takes its place.
                self.values[key.index()] = value.place;
            }
            has_more = scanner.has_more_members()?;
        }
        self.object = scanner.span_from(start).place;
        Some(())
    }

    /// Where the value that counts stands, if the key is there.
    #[inline]
    pub(crate) fn place(&self, key: Key) -> Option<Place> {
        let place = self.place_or_nowhere(key);
        (!place.is_nowhere()).then_some(place)
    }

    #[inline]
    pub(crate) fn place_or_nowhere(&self, key: Key) -> Place {
        self.values[key.index()]
    }
}
