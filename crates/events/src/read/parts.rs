//! The parts of an event that was written, and not scanned.

use std::borrow::Cow;
use std::ops::Range;

use idmerge_core::IdProperty;

use super::event::JsonEvent;
use super::key::Key;
use super::properties::Properties;
use crate::json::Span;

/// The most IDs that are noted.
const IDS_MAX: usize = 2;

/// Where the parts of an event are in its text, noted by the code that wrote it. Nothing else in it is read by
/// the rules, each ID is there once, and no part has escapes. Of the properties that only an
/// [`Envelope`](crate::Envelope) reads, `time` and `$insert_id` are noted.
///
/// ```
/// use idmerge_core::IdProperty;
/// use idmerge_events::{EventParts, JsonEvent};
///
/// let text = r#"{"event":"View","properties":{"$device_id":"D1"}}"#;
/// let parts = EventParts::new(10..14, 29..48).with_id(IdProperty::DeviceId, 43..47);
/// let parts = parts.ok_or("too many IDs")?;
/// assert_eq!(JsonEvent::of_parts(text, &parts), JsonEvent::parse_text(text).ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventParts {
    /// Without the quotation marks.
    name: Span,
    /// From brace to brace.
    properties: Span,
    ids: [Option<(IdProperty, Span)>; IDS_MAX],
    /// `None` if an [`Envelope`](crate::Envelope) reads other properties too.
    pub(super) details: Option<DetailParts>,
}

/// The parts that only an [`Envelope`](crate::Envelope) reads. A span is empty if there is no such property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DetailParts {
    pub(super) time: Span,
    pub(super) insert_id: Span,
}

impl EventParts {
    /// Of an event with this name, without its quotation marks, and these properties, from brace to brace. They
    /// are not empty.
    pub fn new(name: Range<usize>, properties: Range<usize>) -> Self {
        Self {
            name: span(name),
            properties: span(properties),
            ids: [None; IDS_MAX],
            details: Some(DetailParts::default()),
        }
    }

    /// Sets where the value of `time` is.
    #[must_use]
    pub fn with_time(mut self, value: Range<usize>) -> Self {
        if let Some(details) = &mut self.details {
            details.time = span(value);
        }
        self
    }

    /// Sets where the value of `$insert_id` is, with its quotation marks.
    #[must_use]
    pub fn with_insert_id(mut self, value: Range<usize>) -> Self {
        if let Some(details) = &mut self.details {
            details.insert_id = span(value);
        }
        self
    }

    /// Says that the event may have `token`, `$ignore` or another property that an
    /// [`Envelope`](crate::Envelope) reads, so that only a scan gives one.
    #[must_use]
    pub fn without_details(mut self) -> Self {
        self.details = None;
        self
    }

    /// Adds an ID: the value of this property, with its quotation marks. `None` if there are too many.
    #[must_use]
    pub fn with_id(mut self, property: IdProperty, value: Range<usize>) -> Option<Self> {
        let place = self.ids.iter_mut().find(|id| id.is_none())?;
        *place = Some((property, span(value)));
        Some(self)
    }

    /// Sets where the properties end: after their brace.
    #[must_use]
    pub fn with_properties_end(mut self, end: usize) -> Self {
        self.properties.end = end;
        self
    }
}

fn span(range: Range<usize>) -> Span {
    Span {
        start: range.start,
        end: range.end,
    }
}

impl<'e> JsonEvent<'e> {
    /// The event in this text, without a scan of it. The text must be the one that the parts are of: a wrong one
    /// gives an event with wrong values, or `None` if it is obviously another one.
    #[inline]
    pub fn of_parts(text: &'e str, parts: &EventParts) -> Option<Self> {
        let object = parts.properties.text_in(text)?;
        let name = text.get(parts.name.start..parts.name.end)?;
        let mut properties = Properties::default();
        properties.object = object.ends_with('}').then_some(parts.properties)?;
        for (property, value) in parts.ids.iter().flatten() {
            value.text_in(text)?;
            properties.set(Key::Id(*property), *value);
        }
        Some(Self {
            text,
            name: Cow::Borrowed(name),
            properties,
            escaped: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_text_gives_nothing_and_does_not_panic() {
        let text = r#"{"event":"Vïew","properties":{"$device_id":"D1","alias":"x"}}"#;
        let event = JsonEvent::parse_text(text).unwrap();
        let start = text.find("{\"$").unwrap();
        let device = start + 14..start + 18;
        let alias = text.len() - 5..text.len() - 2;
        let parts = EventParts::new(10..15, start..0)
            .with_id(IdProperty::DeviceId, device.clone())
            .and_then(|parts| parts.with_id(IdProperty::Alias, alias.clone()))
            .unwrap();
        assert_eq!(parts.with_id(IdProperty::UserId, alias), None);
        assert_eq!(JsonEvent::of_parts(text, &parts), None);
        let parts = parts.with_properties_end(text.len() - 1);
        assert_eq!(JsonEvent::of_parts(text, &parts), Some(event));
        for end in 0..text.len() {
            if let Some(shorter) = text.get(..end) {
                let _wrong_or_none = JsonEvent::of_parts(shorter, &parts);
            }
        }
        assert_eq!(JsonEvent::of_parts("", &parts), None);
        // Within a character.
        let cut = EventParts::new(10..12, start..text.len() - 1)
            .with_id(IdProperty::DeviceId, device)
            .unwrap();
        assert_eq!(JsonEvent::of_parts(text, &cut), None);
    }
}
