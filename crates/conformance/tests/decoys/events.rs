//! Events with replaced properties, and readings with replaced IDs.

use std::cell::RefCell;
use std::collections::BTreeMap;

use idmerge_core::{
    Claim, DEVICE_PREFIX, DistinctId, DistinctIds, Event, Id, IdProperty, InvalidEvent, Reading,
    Value,
};

use crate::decoy::{Oracle, id, keep_text};

/// The event with the text of each property replaced.
pub(crate) fn with_texts<'e>(
    event: &Event<'e>,
    other: impl Fn(IdProperty, &str) -> String,
) -> Event<'e> {
    let change = |property, value| match value {
        Value::Text(text) => Value::Text(keep_text(&other(property, text))),
        value => value,
    };
    Event {
        name: event.name,
        distinct_id: change(IdProperty::DistinctId, event.distinct_id),
        distinct_id_before_identity: change(
            IdProperty::DistinctId,
            event.distinct_id_before_identity,
        ),
        user_id: change(IdProperty::UserId, event.user_id),
        device_id: change(IdProperty::DeviceId, event.device_id),
        identified_id: change(IdProperty::IdentifiedId, event.identified_id),
        anon_id: change(IdProperty::AnonId, event.anon_id),
        anon_distinct_id: change(IdProperty::AnonDistinctId, event.anon_distinct_id),
        alias: change(IdProperty::Alias, event.alias),
        distinct_ids: match event.distinct_ids {
            DistinctIds::Two(two) => {
                DistinctIds::Two(two.map(|value| change(IdProperty::DistinctIds, value)))
            }
            other => other,
        },
        is_unweighed: event.is_unweighed,
    }
}

/// The claim with its IDs replaced.
pub(crate) fn with_ids<'c, 'e>(claim: Claim<'c>, other: impl Fn(Id<'c>) -> Id<'e>) -> Claim<'e> {
    match claim {
        Claim::Link { device, user } => Claim::Link {
            device: other(device),
            user: other(user),
        },
        Claim::Identify { identified, anon } => Claim::Identify {
            identified: other(identified),
            anon: other(anon),
        },
        Claim::Alias { distinct_id, alias } => Claim::Alias {
            distinct_id: other(distinct_id),
            alias: other(alias),
        },
        Claim::Merge { first, second } => Claim::Merge {
            first: other(first),
            second: other(second),
        },
        claim => unreachable!("handle the new claim {claim:?} here"),
    }
}

/// Reads the event with its texts replaced, and then puts the original IDs back into the reading.
pub(crate) fn read_disguised<'e>(
    oracle: &impl Oracle,
    event: &Event<'e>,
    disguise: impl Fn(IdProperty, &str) -> String,
) -> Result<Reading<'e>, InvalidEvent> {
    let was = RefCell::new(BTreeMap::new());
    let event = with_texts(event, |property, text| {
        let disguised = disguise(property, text);
        let rests = [&disguised, text].map(|text| text.strip_prefix(DEVICE_PREFIX));
        let mut was = was.borrow_mut();
        if let [Some(disguised), Some(text)] = rests {
            was.insert(disguised.to_owned(), text.to_owned());
        }
        was.insert(disguised.clone(), text.to_owned());
        disguised
    });
    let reading = oracle.read(&event)?;
    let was = was.into_inner();
    let bring_back = |disguised: Id<'_>| id(&was[&*disguised.text()]);
    Ok(Reading {
        distinct_id: reading.distinct_id.map(|distinct_id| {
            let own = bring_back(distinct_id.id());
            if distinct_id.is_device() {
                DistinctId::device(own)
            } else {
                DistinctId::plain(own)
            }
        }),
        claim: reading.claim.map(|claim| with_ids(claim, bring_back)),
    })
}

/// Reads the event as if `$device:` were ordinary text in these properties.
pub(crate) fn read_unmarked<'e>(
    oracle: &impl Oracle,
    event: &Event<'e>,
    properties: &[IdProperty],
) -> Result<Reading<'e>, InvalidEvent> {
    read_disguised(oracle, event, |property, text| {
        match text.strip_prefix(DEVICE_PREFIX) {
            // As long as the prefix, so that the length of the ID does not change.
            Some(rest) if properties.contains(&property) => format!("\0device:{rest}"),
            _ => text.to_owned(),
        }
    })
}

/// The event without `$distinct_id_before_identity` (IN-5).
pub(crate) fn without_before<'e>(event: &Event<'e>) -> Event<'e> {
    Event {
        distinct_id_before_identity: Value::Absent,
        ..*event
    }
}

/// The event with its `$distinct_id_before_identity`, if it is present, in place of `distinct_id`.
pub(crate) fn always_before<'e>(event: &Event<'e>) -> Event<'e> {
    if event.distinct_id_before_identity.is_absent() {
        return *event;
    }
    Event {
        distinct_id: event.distinct_id_before_identity,
        ..without_before(event)
    }
}

/// The event without `$distinct_id_before_identity`, unless it has no `distinct_id`.
pub(crate) fn before_if_no_distinct_id<'e>(event: &Event<'e>) -> Event<'e> {
    if event.distinct_id.is_absent() {
        *event
    } else {
        without_before(event)
    }
}

/// The event without `$idmerge_unweighed` (AR-4).
pub(crate) fn without_mark<'e>(event: &Event<'e>) -> Event<'e> {
    Event {
        is_unweighed: false,
        ..*event
    }
}
