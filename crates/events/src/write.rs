//! From an answer back onto the event: rules W-1 to W-7.

use std::fmt;

use idmerge_core::{
    DEVICE_PREFIX, DistinctId, Id, IdBuffer, IdProperty, Rejection, RuleBook, Value,
};

use crate::json::{Span, is_plain, text_between_quotes};
use crate::read::{JsonEvent, Key};

mod outline;

pub use outline::{Outline, OutlinedEvent};

/// What became of an event.
#[derive(Clone, Copy, Debug)]
pub struct Resolved<'a> {
    /// The rules that were gone by.
    pub rule_book: RuleBook,
    /// The event's own distinct_id. `None`: the event is no user's.
    pub own: Option<DistinctId<'a>>,
    /// The canonical distinct_id of `own`, now.
    pub canonical: Option<DistinctId<'a>>,
    /// Why the event's claim was rejected, if it was.
    pub failure: Option<Failure<'a>>,
}

/// Why a claim was rejected, as it is written onto the event.
#[derive(Clone, Copy)]
pub struct Failure<'a> {
    /// The vendor's code.
    pub reason: &'a str,
    /// What the code says of this claim.
    pub description: &'a (dyn fmt::Display + 'a),
}

impl<'a> From<&'a Rejection<'a>> for Failure<'a> {
    fn from(rejection: &'a Rejection<'a>) -> Self {
        Self {
            reason: rejection.code(),
            description: rejection,
        }
    }
}

impl fmt::Debug for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.description)
    }
}

/// A value that is written, as a JSON string unless it is `true`.
#[derive(Clone, Copy)]
enum NewValue<'a> {
    Id(Id<'a>),
    DistinctId(DistinctId<'a>),
    Text(&'a str),
    Shown(&'a (dyn fmt::Display + 'a)),
    True,
}

/// The most properties that one event gets: W-1, W-2 twice, W-4 twice, W-5.
const MAX_WRITTEN: usize = 6;

/// The properties that an event gets, in the order in which they are added.
#[derive(Default)]
struct Written<'a> {
    places: [Option<(Key, NewValue<'a>)>; MAX_WRITTEN],
    filled: usize,
}

impl<'a> Written<'a> {
    fn set(&mut self, key: Key, value: NewValue<'a>) {
        self.places[self.filled] = Some((key, value));
        self.filled += 1;
    }
}

/// The keys that may be written beside `distinct_id`. Few events have one.
const OTHERS: [Key; 7] = [
    Key::Id(IdProperty::UserId),
    Key::Id(IdProperty::DeviceId),
    Key::BeforeIdentity,
    Key::IsReshuffled,
    Key::IdentityFailureReason,
    Key::FailureReason,
    Key::FailureDescription,
];

/// Where the values of [`OTHERS`] are.
pub(crate) type Others = [Span; OTHERS.len()];

/// Where an answer goes in the text of an event.
#[derive(Clone, Debug)]
pub(crate) struct Places<'p> {
    pub(crate) distinct_id: Span,
    pub(crate) others: Option<&'p Others>,
    /// Of `properties`.
    pub(crate) closing_brace: usize,
    /// Whether `properties` are empty.
    pub(crate) is_empty: bool,
    /// Whether there is no `$user_id` and no `$device_id`, so that one may be filled in (W-5).
    pub(crate) is_nobodys: bool,
}

impl JsonEvent<'_> {
    /// Appends the event to `out` as it came, with the answer written onto it (rules W-1 to W-7).
    /// What is there already as it should be, and everything else, stays byte for byte.
    pub fn write_resolved(&self, resolved: &Resolved<'_>, out: &mut Vec<u8>) {
        let others = self.others();
        let places = Places {
            others: others.as_ref(),
            ..self.places()
        };
        // What is written there as a string, however it is spelled.
        let is_string = places.distinct_id_string(self.text).is_some();
        let distinct_id = match self.id(IdProperty::DistinctId) {
            Value::Text(text) if is_string => Some(text),
            _ => None,
        };
        places.write_resolved(self.text, distinct_id, resolved, out);
    }

    /// Where an answer goes, but for [`others`](Self::others).
    pub(crate) fn places(&self) -> Places<'static> {
        Places {
            distinct_id: self.properties.span(Key::Id(IdProperty::DistinctId)),
            others: None,
            closing_brace: self.properties.object.end - 1,
            is_empty: self.properties.is_empty,
            is_nobodys: self.is_nobodys(),
        }
    }

    /// Where the values of the other keys are, if there are any that may be written.
    pub(crate) fn others(&self) -> Option<Others> {
        let mut others = OTHERS.map(|key| self.properties.span(key));
        if !self.is_nobodys() {
            // Then nothing is filled in.
            let [user_id, device_id, ..] = &mut others;
            *user_id = Span::default();
            *device_id = Span::default();
        }
        let is_any = others.iter().any(|place| !place.is_empty());
        is_any.then_some(others)
    }

    #[inline]
    fn is_nobodys(&self) -> bool {
        self.id(IdProperty::UserId).is_absent() && self.id(IdProperty::DeviceId).is_absent()
    }
}

impl Places<'_> {
    /// Where the value of this key stands, if it is there.
    fn value(&self, key: Key) -> Option<Span> {
        let place = match key {
            Key::Id(IdProperty::DistinctId) => self.distinct_id,
            key => self.others?[OTHERS.iter().position(|&other| other == key)?],
        };
        (!place.is_empty()).then_some(place)
    }

    /// What stands between the quotation marks of `distinct_id`, if it is a string.
    #[inline]
    pub(crate) fn distinct_id_string<'t>(&self, text: &'t str) -> Option<&'t str> {
        let Span { start, end } = self.distinct_id;
        text_between_quotes(text.get(start..end)?)
    }

    /// Appends `text` with the answer. `distinct_id` is the text of the one that is there, if it is
    /// a string.
    pub(crate) fn write_resolved(
        &self,
        text: &str,
        distinct_id: Option<&str>,
        resolved: &Resolved<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut written = Written::default();

        // W-1, W-6, W-7. An empty text has one spelling: written or left, it is the same.
        let is_there = match (distinct_id, resolved.canonical) {
            (Some(there), Some(canonical)) => is_spelled(canonical, there),
            _ => false,
        };
        if !is_there {
            let canonical = resolved
                .canonical
                .map_or(NewValue::Text(""), NewValue::DistinctId);
            written.set(Key::Id(IdProperty::DistinctId), canonical);
        }
        // W-2
        if let Some(id) = resolved.own
            && resolved.own != resolved.canonical
        {
            written.set(Key::BeforeIdentity, NewValue::DistinctId(id));
            written.set(Key::IsReshuffled, NewValue::True);
        }
        match (resolved.rule_book, &resolved.failure) {
            // W-3
            (RuleBook::Simplified, Some(failure)) => {
                written.set(Key::IdentityFailureReason, NewValue::Text(failure.reason));
            }
            // W-4
            (_, Some(failure)) => {
                written.set(Key::FailureReason, NewValue::Text(failure.reason));
                written.set(
                    Key::FailureDescription,
                    NewValue::Shown(failure.description),
                );
            }
            (_, None) => {}
        }
        // W-5
        if resolved.rule_book == RuleBook::Simplified
            && let Some(own) = resolved.own
            && self.is_nobodys
        {
            let id = own.id();
            let (property, value) = if !own.is_device() {
                (IdProperty::UserId, NewValue::Id(id))
            } else if id.text_in(&mut IdBuffer::new()).starts_with(DEVICE_PREFIX) {
                // The mark is written too, so that what is removed when the event is read again
                // is the mark and not a part of the id.
                (IdProperty::DeviceId, NewValue::DistinctId(own))
            } else {
                (IdProperty::DeviceId, NewValue::Id(id))
            };
            written.set(Key::Id(property), value);
        }

        if written.filled == 0 {
            out.extend_from_slice(text.as_bytes());
        } else {
            self.splice(text.as_bytes(), &written, out);
        }
    }

    /// W-6: values that are there are replaced in their place, the others are added at the end of
    /// `properties`.
    fn splice(&self, text: &[u8], written: &Written<'_>, out: &mut Vec<u8>) {
        let mut replaced: [(Span, NewValue<'_>); MAX_WRITTEN] =
            [(Span::default(), NewValue::True); MAX_WRITTEN];
        let mut count = 0;
        let mut added = Written::default();
        for (key, value) in written.places.iter().flatten() {
            match self.value(*key) {
                Some(place) => {
                    replaced[count] = (place, *value);
                    count += 1;
                }
                None => added.set(*key, *value),
            }
        }
        let replaced = &mut replaced[..count];
        replaced.sort_unstable_by_key(|(place, _)| place.start);

        // Of an event that was read all places are in its text, and none is in another.
        let between = |start, end| text.get(start..end).unwrap_or_default();
        let mut copied = 0;
        for (place, value) in replaced {
            out.extend_from_slice(between(copied, place.start));
            value.push(out);
            copied = place.end;
        }
        out.extend_from_slice(between(copied, self.closing_brace));
        let mut comma = !self.is_empty;
        for (key, value) in added.places.iter().flatten() {
            if comma {
                out.push(b',');
            }
            comma = true;
            // No key needs an escape.
            push_marked(&[key.text()], out);
            out.push(b':');
            value.push(out);
        }
        out.extend_from_slice(between(self.closing_brace, text.len()));
    }
}

impl NewValue<'_> {
    fn push(&self, out: &mut Vec<u8>) {
        match self {
            Self::Id(id) => push_string(&[id.text_in(&mut IdBuffer::new())], out),
            Self::DistinctId(id) => {
                let mark = if id.is_device() { DEVICE_PREFIX } else { "" };
                push_string(&[mark, id.id().text_in(&mut IdBuffer::new())], out);
            }
            Self::Text(text) => push_string(&[text], out),
            Self::Shown(text) => push_string(&[&text.to_string()], out),
            Self::True => out.extend_from_slice(b"true"),
        }
    }
}

/// Whether the distinct_id has this text.
fn is_spelled(id: DistinctId<'_>, text: &str) -> bool {
    match text.strip_prefix(DEVICE_PREFIX) {
        Some(rest) if id.is_device() => has_text(id.id(), rest),
        _ => !id.is_device() && has_text(id.id(), text),
    }
}

/// Whether the id has this text. To read a text is much cheaper than to write that of the id.
pub(crate) fn has_text(id: Id<'_>, text: &str) -> bool {
    id.text_bytes() == text.len() && Id::new(text) == Ok(id)
}

/// Writes these parts as one JSON string.
fn push_string(parts: &[&str], out: &mut Vec<u8>) {
    if parts.iter().all(|part| is_plain(part.as_bytes())) {
        push_marked(parts, out);
    } else {
        let written = serde_json::to_writer(out, &parts.concat());
        debug_assert!(written.is_ok(), "memory takes everything");
    }
}

/// Writes these parts between quotation marks, as they are.
fn push_marked(parts: &[&str], out: &mut Vec<u8>) {
    out.push(b'"');
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}
