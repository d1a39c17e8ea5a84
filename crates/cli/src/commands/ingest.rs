//! `idmerge ingest`: applies the claims of events to a store.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use idmerge_core::Claim;
use idmerge_engines::{Engine, Model, Settings};
use idmerge_events::{Envelope, TimeRange};
use idmerge_store::{Cause, Durable};

use crate::args::ingest::IngestArgs;
use crate::commands::store::open::{open_for_writing, settings_for_ingest};
use crate::output::destination::Destination;
use crate::output::refused::RefusedWriter;
use crate::output::summary::{Outcomes, row};
use crate::stream::blocks::Block;
use crate::stream::events::{BlockEvents, Keep};
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
        let mut events = BlockEvents::read(block, self.max_line_bytes, self.settings, Keep::Lines);
        let (line_count, refused, lines) =
            (events.lines(), events.take_refused(), events.take_lines());
        let (claimants, claims) = events.take_claims(self.settings);
        let envelopes: Vec<_> = lines
            .iter()
            .map(|line| Envelope::parse(line).ok())
            .collect();
        let mut all: Vec<_> = claimants.into_iter().zip(claims).collect();
        for other in self.others {
            all.extend(claims_of(other, &envelopes));
        }
        all.sort_by_key(|(number, _)| *number);
        let (numbers, claims): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let insert_ids: Vec<_> = numbers
            .iter()
            .map(|&number| envelopes[number].as_ref()?.insert_id()?.string())
            .collect();
        let count = lines.len() as u64;
        in_turn(ticket, |ordered| {
            let (sink, position) = ordered.for_block(block, line_count);
            let causes: Vec<_> = numbers
                .iter()
                .zip(&insert_ids)
                .map(|(&number, insert_id)| Cause {
                    insert_id: insert_id.as_deref(),
                    time_ms: envelopes[number]
                        .as_ref()
                        .and_then(|envelope| envelope.time(TimeRange::Exact).ms()),
                    source: Some(position.file),
                })
                .collect();
            sink.apply(&claims, &causes)?;
            sink.events += count;
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

/// The claims that events make by another model, each with the number of its event. An event that the
/// model refuses makes none.
fn claims_of<'e>(
    other: &Settings,
    envelopes: &'e [Option<Envelope<'_>>],
) -> impl Iterator<Item = (usize, Claim<'e>)> {
    envelopes
        .iter()
        .enumerate()
        .filter_map(|(number, envelope)| {
            let event = envelope.as_ref()?.json_event();
            let reading = other.read(&event.event()).ok()?;
            Some((number, reading.claim?))
        })
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
