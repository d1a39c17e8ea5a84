//! Runs a command over its input: blocks in parallel, order-sensitive steps in arrival order.
//!
//! Each thread reads a block, works on it, and waits for its turn to pass on the result. So at any
//! time there are at most as many blocks in memory as threads, however long the input is.

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::stream::blocks::{Block, Blocks, Next, ReadError};
use crate::stream::input::{Input, Reread};
use crate::stream::ordered::{Ordered, Ticket};
use crate::stream::progress::Progress;

/// More threads would be idle: the ordered step runs on one at a time.
const THREADS_MAX: usize = 8;

/// The stack of a thread. What runs on it needs little.
const STACK_BYTES: usize = 512 * 1024;

/// One pass over all inputs.
pub(crate) struct Pass<'p> {
    inputs: &'p mut [Input],
    pub(crate) max_line_bytes: u64,
    reread: Reread,
    progress: &'p Progress,
}

/// What a command does with each block. Each thread has a worker of its own.
pub(crate) trait Worker {
    /// What an earlier pass kept about a block; it is read together with the block.
    type Kept;
    /// Where results go, one block at a time in arrival order.
    type Sink: Send;

    /// Works on a block of whole lines.
    fn block(
        &mut self,
        block: &Block,
        kept: Self::Kept,
        ticket: Ticket<'_, OrderedSink<Self::Sink>>,
    ) -> anyhow::Result<()>;

    /// Takes a line that is longer than allowed and not held in memory; `copy` writes it (IN-3).
    fn long_line(
        sink: &mut Self::Sink,
        position: LinePosition<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()>;
}

/// Where results go, and how many lines have gone there.
#[derive(Debug)]
pub(crate) struct OrderedSink<T> {
    sink: T,
    input_names: Vec<String>,
    /// The input of the last line, and how many lines of that input are done.
    input: usize,
    lines: u64,
}

/// Where a block begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockPosition<'p> {
    pub(crate) file: &'p str,
    /// How many lines of the file come before the block.
    pub(crate) lines_before: u64,
}

/// Where a line is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinePosition<'p> {
    pub(crate) file: &'p str,
    /// Counted from 1.
    pub(crate) line: u64,
}

impl<T> OrderedSink<T> {
    /// Counts the lines of a block; returns the sink, and where the block begins.
    pub(crate) fn for_block(&mut self, block: &Block, lines: u64) -> (&mut T, BlockPosition<'_>) {
        if block.starts_input {
            self.input = block.input;
            self.lines = 0;
        }
        let position = BlockPosition {
            file: &self.input_names[self.input],
            lines_before: self.lines,
        };
        self.lines += lines;
        (&mut self.sink, position)
    }

    fn read_error(&mut self, block: &Block, error: ReadError) -> anyhow::Error {
        match error {
            ReadError::Open(error) => error,
            ReadError::Read(error) => {
                let (_, BlockPosition { file, lines_before }) = self.for_block(block, 0);
                let message = format!("cannot read {file} after line {lines_before}");
                anyhow::Error::new(error).context(message)
            }
        }
    }
}

/// The input, read under a lock.
struct Reader<'p, K> {
    blocks: Blocks<'p>,
    read_kept: K,
    /// How many blocks were read.
    count: u64,
}

impl<'p> Pass<'p> {
    pub(crate) fn new(
        inputs: &'p mut [Input],
        max_line_bytes: u64,
        reread: Reread,
        progress: &'p Progress,
    ) -> Self {
        Self {
            inputs,
            max_line_bytes,
            reread,
            progress,
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
        let ordered = Ordered::new(OrderedSink {
            sink,
            input_names,
            input: 0,
            lines: 0,
        });
        let blocks = Blocks::new(self.inputs, self.reread, self.progress, self.max_line_bytes);
        let reader = Mutex::new(Reader {
            blocks,
            read_kept,
            count: 0,
        });
        on_all_threads(|| work(&reader, &ordered, new_worker()))?;
        Ok(ordered.into_inner().sink)
    }
}

/// Runs `work` on as many threads as there are cores, this one included.
fn on_all_threads(work: impl Fn() -> anyhow::Result<()> + Sync) -> anyhow::Result<()> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let work = &work;
    thread::scope(|scope| {
        let spawn = |_| {
            thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, work)
        };
        // If no more threads can be started, the ones that were do all the work.
        let others: Vec<_> = (1..threads.min(THREADS_MAX))
            .map_while(|n| spawn(n).ok())
            .collect();
        let mut result = work();
        for other in others {
            match other.join() {
                Ok(result_there) => result = result.and(result_there),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        result
    })
}

/// What one thread does. At most one thread returns an error, since it stops the others.
fn work<W: Worker>(
    reader: &Mutex<Reader<'_, impl FnMut(u64) -> anyhow::Result<W::Kept>>>,
    ordered: &Ordered<OrderedSink<W::Sink>>,
    mut worker: W,
) -> anyhow::Result<()> {
    let mut block = Block::default();
    loop {
        let mut reading = lock(reader);
        if ordered.is_stopped() {
            return Ok(());
        }
        let next = reading.blocks.next(&mut block);
        if let Ok(Next::End) = next {
            return Ok(());
        }
        let number = reading.count;
        reading.count += 1;
        let ticket = ordered.ticket(number);
        if let Ok(Next::Lines) = next {
            match (reading.read_kept)(number) {
                Ok(kept) => {
                    drop(reading);
                    worker.block(&block, kept, ticket)?;
                }
                Err(error) => return in_turn(ticket, |_| Err(error)),
            }
        } else {
            // Keep the lock: nothing can be read before the long line has been copied, and nothing
            // should be read after an error.
            in_turn(ticket, |ordered| match next {
                Ok(_) => long_line::<W>(ordered, &block, &mut reading.blocks),
                Err(error) => Err(ordered.read_error(&block, error)),
            })?;
        }
    }
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

fn long_line<W: Worker>(
    ordered: &mut OrderedSink<W::Sink>,
    block: &Block,
    blocks: &mut Blocks<'_>,
) -> anyhow::Result<()> {
    let (sink, BlockPosition { file, lines_before }) = ordered.for_block(block, 1);
    let position = LinePosition {
        file,
        line: lines_before + 1,
    };
    W::long_line(sink, position, &mut |out| blocks.copy_long_line(block, out))
}

fn lock<R>(reader: &Mutex<R>) -> MutexGuard<'_, R> {
    // A thread that panicked here either held a ticket, which stops the others, or had read nothing.
    // The panic itself is resumed when the thread is joined.
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}
