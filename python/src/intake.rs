//! Takes the events of a table into a store, as `idmerge ingest` takes those of a file.

use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use idmerge_columns::{Lines, Outcomes, parallel};
use idmerge_core::EngineError;
use idmerge_engines::{Engine, Settings};
use idmerge_events::Envelope;
use idmerge_ingest::{
    BlockClaims, COMMIT_CLAIMS, ContentHasher, EventClaims, Known, LoggedClaim, Part, Taken,
    snapshot_if_old,
};
use idmerge_store::{Durable, StoreError};

use crate::arrow::input::{Input, first_rows};

/// So many batches are read at once.
const WINDOW_BATCHES: usize = 8;

/// What a table brought into a store.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    pub(crate) continues_again: bool,
    /// In the beginning of the table, which is known (AR-3).
    pub(crate) taken_before: u64,
    pub(crate) events: u64,
    pub(crate) erased: u64,
    pub(crate) repeated: u64,
    pub(crate) new_entries: u64,
    pub(crate) outcomes: Outcomes,
    pub(crate) refused: u64,
    /// Its row, and why it is invalid.
    pub(crate) first_refused: Option<(u64, String)>,
}

/// Why a table was not taken to its end.
pub(crate) enum Stopped {
    /// The caller wants no more. What was read is committed.
    Interrupted,
    Lost(String),
    /// The store is as before.
    Refused(StoreError),
    Store(StoreError),
    Engine(EngineError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<EngineError> for Stopped {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// How a table is taken.
pub(crate) struct Taking<'t> {
    pub(crate) lines: &'t Lines,
    pub(crate) settings: &'t Settings,
    /// Where the events are from, for the log.
    pub(crate) source: &'t str,
    /// Whether events are taken anew that were taken before.
    pub(crate) again: bool,
    pub(crate) may_go_on: &'t (dyn Fn() -> bool + Sync),
}

impl Taking<'_> {
    pub(crate) fn run(
        &self,
        input: &Input,
        store: &mut Durable<Engine>,
    ) -> Result<Intake, Stopped> {
        let entries_before = store.committed();
        let mut taken = Taken::open(store, self.again)?;
        let mut intake = Intake {
            continues_again: taken.continues_again(),
            ..Intake::default()
        };
        let known = taken.known_inputs();
        let passed = match known.is_empty() {
            true => None,
            false => known.find(&mut Text::of(self.lines, &input.batches)),
        };
        if let Some(known) = passed {
            intake.taken_before = taken.events_in(&[known]);
        }
        let stopped = self.take(input, store, &mut taken, passed, &mut intake);
        match stopped {
            Ok(()) => taken.finish(store)?,
            // Its claims are in the engine, and those of a row are never cut.
            Err(Stopped::Interrupted) => taken.commit(store)?,
            Err(_) => {}
        }
        stopped?;
        snapshot_if_old(store)?;
        intake.repeated = taken.repeated;
        intake.new_entries = store.committed() - entries_before;
        Ok(intake)
    }

    fn take(
        &self,
        input: &Input,
        store: &mut Durable<Engine>,
        taken: &mut Taken,
        passed: Option<Known>,
        intake: &mut Intake,
    ) -> Result<(), Stopped> {
        let erased = store.erased().clone();
        let reader = EventClaims::new(self.settings, &erased, now_ms());
        let skipped = passed.map_or(0, |known| known.records);
        let (mut hasher, mut rows, mut uncommitted) = (ContentHasher::default(), 0, 0);
        for window in input.batches.chunks(WINDOW_BATCHES) {
            let texts = parallel::map(window.len(), |batch| self.lines.of(&window[batch]));
            let texts: Vec<_> = texts
                .into_iter()
                .collect::<Result<_, _>>()
                .map_err(Stopped::Lost)?;
            let firsts = first_rows(window, rows);
            let blocks = parallel::map(texts.len(), |batch| {
                ReadBlock::read(&texts[batch], firsts[batch] as u64, skipped, &reader)
            });
            for ((mut block, text), batch) in blocks.into_iter().zip(&texts).zip(window) {
                let mut logged = block.claims.take(&reader);
                taken.take_new(&mut logged, store)?;
                self.apply(&logged, store, &mut intake.outcomes)?;
                uncommitted += logged.len() as u64;
                drop(logged);
                hasher.update(text);
                rows += batch.num_rows();
                let events = block.claims.events as u64;
                intake.events += events;
                intake.erased += block.claims.erased;
                intake.refused += block.refused;
                intake.first_refused = intake.first_refused.take().or(block.first_refused);
                taken.add(&Part {
                    input: 0,
                    passed: passed.map(|known| known.number),
                    content: Some(hasher.content()),
                    records: rows as u64,
                    events,
                    with_id: block.claims.with_id,
                });
                if uncommitted >= COMMIT_CLAIMS || taken.is_commit_due() {
                    taken.commit(store)?;
                    uncommitted = 0;
                }
            }
            if !(self.may_go_on)() {
                return Err(Stopped::Interrupted);
            }
        }
        Ok(())
    }

    fn apply(
        &self,
        logged: &[LoggedClaim<'_>],
        store: &mut Durable<Engine>,
        outcomes: &mut Outcomes,
    ) -> Result<(), EngineError> {
        let claims: Vec<_> = logged.iter().map(|logged| logged.claim).collect();
        let causes = logged.iter().map(|logged| logged.cause(self.source));
        let causes: Vec<_> = causes.collect();
        store.apply_batch_caused(&claims, &causes, &mut |outcome| {
            outcomes.count(&outcome);
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an erased ID is refused until a day, so a run has a time"
)]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// What was read of a batch.
struct ReadBlock<'b> {
    claims: BlockClaims<'b>,
    refused: u64,
    first_refused: Option<(u64, String)>,
}

impl<'b> ReadBlock<'b> {
    /// Reads the lines of a batch whose first row has this number, from the row `start` of the table on.
    fn read(text: &'b [u8], first: u64, start: u64, reader: &EventClaims<'_>) -> Self {
        let mut block = Self {
            claims: BlockClaims::default(),
            refused: 0,
            first_refused: None,
        };
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        for (row, line) in (first..).zip(lines).filter(|(row, _)| *row >= start) {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let read = match Envelope::parse(line) {
                Ok(envelope) => block
                    .claims
                    .add(envelope, reader)
                    .map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = read {
                block.refused += 1;
                block.first_refused.get_or_insert((row, error));
            }
        }
        block
    }
}

/// The lines of all batches.
struct Text<'l> {
    lines: &'l Lines,
    batches: std::slice::Iter<'l, RecordBatch>,
    text: Vec<u8>,
    read: usize,
}

impl<'l> Text<'l> {
    fn of(lines: &'l Lines, batches: &'l [RecordBatch]) -> Self {
        Self {
            lines,
            batches: batches.iter(),
            text: Vec::new(),
            read: 0,
        }
    }
}

impl Read for Text<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.text.len() {
            let Some(batch) = self.batches.next() else {
                return Ok(0);
            };
            self.text = self.lines.of(batch).map_err(io::Error::other)?;
            self.read = 0;
        }
        let rest = &self.text[self.read..];
        let bytes = rest.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&rest[..bytes]);
        self.read += bytes;
        Ok(bytes)
    }
}
