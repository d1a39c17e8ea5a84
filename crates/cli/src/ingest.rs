//! `idmerge ingest`: events into a store of claims.
#![allow(
    clippy::doc_markdown,
    reason = "here a doc comment is the help text, and a terminal shows backticks as they are"
)]

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use idmerge_core::{Claim, IdentityResolver};
use idmerge_events::JsonEvent;
use idmerge_store::{Cause, Durable};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::args::InputArgs;
use crate::blocks::Block;
use crate::events::{self, BlockEvents, Keep, Refusals};
use crate::fold::{Fold, InOrder, LinePlace, Worker, in_turn};
use crate::input::{self, Again};
use crate::model::OptionalEngineArgs;
use crate::output::Place;
use crate::progress::Progress;
use crate::refused::RefusedLines;
use crate::store::{open_for_writing, wanted_of};
use crate::summary::{Outcomes, row};
use crate::turns::Ticket;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idmerge ingest people events.ndjson --engine simplified
  zcat day-*.gz | idmerge ingest people
  idmerge resolve today.ndjson --store people > resolved.ndjson

A store goes on with the engine that it was made with; another is refused. What is in the store
already says nothing new, so a run that was killed can be run again: claims are safe a commit at a
time, and the input is read from its beginning. A claim that was withdrawn counts again when it comes
again.")]
pub(crate) struct IngestArgs {
    /// The folder of the store, which is made where it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    #[command(flatten)]
    input: InputArgs,

    #[command(flatten)]
    engine: OptionalEngineArgs,

    /// Write lines that cannot be used to FILE, each with its line number, its error and its rule
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
}

/// After so many claims what was applied is made safe.
const COMMIT_CLAIMS: u64 = 50_000;

/// After so many new entries a snapshot is taken, so that opening weighs no more than these again.
const SNAPSHOT_ENTRIES: u64 = 5_000_000;

pub(crate) fn run(args: &IngestArgs) -> anyhow::Result<()> {
    let model = wanted_of(&args.folder, args.engine.model())?;
    let refused = args.refused.as_deref().map(|path| Place::of(Some(path)));
    let mut inputs = input::find_all(&args.input.inputs)?;
    let refused = RefusedLines::new(refused.transpose()?)?;
    let store = open_for_writing(&args.folder, Some(model))?;
    let before = store.committed();
    let progress = Progress::new(&inputs, 1, args.input.quiet);
    progress.stage("reading");
    let fold = Fold {
        inputs: &mut inputs,
        args: &args.input,
        again: Again::No,
        progress: &progress,
    };
    // Reading is pure, and can be asked of others while claims go to the store.
    let (reader, other) = (model.engine(), model.of_other_rule_book().engine());
    let in_order = StoreInOrder {
        args: &args.input,
        folder: &args.folder,
        store,
        refused,
        uncommitted: 0,
        events: 0,
        outcomes: Outcomes::default(),
    };
    let worker = || IngestWorker {
        args: &args.input,
        reader: &*reader,
        other: &*other,
    };
    let mut done = fold.run(in_order, |_| Ok(()), worker)?;
    done.commit()?;
    progress.stage("indexing");
    // One that is nearly as new would be as good.
    if done.store.since_snapshot()? > done.store.committed() / 10 {
        done.store.snapshot().with_context(|| done.name())?;
    }
    progress.finish();
    let summary = Ingested {
        events: done.events,
        entries: done.store.committed() - before,
        outcomes: &done.outcomes,
        refused: done.refused.count(),
    };
    if !args.input.quiet {
        let _unheard = write!(io::stderr(), "{summary}");
    }
    let name = done.name();
    done.refused.finish()?;
    done.store.close().context(name)
}

/// What is touched in turn: a store, and what it answered.
struct StoreInOrder<'a> {
    args: &'a InputArgs,
    folder: &'a Path,
    store: Durable<Box<dyn IdentityResolver>>,
    refused: RefusedLines,
    uncommitted: u64,
    events: u64,
    outcomes: Outcomes,
}

impl StoreInOrder<'_> {
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
        self.store.commit().with_context(|| self.name())?;
        self.uncommitted = 0;
        self.store.index().with_context(|| self.name())?;
        if self.store.since_snapshot()? > SNAPSHOT_ENTRIES {
            self.store.snapshot().with_context(|| self.name())?;
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("cannot write the store {}", self.folder.display())
    }
}

struct IngestWorker<'w> {
    args: &'w InputArgs,
    reader: &'w dyn IdentityResolver,
    /// Of the other rule book: what it would weigh is logged too, for `store simulate`.
    other: &'w dyn IdentityResolver,
}

impl<'w> Worker for IngestWorker<'w> {
    type Beside = ();
    type InOrder = StoreInOrder<'w>;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, InOrder<StoreInOrder<'w>>>,
    ) -> anyhow::Result<()> {
        let mut refusals = Refusals::default();
        let max_line_bytes = self.args.max_line_bytes;
        let mut events = BlockEvents::read(
            block,
            max_line_bytes,
            self.reader,
            Keep::Lines,
            &mut refusals,
        );
        let (lines, kept) = (events.lines(), events.take_kept_lines());
        let (claimants, claims) = events.take_claims(self.reader);
        let parsed: Vec<_> = kept
            .iter()
            .map(|line| JsonEvent::parse(line).ok())
            .collect();
        let mut all: Vec<_> = claimants.into_iter().zip(claims).collect();
        for (number, event) in parsed.iter().enumerate() {
            // What the other rule book cannot read it would refuse, and so have nothing to weigh.
            let reading = event
                .as_ref()
                .and_then(|event| self.other.read(&event.event()).ok());
            all.extend(
                reading
                    .and_then(|reading| reading.claim)
                    .map(|claim| (number, claim)),
            );
        }
        all.sort_by_key(|(number, _)| *number);
        let said: Vec<_> = all
            .iter()
            .map(|(number, _)| Said::in_line(kept[*number]))
            .collect();
        let claims: Vec<_> = all.iter().map(|(_, claim)| *claim).collect();
        let count = kept.len() as u64;
        in_turn(ticket, |in_order| {
            let (in_order, file, lines_before) = in_order.of_block(block, lines);
            let causes: Vec<_> = said.iter().map(|said| said.cause(file)).collect();
            in_order.apply(&claims, &causes)?;
            in_order.events += count;
            refusals.hand_on(file, lines_before, &mut in_order.refused)
        })
    }

    fn long_line(
        in_order: &mut StoreInOrder<'w>,
        place: &LinePlace<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let reason = events::long_line(place, in_order.args.max_line_bytes);
        in_order.refused.add_long(&reason, copy)
    }
}

/// What an event says of itself, for who asks later. What is not as SDKs send it is left out.
#[derive(Default)]
struct Said<'l> {
    insert_id: Option<Cow<'l, str>>,
    time_ms: Option<i64>,
}

#[derive(Deserialize)]
struct SaidEvent<'l> {
    #[serde(borrow)]
    properties: SaidProperties<'l>,
}

#[derive(Deserialize)]
struct SaidProperties<'l> {
    #[serde(borrow, rename = "$insert_id")]
    insert_id: Option<&'l RawValue>,
    #[serde(borrow)]
    time: Option<&'l RawValue>,
}

impl<'l> Said<'l> {
    fn cause<'c>(&'c self, file: &'c str) -> Cause<'c> {
        Cause {
            insert_id: self.insert_id.as_deref(),
            time_ms: self.time_ms,
            source: Some(file),
        }
    }

    fn in_line(line: &'l [u8]) -> Self {
        let Ok(event) = serde_json::from_slice::<SaidEvent<'l>>(line) else {
            return Self::default();
        };
        let SaidProperties { insert_id, time } = event.properties;
        Self {
            insert_id: insert_id.and_then(|raw| serde_json::from_str(raw.get()).ok()),
            time_ms: time.and_then(|raw| milliseconds(raw.get())),
        }
    }
}

/// SDKs send seconds, whole or not, or milliseconds; 10¹¹ seconds are in the year 5138.
fn milliseconds(time: &str) -> Option<i64> {
    const SECONDS_MAX: f64 = 1e11;
    let time: f64 = time.parse().ok()?;
    let milliseconds = if time.abs() < SECONDS_MAX {
        time * 1000.0
    } else {
        time
    };
    const TIME_MAX: f64 = 9e15;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is a whole number in range"
    )]
    (milliseconds.abs() < TIME_MAX).then(|| milliseconds.round() as i64)
}

/// What was done, in figures.
struct Ingested<'s> {
    events: u64,
    entries: u64,
    outcomes: &'s Outcomes,
    refused: u64,
}

impl fmt::Display for Ingested<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "events", self.events, "")?;
        row(f, "new entries", self.entries, "")?;
        write!(f, "{}", self.outcomes)?;
        row(f, "refused", self.refused, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_event_says_of_itself_is_found_where_it_says_it() {
        let said = |properties: &str| {
            let line = format!(r#"{{"event":"A","properties":{{{properties}}}}}"#);
            let said = Said::in_line(line.as_bytes());
            (said.insert_id.map(Cow::into_owned), said.time_ms)
        };
        let id = Some("5c7f".to_owned());
        assert_eq!(
            said(r#""$insert_id":"5c7f","time":1700000000"#),
            (id.clone(), Some(1_700_000_000_000))
        );
        assert_eq!(
            said(r#""time":1700000000123,"$insert_id":"5c\u0037f""#),
            (id, Some(1_700_000_000_123))
        );
        assert_eq!(
            said(r#""time":1700000000.5"#),
            (None, Some(1_700_000_000_500))
        );
        assert_eq!(said(r#""time":"now","$insert_id":5"#), (None, None));
        assert_eq!(said(r#""time":1e300"#), (None, None));
    }
}
