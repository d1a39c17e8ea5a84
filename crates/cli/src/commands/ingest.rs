//! `idmerge ingest`: applies the claims of events to a store.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::path::Path;

use anyhow::Context;
use idmerge_core::{Claim, Event, InvalidEvent};
use idmerge_engines::{Engine, Model, Settings};
use idmerge_events::{Envelope, RawJson, TimeRange};
use idmerge_store::{Cause, Durable};

use crate::args::ingest::IngestArgs;
use crate::commands::store::open::{open_for_writing, settings_for_ingest};
use crate::output::destination::Destination;
use crate::output::refused::RefusedWriter;
use crate::output::summary::{Outcomes, row};
use crate::stream::blocks::Block;
use crate::stream::events::{Refusal, RefusedLine, read_lines};
use crate::stream::input::{self, Reread};
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{LinePosition, OrderedSink, Pass, Worker, in_turn};
use crate::stream::progress::Progress;

/// Commit after this many claims.
const COMMIT_CLAIMS: u64 = 50_000;

/// Take a snapshot after this many new entries: opening a store replays at most these.
const SNAPSHOT_ENTRIES: u64 = 5_000_000;

pub(crate) fn run(args: &IngestArgs) -> anyhow::Result<()> {
    let settings = settings_for_ingest(&args.folder, args.engine.settings()?)?;
    let refused = Destination::of_option(args.refused.as_deref())?;
    let mut inputs = input::find_all(&args.input.paths)?;
    let refused = RefusedWriter::new(refused)?;
    let store = open_for_writing(&args.folder, Some(&settings))?;
    let entries_before = store.committed();
    let progress = Progress::of_bytes(input::total_bytes(&inputs), args.input.quiet);
    progress.stage("reading");
    let max_line_bytes = args.input.max_line_bytes;
    let others = Model::ALL
        .into_iter()
        .filter(|model| *model != settings.model());
    let others: Vec<_> = others.map(Settings::of).collect();
    let worker = || IngestWorker {
        max_line_bytes,
        settings: &settings,
        others: &others,
    };
    let sink = StoreSink {
        max_line_bytes,
        folder: &args.folder,
        store,
        refused,
        uncommitted: 0,
        events: 0,
        outcomes: Outcomes::default(),
    };
    let pass = Pass::new(&mut inputs, max_line_bytes, Reread::No, &progress);
    let mut sink = pass.run(sink, |_| Ok(()), worker)?;
    sink.commit()?;
    progress.stage("indexing");
    sink.snapshot_if_old()?;
    progress.finish();
    if !args.input.quiet {
        let summary = sink.summary(entries_before);
        let _unheard = write!(io::stderr(), "{summary}");
    }
    sink.close()
}

/// The store that claims go to, and counts of what it answered.
struct StoreSink<'a> {
    max_line_bytes: u64,
    folder: &'a Path,
    store: Durable<Engine>,
    refused: RefusedWriter,
    uncommitted: u64,
    events: u64,
    outcomes: Outcomes,
}

impl StoreSink<'_> {
    fn apply(&mut self, claims: &[Claim<'_>], causes: &[Cause<'_>]) -> anyhow::Result<()> {
        let outcomes = &mut self.outcomes;
        self.store
            .apply_batch_caused(claims, causes, &mut |outcome| outcomes.count(&outcome))?;
        self.uncommitted += claims.len() as u64;
        if self.uncommitted >= COMMIT_CLAIMS {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        self.store.commit().with_context(|| self.write_error())?;
        self.uncommitted = 0;
        self.store.index().with_context(|| self.write_error())?;
        if self.store.since_snapshot()? > SNAPSHOT_ENTRIES {
            self.store.snapshot().with_context(|| self.write_error())?;
        }
        Ok(())
    }

    /// Takes a snapshot, unless the latest one is recent enough.
    fn snapshot_if_old(&mut self) -> anyhow::Result<()> {
        if self.store.since_snapshot()? > self.store.committed() / 10 {
            self.store.snapshot().with_context(|| self.write_error())?;
        }
        Ok(())
    }

    fn summary(&self, entries_before: u64) -> IngestSummary<'_> {
        IngestSummary {
            events: self.events,
            new_entries: self.store.committed() - entries_before,
            outcomes: &self.outcomes,
            refused: self.refused.count(),
        }
    }

    fn close(self) -> anyhow::Result<()> {
        let write_error = self.write_error();
        self.refused.finish()?;
        self.store.close().context(write_error)
    }

    fn write_error(&self) -> String {
        format!("cannot write the store {}", self.folder.display())
    }
}

struct IngestWorker<'w> {
    max_line_bytes: u64,
    settings: &'w Settings,
    /// The other models. Their claims are logged too, for `store simulate`.
    others: &'w [Settings],
}

impl<'w> Worker for IngestWorker<'w> {
    type Kept = ();
    type Sink = StoreSink<'w>;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, OrderedSink<StoreSink<'w>>>,
    ) -> anyhow::Result<()> {
        let mut read = self.read(block);
        let (events, lines) = (read.events as u64, read.lines);
        let refused = mem::take(&mut read.refused);
        let logged = read.take_claims(self);
        let claims: Vec<_> = logged.iter().map(|logged| logged.claim).collect();
        in_turn(ticket, |ordered| {
            let (sink, position) = ordered.for_block(block, lines);
            let cause = |logged| LoggedClaim::cause(logged, position.file);
            let causes: Vec<_> = logged.iter().map(cause).collect();
            sink.apply(&claims, &causes)?;
            sink.events += events;
            sink.refused.add_all(position, refused)
        })
    }

    fn long_line(
        sink: &mut StoreSink<'w>,
        position: LinePosition<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        sink.refused
            .add_long_line(position, sink.max_line_bytes, copy)
    }
}

impl IngestWorker<'_> {
    /// Scans each line once.
    fn read<'b>(&self, block: &'b Block) -> IngestBlock<'b> {
        let mut read = IngestBlock::default();
        let (lines, refused) = read_lines(block, self.max_line_bytes, |line, text| {
            let envelope = match text {
                Some(text) => Envelope::parse_text(text),
                None => Envelope::parse(line.bytes),
            };
            let envelope = envelope.map_err(Refusal::Malformed)?;
            read.add(envelope, self).map_err(Refusal::Invalid)
        });
        read.lines = lines;
        read.refused = refused;
        read
    }

    /// The claims that an event makes: by the model of the store, which may refuse the event, and
    /// by the others. A model that refuses it has no claim of it.
    fn claims<'e>(
        &self,
        event: &Event<'e>,
    ) -> Result<impl Iterator<Item = Claim<'e>>, InvalidEvent> {
        let own = self.settings.read(event)?.claim;
        let others = self
            .others
            .iter()
            .filter_map(|other| other.read(event).ok()?.claim);
        Ok(own.into_iter().chain(others))
    }
}

/// What was read of a block.
#[derive(Default)]
struct IngestBlock<'b> {
    /// The number of lines, blank and refused ones included.
    lines: u64,
    /// The number of events that can be used.
    events: usize,
    claims: Vec<LoggedClaim<'b>>,
    /// Events with escapes, and their numbers: their claims borrow from them and not from the block.
    escaped: Vec<(usize, Envelope<'b>)>,
    refused: Vec<RefusedLine<'b>>,
}

impl<'b> IngestBlock<'b> {
    fn add(
        &mut self,
        envelope: Envelope<'b>,
        worker: &IngestWorker<'_>,
    ) -> Result<(), InvalidEvent> {
        let number = self.events;
        if let Some(event) = envelope.json_event().event_in_text() {
            for claim in worker.claims(&event)? {
                self.claims.push(LoggedClaim::new(number, claim, &envelope));
            }
        } else {
            worker.settings.read(&envelope.json_event().event())?;
            self.escaped.push((number, envelope));
        }
        self.events += 1;
        Ok(())
    }

    /// Takes all claims, in the order of their events.
    fn take_claims(&mut self, worker: &IngestWorker<'_>) -> Vec<LoggedClaim<'_>> {
        let mut all: Vec<LoggedClaim<'_>> = mem::take(&mut self.claims);
        for (number, envelope) in &self.escaped {
            let event = envelope.json_event().event();
            let claims = worker.claims(&event).into_iter().flatten();
            all.extend(claims.map(|claim| LoggedClaim::new(*number, claim, envelope)));
        }
        if !self.escaped.is_empty() {
            all.sort_by_key(|logged| logged.number);
        }
        all
    }
}

/// A claim, and what its event says of itself.
struct LoggedClaim<'e> {
    /// The number of the event among those of the block that can be used.
    number: usize,
    claim: Claim<'e>,
    insert_id: Option<Cow<'e, str>>,
    time_ms: Option<i64>,
}

impl<'e> LoggedClaim<'e> {
    /// An `$insert_id` that is not a string, and a time that is not a number, are left out.
    fn new(number: usize, claim: Claim<'e>, envelope: &Envelope<'e>) -> Self {
        Self {
            number,
            claim,
            insert_id: envelope.insert_id().and_then(RawJson::string),
            time_ms: envelope.time(TimeRange::Exact).ms(),
        }
    }

    fn cause<'c>(&'c self, file: &'c str) -> Cause<'c> {
        Cause {
            insert_id: self.insert_id.as_deref(),
            time_ms: self.time_ms,
            source: Some(file),
        }
    }
}

/// The figures of `ingest`.
struct IngestSummary<'s> {
    events: u64,
    new_entries: u64,
    outcomes: &'s Outcomes,
    refused: u64,
}

impl fmt::Display for IngestSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "events", self.events, "")?;
        row(f, "new entries", self.new_entries, "")?;
        write!(f, "{}", self.outcomes)?;
        row(f, "refused", self.refused, "")
    }
}

#[cfg(test)]
mod tests {
    use idmerge_events::probe;

    use super::*;

    /// Reads a block as `ingest` does with a store of this model, and shows its claims.
    fn read<T>(model: Model, lines: &str, show: impl Fn(&LoggedClaim<'_>) -> T) -> (usize, Vec<T>) {
        let others = Model::ALL.into_iter().filter(|other| *other != model);
        let worker = IngestWorker {
            max_line_bytes: 1_000,
            settings: &Settings::of(model),
            others: &others.map(Settings::of).collect::<Vec<_>>(),
        };
        let block = Block::of(lines.as_bytes(), true);
        let mut read = worker.read(&block);
        let claims = read.take_claims(&worker).iter().map(show).collect();
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
