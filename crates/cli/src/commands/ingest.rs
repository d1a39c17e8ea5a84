//! `idmerge ingest`: applies the claims of events to a store.

mod block;

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::path::Path;
use std::slice;

use anyhow::Context;
use idmerge_engines::Engine;
use idmerge_ingest::{EventClaims, KnownInputs, LoggedClaim, Part, Taken, snapshot_if_old};
use idmerge_store::Durable;
use serde_json::{Value, json};

use crate::args::ingest::IngestArgs;
use crate::commands::ingest::block::IngestReader;
use crate::commands::sorting::Ordering;
use crate::commands::store::open::{NewStore, open_error, open_or_make, settings_for_ingest};
use crate::environment::now_ms;
use crate::output::conflicts::{ConflictsWriter, RejectedClaim};
use crate::output::refused::RefusedWriter;
use crate::output::summary::{
    self, Figures, Outcomes, Refused, SummaryForm, add_adapted, add_outcomes, outcome_rows, row,
};
use crate::report::say;
use crate::stream::adapt::{AdaptReport, Adapting};
use crate::stream::block::Block;
use crate::stream::event_reader::EventReader;
use crate::stream::events::numbers_of;
use crate::stream::input::{self, Reread};
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Pass, Refusal, Sink, Worker, in_turn};
use crate::stream::progress::Progress;

const CONTINUES_AGAIN: &str = "this continues the --again run that did not finish: what that run has taken is passed \
     over (AR-3); to take it anew, run the same command again afterwards";

pub(crate) fn run(args: &IngestArgs) -> anyhow::Result<()> {
    let settings = settings_for_ingest(&args.folder, args.engine.settings()?)?;
    let refused = args.input.refused(None)?;
    let inputs = input::find_all(&args.input.paths)?;
    let others = [("--refused", refused.as_ref())];
    let conflicts = args.conflicts.writer(&others, &inputs, &args.input)?;
    let mut refused = args.input.refused_writer(refused, &inputs)?;
    let form = args.summary.form(args.input.quiet);
    if form == SummaryForm::Json {
        refused.silence();
    }
    let adapting = args.adapt.adapting(&settings, form != SummaryForm::Text)?;
    let adapting = adapting.as_ref();
    let ordering = Ordering {
        by: &args.sorting,
        input: &args.input,
        settings: slice::from_ref(&settings),
        adapting,
    };
    let mut inputs = ordering.order(inputs, &mut refused)?;
    let (store, mut new_store) = open_or_make(&args.folder, &settings)?;
    let entries_before = store.committed();
    let taken = Taken::open(&store, args.again).with_context(|| open_error(&args.folder))?;
    if taken.continues_again() && form == SummaryForm::Text {
        say(format_args!("{CONTINUES_AGAIN}"));
    }
    let mut known = taken.known_inputs();
    if entries_before > 0 || !known.is_empty() {
        // Another process has made it in between.
        new_store.keep();
    }
    let progress = Progress::of_bytes(input::total_bytes(&inputs), args.input.quiet);
    progress.stage("reading");
    let erased = store.erased().clone();
    let claims = EventClaims::new(&settings, &erased, now_ms());
    let worker = || {
        IngestWorker(IngestReader {
            events: EventReader::new(args.input.max_line_bytes),
            claims: &claims,
        })
    };
    let sink = StoreSink::new(args, (store, new_store), taken, refused, conflicts);
    let pass =
        Pass::new(&mut inputs, args.input.limits(), Reread::No, &progress).adapting(adapting);
    let pass = pass.passing(&mut known);
    let mut sink = pass.run(sink, |_| Ok(()), worker)?;
    sink.finish_inputs()?;
    progress.stage("indexing");
    snapshot_if_old(&sink.store).with_context(|| sink.write_error())?;
    progress.finish();
    let adapted = adapting.and_then(Adapting::report);
    sink.print(entries_before, &known, adapted.as_ref(), form);
    sink.close()
}

/// The store that claims go to, and counts of what it answered.
struct StoreSink<'a> {
    folder: &'a Path,
    /// Before the store, so that it is dropped before.
    new_store: NewStore,
    store: Durable<Engine>,
    refused: RefusedWriter,
    /// The cases that a person must decide, if they are asked for.
    conflicts: Option<ConflictsWriter>,
    taken: Taken,
    /// Commit after this many claims.
    commit_claims: u64,
    uncommitted: u64,
    events: u64,
    /// Whether one of them has an ID.
    has_id: bool,
    /// How many of them name an erased ID.
    erased: u64,
    outcomes: Outcomes,
}

impl<'a> StoreSink<'a> {
    fn new(
        args: &'a IngestArgs,
        (store, new_store): (Durable<Engine>, NewStore),
        taken: Taken,
        refused: RefusedWriter,
        conflicts: Option<ConflictsWriter>,
    ) -> Self {
        Self {
            folder: &args.folder,
            new_store,
            store,
            refused,
            conflicts,
            taken,
            commit_claims: args.commit_claims,
            uncommitted: 0,
            events: 0,
            has_id: false,
            erased: 0,
            outcomes: Outcomes::default(),
        }
    }
}

impl StoreSink<'_> {
    /// Applies the claims of a block. Returns those that were rejected, if the cases that a person must decide are
    /// asked for.
    fn apply<'c>(
        &mut self,
        logged: &'c [LoggedClaim<'_>],
        file: &str,
    ) -> anyhow::Result<Vec<RejectedClaim<'c>>> {
        let claims: Vec<_> = logged.iter().map(|logged| logged.claim).collect();
        let cause = |logged| LoggedClaim::cause(logged, file);
        let causes: Vec<_> = logged.iter().map(cause).collect();
        let outcomes = &mut self.outcomes;
        let is_rejected_kept = self.conflicts.is_some();
        let (mut made, mut rejected) = (logged.iter(), Vec::new());
        self.store
            .apply_batch_caused(&claims, &causes, &mut |outcome| {
                outcomes.count(&outcome);
                if let Some(made) = made.next()
                    && is_rejected_kept
                {
                    rejected.extend(RejectedClaim::of(made.number, made.claim, &outcome));
                }
            })?;
        self.uncommitted += claims.len() as u64;
        Ok(rejected)
    }

    /// Commits what was taken, between two blocks.
    fn commit_if_due(&mut self) -> anyhow::Result<()> {
        if self.uncommitted >= self.commit_claims || self.taken.is_commit_due() {
            self.commit()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        let committed = self.taken.commit(&self.store);
        if self.has_id || committed.is_err() {
            self.new_store.keep();
        }
        committed.with_context(|| self.write_error())?;
        self.uncommitted = 0;
        Ok(())
    }

    /// Commits after all inputs have been read.
    fn finish_inputs(&mut self) -> anyhow::Result<()> {
        let finished = self.taken.finish(&self.store);
        self.new_store.keep();
        finished.with_context(|| self.write_error())
    }

    fn summary<'s>(
        &'s self,
        entries_before: u64,
        known: &KnownInputs,
        adapted: Option<&'s AdaptReport>,
    ) -> IngestSummary<'s> {
        IngestSummary {
            adapted,
            continues_again: self.taken.continues_again(),
            taken_before: self.taken.events_in(known.passed()),
            events: self.events,
            erased: self.erased,
            repeated: self.taken.repeated,
            new_entries: self.store.committed() - entries_before,
            outcomes: &self.outcomes,
            refused: Refused::of(&self.refused),
        }
    }

    fn print(
        &self,
        entries_before: u64,
        known: &KnownInputs,
        adapted: Option<&AdaptReport>,
        form: SummaryForm,
    ) {
        summary::print(&self.summary(entries_before, known, adapted), form);
        if let Some(adapted) = adapted {
            adapted.warn(form);
        }
    }

    /// Ends the run at the first refused line that is one too many, because a commit cannot be undone.
    fn check_refused(&mut self) -> anyhow::Result<()> {
        let excess = self.refused.excess(
            "the rest of the input was not added to the store; what was committed before stays",
        );
        if excess.is_err() {
            self.refused.finish()?;
            self.write_conflicts()?;
        }
        excess
    }

    fn write_conflicts(&mut self) -> anyhow::Result<()> {
        match self.conflicts.take() {
            Some(conflicts) => conflicts.finish(&self.store),
            None => Ok(()),
        }
    }

    fn close(mut self) -> anyhow::Result<()> {
        let write_error = self.write_error();
        self.refused.finish()?;
        self.write_conflicts()?;
        self.store.close().context(write_error)
    }

    fn write_error(&self) -> String {
        format!("cannot write the store {}", self.folder.display())
    }
}

struct IngestWorker<'w>(IngestReader<'w>);

impl<'w> Worker for IngestWorker<'w> {
    type Kept = ();
    type Sink = StoreSink<'w>;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, OrderedSink<StoreSink<'w>>>,
    ) -> anyhow::Result<()> {
        let mut read = self.0.read(block);
        let (events, tally) = (read.claims.events as u64, read.tally());
        let refused = mem::take(&mut read.refused);
        let (lines, with_id) = (tally.lines, tally.with_id);
        let erased = read.claims.erased;
        let mut logged = read.claims.take(self.0.claims);
        in_turn(ticket, |ordered| {
            let (sink, position) = ordered.for_block(block, tally)?;
            let refused_lines = numbers_of(&refused);
            // The check comes before the claims are applied, so that those of this block are not committed.
            sink.refused.add_all(position, refused)?;
            sink.check_refused()?;
            sink.taken.take_new(&mut logged, &sink.store)?;
            sink.events += events;
            sink.has_id |= with_id > 0;
            sink.erased += erased;
            let rejected = sink.apply(&logged, position.file)?;
            if let Some(conflicts) = &mut sink.conflicts {
                conflicts.add_block(block, position, &refused_lines, &rejected)?;
            }
            sink.taken.add(&Part {
                input: block.input,
                passed: block.passed.map(|passed| passed.number),
                content: block.content,
                records: position.records_before() + block.records(lines),
                events,
                with_id,
            });
            sink.commit_if_due()
        })
    }

    fn unread_line(
        sink: &mut StoreSink<'w>,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        sink.refused.add_unread(&refusal, copy)?;
        sink.check_refused()
    }
}

impl Sink for StoreSink<'_> {
    fn input_failed(&mut self) -> anyhow::Result<()> {
        self.commit()
    }
}

/// The figures of `ingest`.
struct IngestSummary<'s> {
    /// If another product wrote the records.
    adapted: Option<&'s AdaptReport>,
    /// Whether the run took the rest of an `--again` run that did not finish.
    continues_again: bool,
    /// How many events were passed over, because they are the beginning of an input that was taken
    /// before (AR-3).
    taken_before: u64,
    events: u64,
    /// How many events were refused, because they name an erased ID (E-2).
    erased: u64,
    /// How many events made no claim, because they are duplicates (AR-2).
    repeated: u64,
    new_entries: u64,
    outcomes: &'s Outcomes,
    refused: Refused,
}

impl fmt::Display for IngestSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(adapted) = self.adapted {
            write!(f, "{adapted}")?;
        }
        if self.taken_before > 0 {
            row(f, "taken before", self.taken_before, " events")?;
        }
        row(f, "events", self.events, "")?;
        if self.erased > 0 {
            row(f, "  erased", self.erased, "")?;
        }
        if self.repeated > 0 {
            row(f, "  repeated", self.repeated, "")?;
        }
        row(f, "new entries", self.new_entries, "")?;
        outcome_rows(f, self.outcomes)?;
        write!(f, "{}", self.refused)
    }
}

impl Figures for IngestSummary<'_> {
    fn json(&self) -> Value {
        let mut json = json!({
            "continues_again": self.continues_again,
            "events_taken_before": self.taken_before,
            "events": self.events,
            "events_erased": self.erased,
            "events_repeated": self.repeated,
            "new_entries": self.new_entries,
        });
        add_outcomes(self.outcomes, &mut json);
        self.refused.add_to(&mut json);
        add_adapted(self.adapted, &mut json);
        json
    }
}
