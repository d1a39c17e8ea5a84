//! Mistakes with events that were written before: IN-5 and AR-4.

use idmerge_conformance::oracle::SimplifiedOracle;
use idmerge_core::{Event, IdentityResolver, InvalidEvent, Reading, Value};

use crate::decoy::Mistake;
use crate::events::{always_before, before_if_no_distinct_id, without_before, without_mark};

/// Reads `$distinct_id_before_identity` also if it is invalid, and so refuses the event (IN-5).
#[derive(Default)]
pub(crate) struct ReadsInvalidBefore;

impl Mistake for ReadsInvalidBefore {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(&always_before(event))
    }
}

/// Reads `$distinct_id_before_identity` only if there is no `distinct_id` (IN-5).
#[derive(Default)]
pub(crate) struct BeforeIsAFallback;

impl Mistake for BeforeIsAFallback {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(&before_if_no_distinct_id(event))
    }
}

/// Does not know `$distinct_id_before_identity` (IN-5).
#[derive(Default)]
pub(crate) struct NoBefore;

impl Mistake for NoBefore {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(&without_before(event))
    }
}

/// Reads `$distinct_id_before_identity` before `$user_id` and `$device_id` (IN-5, S-3).
#[derive(Default)]
pub(crate) struct BeforeFirst;

impl Mistake for BeforeFirst {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let reading = oracle.read(event)?;
        let before = oracle.read(&Event {
            distinct_id: event.distinct_id_before_identity,
            user_id: Value::Absent,
            device_id: Value::Absent,
            ..*event
        });
        let own = before.ok().and_then(|before| before.distinct_id);
        Ok(Reading {
            distinct_id: own.or(reading.distinct_id),
            ..reading
        })
    }
}

/// Weighs a marked event (AR-4).
#[derive(Default)]
pub(crate) struct WeighsMarked;

impl Mistake for WeighsMarked {
    type Oracle = SimplifiedOracle;

    fn read<'e>(
        &self,
        oracle: &SimplifiedOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        oracle.read(&without_mark(event))
    }
}
