//! Mistakes with events that were written before: IN-5 and AR-4.

use idmerge_conformance::oracle::OriginalOracle;
use idmerge_core::{Event, IdentityResolver, InvalidEvent, Reading, Value};

use crate::decoy::Mistake;
use crate::events::{always_before, before_if_no_distinct_id, without_before, without_mark};

/// Reads `$distinct_id_before_identity` also if it is invalid, and so refuses the event (IN-5).
#[derive(Default)]
pub(crate) struct ReadsInvalidBefore;

impl Mistake for ReadsInvalidBefore {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(&always_before(event))
    }
}

/// Reads an ID with two prefixes as a valid `$distinct_id_before_identity` (O-1).
#[derive(Default)]
pub(crate) struct ReadsBeforeWithTwoPrefixes;

impl Mistake for ReadsBeforeWithTwoPrefixes {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        match event.distinct_id_before_identity {
            Value::Text(text) if text.starts_with("$device:$device:") => {
                oracle.read(&always_before(event))
            }
            _ => oracle.read(event),
        }
    }
}

/// Reads `$distinct_id_before_identity` only if there is no `distinct_id` (IN-5).
#[derive(Default)]
pub(crate) struct BeforeIsAFallback;

impl Mistake for BeforeIsAFallback {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(&before_if_no_distinct_id(event))
    }
}

/// Does not read `$distinct_id_before_identity` for `$create_alias` (IN-5, O-4).
#[derive(Default)]
pub(crate) struct NoBeforeForAliases;

impl Mistake for NoBeforeForAliases {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        match event.name {
            Event::CREATE_ALIAS => oracle.read(&without_before(event)),
            _ => oracle.read(event),
        }
    }
}

/// Does not read `$distinct_id_before_identity` for `$identify` (IN-5, O-3).
#[derive(Default)]
pub(crate) struct NoBeforeForIdentify;

impl Mistake for NoBeforeForIdentify {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        match event.name {
            Event::IDENTIFY => oracle.read(&without_before(event)),
            _ => oracle.read(event),
        }
    }
}

/// Reads `$distinct_id_before_identity` in place of `$identified_id` too (IN-5, O-3).
#[derive(Default)]
pub(crate) struct BeforeIsIdentified;

impl Mistake for BeforeIsIdentified {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        if event.distinct_id_before_identity.is_absent() {
            return oracle.read(event);
        }
        oracle.read(&Event {
            identified_id: Value::Absent,
            ..*event
        })
    }
}

/// Weighs a marked event (AR-4).
#[derive(Default)]
pub(crate) struct WeighsMarked;

impl Mistake for WeighsMarked {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(&without_mark(event))
    }
}

/// Weighs a marked `$identify` and `$create_alias`, but not a marked `$merge` (AR-4).
#[derive(Default)]
pub(crate) struct HeedsMarkOfMergeOnly;

impl Mistake for HeedsMarkOfMergeOnly {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        match event.name {
            Event::MERGE => oracle.read(event),
            _ => oracle.read(&without_mark(event)),
        }
    }
}

/// Attributes a marked event to no user (AR-4, O-6).
#[derive(Default)]
pub(crate) struct MarkedIsNobodys;

impl Mistake for MarkedIsNobodys {
    type Oracle = OriginalOracle;

    fn read<'e>(
        &self,
        oracle: &OriginalOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let reading = oracle.read(event)?;
        Ok(if event.is_unweighed {
            Reading::default()
        } else {
            reading
        })
    }
}
