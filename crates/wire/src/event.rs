//! An event, as far as the server needs to read it: whose project, when, and whether it is one.
//! What its identity properties mean is for others to read.

use std::borrow::Cow;

use idmerge_core::{Event, IdProperty, IdRules};
use idmerge_events::{
    ContainerLimits, Envelope, EventLayout, Excess, JsonEvent, MalformedEvent, RawJson, Time,
    TimeRange,
};

use crate::Limits;

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
    /// The first limit that the properties exceed.
    limit: Option<Fault>,
    event: JsonEvent<'t>,
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
    /// Takes what a scan has read of one record.
    pub(crate) fn new(
        envelope: Result<Envelope<'t>, MalformedEvent>,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        let is_blank = |name: &str| name.trim().is_empty();
        let envelope = envelope.map_err(|error| match error {
            MalformedEvent::NotAnObject { .. } => Fault::NotAnObject,
            MalformedEvent::NoProperties { name, .. } if !is_blank(&name) => Fault::NoProperties,
            // The scan has found that the record is JSON, so what is not is the text of the name.
            _ => Fault::NoName,
        })?;
        if is_blank(envelope.name()) {
            return Err(Fault::NoName);
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
            insert_id: envelope.insert_id().and_then(insert_id),
            phone_event_id: envelope.mp_event_id().and_then(RawJson::string_or_number),
            is_ignored: envelope.ignore().is_some_and(|json| !is_off(json)),
            has_distinct_id: id(IdProperty::DistinctId).is_some_and(|json| !json.is_null()),
            has_reserved_id: has_id(IdProperty::UserId) || has_id(IdProperty::DeviceId),
            limit: envelope.excess().map(|excess| match excess {
                Excess::TooDeep => Fault::TooDeep {
                    depth_max: limits.depth_max,
                },
                _ => Fault::TooManyMembers {
                    members_max: limits.members_max,
                },
            }),
            event: envelope.into_json_event(),
        })
    }

    /// What the scan of the record has found, for the project that stores it: it then need not scan
    /// the record again.
    pub fn into_layout(self) -> EventLayout {
        self.event.into_layout()
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

/// The text of an `$insert_id`. One that has no text is kept as its JSON, so that it is not missing.
fn insert_id(json: RawJson<'_>) -> Option<Cow<'_, str>> {
    match json.as_str() {
        "null" | "\"\"" => None,
        text => json.string_or_number().or(Some(Cow::Borrowed(text))),
    }
}

impl Limits {
    pub(crate) fn of_containers(&self) -> ContainerLimits {
        ContainerLimits {
            max_members: self.members_max,
            max_depth: self.depth_max,
        }
    }
}

#[cfg(test)]
mod tests;
