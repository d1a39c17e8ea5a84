//! How the IDs of an event are read in the models in which `$device:X` and `X` are one ID: Original and
//! Legacy (rules O-1 to O-5; L-1, L-2, L-4 and L-11). Pure functions.
//!
//! ```
//! use idmerge_core::{Event, IdRules, one_namespace};
//!
//! let event = Event { distinct_id: "$device:D1".into(), ..Event::named("Page View") };
//! let own = one_namespace::own_id(&IdRules::default(), &event)?;
//! assert_eq!(own.unwrap().to_string(), "D1");
//! # Ok::<(), idmerge_core::InvalidEvent>(())
//! ```

use crate::{
    DEVICE_PREFIX, DistinctIds, Event, Id, IdProperty, IdRules, InvalidEvent, InvalidEventReason,
    Value, quote,
};

/// Rules O-2 and L-2: the ID that an ordinary event is attributed to. It is the first one that is
/// present; the others are not read.
///
/// # Errors
///
/// [`InvalidEvent`] if the first one that is present is not an ID.
#[inline]
pub fn own_id<'e>(rules: &IdRules, event: &Event<'e>) -> Result<Option<Id<'e>>, InvalidEvent> {
    let first = first_present(&[
        own_distinct_id(rules, event),
        (IdProperty::UserId, event.user_id),
        (IdProperty::DeviceId, event.device_id),
    ]);
    match first {
        Some((property, value)) => id(rules, property, value),
        None => Ok(None),
    }
}

/// Rule O-3: the identified ID of `$identify`.
///
/// # Errors
///
/// [`InvalidEvent`] if it is missing or not an ID.
pub fn identified_id<'e>(rules: &IdRules, event: &Event<'e>) -> Result<Id<'e>, InvalidEvent> {
    required(
        rules,
        &[
            (IdProperty::IdentifiedId, event.identified_id),
            own_distinct_id(rules, event),
        ],
        InvalidEventReason::NoIdentifiedId,
    )
}

/// Rule O-3: the anonymous ID of `$identify`.
///
/// # Errors
///
/// [`InvalidEvent`] if it is missing or not an ID.
pub fn anon_id<'e>(rules: &IdRules, event: &Event<'e>) -> Result<Id<'e>, InvalidEvent> {
    required(
        rules,
        &[
            (IdProperty::AnonId, event.anon_id),
            (IdProperty::AnonDistinctId, event.anon_distinct_id),
        ],
        InvalidEventReason::NoAnonId,
    )
}

/// Rules O-4 and L-4: `distinct_id` and `alias` of `$create_alias`.
///
/// # Errors
///
/// [`InvalidEvent`] if one of them is missing or not an ID.
pub fn alias_ids<'e>(rules: &IdRules, event: &Event<'e>) -> Result<[Id<'e>; 2], InvalidEvent> {
    let distinct_id = required(
        rules,
        &[own_distinct_id(rules, event)],
        InvalidEventReason::NoDistinctId,
    )?;
    let alias = required(
        rules,
        &[(IdProperty::Alias, event.alias)],
        InvalidEventReason::NoAlias,
    )?;
    Ok([distinct_id, alias])
}

/// Rule O-5: the two IDs of `$merge`.
///
/// # Errors
///
/// [`InvalidEvent`] if `$distinct_ids` is not an array of exactly two IDs.
pub fn merge_ids<'e>(rules: &IdRules, event: &Event<'e>) -> Result<[Id<'e>; 2], InvalidEvent> {
    const PROPERTY: IdProperty = IdProperty::DistinctIds;
    let refused = |json| InvalidEvent::new(PROPERTY, InvalidEventReason::NotTwoIds { json });
    let [first, second] = match event.distinct_ids {
        DistinctIds::Two(values) => values,
        DistinctIds::Absent => return Err(refused(quote("null"))),
        DistinctIds::NotTwo(json) => return Err(refused(quote(json))),
    };
    let id_of = |value| {
        id(rules, PROPERTY, value)?.ok_or_else(|| refused("an array with an absent ID".to_owned()))
    };
    Ok([id_of(first)?, id_of(second)?])
}

/// IN-5
#[inline]
fn own_distinct_id<'e>(rules: &IdRules, event: &Event<'e>) -> (IdProperty, Value<'e>) {
    let is_valid = |text: &str| id(rules, IdProperty::DistinctId, Value::Text(text)).is_ok();
    (IdProperty::DistinctId, event.own_distinct_id(is_valid))
}

/// The ID in the first property that is present. If none is, the error names the first property.
fn required<'e>(
    rules: &IdRules,
    properties: &[(IdProperty, Value<'e>)],
    missing: InvalidEventReason,
) -> Result<Id<'e>, InvalidEvent> {
    let (property, value) = first_present(properties).unwrap_or(properties[0]);
    id(rules, property, value)?.ok_or_else(|| InvalidEvent::new(property, missing))
}

#[inline]
fn first_present<'e>(properties: &[(IdProperty, Value<'e>)]) -> Option<(IdProperty, Value<'e>)> {
    properties
        .iter()
        .find(|(_, value)| !value.is_absent())
        .copied()
}

/// Rules O-1 and L-1: the ID without the prefix of a device. A second prefix is an error: the next
/// reader of the ID would remove it, and get another ID.
#[inline]
fn id<'e>(
    rules: &IdRules,
    property: IdProperty,
    value: Value<'e>,
) -> Result<Option<Id<'e>>, InvalidEvent> {
    let Some(text) = rules.text(property, value)? else {
        return Ok(None);
    };
    let rest = text.strip_prefix(DEVICE_PREFIX).unwrap_or_default();
    if rest.starts_with(DEVICE_PREFIX) {
        let value = quote(text);
        return Err(InvalidEvent::new(
            property,
            InvalidEventReason::DoublePrefix { value },
        ));
    }
    let distinct_id = rules.distinct_id(property, text)?;
    Ok(Some(distinct_id.id()))
}
