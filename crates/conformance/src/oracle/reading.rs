//! Reading one event: rules ID-1 to ID-7, IN-5, AR-4, S-0 to S-4 and S-8, O-1 to O-6,
//! L-1, L-2, L-4 and L-11.

use idmerge_core::{
    Claim, DistinctId, DistinctIds, Event, Id, IdProperty, InvalidEvent, InvalidEventReason,
    Reading, Value, quote,
};

use crate::settings::EngineSettings;

#[cfg(test)]
mod tests;

/// ID-5: the prefix of a device ID that is used as a distinct_id.
const PREFIX: &str = "$device:";

/// S-8 and section 4: the names of the identity events.
const IDENTIFY: &str = "$identify";
const CREATE_ALIAS: &str = "$create_alias";
const MERGE: &str = "$merge";

/// ID-7: an error that names the property, the value and the rule.
fn refused<T>(property: IdProperty, reason: InvalidEventReason) -> Result<T, InvalidEvent> {
    Err(InvalidEvent::new(property, reason))
}

/// ID-3: the text of a property, or `None` if it is absent.
fn text_of<'e>(property: IdProperty, value: Value<'e>) -> Result<Option<&'e str>, InvalidEvent> {
    match value {
        // `null`, a missing key and `""` all mean absent.
        Value::Absent | Value::Text("") => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        // A float, boolean, array or object is invalid.
        Value::NotAnId(json) => {
            refused(property, InvalidEventReason::NotAnId { json: quote(json) })
        }
    }
}

/// ID-2 and ID-4: the ID with this text.
fn valid_id<'e>(
    settings: &EngineSettings,
    property: IdProperty,
    text: &'e str,
) -> Result<Id<'e>, InvalidEvent> {
    // ID-2: at least 1 byte …
    if text.is_empty() {
        return refused(property, InvalidEventReason::Empty);
    }
    // … and at most as many as the setting says. (An `Id` never has more than 65,535.)
    let limit = settings.max_id_bytes;
    let (true, Ok(id)) = (text.len() <= usize::from(limit), Id::new(text)) else {
        return refused(
            property,
            InvalidEventReason::Length {
                value: quote(text),
                id_bytes: text.len(),
                max_id_bytes: limit,
            },
        );
    };
    // ID-4: in any ASCII case.
    for blocked in &settings.blocked_values {
        if text.eq_ignore_ascii_case(blocked) {
            return refused(property, InvalidEventReason::Blocked { value: quote(text) });
        }
    }
    Ok(id)
}

/// ID-5: the text after the prefix must be a valid ID.
fn valid_rest<'e>(
    settings: &EngineSettings,
    property: IdProperty,
    rest: &'e str,
) -> Result<Id<'e>, InvalidEvent> {
    if rest.is_empty() {
        return refused(property, InvalidEventReason::OnlyPrefix);
    }
    valid_id(settings, property, rest)
}

/// IN-5: the value that a rule reads as `distinct_id`. `id_of` reads an ID by the rules of the model.
fn distinct_id_of<'e, T>(
    event: &Event<'e>,
    id_of: impl Fn(&'e str) -> Result<T, InvalidEvent>,
) -> Value<'e> {
    let before = event.distinct_id_before_identity;
    match text_of(IdProperty::DistinctId, before) {
        // A valid ID is read instead of `distinct_id`, whatever `distinct_id` holds.
        Ok(Some(text)) if id_of(text).is_ok() => before,
        // An absent or invalid one is passed over. It refuses nothing.
        _ => event.distinct_id,
    }
}

/// AR-4: a marked event makes no claim. It keeps its user, and what refuses an event refuses it too.
fn unless_marked<'e>(event: &Event<'e>, reading: Reading<'e>) -> Reading<'e> {
    if event.is_unweighed {
        let distinct_id = reading.distinct_id;
        return Reading {
            distinct_id,
            claim: None,
        };
    }
    reading
}

/// The ID of an event in Simplified.
enum UserOrDevice<'e> {
    User(Id<'e>),
    Device(Id<'e>),
}

/// S-3: a `distinct_id` with the prefix is a device ID, any other one is a user ID.
fn user_or_device<'e>(
    settings: &EngineSettings,
    text: &'e str,
) -> Result<UserOrDevice<'e>, InvalidEvent> {
    match text.strip_prefix(PREFIX) {
        Some(rest) => valid_rest(settings, IdProperty::DistinctId, rest).map(UserOrDevice::Device),
        None => valid_id(settings, IdProperty::DistinctId, text).map(UserOrDevice::User),
    }
}

/// Simplified: the user or device of the event, and the link that it claims, if any.
pub(super) fn simplified<'e>(
    settings: &EngineSettings,
    event: &Event<'e>,
) -> Result<Reading<'e>, InvalidEvent> {
    let mut u: Option<Id<'e>> = None;
    let mut d: Option<Id<'e>> = None;
    let mut rest_of_user_id: Option<&'e str> = None;

    // Read `$user_id` as U, on every event.
    if let Some(text) = text_of(IdProperty::UserId, event.user_id)? {
        match text.strip_prefix(PREFIX) {
            // S-0: with the prefix it is not a user ID, and U is absent.
            Some(rest) => rest_of_user_id = Some(rest),
            None => u = Some(valid_id(settings, IdProperty::UserId, text)?),
        }
    }

    // Read `$device_id` as D, on every event; ID-5: one prefix is removed.
    if let Some(text) = text_of(IdProperty::DeviceId, event.device_id)? {
        d = Some(match text.strip_prefix(PREFIX) {
            Some(rest) => valid_rest(settings, IdProperty::DeviceId, rest)?,
            None => valid_id(settings, IdProperty::DeviceId, text)?,
        });
    }

    // S-0: if D is absent too, D is the rest; if D is present, the rest is not read.
    if let (None, Some(rest)) = (d, rest_of_user_id) {
        d = Some(valid_rest(settings, IdProperty::UserId, rest)?);
    }

    // S-3: `distinct_id` is read only if both are absent.
    if u.is_none() && d.is_none() {
        let value = distinct_id_of(event, |text| user_or_device(settings, text));
        if let Some(text) = text_of(IdProperty::DistinctId, value)? {
            match user_or_device(settings, text)? {
                UserOrDevice::User(user) => u = Some(user),
                UserOrDevice::Device(device) => d = Some(device),
            }
        }
    }

    let distinct_id = match (u, d) {
        // S-1
        (Some(u), _) => Some(DistinctId::plain(u)),
        // S-2
        (None, Some(d)) => Some(DistinctId::device(d)),
        // S-4
        (None, None) => None,
    };

    // S-8: these events never link, whatever they carry.
    let never_links = [IDENTIFY, CREATE_ALIAS, MERGE].contains(&event.name);

    // S-5 to S-7: an event with both IDs claims that the device belongs to the user.
    let claim = match (u, d) {
        (Some(user), Some(device)) if !never_links => Some(Claim::Link { device, user }),
        _ => None,
    };
    Ok(unless_marked(event, Reading { distinct_id, claim }))
}

/// O-1 and ID-1 to ID-5: the ID that a text names in Original.
fn original_id<'e>(
    settings: &EngineSettings,
    property: IdProperty,
    text: &'e str,
) -> Result<Id<'e>, InvalidEvent> {
    match text.strip_prefix(PREFIX) {
        // O-1: an ID that begins with the prefix twice is refused.
        Some(rest) if rest.starts_with(PREFIX) => {
            let value = quote(text);
            refused(property, InvalidEventReason::DoublePrefix { value })
        }
        // O-1: one leading prefix is removed from every ID before anything else.
        Some(rest) => valid_rest(settings, property, rest),
        None => valid_id(settings, property, text),
    }
}

/// The ID in the first present property; only that property is read. `None` if all are absent.
fn first_present<'e>(
    settings: &EngineSettings,
    properties: &[(IdProperty, Value<'e>)],
) -> Result<Option<Id<'e>>, InvalidEvent> {
    for (property, value) in properties {
        if let Some(text) = text_of(*property, *value)? {
            return original_id(settings, *property, text).map(Some);
        }
    }
    Ok(None)
}

/// Original: the ID that the event is attributed to, and the claim that it makes, if any.
pub(super) fn original<'e>(
    settings: &EngineSettings,
    event: &Event<'e>,
) -> Result<Reading<'e>, InvalidEvent> {
    // IN-5, for O-2, O-3 and O-4. O-5 does not read `distinct_id`.
    let valid = |text| original_id(settings, IdProperty::DistinctId, text);
    let distinct_id = (IdProperty::DistinctId, distinct_id_of(event, valid));

    let claim = match event.name {
        IDENTIFY => identify(settings, event, distinct_id)?,
        CREATE_ALIAS => create_alias(settings, event, distinct_id)?,
        MERGE => merge(settings, event)?,
        _ => return ordinary(settings, event, distinct_id),
    };

    // O-6: an identity event is attributed to the first ID of its claim.
    let [first, _] = claim.ids();
    let reading = Reading {
        distinct_id: Some(first),
        claim: Some(claim),
    };
    Ok(unless_marked(event, reading))
}

/// Legacy: the ID that the event is attributed to, and the claim that it makes, if any.
pub(super) fn legacy<'e>(
    settings: &EngineSettings,
    event: &Event<'e>,
) -> Result<Reading<'e>, InvalidEvent> {
    // L-1: ID-1 to ID-7, and the prefix is removed as in O-1. IN-5, for L-2, L-4 and L-11.
    let valid = |text| original_id(settings, IdProperty::DistinctId, text);
    let distinct_id = (IdProperty::DistinctId, distinct_id_of(event, valid));

    let (own, claim) = match event.name {
        // L-11: the identified ID is read as in O-3, the anonymous one is not read.
        IDENTIFY => (identified(settings, event, distinct_id)?, None),
        // L-4: it is attributed to X.
        CREATE_ALIAS => {
            let claim = create_alias(settings, event, distinct_id)?;
            let [x, _] = claim.ids();
            (x.id(), Some(claim))
        }
        // L-11: `$distinct_ids` is read as in O-5. It is attributed to the first.
        MERGE => {
            let [first, _] = merge(settings, event)?.ids();
            (first.id(), None)
        }
        // L-2
        _ => return ordinary(settings, event, distinct_id),
    };
    let distinct_id = Some(DistinctId::plain(own));
    Ok(unless_marked(event, Reading { distinct_id, claim }))
}

/// O-2: any other event is attributed to the first of these that is present, and never merges.
fn ordinary<'e>(
    settings: &EngineSettings,
    event: &Event<'e>,
    distinct_id: (IdProperty, Value<'e>),
) -> Result<Reading<'e>, InvalidEvent> {
    let user_id = (IdProperty::UserId, event.user_id);
    let device_id = (IdProperty::DeviceId, event.device_id);
    let id = first_present(settings, &[distinct_id, user_id, device_id])?;
    Ok(Reading {
        distinct_id: id.map(DistinctId::plain),
        claim: None,
    })
}

/// O-3: the identified ID of `$identify`.
fn identified<'e>(
    settings: &EngineSettings,
    event: &Event<'e>,
    distinct_id: (IdProperty, Value<'e>),
) -> Result<Id<'e>, InvalidEvent> {
    let identified_id = (IdProperty::IdentifiedId, event.identified_id);
    match first_present(settings, &[identified_id, distinct_id])? {
        Some(identified) => Ok(identified),
        None => refused(IdProperty::IdentifiedId, InvalidEventReason::NoIdentifiedId),
    }
}

/// O-3: the claim of `$identify`.
fn identify<'e>(
    settings: &EngineSettings,
    event: &Event<'e>,
    distinct_id: (IdProperty, Value<'e>),
) -> Result<Claim<'e>, InvalidEvent> {
    let identified = identified(settings, event, distinct_id)?;
    let anon_id = (IdProperty::AnonId, event.anon_id);
    let anon_distinct_id = (IdProperty::AnonDistinctId, event.anon_distinct_id);
    let anon = first_present(settings, &[anon_id, anon_distinct_id])?;
    let Some(anon) = anon else {
        return refused(IdProperty::AnonId, InvalidEventReason::NoAnonId);
    };
    Ok(Claim::Identify { identified, anon })
}

/// O-4: the claim of `$create_alias`.
fn create_alias<'e>(
    settings: &EngineSettings,
    event: &Event<'e>,
    distinct_id: (IdProperty, Value<'e>),
) -> Result<Claim<'e>, InvalidEvent> {
    let Some(distinct_id) = first_present(settings, &[distinct_id])? else {
        return refused(IdProperty::DistinctId, InvalidEventReason::NoDistinctId);
    };
    let Some(alias) = first_present(settings, &[(IdProperty::Alias, event.alias)])? else {
        return refused(IdProperty::Alias, InvalidEventReason::NoAlias);
    };
    Ok(Claim::Alias { distinct_id, alias })
}

/// O-5: the claim of `$merge`.
fn merge<'e>(settings: &EngineSettings, event: &Event<'e>) -> Result<Claim<'e>, InvalidEvent> {
    let not_two = |json: &str| {
        let json = json.to_owned();
        InvalidEvent::new(
            IdProperty::DistinctIds,
            InvalidEventReason::NotTwoIds { json },
        )
    };
    let values = match event.distinct_ids {
        DistinctIds::Two(values) => values,
        DistinctIds::Absent => return Err(not_two("null")),
        DistinctIds::NotTwo(json) => return Err(not_two(&quote(json))),
    };
    let [first, second] = values.map(|value| {
        first_present(settings, &[(IdProperty::DistinctIds, value)])?
            .ok_or_else(|| not_two("an array with null"))
    });
    let (first, second) = (first?, second?);
    Ok(Claim::Merge { first, second })
}
