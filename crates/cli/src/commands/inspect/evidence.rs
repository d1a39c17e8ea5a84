//! Counts of what the events carry.

use idmerge_core::{DEVICE_PREFIX, Event, Value};
use idmerge_engines::AnonIdFormat;
use idmerge_events::{JsonEvent, RawJson, visit_members};
use memchr::memmem::Finder;
use serde::Serialize;

use crate::commands::inspect::ids::{AnonymousIds, Devices, Kinds, MissingResets};

/// The number of events by what they carry. Identity events are counted by name, and all other events
/// by the IDs that they carry.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Evidence {
    pub(super) device_and_user_id: u64,
    pub(super) user_id: u64,
    pub(super) device_id: u64,
    pub(super) distinct_id_alone: u64,
    pub(super) no_id: u64,
    pub(super) identify: u64,
    /// Of these `$identify` events, those with an anonymous ID of UUIDv4 form (ID-6), with another
    /// one, and without one.
    pub(super) identify_uuid_v4: u64,
    pub(super) identify_other_form: u64,
    pub(super) identify_without_anonymous_id: u64,
    /// Those with `$identified_id`, which servers and connectors send, and SDKs do not.
    pub(super) identify_identified_id: u64,
    pub(super) create_alias: u64,
    pub(super) merge: u64,
    /// Events of any kind whose `distinct_id` begins with `$device:`.
    pub(super) device_prefix: u64,
    /// Events of any kind with these properties, which only exports have.
    pub(super) distinct_id_before_identity: u64,
    pub(super) mp_processing_time_ms: u64,
    pub(super) is_reshuffled: u64,
    pub(super) failure_reason: u64,
    pub(super) identity_failure_reason: u64,
    /// Those with `$is_reshuffled` whose `distinct_id` is a device's.
    pub(super) moved_to_a_device: u64,
    /// The anonymous IDs, by their form.
    pub(super) anonymous_ids: AnonymousIds,
    /// The devices that events show with a user, and those of them with several users.
    pub(super) devices: u64,
    pub(super) devices_with_several_users: u64,
    /// From 0 to 1; absent if there is no device.
    pub(super) devices_with_several_users_share: Option<f64>,
    pub(super) missing_resets: MissingResets,
}

impl Evidence {
    pub(super) fn events(&self) -> u64 {
        self.device_and_user_id
            + self.user_id
            + self.device_id
            + self.distinct_id_alone
            + self.no_id
            + self.identity_events()
    }

    /// `$identify`, `$create_alias` and `$merge`.
    pub(super) fn identity_events(&self) -> u64 {
        self.identify + self.create_alias + self.merge
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.device_and_user_id += other.device_and_user_id;
        self.user_id += other.user_id;
        self.device_id += other.device_id;
        self.distinct_id_alone += other.distinct_id_alone;
        self.no_id += other.no_id;
        self.identify += other.identify;
        self.identify_uuid_v4 += other.identify_uuid_v4;
        self.identify_other_form += other.identify_other_form;
        self.identify_without_anonymous_id += other.identify_without_anonymous_id;
        self.identify_identified_id += other.identify_identified_id;
        self.create_alias += other.create_alias;
        self.merge += other.merge;
        self.device_prefix += other.device_prefix;
        self.distinct_id_before_identity += other.distinct_id_before_identity;
        self.mp_processing_time_ms += other.mp_processing_time_ms;
        self.is_reshuffled += other.is_reshuffled;
        self.failure_reason += other.failure_reason;
        self.identity_failure_reason += other.identity_failure_reason;
        self.moved_to_a_device += other.moved_to_a_device;
    }

    pub(super) fn count_ids(&mut self, kinds: &Kinds, devices: &Devices) {
        self.anonymous_ids = kinds.anonymous_ids();
        self.missing_resets = devices.missing_resets();
        self.devices = devices.count();
        self.devices_with_several_users = self.missing_resets.devices;
        let share = self.devices_with_several_users as f64 / self.devices as f64;
        self.devices_with_several_users_share = (self.devices > 0).then_some(share);
    }

    /// Whether the events are from an export, which shows what a project did with them.
    pub(super) fn is_export(&self) -> bool {
        self.mp_processing_time_ms + self.is_reshuffled + self.distinct_id_before_identity > 0
    }

    fn count(&mut self, event: &Event<'_>) {
        match event.name {
            "$identify" => self.count_identify(event),
            "$create_alias" => self.create_alias += 1,
            "$merge" => self.merge += 1,
            _ => {
                let is_there = |value: Value<'_>| !value.is_absent();
                *match (is_there(event.device_id), is_there(event.user_id)) {
                    (true, true) => &mut self.device_and_user_id,
                    (false, true) => &mut self.user_id,
                    (true, false) => &mut self.device_id,
                    _ if is_there(event.distinct_id) => &mut self.distinct_id_alone,
                    _ => &mut self.no_id,
                } += 1;
            }
        }
        let text = text_of(event.distinct_id).unwrap_or_default();
        self.device_prefix += u64::from(text.starts_with(DEVICE_PREFIX));
    }

    fn count_identify(&mut self, event: &Event<'_>) {
        self.identify += 1;
        self.identify_identified_id += u64::from(!event.identified_id.is_absent());
        let anon = match event.anon_id.is_absent() {
            true => event.anon_distinct_id,
            false => event.anon_id,
        };
        if anon.is_absent() {
            self.identify_without_anonymous_id += 1;
            return;
        }
        let text = text_of(anon).unwrap_or_default();
        let text = text.strip_prefix(DEVICE_PREFIX).unwrap_or(text);
        let is_uuid = AnonIdFormat::UuidV4.accepts(text);
        *match is_uuid {
            true => &mut self.identify_uuid_v4,
            false => &mut self.identify_other_form,
        } += 1;
    }
}

fn text_of(value: Value<'_>) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Counts what an event carries.
pub(super) struct EvidenceReader {
    /// A search of the bytes is much faster than a second scan of each event.
    finders: [Finder<'static>; 4],
}

/// Parts of the properties that only exports have.
const PARTS: [&str; 4] = [
    "$distinct_id_before_identity",
    "mp_processing_time_ms",
    "$is_reshuffled",
    "failure_reason",
];

const EXPORTED: [&str; 5] = [
    PARTS[0],
    PARTS[1],
    PARTS[2],
    "$failure_reason",
    "$identity_failure_reason",
];

impl EvidenceReader {
    pub(super) fn new() -> Self {
        Self {
            finders: PARTS.map(Finder::new),
        }
    }

    pub(super) fn add(&self, json: &JsonEvent<'_>, evidence: &mut Evidence) {
        let event = json.event();
        evidence.count(&event);
        let text = json.text();
        let may_have = |finder: &Finder<'_>| finder.find(text.as_bytes()).is_some();
        if !self.finders.iter().any(may_have) {
            return;
        }
        let mut found = [false; EXPORTED.len()];
        let mut properties = None;
        visit_members(text, |key, value| {
            if key == b"properties" {
                properties = Some(value);
            }
        });
        properties.and_then(|properties: RawJson<'_>| {
            properties.visit_members(|key, _| {
                for (found, name) in found.iter_mut().zip(EXPORTED) {
                    *found |= key == name.as_bytes();
                }
            })
        });
        let [
            before_identity,
            processing_time,
            is_reshuffled,
            failure,
            identity_failure,
        ] = found.map(u64::from);
        evidence.distinct_id_before_identity += before_identity;
        evidence.mp_processing_time_ms += processing_time;
        evidence.is_reshuffled += is_reshuffled;
        evidence.failure_reason += failure;
        evidence.identity_failure_reason += identity_failure;
        if is_reshuffled > 0 && is_of_a_device(&event) {
            evidence.moved_to_a_device += 1;
        }
    }
}

/// Whether the `distinct_id` of an event is the ID of a device: it has the prefix, or is its `$device_id`.
fn is_of_a_device(event: &Event<'_>) -> bool {
    let Some(distinct_id) = text_of(event.distinct_id) else {
        return false;
    };
    let without_prefix = |text| str::strip_prefix(text, DEVICE_PREFIX);
    let device_id = text_of(event.device_id).map(|text| without_prefix(text).unwrap_or(text));
    without_prefix(distinct_id).is_some()
        || (event.user_id != event.distinct_id && device_id == Some(distinct_id))
}
