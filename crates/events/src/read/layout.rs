//! The result of a scan of an event, without the text.

use std::borrow::Cow;

use super::event::{EscapedId, JsonEvent};
use super::properties::Properties;
use crate::json::Span;

/// The result of a scan of an event. It does not borrow the text.
///
/// A batch of events and its text can then be handed to another owner, and
/// [`of_text`](Self::of_text) gives the event back without a second scan.
///
/// ```
/// use idmerge_events::JsonEvent;
///
/// let text = r#"{"event":"View","properties":{"$device_id":"D1"}}"#.to_owned();
/// let layout = JsonEvent::parse_text(&text)?.into_layout();
///
/// let moved = text;
/// let event = layout.of_text(&moved).ok_or("another text")?;
/// assert_eq!(event, JsonEvent::parse_text(&moved)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLayout {
    text_bytes: usize,
    name: Name,
    properties: Properties,
    escaped: Vec<EscapedId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    InText(Span),
    /// Its JSON text has escapes.
    Escaped(Box<str>),
}

impl JsonEvent<'_> {
    /// Releases the text, and keeps the result of the scan.
    pub fn into_layout(self) -> EventLayout {
        EventLayout {
            text_bytes: self.text.len(),
            name: match self.name {
                Cow::Borrowed(name) => Name::InText(span_of(name, self.text)),
                Cow::Owned(name) => Name::Escaped(name.into_boxed_str()),
            },
            properties: self.properties,
            escaped: self.escaped,
        }
    }
}

/// The position of a part of a text. That of an empty part does not matter.
fn span_of(part: &str, text: &str) -> Span {
    let start = part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    let start = start.min(text.len());
    Span {
        start,
        end: start.saturating_add(part.len()).min(text.len()),
    }
}

impl EventLayout {
    /// The event in this text, which must be the one that was scanned. `None` if the text is
    /// obviously another one; a different text with the same layout cannot be told apart, and gives
    /// an event with the wrong values.
    pub fn of_text<'t>(&self, text: &'t str) -> Option<JsonEvent<'t>> {
        if text.len() != self.text_bytes || !self.properties.is_within(text) {
            return None;
        }
        Some(JsonEvent {
            text,
            name: match &self.name {
                Name::InText(span) => Cow::Borrowed(text.get(span.start..span.end)?),
                Name::Escaped(name) => Cow::Owned(name.to_string()),
            },
            properties: self.properties.clone(),
            escaped: self.escaped.clone(),
        })
    }
}
