//! Finds the parts of an event that bytes outside of UTF-8 have damaged (IN-7, IN-8).

use idmerge_core::{DistinctIds, Event, IdProperty, Value};
use idmerge_events::{JsonEvent, RawJson, Values, visit_members};

use crate::request::utf8::DecodedText;

/// The parts of an event that bytes outside of UTF-8 have damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LostText {
    /// The first property with such bytes in its key or value.
    pub(crate) field: String,
    /// The identity properties with such bytes in the value that counts.
    pub(crate) ids: Vec<IdProperty>,
    /// Whether `$distinct_id_before_identity`, which is read as `distinct_id` (IN-5), has such bytes.
    before_identity: bool,
    /// Which of the two IDs of `$distinct_ids` have such bytes.
    merged: [bool; 2],
}

impl LostText {
    pub(crate) fn read(event: &JsonEvent<'_>, text: &DecodedText<'_>) -> Self {
        let has_lost = |json: RawJson<'_>| text.has_lost(json.as_str());
        let ids = IdProperty::ALL.into_iter();
        let mut merged = [false; 2];
        let array = event.property(IdProperty::DistinctIds);
        if let Some(mut values) = array.and_then(|array| Values::of_array(array.as_str())) {
            for is_lost in &mut merged {
                *is_lost = matches!(values.next_value(), Ok(Some(json)) if has_lost(json));
            }
        }
        let before_identity = event.id_before_identity().is_some_and(has_lost);
        let is_lost = |property: &IdProperty| {
            event.property(*property).is_some_and(has_lost)
                || (before_identity && *property == IdProperty::DistinctId)
        };
        Self {
            field: field(event.text(), text),
            ids: ids.filter(is_lost).collect(),
            before_identity,
            merged,
        }
    }

    /// The event as the rules read it: an ID with lost bytes is not text, and so not an ID (ID-3).
    pub(crate) fn without_lost_ids<'s>(&self, json_event: &'s JsonEvent<'_>) -> Event<'s> {
        let mut event = json_event.event();
        for &property in &self.ids {
            let json = json_event.property(property).map_or("", RawJson::as_str);
            let value = match property {
                IdProperty::DistinctId => {
                    if self.before_identity {
                        event.distinct_id_before_identity = Value::Absent;
                    }
                    &mut event.distinct_id
                }
                IdProperty::UserId => &mut event.user_id,
                IdProperty::DeviceId => &mut event.device_id,
                IdProperty::IdentifiedId => &mut event.identified_id,
                IdProperty::AnonId => &mut event.anon_id,
                IdProperty::AnonDistinctId => &mut event.anon_distinct_id,
                IdProperty::Alias => &mut event.alias,
                IdProperty::DistinctIds => {
                    if let DistinctIds::Two(values) = &mut event.distinct_ids {
                        for (value, _) in
                            values.iter_mut().zip(self.merged).filter(|(_, lost)| *lost)
                        {
                            *value = Value::NotAnId(json);
                        }
                    }
                    continue;
                }
            };
            *value = Value::NotAnId(json);
        }
        event
    }
}

/// The first property with lost bytes, as `failed_records` names it.
fn field(event: &str, text: &DecodedText<'_>) -> String {
    let Some((key, value)) = first_lost(event, text) else {
        return String::new();
    };
    match (&*key, first_lost(value, text)) {
        ("properties", Some((property, _))) => format!("properties.{property}"),
        _ => key,
    }
}

/// The first member of an object with lost bytes in its key or value.
fn first_lost<'t>(object: &'t str, text: &DecodedText<'_>) -> Option<(String, &'t str)> {
    let mut found = None;
    let mut rest = object;
    visit_members(object, |key, value| {
        // Up to the end of the value: the member, after the comma and the white space before it.
        let (member, after) = rest.split_at(end_of(rest, value.as_str()));
        rest = after;
        if found.is_none() && text.has_lost(member) {
            found = Some((String::from_utf8_lossy(key).into_owned(), value.as_str()));
        }
    });
    found
}

/// Where a part of a text ends in it, in bytes.
fn end_of(text: &str, part: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr() + part.len()
}
