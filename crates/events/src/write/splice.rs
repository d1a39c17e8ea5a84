//! Splices properties into the text of an event: rule W-6.

use idmerge_core::{IdProperty, Value};

use super::answer::{MAX_NEW_PROPERTIES, NewProperties};
use super::resolved::Resolved;
use super::value::{NewValue, push_key};
use crate::json::{Span, text_between_quotes};
use crate::read::{JsonEvent, Key};

/// The keys that an answer may set, other than `distinct_id`. Few events have any of them.
const OTHER_KEYS: [Key; 7] = [
    Key::Id(IdProperty::UserId),
    Key::Id(IdProperty::DeviceId),
    Key::BeforeIdentity,
    Key::IsReshuffled,
    Key::IdentityFailureReason,
    Key::FailureReason,
    Key::FailureDescription,
];

/// The values of [`OTHER_KEYS`].
pub(super) type OtherSpans = [Span; OTHER_KEYS.len()];

/// The positions in the text of an event at which an answer is written.
#[derive(Clone, Debug)]
pub(super) struct SplicePoints<'p> {
    pub(super) distinct_id: Span,
    pub(super) others: Option<&'p OtherSpans>,
    /// The closing brace of `properties`.
    pub(super) closing_brace: usize,
    /// Whether `properties` are empty.
    pub(super) is_empty: bool,
    /// Whether the event has no `$user_id` and no `$device_id`, so that one may be set (W-5).
    pub(super) lacks_reserved_ids: bool,
}

impl JsonEvent<'_> {
    /// Appends the event to `out` with the answer written onto it (rules W-1 to W-7). Properties
    /// that already have the right value, and everything else in the event, stay byte for byte.
    ///
    /// ```
    /// use idmerge_core::{DistinctId, Id, RuleBook};
    /// use idmerge_events::{JsonEvent, Resolved};
    ///
    /// let event = JsonEvent::parse(br#"{"event":"View", "properties":{"$user_id":"U1"}}"#)?;
    /// let user = Some(DistinctId::plain(Id::new("U1")?));
    /// let mut line = Vec::new();
    /// event.write_resolved(
    ///     &Resolved { rule_book: RuleBook::Simplified, own: user, canonical: user, failure: None },
    ///     &mut line,
    /// );
    /// assert_eq!(line, br#"{"event":"View", "properties":{"$user_id":"U1","distinct_id":"U1"}}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_resolved(&self, resolved: &Resolved<'_>, out: &mut Vec<u8>) {
        let others = self.other_spans();
        let points = SplicePoints {
            others: others.as_ref(),
            ..self.splice_points()
        };
        // A number is replaced by a string, also if it has the same text.
        let is_string = points.distinct_id_string(self.text).is_some();
        let distinct_id = match self.id(IdProperty::DistinctId) {
            Value::Text(text) if is_string => Some(text),
            _ => None,
        };
        points.write_resolved(self.text, distinct_id, resolved, out);
    }

    /// The points at which an answer is written, without [`other_spans`](Self::other_spans).
    pub(super) fn splice_points(&self) -> SplicePoints<'static> {
        SplicePoints {
            distinct_id: self.properties.span(Key::Id(IdProperty::DistinctId)),
            others: None,
            closing_brace: self.properties.object.end - 1,
            is_empty: self.properties.is_empty,
            lacks_reserved_ids: self.lacks_reserved_ids(),
        }
    }

    /// The values of the other keys. `None` if the event has none that an answer may set.
    pub(super) fn other_spans(&self) -> Option<OtherSpans> {
        let mut others = OTHER_KEYS.map(|key| self.properties.span(key));
        if !self.lacks_reserved_ids() {
            // W-5 does not apply, so these two stay.
            let [user_id, device_id, ..] = &mut others;
            *user_id = Span::default();
            *device_id = Span::default();
        }
        let has_any = others.iter().any(|span| !span.is_empty());
        has_any.then_some(others)
    }

    #[inline]
    fn lacks_reserved_ids(&self) -> bool {
        self.id(IdProperty::UserId).is_absent() && self.id(IdProperty::DeviceId).is_absent()
    }
}

impl SplicePoints<'_> {
    /// The position of the value of this key, if the event has the key.
    fn value(&self, key: Key) -> Option<Span> {
        let span = match key {
            Key::Id(IdProperty::DistinctId) => self.distinct_id,
            key => self.others?[OTHER_KEYS.iter().position(|&other| other == key)?],
        };
        (!span.is_empty()).then_some(span)
    }

    /// What is between the quotation marks of `distinct_id`, if it is a string.
    #[inline]
    pub(super) fn distinct_id_string<'t>(&self, text: &'t str) -> Option<&'t str> {
        let Span { start, end } = self.distinct_id;
        text_between_quotes(text.get(start..end)?)
    }

    /// Appends `text` with the answer. `distinct_id` is the text of the event's property, if that is
    /// a string.
    pub(super) fn write_resolved(
        &self,
        text: &str,
        distinct_id: Option<&str>,
        resolved: &Resolved<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut properties = NewProperties::default();
        properties.set_answer(resolved, distinct_id, self.lacks_reserved_ids);
        if properties.is_empty() {
            out.extend_from_slice(text.as_bytes());
        } else {
            self.splice(text.as_bytes(), &properties, out);
        }
    }

    /// W-6: properties that the event has are replaced in place, and the others are added at the end
    /// of `properties`.
    fn splice(&self, text: &[u8], properties: &NewProperties<'_>, out: &mut Vec<u8>) {
        let mut replaced: [(Span, NewValue<'_>); MAX_NEW_PROPERTIES] =
            [(Span::default(), NewValue::True); MAX_NEW_PROPERTIES];
        let mut count = 0;
        let mut added = NewProperties::default();
        for (key, value) in properties.iter() {
            match self.value(*key) {
                Some(span) => {
                    replaced[count] = (span, *value);
                    count += 1;
                }
                None => added.set(*key, *value),
            }
        }
        let replaced = &mut replaced[..count];
        replaced.sort_unstable_by_key(|(span, _)| span.start);

        // The spans of a scanned event are in its text and do not overlap. Those of an outline with
        // the wrong text may not be, and must not panic.
        let between = |start, end| text.get(start..end).unwrap_or_default();
        let mut copied = 0;
        for (span, value) in replaced {
            out.extend_from_slice(between(copied, span.start));
            value.push(out);
            copied = span.end;
        }
        out.extend_from_slice(between(copied, self.closing_brace));
        let mut needs_comma = !self.is_empty;
        for (key, value) in added.iter() {
            if needs_comma {
                out.push(b',');
            }
            needs_comma = true;
            push_key(key.text(), out);
            value.push(out);
        }
        out.extend_from_slice(between(self.closing_brace, text.len()));
    }
}
