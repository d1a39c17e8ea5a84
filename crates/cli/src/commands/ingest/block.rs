//! Reads the events of a block for a store: their claims by every model, and their causes.

use idmerge_ingest::{BlockClaims, EventClaims};

use crate::stream::block::Block;
use crate::stream::event_reader::{EventReader, Refusal};
use crate::stream::events::{RefusedLine, first_refused};
use crate::stream::forms::unusable::Tally;

/// Reads blocks by the rules of several models.
pub(super) struct IngestReader<'w> {
    pub(super) events: EventReader,
    pub(super) claims: &'w EventClaims<'w>,
}

impl IngestReader<'_> {
    /// Scans each line once.
    pub(super) fn read<'b>(&self, block: &'b Block) -> IngestBlock<'b> {
        let mut read = IngestBlock::default();
        let (lines, refused) = self.events.read(block, |_, envelope| {
            let claims = &mut read.claims;
            claims.add(envelope, self.claims).map_err(Refusal::Invalid)
        });
        read.lines = lines;
        read.refused = refused;
        read
    }
}

/// The events that were read from a block.
#[derive(Default)]
pub(super) struct IngestBlock<'b> {
    /// The number of lines, blank and refused ones included.
    lines: u64,
    pub(super) claims: BlockClaims<'b>,
    pub(super) refused: Vec<RefusedLine<'b>>,
}

impl IngestBlock<'_> {
    /// How many lines and events there are. Call it before the refused lines are taken.
    pub(super) fn tally(&self) -> Tally {
        Tally {
            lines: self.lines,
            events: self.claims.events as u64,
            with_id: self.claims.with_id,
            first_refused: first_refused(&self.refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use idmerge_adapters::{Adapted, Adapter, Format, Options, Target};
    use idmerge_engines::{Model, Settings};
    use idmerge_events::probe;
    use idmerge_ingest::LoggedClaim;
    use idmerge_store::ErasedIds;

    use super::*;
    use crate::stream::adapt::block::AdaptedBlock;

    /// Reads a block as `ingest` does with a store of this model, and shows its claims.
    fn read<T>(model: Model, lines: &str, show: impl Fn(&LoggedClaim<'_>) -> T) -> (usize, Vec<T>) {
        let settings = Settings::of(model);
        let erased = ErasedIds::default();
        let reader = IngestReader {
            events: EventReader::new(1_000),
            claims: &EventClaims::new(&settings, &erased, 0),
        };
        let block = Block::of(lines.as_bytes());
        let mut read = reader.read(&block);
        let claims = read.claims.take(reader.claims).iter().map(show).collect();
        (read.claims.events, claims)
    }

    #[test]
    fn the_cause_of_a_claim_has_its_insert_id_and_time() {
        let cause = |properties: &str| {
            let ids = r#""$device_id":"D1","$user_id":"U1""#;
            let line = format!(r#"{{"event":"A","properties":{{{ids},{properties}}}}}"#);
            let show = |logged: &LoggedClaim<'_>| {
                let cause = logged.cause("");
                (cause.insert_id.map(str::to_owned), cause.time_ms)
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
        let erased = ErasedIds::default();
        let reader = IngestReader {
            events: EventReader::new(1_000),
            claims: &EventClaims::new(&settings, &erased, 0),
        };
        let before = probe::of_thread();
        let mut read = reader.read(&block);
        let claims = read.claims.take(reader.claims);
        let causes: Vec<_> = claims
            .iter()
            .map(|logged| logged.cause(""))
            .map(|cause| (cause.insert_id, cause.time_ms))
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
