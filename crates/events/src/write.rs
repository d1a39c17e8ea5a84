//! From an answer back onto the event: rules W-1 to W-7.

use std::fmt;
use std::ops::Range;

use idmerge_core::{DEVICE_PREFIX, DistinctId, IdProperty, Rejection, RuleBook, Value};
use serde::{Serialize, Serializer};

use crate::JsonEvent;
use crate::key::Key;

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
    Text(&'a (dyn fmt::Display + 'a)),
    True,
}

impl Serialize for NewValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.collect_str(text),
            Self::True => serializer.serialize_bool(true),
        }
    }
}

/// The most properties that one event gets: W-1, W-2 twice, W-4 twice, W-5.
const MAX_WRITTEN: usize = 6;

/// The properties that an event gets, in the order in which they are added.
#[derive(Default)]
struct Written<'a>([Option<(Key, NewValue<'a>)>; MAX_WRITTEN]);

impl<'a> Written<'a> {
    fn set(&mut self, key: Key, value: NewValue<'a>) {
        let free = self.0.iter_mut().find(|place| place.is_none());
        debug_assert!(free.is_some(), "MAX_WRITTEN counts them all");
        if let Some(place) = free {
            *place = Some((key, value));
        }
    }
}

impl JsonEvent<'_> {
    /// Appends the event to `out` as it came, with the answer written onto it (rules W-1 to W-7).
    /// What is there already as it should be, and everything else, stays byte for byte.
    pub fn write_resolved(&self, resolved: &Resolved<'_>, out: &mut Vec<u8>) {
        let event = self.event();
        let user_or_device = resolved.own.map(|own| own.id());

        let mut written = Written::default();

        // W-1, W-7
        let canonical: &dyn fmt::Display = match &resolved.canonical {
            Some(id) => id,
            None => &"",
        };
        if !self.has_distinct_id(resolved.canonical) {
            written.set(Key::Id(IdProperty::DistinctId), NewValue::Text(canonical));
        }
        // W-2
        if let Some(id) = &resolved.own
            && resolved.own != resolved.canonical
        {
            written.set(Key::BeforeIdentity, NewValue::Text(id));
            written.set(Key::IsReshuffled, NewValue::True);
        }
        match (resolved.rule_book, &resolved.failure) {
            // W-3
            (RuleBook::Simplified, Some(failure)) => {
                written.set(Key::IdentityFailureReason, NewValue::Text(&failure.reason));
            }
            // W-4
            (RuleBook::Original, Some(failure)) => {
                written.set(Key::FailureReason, NewValue::Text(&failure.reason));
                written.set(Key::FailureDescription, NewValue::Text(failure.description));
            }
            (_, None) => {}
        }
        // W-5
        if resolved.rule_book == RuleBook::Simplified
            && event.user_id.is_absent()
            && event.device_id.is_absent()
            && let (Some(own), Some(id)) = (&resolved.own, &user_or_device)
        {
            let (property, text): (_, &dyn fmt::Display) = if !own.is_device() {
                (IdProperty::UserId, id)
            } else if id.text().starts_with(DEVICE_PREFIX) {
                // The mark is written too, so that what is removed when the event is read again
                // is the mark and not a part of the id.
                (IdProperty::DeviceId, own)
            } else {
                (IdProperty::DeviceId, id)
            };
            written.set(Key::Id(property), NewValue::Text(text));
        }

        self.splice(written, out);
    }

    /// W-6: whether the right text stands there as a string already, however it is spelled.
    fn has_distinct_id(&self, canonical: Option<DistinctId<'_>>) -> bool {
        let key = Key::Id(IdProperty::DistinctId);
        let is_string = self
            .properties
            .value(key)
            .is_some_and(|json| json.starts_with('"'));
        match (self.event().distinct_id, canonical) {
            (Value::Text(text), Some(id)) => is_string && id == *text,
            // An empty text has one spelling: written or left, it is the same.
            _ => false,
        }
    }

    /// W-6: values that are there are replaced in their place, the others are added at the end of
    /// `properties`.
    fn splice(&self, written: Written<'_>, out: &mut Vec<u8>) {
        let mut replaced: [Option<(Range<usize>, NewValue<'_>)>; MAX_WRITTEN] = Default::default();
        let mut added = Written::default();
        for (at, (key, value)) in written.0.into_iter().flatten().enumerate() {
            match self.properties.value(key) {
                Some(json) => replaced[at] = Some((self.place_of(json), value)),
                None => added.set(key, value),
            }
        }
        replaced.sort_unstable_by_key(|place| place.as_ref().map(|(range, _)| range.start));

        let text = self.text.as_bytes();
        let mut copied = 0;
        for (range, value) in replaced.into_iter().flatten() {
            out.extend_from_slice(&text[copied..range.start]);
            push_json(out, &value);
            copied = range.end;
        }
        let closing_brace = self.place_of(self.properties.json).end - 1;
        out.extend_from_slice(&text[copied..closing_brace]);
        let mut comma = !self.properties.is_empty;
        for (key, value) in added.0.into_iter().flatten() {
            if comma {
                out.push(b',');
            }
            comma = true;
            push_json(out, key.text());
            out.push(b':');
            push_json(out, &value);
        }
        out.extend_from_slice(&text[closing_brace..]);
    }

    /// Where a part of the event's text stands in it.
    fn place_of(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        start..start + part.len()
    }
}

fn push_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "memory takes everything");
}
