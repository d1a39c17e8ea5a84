//! Splices properties into the text of an event: rule W-6.

use idmerge_core::{IdProperty, Value};

use super::answer::NewProperties;
use super::edits::{Edit, push_edited};
use super::resolved::Resolved;
use crate::json::{Span, text_between_quotes, visit_members};
use crate::read::{JsonEvent, Key};

/// The keys that an answer may set or remove, other than `distinct_id`. Few events have any of them.
const OTHER_KEYS: [Key; 8] = [
    Key::Id(IdProperty::UserId),
    Key::Id(IdProperty::DeviceId),
    Key::BeforeIdentity,
    Key::IsReshuffled,
    Key::IdentityFailureReason,
    Key::FailureReason,
    Key::FailureDescription,
    Key::PreshuffleDistinctId,
];

/// The most edits of one answer: those of `distinct_id` and of all other keys.
const MAX_EDITS: usize = 1 + OTHER_KEYS.len();

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
    /// Appends the event to `out` with the answer written onto it (rules W-1 to W-7). The properties
    /// of an earlier answer are not carried on (IN-5). Properties that already have the right value,
    /// and everything else in the event, stay byte for byte.
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
        if self.has_repeated_answers()
            && let Some(text) = self.without_repeated_answers()
        {
            // The text has fewer members, and is otherwise the same, so it is an event.
            if let Ok(event) = JsonEvent::parse_text(&text) {
                return event.write_resolved(resolved, out);
            }
        }
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
        if !self.properties.has_answer && !self.lacks_reserved_ids() {
            return None;
        }
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

    /// The text without the properties of an answer that another one of the same key follows. `None`
    /// if there are none. If only the last one were removed, the one before it would count (IN-2).
    #[cold]
    fn without_repeated_answers(&self) -> Option<String> {
        let Span { start, end } = self.properties.object;
        let object = &self.text[start..end];
        let mut edits = Vec::new();
        visit_members(object, |key, value| {
            let Some(key) = Key::with_text(key).filter(|key| key.is_answer()) else {
                return;
            };
            let value = value.as_str();
            let value_start = start + value.as_ptr().addr() - object.as_ptr().addr();
            let span = Span {
                start: value_start,
                end: value_start + value.len(),
            };
            if span != self.properties.span(key) {
                edits.push((span, Edit::Remove));
            }
        })?;
        if edits.is_empty() {
            return None;
        }
        let (text, added) = (self.text.as_bytes(), NewProperties::default());
        let mut cleaned = Vec::with_capacity(text.len());
        push_edited(text, &edits, &added, end - 1, false, &mut cleaned);
        String::from_utf8(cleaned).ok()
    }

    /// Whether a key occurs twice, and the event has a property of an answer.
    #[inline]
    pub(super) fn has_repeated_answers(&self) -> bool {
        self.properties.has_repeats && self.properties.has_answer
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
        if properties.is_empty() && self.others.is_none() {
            out.extend_from_slice(text.as_bytes());
        } else {
            self.splice(text.as_bytes(), &properties, out);
        }
    }

    /// W-6: properties that the event has are replaced in place, and the others are added at the end
    /// of `properties`. IN-5: what is left of an earlier answer is removed.
    fn splice(&self, text: &[u8], properties: &NewProperties<'_>, out: &mut Vec<u8>) {
        let mut edits = [(Span::default(), Edit::Remove); MAX_EDITS];
        let mut count = 0;
        let mut edit = |span, edit| {
            edits[count] = (span, edit);
            count += 1;
        };
        let mut added = NewProperties::default();
        for (key, value) in properties.iter() {
            match self.value(*key) {
                Some(span) => edit(span, Edit::Replace(*value)),
                None => added.set(*key, *value),
            }
        }
        if self.others.is_some() {
            for key in OTHER_KEYS.into_iter().filter(|key| key.is_answer()) {
                if let Some(span) = self.value(key)
                    && properties.iter().all(|(set, _)| *set != key)
                {
                    edit(span, Edit::Remove);
                }
            }
        }
        let edits = &mut edits[..count];
        edits.sort_unstable_by_key(|(span, _)| span.start);
        push_edited(text, edits, &added, self.closing_brace, self.is_empty, out);
    }
}
