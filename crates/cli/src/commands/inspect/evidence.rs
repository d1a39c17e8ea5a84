//! Counts of what the events carry.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault};

use foldhash::quality::RandomState;
use idmerge_core::{Claim, DEVICE_PREFIX, Event, Value};
use idmerge_engines::AnonIdFormat;
use idmerge_events::{JsonEvent, RawJson, visit_members};
use memchr::memmem::Finder;
use serde::Serialize;

use crate::output::users::NoHasher;

/// The number of events by what they carry. Identity events are counted by name, and all other events
/// by the IDs that they carry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
    pub(super) create_alias: u64,
    pub(super) merge: u64,
    /// Events of any kind whose `distinct_id` begins with `$device:`.
    pub(super) device_prefix: u64,
    /// Events of any kind with these properties, which only exports have.
    pub(super) distinct_id_before_identity: u64,
    pub(super) mp_processing_time_ms: u64,
    /// The devices that events connect with a user, and those of them with several users.
    pub(super) devices: u64,
    pub(super) devices_with_several_users: u64,
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
        self.create_alias += other.create_alias;
        self.merge += other.merge;
        self.device_prefix += other.device_prefix;
        self.distinct_id_before_identity += other.distinct_id_before_identity;
        self.mp_processing_time_ms += other.mp_processing_time_ms;
    }

    pub(super) fn count_devices(&mut self, devices: &Devices) {
        self.devices = devices.users.len() as u64;
        let several = devices.users.values().filter(|user| user.is_none()).count();
        self.devices_with_several_users = several as u64;
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
    finders: [Finder<'static>; 2],
}

const EXPORTED: [&str; 2] = ["$distinct_id_before_identity", "mp_processing_time_ms"];

impl EvidenceReader {
    pub(super) fn new() -> Self {
        Self {
            finders: EXPORTED.map(Finder::new),
        }
    }

    pub(super) fn add(&self, event: &JsonEvent<'_>, evidence: &mut Evidence) {
        evidence.count(&event.event());
        let text = event.text();
        let may_have = |finder: &Finder<'_>| finder.find(text.as_bytes()).is_some();
        if !self.finders.iter().any(may_have) {
            return;
        }
        let mut found = [false; 2];
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
        evidence.distinct_id_before_identity += u64::from(found[0]);
        evidence.mp_processing_time_ms += u64::from(found[1]);
    }
}

/// For each device that an event connects with a user, the user; `None` if there are several users.
/// All are hashes.
#[derive(Debug, Default)]
pub(super) struct Devices {
    users: HashMap<u64, Option<u64>, BuildHasherDefault<NoHasher>>,
}

impl Devices {
    /// The device and the user of a claim, if it names them.
    pub(super) fn of_claim(claim: &Claim<'_>, hasher: &RandomState) -> Option<(u64, u64)> {
        let (device, user) = match *claim {
            Claim::Link { device, user } => (device, user),
            Claim::Identify { identified, anon } if identified != anon => (anon, identified),
            _ => return None,
        };
        Some((hasher.hash_one(device), hasher.hash_one(user)))
    }

    pub(super) fn add(&mut self, devices: &[(u64, u64)]) {
        for &(device, user) in devices {
            let users = self.users.entry(device).or_insert(Some(user));
            if *users != Some(user) {
                *users = None;
            }
        }
    }
}
