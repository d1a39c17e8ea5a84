//! [`EventShapes`]: reads the events of a stream.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::envelope::{DetailKey, Details, Envelope};
use super::event::JsonEvent;
use super::key::Key;
use crate::MalformedEvent;
use crate::json::{ReadJson as _, ShapedReader, Shapes, text_between_quotes};

/// Reads the events of a stream. An event that differs from an earlier one in its values only is not scanned: the text
/// between its values is compared, and its values are passed.
///
/// ```
/// use idmerge_events::{EventShapes, JsonEvent};
///
/// let mut shapes = EventShapes::default();
/// for device in ["D1", "D2"] {
///     let line = format!(r#"{{"event":"View","properties":{{"$device_id":"{device}"}}}}"#);
///     assert_eq!(shapes.parse_text(&line)?, JsonEvent::parse_text(&line)?);
/// }
/// # Ok::<(), idmerge_events::MalformedEvent>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventShapes(Shapes<OnceCell<Option<Plan>>>);

/// What all events of a shape have in common. Values have the numbers that their [`ShapedReader`] gives them.
#[derive(Clone, Debug, Default)]
struct Plan {
    name: usize,
    /// The object `properties`.
    properties: usize,
    is_empty: bool,
    has_repeats: bool,
    has_answer: bool,
    values: Vec<(Key, usize)>,
    /// `None` if only a scan finds them.
    details: Option<DetailsPlan>,
}

#[derive(Clone, Debug, Default)]
struct DetailsPlan {
    values: Vec<(DetailKey, usize)>,
    properties: usize,
}

impl EventShapes {
    /// Reads an event as [`JsonEvent::parse_text`] does.
    ///
    /// # Errors
    ///
    /// As [`JsonEvent::parse_text`].
    pub fn parse_text<'e>(&mut self, text: &'e str) -> Result<JsonEvent<'e>, MalformedEvent> {
        if let Some((reader, plan)) = self.known(text)
            && let Some(event) = plan.event(text, &reader)
        {
            return Ok(event);
        }
        JsonEvent::parse_text(text)
    }

    /// Reads an event as [`Envelope::parse_text`] does.
    ///
    /// # Errors
    ///
    /// As [`Envelope::parse_text`].
    pub fn parse_envelope<'e>(&mut self, text: &'e str) -> Result<Envelope<'e>, MalformedEvent> {
        if let Some((reader, plan)) = self.known(text)
            && let Some(details) = plan.details(&reader)
            && let Some(event) = plan.event(text, &reader)
        {
            return Ok(Envelope::new(event, details));
        }
        Envelope::parse_text(text)
    }

    /// The reader of a text whose shape is known, and the plan of the shape. If it is not known, it is learned. `None` also
    /// for texts that must be scanned.
    #[inline]
    fn known<'s, 't: 's>(&'s mut self, text: &'t str) -> Option<(Reader<'t, 's>, &'s Plan)> {
        let reader = self.0.read_or_learn(text)?;
        let plan = reader.notes().get_or_init(|| Plan::of(reader)).as_ref()?;
        Some((reader, plan))
    }
}

type Reader<'t, 's> = ShapedReader<'t, 's, OnceCell<Option<Plan>>>;

impl Plan {
    /// The plan for all texts of this shape. `None` if they are no events, or have several objects `properties`.
    fn of(mut reader: Reader<'_, '_>) -> Option<Self> {
        let (mut plan, mut name, mut properties) = (Self::default(), None, None);
        let mut details = Some(DetailsPlan::default());
        reader.members(|reader, key| {
            match key.plain()? {
                b"event" => {
                    let is_scalar = !reader.is_at_object() && !reader.is_at_array();
                    name = is_scalar.then(|| reader.number());
                    reader.skip();
                }
                b"properties" => {
                    if properties.replace(reader.number()).is_some() {
                        return None;
                    }
                    plan.is_empty = true;
                    reader.members(|reader, key| {
                        plan.property(key.plain()?, reader.number(), &mut details);
                        reader.skip();
                        Some(())
                    })?;
                }
                other => {
                    if DetailKey::with_text(other) == Some(DetailKey::Metadata) {
                        details = None;
                    }
                    reader.skip();
                }
            }
            Some(())
        })?;
        (plan.name, plan.properties) = (name?, properties?);
        plan.details = details;
        Some(plan)
    }

    /// Adds a property. IN-2: a later one takes the place of an earlier one.
    fn property(&mut self, key: &[u8], number: usize, details: &mut Option<DetailsPlan>) {
        self.is_empty = false;
        if let Some(key) = Key::with_text(key) {
            let before = self.values.len();
            self.values.retain(|(other, _)| *other != key);
            self.has_repeats |= self.values.len() < before;
            self.has_answer |= key.is_answer();
            self.values.push((key, number));
        }
        let Some(plan) = details else {
            return;
        };
        plan.properties += 1;
        match DetailKey::with_text(key) {
            None => {}
            Some(DetailKey::Metadata) => *details = None,
            Some(key) => plan.values.push((key, number)),
        }
    }

    /// The event in this text. `None` if its name is no string, or if its name or an ID has escapes.
    #[inline]
    fn event<'t>(&self, text: &'t str, reader: &Reader<'t, '_>) -> Option<JsonEvent<'t>> {
        if reader.has_escapes() && self.is_escaped(reader) {
            return None;
        }
        let name = reader.span_of(self.name)?;
        let mut event = JsonEvent::unread(text);
        event.name = Cow::Borrowed(text_between_quotes(text.get(name.start..name.end)?)?);
        let properties = &mut event.properties;
        properties.object = reader.span_of(self.properties)?;
        properties.is_empty = self.is_empty;
        properties.has_repeats = self.has_repeats;
        properties.has_answer = self.has_answer;
        for (key, number) in &self.values {
            properties.set(*key, reader.span_of(*number)?);
        }
        Some(event)
    }

    /// Whether a value that the rules read has escapes: its text is not in the event then.
    fn is_escaped(&self, reader: &Reader<'_, '_>) -> bool {
        let values = self.values.iter().map(|(_, number)| *number);
        let mut values = values
            .chain([self.name])
            .filter_map(|number| reader.value_at(number));
        values.any(|value| value.as_str().contains('\\'))
    }

    fn details(&self, reader: &Reader<'_, '_>) -> Option<Details> {
        let plan = self.details.as_ref()?;
        let mut details = Details::of_properties(plan.properties);
        for (key, number) in &plan.values {
            details.set(*key, reader.span_of(*number)?);
        }
        Some(details)
    }
}

#[cfg(test)]
mod tests;
