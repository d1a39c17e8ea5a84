//! Reads the events of a block for a store: their claims by every model, and their causes.

use std::borrow::Cow;
use std::mem;

use idmerge_core::{Claim, Event, InvalidEvent};
use idmerge_engines::{Model, Settings};
use idmerge_events::{Envelope, RawJson, Repeatable, TimeRange};
use idmerge_store::{Cause, ErasedIds};

use crate::stream::block::Block;
use crate::stream::events::{Refusal, RefusedLine, first_refused, read_events};
use crate::stream::forms::unusable::Tally;

/// Reads blocks by the rules of several models.
pub(super) struct IngestReader<'w> {
    pub(super) max_line_bytes: u64,
    /// The settings of the store.
    pub(super) settings: &'w Settings,
    /// The other models. Their claims are logged too, for `store simulate`.
    pub(super) others: &'w [Settings],
    /// What names one of these IDs is refused (E-2).
    pub(super) erased: &'w ErasedIds,
    /// The time of the run, in milliseconds since 1970.
    pub(super) now_ms: i64,
}

/// What is read of an event.
struct EventRead {
    /// Whether the event has a distinct_id.
    has_id: bool,
    /// Whether the event names an erased ID. Then it makes no claim.
    is_erased: bool,
}

impl IngestReader<'_> {
    /// Scans each line once.
    pub(super) fn read<'b>(&self, block: &'b Block) -> IngestBlock<'b> {
        let mut read = IngestBlock::default();
        let (lines, refused) = read_events(block, self.max_line_bytes, |_, envelope| {
            read.add(envelope, self).map_err(Refusal::Invalid)
        });
        read.lines = lines;
        read.refused = refused;
        read
    }

    /// Adds the claims of an event, which has this number in its block. The model of the store may refuse the event;
    /// if another model refuses it, it makes no claim by that model.
    fn add_claims<'e>(
        &self,
        number: usize,
        event: &Event<'e>,
        envelope: &Envelope<'e>,
        to: &mut Vec<LoggedClaim<'e>>,
    ) -> Result<EventRead, InvalidEvent> {
        let own = self.settings.read(event)?;
        let has_id = own.distinct_id.is_some();
        let before = to.len();
        let mut is_erased = self.erased.refuses_event(&own, self.now_ms);
        let mut is_first = true;
        let others = self
            .others
            .iter()
            .filter_map(|other| Some((other.read(event).ok()?, other.has_identity_events())));
        for (reading, may_repeat) in [(own, true)].into_iter().chain(others) {
            let Some(claim) = reading.claim else {
                continue;
            };
            is_erased |= self.erased.refuses_claim(claim, self.now_ms);
            if is_erased {
                break;
            }
            // Original and Legacy read the same claim from `$create_alias`.
            let is_made = |made: &LoggedClaim<'_>| made.number == number && made.claim == claim;
            if to.iter().rev().take(Model::ALL.len()).any(is_made) {
                continue;
            }
            let mut logged = LoggedClaim::new(number, claim, envelope);
            // All claims of an event are left out together. In another model without identity events, a
            // claim that comes again changes nothing (S-6).
            if is_first && may_repeat {
                logged.repeatable = envelope.repeatable(reading.distinct_id, &mut Vec::new());
            }
            to.push(logged);
            is_first = false;
        }
        if is_erased {
            to.truncate(before);
        }
        Ok(EventRead { has_id, is_erased })
    }
}

/// The events that were read from a block.
#[derive(Default)]
pub(super) struct IngestBlock<'b> {
    /// The number of lines, blank and refused ones included.
    lines: u64,
    /// The number of events that can be used.
    pub(super) events: usize,
    /// How many of them have a distinct_id.
    with_id: u64,
    /// How many of them name an erased ID.
    pub(super) erased: u64,
    claims: Vec<LoggedClaim<'b>>,
    /// Events with escapes, and their numbers. Their claims borrow from them, not from the block.
    escaped: Vec<(usize, Envelope<'b>)>,
    pub(super) refused: Vec<RefusedLine<'b>>,
}

impl<'b> IngestBlock<'b> {
    fn add(
        &mut self,
        envelope: Envelope<'b>,
        reader: &IngestReader<'_>,
    ) -> Result<(), InvalidEvent> {
        let number = self.events;
        if let Some(event) = envelope.json_event().event_in_text() {
            let read = reader.add_claims(number, &event, &envelope, &mut self.claims)?;
            self.with_id += u64::from(read.has_id);
            self.erased += u64::from(read.is_erased);
        } else {
            let event = envelope.json_event().event();
            let read = reader.add_claims(number, &event, &envelope, &mut Vec::new())?;
            self.with_id += u64::from(read.has_id);
            self.erased += u64::from(read.is_erased);
            self.escaped.push((number, envelope));
        }
        self.events += 1;
        Ok(())
    }

    /// How many lines and events there are. Call it before the refused lines are taken.
    pub(super) fn tally(&self) -> Tally {
        Tally {
            lines: self.lines,
            events: self.events as u64,
            with_id: self.with_id,
            first_refused: first_refused(&self.refused),
        }
    }

    /// Takes all claims, in the order of their events.
    pub(super) fn take_claims(&mut self, reader: &IngestReader<'_>) -> Vec<LoggedClaim<'_>> {
        let mut all: Vec<LoggedClaim<'_>> = mem::take(&mut self.claims);
        for (number, envelope) in &self.escaped {
            let event = envelope.json_event().event();
            // It was read before, and not refused.
            let _read = reader.add_claims(*number, &event, envelope, &mut all);
        }
        if !self.escaped.is_empty() {
            all.sort_by_key(|logged| logged.number);
        }
        all
    }
}

/// A claim, and the parts of its event that are logged with it.
pub(super) struct LoggedClaim<'e> {
    /// The number of the event among those of the block that can be used.
    pub(super) number: usize,
    /// Of the first claim of an event: the event, if there can be duplicates of it (AR-2).
    pub(super) repeatable: Option<Repeatable>,
    pub(super) claim: Claim<'e>,
    insert_id: Option<Cow<'e, str>>,
    time_ms: Option<i64>,
}

impl<'e> LoggedClaim<'e> {
    /// Leaves out an `$insert_id` that is not a string, and a `time` that is not a number.
    fn new(number: usize, claim: Claim<'e>, envelope: &Envelope<'e>) -> Self {
        Self {
            number,
            repeatable: None,
            claim,
            insert_id: envelope.insert_id().and_then(RawJson::string),
            time_ms: envelope.time(TimeRange::Exact).ms(),
        }
    }

    pub(super) fn cause<'c>(&'c self, file: &'c str) -> Cause<'c> {
        Cause {
            insert_id: self.insert_id.as_deref(),
            time_ms: self.time_ms,
            source: Some(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use idmerge_adapters::{Adapted, Adapter, Format, Options, Target};
    use idmerge_events::probe;

    use super::*;
    use crate::stream::adapt::block::AdaptedBlock;

    /// Reads a block as `ingest` does with a store of this model, and shows its claims.
    fn read<T>(model: Model, lines: &str, show: impl Fn(&LoggedClaim<'_>) -> T) -> (usize, Vec<T>) {
        let others = Model::ALL.into_iter().filter(|other| *other != model);
        let reader = IngestReader {
            max_line_bytes: 1_000,
            settings: &Settings::of(model),
            others: &others.map(Settings::of).collect::<Vec<_>>(),
            erased: &ErasedIds::default(),
            now_ms: 0,
        };
        let block = Block::of(lines.as_bytes());
        let mut read = reader.read(&block);
        let claims = read.take_claims(&reader).iter().map(show).collect();
        (read.events, claims)
    }

    #[test]
    fn the_cause_of_a_claim_has_its_insert_id_and_time() {
        let cause = |properties: &str| {
            let ids = r#""$device_id":"D1","$user_id":"U1""#;
            let line = format!(r#"{{"event":"A","properties":{{{ids},{properties}}}}}"#);
            let show = |logged: &LoggedClaim<'_>| {
                (
                    logged.insert_id.as_deref().map(str::to_owned),
                    logged.time_ms,
                )
            };
            let (_, mut causes) = read(Model::Simplified, &line, show);
            assert_eq!(causes.len(), 1);
            causes.remove(0)
        };
        let id = Some("5c7f".to_owned());
        assert_eq!(
            cause(r#""$insert_id":"5c7f","time":1700000000"#),
            (id.clone(), Some(1_700_000_000_000))
        );
        assert_eq!(
            cause(r#""time":1700000000123,"$insert_id":"5c\u0037f""#),
            (id, Some(1_700_000_000_123))
        );
        assert_eq!(
            cause(r#""time":1700000000.5"#),
            (None, Some(1_700_000_000_500))
        );
        // Beyond the year 9999, where the endpoints of the server stop.
        assert_eq!(cause(r#""time":8e15"#), (None, Some(8_000_000_000_000_000)));
        assert_eq!(cause(r#""time":"now","$insert_id":5"#), (None, None));
        assert_eq!(cause(r#""time":1e300"#), (None, None));
        // IN-2
        assert_eq!(cause(r#""time":"now","time":2"#), (None, Some(2_000)));
    }

    #[test]
    fn a_line_that_an_adapter_wrote_is_not_scanned() {
        let adapter = Adapter::new(Format::Segment, Options::new(Target::Simplified)).unwrap();
        let mut adapted = Adapted::default();
        for call in [
            r#"{"type":"track","event":"A","userId":"U1","anonymousId":"D1","messageId":"m1","timestamp":"2024-05-01T12:00:00Z"}"#,
            r#"{"type":"track","event":"A","userId":"U2","anonymousId":"D2"}"#,
        ] {
            adapter.adapt(1, call, &mut adapted);
        }
        let mut block = Block::of(adapted.text());
        block.adapted = Some(AdaptedBlock {
            records: 2,
            numbers: vec![1, 2],
            parts: adapted.take_lines().iter().map(|line| line.parts).collect(),
            refused: Vec::new(),
            conflicts: Vec::new(),
        });
        let settings = Settings::of(Model::Simplified);
        let reader = IngestReader {
            max_line_bytes: 1_000,
            settings: &settings,
            others: &[],
            erased: &ErasedIds::default(),
            now_ms: 0,
        };
        let before = probe::of_thread();
        let mut read = reader.read(&block);
        let claims = read.take_claims(&reader);
        let causes: Vec<_> = claims
            .iter()
            .map(|logged| (logged.insert_id.as_deref(), logged.time_ms))
            .collect();
        assert_eq!(
            causes,
            [(Some("m1"), Some(1_714_564_800_000)), (None, None)]
        );
        assert!(claims[0].repeatable.is_some() && claims[1].repeatable.is_none());
        // A release build does not count.
        if let (Some(before), Some(after)) = (before, probe::of_thread()) {
            assert_eq!(after.events, before.events);
        }
    }

    #[test]
    fn a_line_is_scanned_once() {
        let Some(before) = probe::of_thread() else {
            // A release build does not count.
            return;
        };
        let lines = [
            r#"{"event":"A","properties":{"$device_id":"D1","$user_id":"U1","time":1}}"#,
            r#"{"event":"B","properties":{"$device_id":"D\u0031","$user_id":"U1"}}"#,
            r#"{"event":"$merge","properties":{"$distinct_ids":["U1","U2"]}}"#,
            r#"{"event":"C","properties":{}}"#,
            r#"{"event":"refused by a rule","properties":{"$user_id":[]}}"#,
            r#"{"event":1}"#,
            "not JSON",
        ];
        let (events, claims) = read(Model::Simplified, &lines.join("\n"), |logged| logged.number);
        let after = probe::of_thread().unwrap();
        assert_eq!((events, claims), (4, vec![0, 1, 2]));
        assert_eq!(after.events - before.events, lines.len() as u64);
        let bytes: usize = lines.iter().map(|line| line.len()).sum();
        assert_eq!(after.bytes - before.bytes, bytes as u64);
    }
}
