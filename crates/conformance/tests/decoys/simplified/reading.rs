//! Mistakes in reading an event: S-0 to S-4, S-8, and ID-1 to ID-7.

use idmerge_conformance::EngineSettings;
use idmerge_conformance::oracle::SimplifiedOracle;
use idmerge_core::{
    DEVICE_PREFIX, Event, IdProperty, IdentityResolver, InvalidEvent, Reading, Value,
};

use crate::decoy::Mistake;
use crate::events::{read_disguised, read_unmarked, with_texts};

/// Links on `$identify` too (S-8).
#[derive(Default)]
pub(crate) struct IdentifyLinks;

impl Mistake for IdentifyLinks {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let name = match event.name {
            Event::IDENTIFY => "Log In",
            name => name,
        };
        oracle.read(&Event { name, ..*event })
    }
}

/// Attributes identity events to no user (S-8).
#[derive(Default)]
pub(crate) struct IdentityEventsAreNobodys;

impl Mistake for IdentityEventsAreNobodys {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let reading = oracle.read(event)?;
        Ok(if event.is_identity_event() {
            Reading::default()
        } else {
            reading
        })
    }
}

/// Does not remove `$device:` from `$device_id` (ID-5).
#[derive(Default)]
pub(crate) struct KeepsPrefix;

impl Mistake for KeepsPrefix {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        read_unmarked(oracle, event, &[IdProperty::DeviceId])
    }
}

/// Removes every leading `$device:` from `$device_id` (ID-5).
#[derive(Default)]
pub(crate) struct RemovesAllPrefixes;

impl Mistake for RemovesAllPrefixes {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let event = with_texts(event, |property, text| {
            let rest = text.trim_start_matches(DEVICE_PREFIX);
            if property != IdProperty::DeviceId || rest.len() == text.len() {
                text.to_owned()
            } else {
                format!("{DEVICE_PREFIX}{rest}")
            }
        });
        oracle.read(&event)
    }
}

/// Takes a `$user_id` with the device prefix for the ID of a user (S-0).
#[derive(Default)]
pub(crate) struct MarkedIsUser;

impl Mistake for MarkedIsUser {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        read_unmarked(oracle, event, &[IdProperty::UserId])
    }
}

/// Takes a `distinct_id` with the device prefix for the ID of a user (S-3).
#[derive(Default)]
pub(crate) struct DistinctIdIsUser;

impl Mistake for DistinctIdIsUser {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        read_unmarked(oracle, event, &[IdProperty::DistinctId])
    }
}

/// Reads `distinct_id` before `$user_id` and `$device_id` (S-1 to S-3).
#[derive(Default)]
pub(crate) struct DistinctIdFirst;

impl Mistake for DistinctIdFirst {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let reading = oracle.read(event)?;
        let distinct_id = oracle.read(&Event {
            user_id: Value::Absent,
            device_id: Value::Absent,
            ..*event
        });
        let own = distinct_id.ok().and_then(|reading| reading.distinct_id);
        Ok(Reading {
            distinct_id: own.or(reading.distinct_id),
            ..reading
        })
    }
}

/// Ignores an invalid `$device_id` if there is a user ID (ID-7).
#[derive(Default)]
pub(crate) struct SparesInvalidDevice;

impl Mistake for SparesInvalidDevice {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(event).or_else(|refused| {
            if refused.property() != IdProperty::DeviceId || event.user_id.is_absent() {
                return Err(refused);
            }
            oracle.read(&Event {
                device_id: Value::Absent,
                ..*event
            })
        })
    }
}

/// Accepts an ID that is one byte too long (ID-2).
#[derive(Default)]
pub(crate) struct LimitTooHigh;

impl Mistake for LimitTooHigh {
    type Oracle = SimplifiedOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        EngineSettings {
            max_id_bytes: settings.max_id_bytes.max(1).saturating_add(1),
            ..settings
        }
    }
}

/// Counts the characters of an ID instead of its bytes (ID-2).
#[derive(Default)]
pub(crate) struct CountsCharacters;

impl Mistake for CountsCharacters {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        read_disguised(oracle, event, |_, text| {
            text.replace(|c: char| !c.is_ascii(), "\u{1}")
        })
    }
}

/// Compares blocked values case-sensitively (ID-4).
#[derive(Default)]
pub(crate) struct BlocksOneCase {
    blocked: Vec<String>,
    blocks_nothing: SimplifiedOracle,
}

impl Mistake for BlocksOneCase {
    type Oracle = SimplifiedOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        self.blocked.clone_from(&settings.blocked_values);
        self.blocks_nothing = SimplifiedOracle::new(EngineSettings {
            blocked_values: Vec::new(),
            ..settings.clone()
        });
        settings
    }

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let values = [event.user_id, event.device_id, event.distinct_id];
        let is_blocked = |value: &Value<'_>| {
            let Value::Text(text) = value else {
                return false;
            };
            let id = text.strip_prefix(DEVICE_PREFIX).unwrap_or(text);
            self.blocked.iter().any(|blocked| blocked == id)
        };
        if values.iter().any(is_blocked) {
            oracle.read(event)
        } else {
            self.blocks_nothing.read(event)
        }
    }
}

/// Always uses the documented list of blocked values, and not the settings (ID-4).
#[derive(Default)]
pub(crate) struct BlockedBuiltIn;

impl Mistake for BlockedBuiltIn {
    type Oracle = SimplifiedOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        EngineSettings {
            blocked_values: EngineSettings::default().blocked_values,
            ..settings
        }
    }
}
