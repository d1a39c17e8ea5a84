//! Reads the parts of an event that a server needs: name, token, time and `$insert_id`.
//!
//! The rules of ID Merge interpret its identity properties later; here they only have to be present.

use std::borrow::Cow;

use idmerge_core::{Event, IdProperty, IdRules, InvalidEvent};
use idmerge_events::{
    Envelope, EventLayout, Excess, JsonEvent, MalformedEvent, RawJson, Time, TimeRange, Values,
};

use crate::limits::Limits;
use crate::records::fault::Fault;
use crate::records::lost::LostText;
use crate::request::utf8::DecodedText;

/// An event, with the parts that a server needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord<'t> {
    /// The JSON text of the whole record.
    pub text: &'t str,
    /// The name: the value of `event`.
    pub name: Cow<'t, str>,
    /// The token of its project, if there is one.
    pub token: Option<Cow<'t, str>>,
    /// The value of `time`.
    pub time: Time,
    /// `$insert_id`, which distinguishes it from other events with the same name, time and ID.
    pub insert_id: Option<Cow<'t, str>>,
    /// `$mp_event_id` of `$mp_metadata`, which mobile SDKs send instead of `$insert_id`.
    pub mp_event_id: Option<Cow<'t, str>>,
    /// Whether to drop the event: `$ignore` is set.
    pub is_ignored: bool,
    /// Whether it comes from an export: it has `mp_processing_time_ms` (AR-4).
    pub is_exported: bool,
    /// Whether `distinct_id` is present and not `null`. The empty text counts: such an event belongs
    /// to no user.
    has_distinct_id: bool,
    /// Whether `$user_id` or `$device_id` is present, and neither `null` nor empty.
    has_reserved_id: bool,
    /// The first limit that the properties exceed.
    limit: Option<Fault>,
    /// The parts that bytes outside of UTF-8 have damaged. Boxed, because there are rarely any.
    lost: Option<Box<LostText>>,
    event: JsonEvent<'t>,
}

/// The requirements on an imported event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// Whether to refuse also what could be stored: an event with a missing or malformed
    /// `$insert_id`, with a time out of range, or with properties above the limits.
    pub is_strict: bool,
    /// Whether `$user_id` or `$device_id` can replace `distinct_id`, as in Simplified.
    pub waives_distinct_id: bool,
    /// The time now, in milliseconds since 1970.
    pub now_ms: i64,
}

impl<'t> EventRecord<'t> {
    /// Reads an event from its JSON and the result of its scan.
    pub(crate) fn new(
        json: RawJson<'t>,
        envelope: Result<Envelope<'t>, MalformedEvent>,
        whole: &DecodedText<'_>,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        let is_blank = |name: &str| name.trim().is_empty();
        let envelope = envelope.map_err(|error| match error {
            MalformedEvent::NotAnObject { .. } => Fault::NotAnObject,
            MalformedEvent::NoProperties { name, .. } if !is_blank(&name) => Fault::NoProperties,
            // The scan has found that the record is valid JSON, so the error is in the name.
            _ => no_name(json),
        })?;
        if is_blank(envelope.name()) {
            return Err(no_name(json));
        }
        let id = |property| envelope.json_event().property(property);
        let has_id =
            |property| id(property).is_some_and(|json| !matches!(json.as_str(), "null" | "\"\""));
        let is_off = |json: RawJson<'_>| matches!(json.as_str(), "false" | "null" | "0");
        Ok(Self {
            text: envelope.text(),
            name: envelope.to_name(),
            token: envelope.token().and_then(RawJson::string_or_number),
            time: envelope.time(TimeRange::Year9999),
            insert_id: envelope.insert_id_text(),
            mp_event_id: envelope.mp_event_id_text(),
            is_exported: envelope.is_exported(),
            is_ignored: envelope.ignore().is_some_and(|json| !is_off(json)),
            has_distinct_id: id(IdProperty::DistinctId).is_some_and(|json| !json.is_null()),
            has_reserved_id: has_id(IdProperty::UserId) || has_id(IdProperty::DeviceId),
            limit: envelope.excess().map(|excess| match excess {
                Excess::TooDeep => Fault::TooDeep {
                    max_depth: limits.max_depth,
                },
                _ => Fault::TooManyMembers {
                    max_members: limits.max_members,
                },
            }),
            lost: whole
                .has_lost(envelope.text())
                .then(|| Box::new(LostText::read(envelope.json_event(), whole))),
            event: envelope.into_json_event(),
        })
    }

    /// Reads the event that a text holds, as `/import` reads a record of a request.
    ///
    /// # Errors
    ///
    /// [`Fault`] if the text is not an event, or is too long.
    pub fn of_text(text: &'t str, limits: &Limits) -> Result<Self, Fault> {
        Self::in_text(text, &DecodedText::of_text(text), limits)
    }

    /// Reads the event that a part of a whole text holds.
    pub(crate) fn in_text(
        text: &'t str,
        whole: &DecodedText<'_>,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        if text.len() > limits.max_record_bytes {
            return Err(Fault::TooLarge {
                max_record_bytes: limits.max_record_bytes,
            });
        }
        let mut values = Values::in_row(text);
        match values.next_envelope(limits.of_containers()) {
            Ok(Some((json, envelope))) => Self::new(json, envelope, whole, limits),
            _ => Err(Fault::NotAnObject),
        }
    }

    /// The part of the event that the rules of ID Merge read.
    pub fn json_event(&self) -> &JsonEvent<'t> {
        &self.event
    }

    /// The positions that the scan found, so that the project that stores the event need not scan it
    /// again.
    pub fn into_layout(self) -> EventLayout {
        self.event.into_layout()
    }

    /// The ID by which a duplicate of the event is detected: `$insert_id`, or else the ID that mobile
    /// SDKs send instead.
    pub fn dedup_id(&self) -> Option<&str> {
        let id = self.insert_id.as_ref().or(self.mp_event_id.as_ref());
        id.map(AsRef::as_ref)
    }

    /// Whether it is an identity event: `$identify`, `$create_alias` or `$merge`.
    pub fn is_identity_event(&self) -> bool {
        Event::named(&self.name).is_identity_event()
    }

    /// Checks that each ID that the rules read is text (IN-8, ID-3). `read` reads an event by the rules
    /// of the event's project.
    ///
    /// # Errors
    ///
    /// [`Fault::NotUtf8`] if `read` reads an ID with bytes that are not UTF-8.
    pub fn check_ids(
        &self,
        read: impl FnOnce(&Event<'_>) -> Result<(), InvalidEvent>,
    ) -> Result<(), Fault> {
        let Some(lost) = self.lost.as_ref().filter(|lost| !lost.ids.is_empty()) else {
            return Ok(());
        };
        match read(&lost.without_lost_ids(&self.event)) {
            // Other errors are found, and reported, by the project.
            Err(invalid) if lost.ids.contains(&invalid.property()) => Err(Fault::NotUtf8 {
                field: format!("properties.{}", invalid.property()),
            }),
            _ => Ok(()),
        }
    }

    /// Checks the requirements on an imported event. Identity events only have to be UTF-8 (IN-7): many
    /// clients send them without `time`, `distinct_id` and `$insert_id`.
    ///
    /// An event from an export was stored by a server, maybe without strict checks, and has properties
    /// that the export added. So only its `$insert_id` has to be there (AR-4).
    ///
    /// # Errors
    ///
    /// The first [`Fault`] found.
    pub fn check(&self, requirements: &Requirements, limits: &Limits) -> Result<(), Fault> {
        if let Some(lost) = &self.lost {
            return Err(Fault::NotUtf8 {
                field: lost.field.clone(),
            });
        }
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
        if self.is_exported {
            return match &self.insert_id {
                Some(_) => Ok(()),
                None => Err(Fault::NoInsertId),
            };
        }
        if ms < limits.min_time_ms {
            return Err(Fault::TimeTooEarly);
        }
        if ms > requirements.now_ms.saturating_add(limits.max_ahead_ms) {
            return Err(Fault::TimeInFuture);
        }
        let Some(insert_id) = &self.insert_id else {
            return Err(Fault::NoInsertId);
        };
        check_insert_id(insert_id, limits.max_insert_id_bytes)?;
        match &self.limit {
            Some(limit) => Err(limit.clone()),
            None => Ok(()),
        }
    }
}

/// The fault of a record without a name, with the `$insert_id` of its properties.
fn no_name(record: RawJson<'_>) -> Fault {
    let insert_id = last_member(record, b"properties")
        .and_then(|properties| last_member(properties, b"$insert_id"))
        .and_then(RawJson::string_or_number)
        .filter(|id| !id.is_empty());
    Fault::NoName {
        insert_id: insert_id.map(Cow::into_owned),
    }
}

/// The member with this name that counts (IN-2).
fn last_member<'t>(object: RawJson<'t>, name: &[u8]) -> Option<RawJson<'t>> {
    let mut found = None;
    object.visit_members(|key, value| {
        if key == name {
            found = Some(value);
        }
    });
    found
}

/// Checks the form of an `$insert_id`.
///
/// # Errors
///
/// [`Fault`] if it is too long, has a character that is not allowed, or is a placeholder.
pub fn check_insert_id(insert_id: &str, max_insert_id_bytes: usize) -> Result<(), Fault> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !insert_id.bytes().all(is_allowed) {
        return Err(Fault::InsertIdForm);
    }
    if insert_id.len() > max_insert_id_bytes {
        return Err(Fault::InsertIdTooLong {
            max_insert_id_bytes,
        });
    }
    let is_blocked = |blocked: &&str| insert_id.eq_ignore_ascii_case(blocked);
    if IdRules::DEFAULT_BLOCKED_VALUES.iter().any(is_blocked) {
        return Err(Fault::InsertIdBlocked);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
