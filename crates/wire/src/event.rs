//! An event, as far as the server needs to read it: whose project, when, and whether it is one.
//! What its identity properties mean is for others to read.

use std::borrow::Cow;
use std::fmt;

use idmerge_core::{Event, IdRules};
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::containers;
use crate::{Limits, Time, time_ms};

mod fault;

pub use fault::Fault;

/// One event, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord<'t> {
    /// The JSON text of the whole record.
    pub text: &'t str,
    /// Its name.
    pub name: Cow<'t, str>,
    /// Which project it is for, where it says so.
    pub token: Option<Cow<'t, str>>,
    /// When it happened.
    pub time: Time,
    /// `$insert_id`: what tells it from every other event of this name, time and ID.
    pub insert_id: Option<Cow<'t, str>>,
    /// `$mp_event_id` of `$mp_metadata`, which SDKs of phones send in the place of `$insert_id`.
    pub phone_event_id: Option<Cow<'t, str>>,
    /// Whether it is to be thrown away, by its sender's wish.
    pub is_ignored: bool,
    /// Whether `distinct_id` is there and not `null`. The empty text is: the event is nobody's.
    has_distinct_id: bool,
    /// Whether `$user_id` or `$device_id` is there and neither `null` nor empty.
    has_reserved_id: bool,
    /// The first property of more than the limits allow.
    limit: Option<Fault>,
}

/// What an imported event has to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// Whether what could be kept all the same is refused too: a missing or malformed
    /// `$insert_id`, a time that cannot be, and properties above the limits.
    pub is_strict: bool,
    /// Whether `$user_id` or `$device_id` will do in the place of `distinct_id`, as in Simplified.
    pub waives_distinct_id: bool,
    /// The time of now, in milliseconds since 1970.
    pub now_ms: i64,
}

impl<'t> EventRecord<'t> {
    /// Reads one record, whose text is JSON.
    pub(crate) fn read(text: &'t str, limits: &Limits) -> Result<Self, Fault> {
        let mut name = None;
        let mut properties = None;
        let mut metadata = None;
        members(text, |key, value| match key {
            b"event" => name = Some(value),
            b"properties" => properties = Some(value),
            b"$mp_metadata" => metadata = Some(value),
            _ => {}
        })
        .map_err(|Members::NotAnObject| Fault::NotAnObject)?;
        let name = name.and_then(string).filter(|name| !name.trim().is_empty());

        let mut event = Self {
            text,
            name: name.ok_or(Fault::NoName)?,
            token: None,
            time: Time::Absent,
            insert_id: None,
            phone_event_id: None,
            is_ignored: false,
            has_distinct_id: false,
            has_reserved_id: false,
            limit: None,
        };
        let [mut user_id, mut device_id] = [None; 2];
        let mut count = 0;
        members(properties.unwrap_or(""), |key, value| {
            count += 1;
            match key {
                b"token" => event.token = text_or_number(value),
                b"time" => event.time = time_ms(value),
                b"$insert_id" => event.insert_id = insert_id(value),
                b"$mp_metadata" => metadata = Some(value),
                b"$ignore" => event.is_ignored = !matches!(value, "false" | "null" | "0"),
                b"distinct_id" => event.has_distinct_id = value != "null",
                b"$user_id" => user_id = Some(value),
                b"$device_id" => device_id = Some(value),
                _ => {}
            }
            if value.starts_with(['{', '[']) && event.limit.is_none() {
                event.limit = containers::fault(value, limits);
            }
        })
        .map_err(|Members::NotAnObject| Fault::NoProperties)?;
        if count > limits.members_max {
            let members_max = limits.members_max;
            event.limit = Some(Fault::TooManyMembers { members_max });
        }
        // What is no object has no ID in it.
        let _is_object = members(metadata.unwrap_or(""), |key, value| {
            if key == b"$mp_event_id" {
                event.phone_event_id = text_or_number(value);
            }
        });
        event.has_reserved_id = [user_id, device_id]
            .iter()
            .flatten()
            .any(|value| !matches!(*value, "null" | "\"\""));
        Ok(event)
    }

    /// What tells a resend of it: its `$insert_id`, or what phones send in its place.
    pub fn mark(&self) -> Option<&str> {
        let mark = self.insert_id.as_ref().or(self.phone_event_id.as_ref());
        mark.map(AsRef::as_ref)
    }

    /// Whether it is one of the identity events `$identify`, `$create_alias` and `$merge`.
    pub fn is_identity_event(&self) -> bool {
        Event::named(&self.name).is_identity_event()
    }

    /// What is wrong with it as an imported event. Identity events are sent without a time, a
    /// `distinct_id` and an `$insert_id` by many, so theirs are not looked at.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn check(&self, requirements: &Requirements, limits: &Limits) -> Result<(), Fault> {
        if self.is_identity_event() {
            return Ok(());
        }
        let Time::Ms(ms) = self.time else {
            return Err(Fault::NoTime);
        };
        let is_waived = requirements.waives_distinct_id && self.has_reserved_id;
        if !self.has_distinct_id && !is_waived {
            return Err(Fault::NoDistinctId);
        }
        if !requirements.is_strict {
            return Ok(());
        }
        if ms < limits.time_min_ms {
            return Err(Fault::TimeTooEarly);
        }
        if ms > requirements.now_ms.saturating_add(limits.ahead_max_ms) {
            return Err(Fault::TimeInFuture);
        }
        let Some(insert_id) = &self.insert_id else {
            return Err(Fault::NoInsertId);
        };
        check_insert_id(insert_id, limits.insert_id_bytes_max)?;
        match &self.limit {
            Some(limit) => Err(limit.clone()),
            None => Ok(()),
        }
    }
}

fn check_insert_id(insert_id: &str, insert_id_bytes_max: usize) -> Result<(), Fault> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !insert_id.bytes().all(is_allowed) {
        return Err(Fault::InsertIdForm);
    }
    if insert_id.len() > insert_id_bytes_max {
        return Err(Fault::InsertIdTooLong {
            insert_id_bytes_max,
        });
    }
    let is_blocked = |blocked: &&str| insert_id.eq_ignore_ascii_case(blocked);
    if IdRules::DEFAULT_BLOCKED_VALUES.iter().any(is_blocked) {
        return Err(Fault::InsertIdBlocked);
    }
    Ok(())
}

/// The text of an `$insert_id`. What is no text is kept as it stands, so that it is not missing.
fn insert_id(json: &str) -> Option<Cow<'_, str>> {
    match json {
        "null" | "\"\"" => None,
        _ => text_or_number(json).or(Some(Cow::Borrowed(json))),
    }
}

/// The text of a JSON string or number that is not empty.
pub(crate) fn text_or_number(json: &str) -> Option<Cow<'_, str>> {
    if json.starts_with('"') {
        return string(json).filter(|text| !text.is_empty());
    }
    let is_number = json.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    is_number.then_some(Cow::Borrowed(json))
}

/// The text of a JSON string. `None` where it is something else, or has half a character.
fn string(json: &str) -> Option<Cow<'_, str>> {
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    if text.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(text))
    }
}

/// Why a text has no members.
pub(crate) enum Members {
    NotAnObject,
}

/// Shows each member of an object, in order: the text of its key, and the JSON text of its value.
/// No value is built, so nesting costs no stack.
pub(crate) fn members<'t>(json: &'t str, show: impl FnMut(&[u8], &'t str)) -> Result<(), Members> {
    struct Show<F>(F);

    impl<'t, F: FnMut(&[u8], &'t str)> Visitor<'t> for Show<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'t>>(mut self, mut object: A) -> Result<(), A::Error> {
            while let Some((key, value)) = object.next_entry::<&RawValue, &RawValue>()? {
                let text = string(key.get()).unwrap_or_default();
                (self.0)(text.as_bytes(), value.get());
            }
            Ok(())
        }
    }

    if !json.starts_with('{') {
        return Err(Members::NotAnObject);
    }
    serde_json::Deserializer::from_str(json)
        .deserialize_map(Show(show))
        .map_err(|_| Members::NotAnObject)
}

#[cfg(test)]
mod tests;
