//! Mistakes in reading an event: O-1 to O-6, and ID-1 to ID-7.

use idmerge_conformance::oracle::OriginalOracle;
use idmerge_core::{
    Claim, DEVICE_PREFIX, DistinctId, Event, IdProperty, IdentityResolver, InvalidEvent,
    InvalidEventReason, Reading, Value,
};

use crate::decoy::Mistake;
use crate::events::{read_unmarked, with_texts};

/// Does not remove `$device:` (O-1).
#[derive(Default)]
pub(crate) struct KeepsPrefix;

impl Mistake for KeepsPrefix {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        read_unmarked(oracle, event, &IdProperty::ALL)
    }
}

/// Removes every leading `$device:` instead of refusing two (O-1).
#[derive(Default)]
pub(crate) struct RemovesAllPrefixes;

impl Mistake for RemovesAllPrefixes {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let event = with_texts(event, |_, text| {
            let rest = text.trim_start_matches(DEVICE_PREFIX);
            if rest.len() == text.len() {
                text.to_owned()
            } else {
                format!("{DEVICE_PREFIX}{rest}")
            }
        });
        oracle.read(&event)
    }
}

/// Falls back to the next property if `distinct_id` is invalid (ID-7).
#[derive(Default)]
pub(crate) struct FallsBack;

impl Mistake for FallsBack {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(event).or_else(|refused| {
            if event.is_identity_event() || refused.property() != IdProperty::DistinctId {
                return Err(refused);
            }
            oracle.read(&Event {
                distinct_id: Value::Absent,
                ..*event
            })
        })
    }
}

/// Attributes an ordinary event to `$user_id` before `distinct_id` (O-2).
#[derive(Default)]
pub(crate) struct UserIdFirst;

impl Mistake for UserIdFirst {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        if event.is_identity_event() || event.user_id.is_absent() {
            return oracle.read(event);
        }
        oracle.read(&Event {
            distinct_id: Value::Absent,
            ..*event
        })
    }
}

/// Merges on an ordinary event with a user ID and a device ID, like Simplified (O-2).
#[derive(Default)]
pub(crate) struct OrdinaryMerges;

impl Mistake for OrdinaryMerges {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let reading = oracle.read(event)?;
        let identify = Event {
            distinct_id: event.user_id,
            anon_distinct_id: event.device_id,
            ..Event::named(Event::IDENTIFY)
        };
        let claim = match oracle.read(&identify) {
            Ok(login) if !event.is_identity_event() => login.claim,
            _ => reading.claim,
        };
        Ok(Reading { claim, ..reading })
    }
}

/// Attributes `$identify` to the anonymous ID (O-6).
#[derive(Default)]
pub(crate) struct OwnIsAnon;

impl Mistake for OwnIsAnon {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let reading = oracle.read(event)?;
        let distinct_id = match reading.claim {
            Some(Claim::Identify { anon, .. }) => Some(DistinctId::plain(anon)),
            _ => reading.distinct_id,
        };
        Ok(Reading {
            distinct_id,
            ..reading
        })
    }
}

/// Reads `$anon_distinct_id` before `$anon_id` (O-3).
#[derive(Default)]
pub(crate) struct BrowserSpellingFirst;

impl Mistake for BrowserSpellingFirst {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        if event.anon_distinct_id.is_absent() {
            return oracle.read(event);
        }
        oracle.read(&Event {
            anon_id: Value::Absent,
            ..*event
        })
    }
}

/// Trims IDs (ID-1).
#[derive(Default)]
pub(crate) struct TrimsIds;

impl Mistake for TrimsIds {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(&with_texts(event, |_, text| text.trim().to_owned()))
    }
}

/// Truncates an ID that is too long (ID-2).
#[derive(Default)]
pub(crate) struct CutsLongIds;

impl Mistake for CutsLongIds {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(event).or_else(|refused| {
            let InvalidEventReason::Length { max_id_bytes, .. } = refused.reason() else {
                return Err(refused);
            };
            let cut = |text: &str| {
                let id = text.strip_prefix(DEVICE_PREFIX).unwrap_or(text);
                let mark = &text[..text.len() - id.len()];
                let end = id.floor_char_boundary((*max_id_bytes).into());
                format!("{mark}{}", &id[..end])
            };
            oracle.read(&with_texts(event, |_, text| cut(text)))
        })
    }
}
