//! An event, and what the rules read of it.

use std::borrow::Cow;

use idmerge_core::{DistinctIds, Event, IdProperty, Value, quote};
use serde::de::IgnoredAny;

use super::key::Key;
use super::properties::{Extra, Outer, Properties};
use crate::MalformedEvent;
use crate::json::{Lexeme, RawJson, Scanner, Span, text_between_quotes, unescaped};
use crate::probe;

/// One event in its original JSON text.
///
/// It holds what the rules of ID Merge read, and where an answer is written. An
/// [`Envelope`](crate::Envelope) also holds its other properties, such as the time.
///
/// ```
/// use idmerge_core::Value;
/// use idmerge_events::JsonEvent;
///
/// let event = JsonEvent::parse(br#"{"event":"View","properties":{"$device_id":"D1"}}"#)?;
/// assert_eq!(event.event().name, "View");
/// assert_eq!(event.event().device_id, Value::Text("D1"));
/// assert!(event.event().user_id.is_absent());
/// # Ok::<(), idmerge_events::MalformedEvent>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonEvent<'e> {
    /// The whole text, with the white space around the object that [`parse`](Self::parse) allows.
    pub(crate) text: &'e str,
    pub(super) name: Cow<'e, str>,
    pub(crate) properties: Properties,
    /// The IDs that are written with escapes. There are rarely any, and rarely more than one.
    pub(super) escaped: Vec<EscapedId>,
}

/// A JSON string with escapes, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EscapedId {
    json: Box<str>,
    /// `None` if an escape is half of a surrogate pair: the string is JSON, but not text.
    text: Option<Box<str>>,
}

impl<'e> JsonEvent<'e> {
    /// Reads one event: a JSON object with a string `event` and an object `properties` (IN-1).
    /// White space around it is allowed and kept. Of a key that occurs twice the last one counts
    /// (IN-2).
    ///
    /// # Errors
    ///
    /// [`MalformedEvent`] if the line is not an event.
    pub fn parse(line: &'e [u8]) -> Result<Self, MalformedEvent> {
        Self::parse_text(as_text(line)?)
    }

    /// Reads one event from text. Checking many lines for UTF-8 at once is cheaper than checking
    /// each one.
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
        Self::parse_with(text, &mut ())
    }

    #[inline(always)]
    pub(super) fn parse_with(
        text: &'e str,
        extra: &mut impl Extra,
    ) -> Result<Self, MalformedEvent> {
        probe::count(text.len());
        // Filled in place: an event is a large struct, and moving it takes much of the time.
        let mut event = Self::unread(text);
        let mut scanner = Scanner::new(text);
        let outer = Outer::scan(&mut scanner, &mut event.properties, extra);
        let Some(outer) = outer.filter(|_| scanner.is_at_end()) else {
            return Err(not_an_object(text));
        };
        event.take(&outer, &scanner)?;
        Ok(event)
    }

    /// Reads the event that a text begins with, and returns how many bytes it has. `None` if the
    /// text does not begin with a JSON value.
    pub(super) fn parse_start(
        text: &'e str,
        extra: &mut impl Extra,
    ) -> Option<(usize, Result<Self, MalformedEvent>)> {
        let mut scanner = Scanner::new(text);
        if scanner.peek() != b'{' {
            let value = scanner.value()?.span;
            let json = quote(scanner.text(value));
            return Some((value.end, Err(MalformedEvent::NotAnObject { json })));
        }
        let mut event = Self::unread(text);
        let outer = Outer::scan(&mut scanner, &mut event.properties, extra)?;
        let bytes = scanner.at();
        event.text = &text[..bytes];
        probe::count(bytes);
        let taken = event.take(&outer, &scanner);
        Some((bytes, taken.map(|()| event)))
    }

    #[inline(always)]
    pub(super) fn unread(text: &'e str) -> Self {
        Self {
            text,
            name: Cow::Borrowed(""),
            properties: Properties::default(),
            escaped: Vec::new(),
        }
    }

    /// Sets the name, and checks the types of the values in the outer object.
    #[inline(always)]
    fn take(&mut self, outer: &Outer, scanner: &Scanner<'e>) -> Result<(), MalformedEvent> {
        self.name = match outer.event.map(|name| string(scanner, name)) {
            Some(Some(Ok(name))) => name,
            Some(Some(Err(error))) => return Err(MalformedEvent::NotJson(error)),
            _ => {
                let json = outer.event.map(|name| quote(scanner.text(name.span)));
                return Err(MalformedEvent::NoName { json });
            }
        };
        if outer.properties != Some(Ok(())) {
            let json = outer.properties.and_then(Result::err);
            let json = json.map(|json| quote(scanner.text(json)));
            let name = self.name.clone().into_owned();
            return Err(MalformedEvent::NoProperties { name, json });
        }
        if scanner.has_escapes() {
            self.escaped = self.escaped_ids();
        }
        Ok(())
    }

    /// The original text.
    pub fn text(&self) -> &'e str {
        self.text
    }

    /// The part of the event that the rules read.
    pub fn event(&self) -> Event<'_> {
        self.read(&self.name, &self.escaped)
    }

    /// The part of the event that the rules read, as [`event`](Self::event), but borrowed from the text.
    /// `None` if the name or an ID is written with escapes, so that its text is not in there.
    pub fn event_in_text(&self) -> Option<Event<'e>> {
        match &self.name {
            Cow::Borrowed(name) if self.escaped.is_empty() => Some(self.read(name, &[])),
            _ => None,
        }
    }

    #[inline]
    fn read<'s>(&self, name: &'s str, escaped: &'s [EscapedId]) -> Event<'s>
    where
        'e: 's,
    {
        let id = |property| match self.json(Key::Id(property)) {
            None => Value::Absent,
            Some(json) => value(json, escaped),
        };
        Event {
            name,
            distinct_id: id(IdProperty::DistinctId),
            // IN-5
            distinct_id_before_identity: match self.json(Key::BeforeIdentity) {
                None => Value::Absent,
                Some(json) => value(json, escaped),
            },
            user_id: id(IdProperty::UserId),
            device_id: id(IdProperty::DeviceId),
            identified_id: id(IdProperty::IdentifiedId),
            anon_id: id(IdProperty::AnonId),
            anon_distinct_id: id(IdProperty::AnonDistinctId),
            alias: id(IdProperty::Alias),
            distinct_ids: match self.json(Key::Id(IdProperty::DistinctIds)) {
                None | Some("null") => DistinctIds::Absent,
                Some(json) => match two_values(json) {
                    Some(values) => DistinctIds::Two(values.map(|json| value(json, escaped))),
                    None => DistinctIds::NotTwo(json),
                },
            },
            // AR-4
            is_unweighed: self.json(Key::Unweighed) == Some("true"),
        }
    }

    /// The value of an identity property, or `None` if the event does not have it.
    pub fn property(&self, property: IdProperty) -> Option<RawJson<'e>> {
        self.json(Key::Id(property)).map(RawJson::new)
    }

    /// The value of `$distinct_id_before_identity`, or `None` if the event does not have it.
    pub fn id_before_identity(&self) -> Option<RawJson<'e>> {
        self.json(Key::BeforeIdentity).map(RawJson::new)
    }

    /// The object `properties`.
    ///
    /// ```
    /// use idmerge_events::JsonEvent;
    ///
    /// let event = JsonEvent::parse(br#"{"event":"A","properties":{"path":"/blog"}}"#)?;
    /// assert_eq!(event.properties().as_str(), r#"{"path":"/blog"}"#);
    /// # Ok::<(), idmerge_events::MalformedEvent>(())
    /// ```
    pub fn properties(&self) -> RawJson<'e> {
        let Span { start, end } = self.properties.object;
        RawJson::new(&self.text[start..end])
    }

    /// The value that the rules read in one property.
    #[inline]
    pub(crate) fn id(&self, property: IdProperty) -> Value<'_> {
        match self.json(Key::Id(property)) {
            None => Value::Absent,
            Some(json) => value(json, &self.escaped),
        }
    }

    /// Whether an ID is written with escapes.
    pub(crate) fn has_escaped_ids(&self) -> bool {
        !self.escaped.is_empty()
    }

    /// The JSON text of the value that counts.
    #[inline]
    fn json(&self, key: Key) -> Option<&'e str> {
        let Span { start, end } = self.properties.non_empty_span(key)?;
        Some(&self.text[start..end])
    }

    #[cold]
    fn escaped_ids(&self) -> Vec<EscapedId> {
        let pair = self
            .json(Key::Id(IdProperty::DistinctIds))
            .and_then(two_values)
            .into_iter()
            .flatten();
        IdProperty::ALL
            .into_iter()
            .map(Key::Id)
            .chain([Key::BeforeIdentity])
            .filter_map(|key| self.json(key))
            .chain(pair)
            .filter(|json| json.starts_with('"') && json.contains('\\'))
            .map(|json| EscapedId {
                json: json.into(),
                text: unescaped(json).ok().map(String::into_boxed_str),
            })
            .collect()
    }
}

pub(super) fn as_text(line: &[u8]) -> Result<&str, MalformedEvent> {
    str::from_utf8(line).map_err(|error| MalformedEvent::NotUtf8 {
        valid_bytes: error.valid_up_to(),
    })
}

/// The text of a JSON string, or `None` if the value is something else.
fn string<'e>(scanner: &Scanner<'e>, json: Lexeme) -> Option<serde_json::Result<Cow<'e, str>>> {
    let text = text_between_quotes(scanner.text(json.span))?;
    Some(if json.is_escaped {
        unescaped(scanner.text(json.span)).map(Cow::Owned)
    } else {
        Ok(Cow::Borrowed(text))
    })
}

/// ID-3
#[inline]
fn value<'s>(json: &'s str, escaped: &'s [EscapedId]) -> Value<'s> {
    let Some(text) = text_between_quotes(json) else {
        return number_or_not(json);
    };
    match escaped.iter().find(|id| *id.json == *json) {
        None => Value::from(text),
        Some(EscapedId {
            text: Some(text), ..
        }) => Value::from(&**text),
        Some(EscapedId { text: None, .. }) => Value::NotAnId(json),
    }
}

/// ID-3 for a value that is not a string.
fn number_or_not(json: &str) -> Value<'_> {
    if json == "null" {
        return Value::Absent;
    }
    let integer = RawJson::new(json).integer();
    integer.map_or(Value::NotAnId(json), Value::Text)
}

/// The two values of an array that has exactly two.
fn two_values(json: &str) -> Option<[&str; 2]> {
    let mut scanner = Scanner::new(json.strip_prefix('[')?.strip_suffix(']')?);
    let first = scanner.value()?;
    scanner.pass(b',')?;
    let second = scanner.value()?;
    let values = [first, second].map(|value| scanner.text(value.span));
    scanner.is_at_end().then_some(values)
}

/// The error for a text that is not an object.
#[cold]
fn not_an_object(text: &str) -> MalformedEvent {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => MalformedEvent::NotAnObject {
            json: quote(text.trim()),
        },
        Err(error) => MalformedEvent::NotJson(error),
    }
}
