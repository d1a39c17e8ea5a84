//! Runs a command over its input: blocks in parallel, order-sensitive steps in arrival order.
//!
//! Each thread reads a block, works on it, and waits for its turn to pass on the result. So at any
//! time there are at most as many blocks in memory as threads, however long the input is.

mod reader;
mod threads;

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use idmerge_ingest::KnownInputs;

use crate::spill::blocks::BlocksReader;
use crate::stream::adapt::table::Tables;
use crate::stream::adapt::{Adapting, Stage, StageMemory};
use crate::stream::block::{Block, Limits, Unit};
use crate::stream::blocks::{Blocks, Next, ReadError};
use crate::stream::forms::unusable::{Tally, UsableEvents};
use crate::stream::input::sorted::Origins;
use crate::stream::input::{self, Helpers, Input, InputChanged, Reread};
use crate::stream::lines::too_long;
use crate::stream::ordered::{Ordered, Ticket};
use crate::stream::pipeline::reader::{KeptBlocks, Numbered, Reader};
use crate::stream::progress::Progress;

/// One pass over all inputs.
pub(crate) struct Pass<'p> {
    inputs: &'p mut [Input],
    pub(crate) limits: Limits,
    reread: Reread,
    progress: &'p Progress,
    known: Option<&'p mut KnownInputs>,
    /// If it is to be found out who wrote the records.
    settling: Option<&'p Adapting>,
    /// If the records are turned into events.
    adapting: Option<&'p Adapting>,
    tables: Option<Tables>,
    kept: Option<BlocksReader>,
}

/// What a command does with each block. Each thread has a worker of its own.
pub(crate) trait Worker {
    /// What an earlier pass kept about a block; it is read together with the block.
    type Kept;
    /// Where results go, one block at a time in arrival order.
    type Sink: Sink + Send;

    /// Works on a block of whole lines.
    fn block(
        &mut self,
        block: &Block,
        kept: Self::Kept,
        ticket: Ticket<'_, OrderedSink<Self::Sink>>,
    ) -> anyhow::Result<()>;

    /// Takes a line that is refused unread, and not held in memory; `copy` writes it.
    fn unread_line(
        sink: &mut Self::Sink,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()>;
}

/// Where results go.
pub(crate) trait Sink {
    /// An input cannot be used, so the run fails. What earlier inputs gave may be kept.
    fn input_failed(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Why and where a line is refused.
#[derive(Debug)]
pub(crate) struct Refusal<'r> {
    pub(crate) position: LinePosition<'r>,
    pub(crate) rule: &'static str,
    pub(crate) error: String,
}

/// Where results go, and how many lines have gone there.
#[derive(Debug)]
pub(crate) struct OrderedSink<T> {
    sink: T,
    input_names: Vec<String>,
    /// Of each input whose records were sorted: where each record was.
    origins: Vec<Option<Arc<Origins>>>,
    /// The input of the last line, and how many lines of that input are done.
    input: usize,
    lines: u64,
    unit: Unit,
    usable: UsableEvents,
    is_adapting: bool,
}

/// Where a block begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockPosition<'p> {
    pub(crate) file: &'p str,
    /// How many lines of the file come before the block.
    lines_before: u64,
    record_lines: Option<&'p [u64]>,
    /// Of a block of adapted records: the number of the record of each line.
    numbers: Option<&'p [u64]>,
    origins: Option<&'p Origins>,
}

/// Where a line is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinePosition<'p> {
    pub(crate) file: &'p str,
    /// Counted from 1.
    pub(crate) line: u64,
    /// The number of the record that begins on this line, counted from 1, if the input is not made
    /// of lines (IN-6).
    pub(crate) record: Option<u64>,
}

impl<'p> BlockPosition<'p> {
    /// How many lines or records of the input come before the block.
    #[cfg(feature = "store")]
    pub(crate) fn records_before(&self) -> u64 {
        self.lines_before
    }

    /// The same as the line of [`line`](Self::line), but for an input whose records were sorted the number of
    /// the record in its order: where it was before is looked up in a file, and may never be needed.
    pub(crate) fn line_as_read(&self, number: u64) -> u64 {
        let unsorted = Self {
            origins: None,
            ..*self
        };
        unsorted.line(number).line
    }

    /// Where the line with this number is; the first line of the block has number 1.
    pub(crate) fn line(&self, number: u64) -> LinePosition<'p> {
        let at = |number: u64| usize::try_from(number - 1).unwrap_or(usize::MAX);
        let number = match self.numbers {
            Some(numbers) => numbers.get(at(number)).copied().unwrap_or(number),
            None => number,
        };
        let count = self.lines_before + number;
        if let Some((file, origin)) = self.origins.and_then(|origins| origins.of(count)) {
            return LinePosition {
                file,
                line: origin.line,
                record: (origin.record > 0).then_some(origin.record),
            };
        }
        let Some(record_lines) = self.record_lines else {
            return LinePosition {
                file: self.file,
                line: count,
                record: None,
            };
        };
        LinePosition {
            file: self.file,
            line: record_lines.get(at(number)).copied().unwrap_or_default(),
            record: Some(count),
        }
    }
}

impl fmt::Display for LinePosition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.record {
            Some(record) => write!(f, "record {record} (line {})", self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

impl<T: Sink> OrderedSink<T> {
    /// Counts the lines of a block; returns the sink, and where the block begins.
    ///
    /// # Errors
    ///
    /// The block begins an input that is an archive, or the input before it could not be used (IN-6).
    pub(crate) fn for_block<'s>(
        &'s mut self,
        block: &'s Block,
        tally: Tally,
    ) -> anyhow::Result<(&'s mut T, BlockPosition<'s>)> {
        if block.starts_input {
            self.end_input()?;
            self.input = block.input;
            self.lines = block.passed.map_or(0, |passed| passed.records);
            self.usable.start(block, self.is_adapting);
            self.check(self.usable.archive())?;
        }
        self.unit = block.unit();
        let position = BlockPosition {
            file: &self.input_names[self.input],
            lines_before: self.lines,
            record_lines: block.record_lines.as_deref(),
            numbers: block.adapted.as_ref().map(|adapted| &*adapted.numbers),
            origins: self.origins[self.input].as_deref(),
        };
        self.lines += block.records(tally.lines);
        self.usable.add(tally, &position);
        Ok((&mut self.sink, position))
    }

    /// The name of the input that the block is from.
    pub(crate) fn input_of(&self, block: &Block) -> &str {
        &self.input_names[block.input]
    }

    /// Checks that the last input could be used.
    fn end_input(&mut self) -> anyhow::Result<()> {
        self.check(self.usable.error())
    }

    fn check(&mut self, error: Option<String>) -> anyhow::Result<()> {
        let Some(error) = error else {
            return Ok(());
        };
        self.sink.input_failed()?;
        let file = &self.input_names[self.input];
        Err(anyhow::anyhow!("{file}: {error}"))
    }

    fn read_error(&mut self, block: &Block, error: ReadError) -> anyhow::Error {
        if matches!(error, ReadError::Read(_) | ReadError::TerminatedEarly)
            && let Err(error) = self.for_block(block, Tally::default())
        {
            return error;
        }
        if let ReadError::Read(error) = &error
            && let Some(changed) = InputChanged::of(error)
        {
            // The text may be a mixture of two versions, so it is not kept.
            return changed.clone().into();
        }
        if let Err(error) = self.sink.input_failed() {
            return error;
        }
        let file = &self.input_names[self.input];
        match error {
            ReadError::Open(error) | ReadError::Kept(error) => error,
            ReadError::Records(error) => {
                anyhow::anyhow!("{}: {error:#}", self.input_names[block.input])
            }
            ReadError::Read(error) => {
                let message = format!("cannot read {file} after {} {}", self.unit, self.lines);
                anyhow::Error::new(error).context(message)
            }
            ReadError::TerminatedEarly => anyhow::anyhow!(
                "{file}: the export is incomplete: its last line is \"export terminated early\" \
                 (IN-6); export it again, or pass --allow-incomplete to use what there is"
            ),
        }
    }
}

impl<'p> Pass<'p> {
    pub(crate) fn new(
        inputs: &'p mut [Input],
        limits: Limits,
        reread: Reread,
        progress: &'p Progress,
    ) -> Self {
        Self {
            inputs,
            limits,
            reread,
            progress,
            known: None,
            settling: None,
            adapting: None,
            tables: None,
            kept: None,
        }
    }

    /// Reads the blocks of events that an earlier pass has kept, in place of the inputs.
    pub(crate) fn of_kept(self, kept: BlocksReader) -> Self {
        Self {
            kept: Some(kept),
            ..self
        }
    }

    /// Finds out which product wrote the records, and leaves them as they are.
    pub(crate) fn settling(self, settling: Option<&'p Adapting>) -> Self {
        Self {
            settling,
            tables: settling.and_then(Adapting::tables),
            ..self
        }
    }

    /// Turns the records of another product into events, and leaves out duplicates.
    pub(crate) fn adapting(self, adapting: Option<&'p Adapting>) -> Self {
        Self {
            adapting,
            ..self.settling(adapting)
        }
    }

    /// Passes over the beginnings of inputs that were read before (AR-3), and tracks how far each input
    /// is read.
    #[cfg(feature = "store")]
    pub(crate) fn passing(self, known: &'p mut KnownInputs) -> Self {
        Self {
            known: Some(known),
            ..self
        }
    }

    /// Reads all inputs once and returns the sink. `read_kept` reads what an earlier pass kept about
    /// the block with this number.
    ///
    /// # Errors
    ///
    /// The first error in arrival order.
    pub(crate) fn run<W: Worker>(
        self,
        sink: W::Sink,
        read_kept: impl FnMut(u64) -> anyhow::Result<W::Kept> + Send,
        new_worker: impl Fn() -> W + Sync,
    ) -> anyhow::Result<W::Sink> {
        let input_names = self.inputs.iter().map(|input| input.name.clone()).collect();
        let origins = self.inputs.iter().map(Input::origins).collect();
        let ordered = Ordered::new(OrderedSink {
            sink,
            input_names,
            origins,
            input: 0,
            lines: 0,
            unit: Unit::Line,
            usable: UsableEvents::default(),
            is_adapting: self.tables.is_some(),
        });
        let stage = self.adapting.map(Adapting::stage);
        let limits = self.limits;
        let input_bytes = input::total_bytes(self.inputs).unwrap_or_default();
        let threads = threads::count();
        let helpers = Helpers::new(threads);
        for input in &mut *self.inputs {
            input.read_with(&helpers);
        }
        let kept = self
            .kept
            .map(|blocks| KeptBlocks::new(blocks, input_bytes, self.progress));
        let blocks = Blocks::new(self.inputs, self.reread, self.progress, limits, self.known)
            .with_tables(self.tables);
        let reader = Mutex::new(Reader {
            blocks,
            kept,
            read_kept,
            settling: self.settling,
            progress: self.progress,
            count: 0,
        });
        threads::run(threads, || {
            work(
                &reader,
                &helpers,
                &ordered,
                stage.as_ref(),
                new_worker(),
                limits,
            )
        })?;
        if let Some(stage) = stage {
            stage.finish();
        }
        let mut ordered = ordered.into_inner();
        ordered.end_input()?;
        Ok(ordered.sink)
    }
}

/// What one thread does. At most one thread returns an error, since it stops the others.
fn work<W: Worker>(
    reader: &Mutex<Reader<'_, impl FnMut(u64) -> anyhow::Result<W::Kept>>>,
    helpers: &Helpers,
    ordered: &Ordered<OrderedSink<W::Sink>>,
    stage: Option<&Stage<'_>>,
    mut worker: W,
    limits: Limits,
) -> anyhow::Result<()> {
    let mut block = Block::default();
    let mut memory = StageMemory::new(limits.max_line_bytes);
    loop {
        let mut reading = threads::lock(reader, helpers);
        if ordered.is_stopped() {
            return Ok(());
        }
        let Numbered { next, turn, number } = reading.next(&mut block);
        if let Ok(Next::End) = next {
            return Ok(());
        }
        let ticket = ordered.ticket(turn);
        let at_stage = stage.map(|stage| stage.ticket(turn));
        if let Ok(Next::Lines) = next {
            match (reading.read_kept)(number) {
                Ok(kept) => {
                    drop(reading);
                    if let (Some(stage), Some(at_stage)) = (stage, at_stage) {
                        stage.adapt(&mut block, at_stage, &mut memory)?;
                    }
                    worker.block(&block, kept, ticket)?;
                }
                Err(error) => return in_turn(ticket, |_| Err(error)),
            }
        } else {
            if let Some(at_stage) = at_stage {
                drop(at_stage.wait());
            }
            // Keep the lock: nothing can be read before the line has been copied, and nothing should
            // be read after an error.
            in_turn(ticket, |ordered| match next {
                Ok(next) => {
                    let (rule, error) = why_unread(next, limits, &block);
                    unread_line::<W>(ordered, &block, &mut reading.blocks, rule, error)
                }
                Err(error) => Err(ordered.read_error(&block, error)),
            })?;
        }
    }
}

/// The rule that refuses a line unread, and the error.
fn why_unread(next: Next, limits: Limits, block: &Block) -> (&'static str, String) {
    if next == Next::BrokenRest {
        let error =
            "the JSON is broken or ends too early here, so the rest of the input is refused";
        return ("IN-6", format!("{error} (IN-6)"));
    }
    ("IN-3", too_long(block.unit(), limits.max_line_bytes))
}

/// Waits for the turn of a ticket and calls `step` in it. If `step` fails, no later turn comes; if
/// an earlier step failed, `step` is not called.
pub(crate) fn in_turn<T>(
    ticket: Ticket<'_, T>,
    step: impl FnOnce(&mut T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Some(mut turn) = ticket.wait() else {
        return Ok(());
    };
    let result = step(&mut turn);
    if result.is_err() {
        turn.stop();
    }
    result
}

fn unread_line<W: Worker>(
    ordered: &mut OrderedSink<W::Sink>,
    block: &Block,
    blocks: &mut Blocks<'_>,
    rule: &'static str,
    error: String,
) -> anyhow::Result<()> {
    let tally = Tally {
        lines: 1,
        first_refused: Some((1, error.clone())),
        ..Tally::default()
    };
    let (sink, position) = ordered.for_block(block, tally)?;
    let refusal = Refusal {
        position: position.line(1),
        rule,
        error,
    };
    W::unread_line(sink, refusal, &mut |out| blocks.copy_rest(block, out))
}
