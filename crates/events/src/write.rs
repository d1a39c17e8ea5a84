//! From an answer back onto the event: rules W-1 to W-7.

use std::fmt;
use std::ops::Range;

use idmerge_core::{
    DEVICE_PREFIX, DistinctId, Id, IdBuffer, IdProperty, Rejection, RuleBook, Value,
};

use crate::JsonEvent;
use crate::key::Key;
use crate::special::is_plain;

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

impl JsonEvent<'_> {
    /// Appends the event to `out` as it came, with the answer written onto it (rules W-1 to W-7).
    /// What is there already as it should be, and everything else, stays byte for byte.
    pub fn write_resolved(&self, resolved: &Resolved<'_>, out: &mut Vec<u8>) {
        let mut written = Written::default();

        // W-1, W-7
        if !self.has_distinct_id(resolved.canonical) {
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
            (RuleBook::Original, Some(failure)) => {
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
            && self.id(IdProperty::UserId).is_absent()
            && self.id(IdProperty::DeviceId).is_absent()
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
            out.extend_from_slice(self.text.as_bytes());
        } else {
            self.splice(&written, out);
        }
    }

    /// W-6: whether the right text stands there as a string already, however it is spelled.
    fn has_distinct_id(&self, canonical: Option<DistinctId<'_>>) -> bool {
        let key = Key::Id(IdProperty::DistinctId);
        let is_string = self
            .properties
            .value(key)
            .is_some_and(|json| json.starts_with('"'));
        match (self.id(IdProperty::DistinctId), canonical) {
            (Value::Text(text), Some(id)) => is_string && id == *text,
            // An empty text has one spelling: written or left, it is the same.
            _ => false,
        }
    }

    /// W-6: values that are there are replaced in their place, the others are added at the end of
    /// `properties`.
    fn splice(&self, written: &Written<'_>, out: &mut Vec<u8>) {
        let mut replaced: [Option<(Range<usize>, NewValue<'_>)>; MAX_WRITTEN] = Default::default();
        let mut count = 0;
        let mut added = Written::default();
        for (key, value) in written.places.iter().flatten() {
            match self.properties.value(*key) {
                Some(json) => {
                    replaced[count] = Some((self.place_of(json), *value));
                    count += 1;
                }
                None => added.set(*key, *value),
            }
        }
        let replaced = &mut replaced[..count];
        replaced.sort_unstable_by_key(|place| place.as_ref().map(|(range, _)| range.start));

        let text = self.text.as_bytes();
        let mut copied = 0;
        for (range, value) in replaced.iter().flatten() {
            out.extend_from_slice(&text[copied..range.start]);
            value.push(out);
            copied = range.end;
        }
        let closing_brace = self.place_of(self.properties.json).end - 1;
        out.extend_from_slice(&text[copied..closing_brace]);
        let mut comma = !self.properties.is_empty;
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
        out.extend_from_slice(&text[closing_brace..]);
    }

    /// Where a part of the event's text stands in it.
    fn place_of(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        start..start + part.len()
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
