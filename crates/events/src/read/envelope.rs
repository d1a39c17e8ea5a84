//! An event, with the properties that are read besides its identity.

use std::borrow::Cow;

use idmerge_core::DistinctId;

use super::dedup_key::{DedupKey, Repeatable};
use super::event::{JsonEvent, as_text};
use super::parts::EventParts;
use super::properties::Extra;
use super::time::{Time, TimeRange};
use crate::MalformedEvent;
use crate::json::{
    ContainerLimits, Excess, ExcessFinder, Lexeme, NotJson, Observer as _, RawJson, Scanner, Span,
    Values, with_key_text,
};

/// One event with all of its properties that matter: the [`JsonEvent`], and the properties that give
/// its project, its time and its unique ID.
///
/// One scan finds all of it. A command that needs only identities scans a [`JsonEvent`], which is
/// quicker.
///
/// ```
/// use idmerge_events::{Envelope, Time, TimeRange};
///
/// let event = Envelope::parse(
///     br#"{"event":"View","properties":{"token":"T","time":1700000000.5,"$insert_id":"i-1"}}"#,
/// )?;
/// assert_eq!(event.name(), "View");
/// assert_eq!(event.token().and_then(|token| token.string()).as_deref(), Some("T"));
/// assert_eq!(event.time(TimeRange::Year9999), Time::Ms(1_700_000_000_500));
/// assert_eq!(event.insert_id().map(|id| id.as_str()), Some(r#""i-1""#));
/// # Ok::<(), idmerge_events::MalformedEvent>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'e> {
    event: JsonEvent<'e>,
    details: Details,
}

impl<'e> Envelope<'e> {
    /// Reads one event, as [`JsonEvent::parse`] does.
    ///
    /// # Errors
    ///
    /// [`MalformedEvent`] if the line is not an event.
    pub fn parse(line: &'e [u8]) -> Result<Self, MalformedEvent> {
        Self::parse_text(as_text(line)?)
    }

    /// Reads one event from text.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_text(text: &'e str) -> Result<Self, MalformedEvent> {
        let mut details = Details::default();
        let event = JsonEvent::parse_with(text, &mut details)?;
        Ok(Self { event, details })
    }

    #[inline]
    pub(super) fn new(event: JsonEvent<'e>, details: Details) -> Self {
        Self { event, details }
    }

    /// The event in this text, without a scan of it, as [`JsonEvent::of_parts`] gives it. `None` also if only a
    /// scan finds all properties.
    #[inline]
    pub fn of_parts(text: &'e str, parts: &EventParts) -> Option<Self> {
        let found = parts.details?;
        for value in [found.time, found.insert_id] {
            if !value.is_empty() {
                value.text_in(text)?;
            }
        }
        Some(Self {
            event: JsonEvent::of_parts(text, parts)?,
            details: Details {
                time: found.time,
                insert_id: found.insert_id,
                ..Details::default()
            },
        })
    }

    /// The part that the rules of ID Merge read.
    pub fn json_event(&self) -> &JsonEvent<'e> {
        &self.event
    }

    /// As [`json_event`](Self::json_event), without the rest.
    pub fn into_json_event(self) -> JsonEvent<'e> {
        self.event
    }

    /// The original text.
    pub fn text(&self) -> &'e str {
        self.event.text
    }

    /// The name, which may be empty.
    pub fn name(&self) -> &str {
        &self.event.name
    }

    /// The name, which is copied only if it is written with escapes.
    pub fn to_name(&self) -> Cow<'e, str> {
        self.event.name.clone()
    }

    /// The property `token`: the project that the event is for.
    pub fn token(&self) -> Option<RawJson<'e>> {
        self.json(self.details.token)
    }

    /// The property `time`: when the event happened. In an event of an export, `$idmerge_time_ms`
    /// says it to the millisecond (AR-4).
    pub fn time(&self, range: TimeRange) -> Time {
        let [time, exact] = [self.details.time, self.details.time_ms].map(|span| self.json(span));
        Time::read_exact(time, exact, range)
    }

    /// Whether the event comes from an export: it has `mp_processing_time_ms`, which a server adds
    /// (AR-4).
    pub fn is_exported(&self) -> bool {
        let processed = self.json(self.details.processed);
        processed.is_some_and(|json| !json.is_null())
    }

    /// The property `$insert_id`, in which a duplicate equals the event.
    pub fn insert_id(&self) -> Option<RawJson<'e>> {
        self.json(self.details.insert_id)
    }

    /// The text of `$insert_id`; `None` if it is missing, `null` or empty. A value that is neither a
    /// string nor a number is its JSON.
    pub fn insert_id_text(&self) -> Option<Cow<'e, str>> {
        let json = self.insert_id()?;
        match json.as_str() {
            "null" | "\"\"" => None,
            text => json.string_or_number().or(Some(Cow::Borrowed(text))),
        }
    }

    /// The text of `$mp_event_id`; `None` if it is missing or empty.
    pub fn mp_event_id_text(&self) -> Option<Cow<'e, str>> {
        let id = self.mp_event_id()?.string_or_number();
        id.filter(|id| !id.is_empty())
    }

    /// The ID by which a duplicate of the event is detected (AR-2): `$insert_id`, or else the ID that
    /// the SDKs of phones send instead.
    pub fn dedup_id(&self) -> Option<Cow<'e, str>> {
        self.insert_id_text().or_else(|| self.mp_event_id_text())
    }

    /// The fingerprint by which duplicates of this event, with this own distinct_id, are detected (AR-2).
    /// `None` if it has no ID for that, and so no duplicates. `scratch` is memory to reuse.
    pub fn repeatable(
        &self,
        own: Option<DistinctId<'_>>,
        scratch: &mut Vec<u8>,
    ) -> Option<Repeatable> {
        let insert_id = self.dedup_id()?;
        let own = own.map(|id| id.text());
        let key = DedupKey {
            name: self.name(),
            time_ms: self.time(TimeRange::Year9999).ms(),
            distinct_id: own.as_deref(),
            insert_id: &insert_id,
        };
        Some(Repeatable {
            fingerprint: key.fingerprint(scratch),
            time_ms: key.time_ms.unwrap_or(DedupKey::UNTIMED_MS),
        })
    }

    /// `$mp_event_id` in `$mp_metadata`, which the SDKs of phones send instead of `$insert_id`. The
    /// metadata is a property or a member of the outer object. If it is both, the property counts.
    pub fn mp_event_id(&self) -> Option<RawJson<'e>> {
        let details = &self.details;
        self.json(details.property_event_id.unwrap_or(details.outer_event_id))
    }

    /// The property `$ignore`, by which a sender asks the server to discard the event.
    pub fn ignore(&self) -> Option<RawJson<'e>> {
        self.json(self.details.ignore)
    }

    /// The first limit that the properties exceed, in reading order; but too many properties count
    /// before everything in them. `None` if the event was read without limits.
    pub fn excess(&self) -> Option<Excess> {
        let finder = self.details.finder.as_ref()?;
        if self.details.properties > finder.limits().max_members {
            Some(Excess::TooManyMembers)
        } else {
            finder.found()
        }
    }

    fn json(&self, span: Span) -> Option<RawJson<'e>> {
        (!span.is_empty()).then(|| RawJson::new(&self.event.text[span.start..span.end]))
    }
}

impl<'t> Values<'t> {
    /// Passes the next value, and reads it as an event. `None` if there are no more values.
    ///
    /// Returns each value with its event, or with the reason why it is not an event. `limits` are those of
    /// [`Envelope::excess`].
    ///
    /// ```
    /// use idmerge_events::{ContainerLimits, MalformedEvent, Values};
    ///
    /// let body = r#"[{"event":"A","properties":{}}, 1]"#;
    /// let limits = ContainerLimits { max_members: 254, max_depth: 3 };
    /// let mut values = Values::of_array(body).ok_or("not an array")?;
    ///
    /// let (json, event) = values.next_envelope(limits)?.ok_or("no values")?;
    /// assert_eq!((json.as_str(), event?.name()), (r#"{"event":"A","properties":{}}"#, "A"));
    /// let (json, event) = values.next_envelope(limits)?.ok_or("one value")?;
    /// assert_eq!(json.as_str(), "1");
    /// assert!(matches!(event, Err(MalformedEvent::NotAnObject { .. })));
    /// assert!(values.next_envelope(limits)?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`next_value`](Self::next_value).
    #[expect(clippy::type_complexity, reason = "a value, and what was read of it")]
    pub fn next_envelope(
        &mut self,
        limits: ContainerLimits,
    ) -> Result<Option<(RawJson<'t>, Result<Envelope<'t>, MalformedEvent>)>, NotJson> {
        let Some(rest) = self.advance()? else {
            return Ok(None);
        };
        let mut details = Details {
            finder: Some(ExcessFinder::new(limits)),
            ..Details::default()
        };
        let (bytes, event) = JsonEvent::parse_start(rest, &mut details).ok_or(NotJson)?;
        let envelope = event.map(|event| Envelope { event, details });
        Ok(Some((self.pass(bytes)?, envelope)))
    }
}

/// The properties of an event that are read besides its [`JsonEvent`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Details {
    token: Span,
    time: Span,
    /// `$idmerge_time_ms`
    time_ms: Span,
    /// `mp_processing_time_ms`
    processed: Span,
    insert_id: Span,
    ignore: Span,
    /// The `$mp_event_id` of a `$mp_metadata` next to `properties`.
    outer_event_id: Span,
    /// The `$mp_event_id` of a `$mp_metadata` in `properties`; empty if that has none.
    property_event_id: Option<Span>,
    /// How many properties there are.
    properties: usize,
    finder: Option<ExcessFinder>,
}

/// The keys of `properties` that [`Details`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DetailKey {
    Token,
    Time,
    TimeMs,
    Processed,
    InsertId,
    Ignore,
    Metadata,
}

impl Details {
    /// Details of an event that has this many properties. No span is set yet.
    pub(super) fn of_properties(count: usize) -> Self {
        Self {
            properties: count,
            ..Self::default()
        }
    }

    /// Sets where the value of a key is. That of the metadata is not kept.
    #[inline]
    pub(super) fn set(&mut self, key: DetailKey, value: Span) {
        if let Some(place) = self.place(key) {
            *place = value;
        }
    }

    #[inline(always)]
    fn place(&mut self, key: DetailKey) -> Option<&mut Span> {
        Some(match key {
            DetailKey::Token => &mut self.token,
            DetailKey::Time => &mut self.time,
            DetailKey::TimeMs => &mut self.time_ms,
            DetailKey::Processed => &mut self.processed,
            DetailKey::InsertId => &mut self.insert_id,
            DetailKey::Ignore => &mut self.ignore,
            DetailKey::Metadata => return None,
        })
    }
}

impl DetailKey {
    #[inline(always)]
    pub(super) fn with_text(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"token" => Self::Token,
            b"time" => Self::Time,
            b"$idmerge_time_ms" => Self::TimeMs,
            b"mp_processing_time_ms" => Self::Processed,
            b"$insert_id" => Self::InsertId,
            b"$ignore" => Self::Ignore,
            b"$mp_metadata" => Self::Metadata,
            _ => return None,
        })
    }
}

fn is_key(scanner: &Scanner<'_>, key: Lexeme, text: &[u8]) -> bool {
    with_key_text(scanner, key, |found| found == text)
}

impl Extra for Details {
    #[inline(always)]
    fn outer_value(&mut self, scanner: &mut Scanner<'_>, key: Lexeme) -> Option<Lexeme> {
        if !is_key(scanner, key, b"$mp_metadata") {
            return scanner.value();
        }
        let (past, value, event_id) = metadata(*scanner, &mut None)?;
        *scanner = past;
        self.outer_event_id = event_id;
        Some(value)
    }

    #[inline(always)]
    fn start_properties(&mut self) {
        *self = Self {
            outer_event_id: self.outer_event_id,
            finder: self
                .finder
                .as_ref()
                .map(|finder| ExcessFinder::new(finder.limits())),
            ..Self::default()
        };
    }

    #[inline(always)]
    fn property_value(&mut self, scanner: &mut Scanner<'_>, key: Lexeme) -> Option<Lexeme> {
        self.properties += 1;
        let known = with_key_text(scanner, key, DetailKey::with_text);
        if known == Some(DetailKey::Metadata) {
            let (past, value, event_id) = metadata(*scanner, &mut self.finder)?;
            *scanner = past;
            self.property_event_id = Some(event_id);
            return Some(value);
        }
        let value = observed_value(scanner, &mut self.finder)?;
        if let Some(key) = known {
            self.set(key, value.span);
        }
        Some(value)
    }
}

#[inline(always)]
fn observed_value(scanner: &mut Scanner<'_>, finder: &mut Option<ExcessFinder>) -> Option<Lexeme> {
    match finder {
        Some(finder) => scanner.observed_value(finder),
        None => scanner.value(),
    }
}

/// Passes the value of `$mp_metadata`, and returns it with the `$mp_event_id` in it.
///
/// Takes a copy of the scanner and returns it, as the rarely used methods of [`Scanner`] do.
#[cold]
fn metadata<'t>(
    mut scanner: Scanner<'t>,
    finder: &mut Option<ExcessFinder>,
) -> Option<(Scanner<'t>, Lexeme, Span)> {
    let mut event_id = Span::default();
    if scanner.peek() != b'{' {
        let value = observed_value(&mut scanner, finder)?;
        return Some((scanner, value, event_id));
    }
    let start = scanner.at();
    finder.iter_mut().for_each(ExcessFinder::enter);
    let mut has_more = scanner.has_members()?;
    while has_more {
        let key = scanner.key()?;
        finder.iter_mut().for_each(ExcessFinder::member);
        let value = observed_value(&mut scanner, finder)?;
        if is_key(&scanner, key, b"$mp_event_id") {
            event_id = value.span;
        }
        has_more = scanner.has_more_members()?;
    }
    finder.iter_mut().for_each(ExcessFinder::leave);
    Some((scanner, scanner.since(start), event_id))
}
