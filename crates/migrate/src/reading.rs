//! Rules M-1 to M-3: what a line says, by the rules of the source.

pub(crate) mod profile;

use idmerge_core::{
    Claim, DEVICE_PREFIX, DistinctIds, Event, Id, IdProperty, IdRules, InvalidEvent, Value,
};
use idmerge_events::{Envelope, is_answer};

use crate::options::Options;

/// Whether an export adds a property of this name, which an import must not have (M-3).
pub(crate) fn is_export_only(property: &[u8]) -> bool {
    const ADDED: [&[u8]; 5] = [
        b"$import",
        b"$mp_api_endpoint",
        b"$mp_api_timestamp_ms",
        b"$mp_event_size",
        b"mp_processing_time_ms",
    ];
    ADDED.contains(&property) || is_answer(property)
}

/// An event that the source accepts, read by its rules.
#[derive(Debug)]
pub struct SourceEvent<'e> {
    pub(crate) envelope: &'e Envelope<'e>,
    pub(crate) facts: Facts<'e>,
}

impl<'e> SourceEvent<'e> {
    pub(crate) fn read(
        options: &Options,
        envelope: &'e Envelope<'e>,
    ) -> Result<Self, InvalidEvent> {
        let facts = Facts::read(options, &envelope.json_event().event())?;
        Ok(Self { envelope, facts })
    }

    /// Whether the source attributes the event to an ID.
    pub fn has_id(&self) -> bool {
        self.facts.own.is_some()
    }
}

/// The IDs of a line. None of them begins with `$device:`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'e> {
    /// The ID that the source attributes the event to (M-1).
    pub(crate) own: Option<Id<'e>>,
    /// The claim that is weighed (M-5).
    pub(crate) claim: Option<Claim<'e>>,
    /// The claim that the source reads: the same, unless the claims of another model are weighed.
    pub(crate) source_claim: Option<Claim<'e>>,
    /// `$user_id`, if it is a valid ID and no device (S-0).
    pub(crate) user: Option<Id<'e>>,
    /// `$device_id`, if it is a valid ID.
    pub(crate) device: Option<Id<'e>>,
    /// The IDs in properties for devices, and those after `$device:` (M-7 d).
    pub(crate) devices: [Option<Id<'e>>; 10],
    pub(crate) is_identity_event: bool,
}

impl<'e> Facts<'e> {
    /// Reads an event by the rules of the source.
    ///
    /// A prefix `$device:` that occurs twice counts once: SDKs and hand-made files have it, and no
    /// event may be lost for it (M-12).
    ///
    /// # Errors
    ///
    /// The source refuses the event.
    fn read(options: &Options, event: &Event<'e>) -> Result<Self, InvalidEvent> {
        let event = with_one_prefix(event);
        let rules = options.source.id_rules();
        let reading = options.source.read(&event)?;
        let claim = match options.claims.model() == options.source.model() {
            true => reading.claim,
            // The source takes an event that the other model refuses: then it claims nothing.
            false => options.claims.read(&event).ok().and_then(|it| it.claim),
        };
        let user = match event.user_id {
            Value::Text(text) if text.starts_with(DEVICE_PREFIX) => None,
            value => valid(rules, value),
        };
        Ok(Self {
            own: reading.distinct_id.map(|id| id.id()),
            claim,
            source_claim: reading.claim,
            user,
            device: valid(rules, event.device_id),
            devices: devices(rules, &event),
            is_identity_event: event.is_identity_event(),
        })
    }
}

/// The event with at most one prefix before each ID.
fn with_one_prefix<'e>(event: &Event<'e>) -> Event<'e> {
    Event {
        distinct_id: one_prefix(event.distinct_id),
        distinct_id_before_identity: one_prefix(event.distinct_id_before_identity),
        user_id: one_prefix(event.user_id),
        device_id: one_prefix(event.device_id),
        identified_id: one_prefix(event.identified_id),
        anon_id: one_prefix(event.anon_id),
        anon_distinct_id: one_prefix(event.anon_distinct_id),
        alias: one_prefix(event.alias),
        distinct_ids: match event.distinct_ids {
            DistinctIds::Two(values) => DistinctIds::Two(values.map(one_prefix)),
            other => other,
        },
        ..*event
    }
}

fn one_prefix(value: Value<'_>) -> Value<'_> {
    let Value::Text(mut text) = value else {
        return value;
    };
    while let Some(rest) = text.strip_prefix(DEVICE_PREFIX)
        && rest.starts_with(DEVICE_PREFIX)
    {
        text = rest;
    }
    Value::Text(text)
}

/// The ID in a property, without prefixes; `None` if it is not valid (ID-2 to ID-4).
fn valid<'e>(rules: &IdRules, value: Value<'e>) -> Option<Id<'e>> {
    match value {
        Value::Text(text) => bare_id(rules, text).ok(),
        _ => None,
    }
}

/// The ID that a text names, without prefixes.
pub(crate) fn bare_id<'e>(rules: &IdRules, text: &'e str) -> Result<Id<'e>, InvalidEvent> {
    rules.id(IdProperty::DistinctId, bare(text))
}

/// A text without any leading `$device:`.
pub(crate) fn bare(mut text: &str) -> &str {
    while let Some(rest) = text.strip_prefix(DEVICE_PREFIX) {
        text = rest;
    }
    text
}

fn devices<'e>(rules: &IdRules, event: &Event<'e>) -> [Option<Id<'e>>; 10] {
    let prefixed = |value: Value<'e>| match value {
        Value::Text(text) if text.starts_with(DEVICE_PREFIX) => valid(rules, value),
        _ => None,
    };
    let [first, second] = match event.distinct_ids {
        DistinctIds::Two(values) => values,
        _ => [Value::Absent; 2],
    };
    [
        valid(rules, event.device_id),
        valid(rules, event.anon_id),
        valid(rules, event.anon_distinct_id),
        prefixed(event.distinct_id),
        prefixed(event.distinct_id_before_identity),
        prefixed(event.user_id),
        prefixed(event.identified_id),
        prefixed(event.alias),
        prefixed(first),
        prefixed(second),
    ]
}
