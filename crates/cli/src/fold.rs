//! The way of every command over its input: block by block, on all cores, and what must be in
//! arrival order in arrival order.
//!
//! A thread reads a block, works on it beside the others, and waits for its turn to put the result
//! in order. So there are as many blocks in memory as threads, however long the input is.

use std::io::{self, Write};
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::args::InputArgs;
use crate::blocks::{Block, Blocks, Next, ReadError};
use crate::input::{Again, Input};
use crate::progress::Progress;
use crate::turns::{Ticket, Turns};

/// More threads have nothing to do: what must be in order is done by one at a time.
const THREADS_MAX: usize = 8;

/// Of a thread: what it calls takes little, and on a large machine there are several.
const STACK_BYTES: usize = 512 * 1024;

/// One reading of all inputs.
pub(crate) struct Fold<'f> {
    pub(crate) inputs: &'f mut [Input],
    pub(crate) args: &'f InputArgs,
    pub(crate) again: Again,
    pub(crate) progress: &'f Progress,
}

/// What is done with each block. Each thread has one of its own.
pub(crate) trait Worker {
    /// What is read along with a block.
    type Beside;
    /// What is touched in turn.
    type InOrder: Send;

    /// Works on a block of whole lines.
    fn block(
        &mut self,
        block: &Block,
        beside: Self::Beside,
        ticket: Ticket<'_, InOrder<Self::InOrder>>,
    ) -> anyhow::Result<()>;

    /// A line that has more bytes than allowed and is not held: `copy` writes it (IN-3).
    fn long_line(
        in_order: &mut Self::InOrder,
        place: &LinePlace<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()>;
}

/// What is touched in turn, and how far that is.
#[derive(Debug)]
pub(crate) struct InOrder<T> {
    value: T,
    names: Vec<String>,
    /// Of the lines before this turn: the input that they are of, and how many they are.
    input: usize,
    lines_before: u64,
}

/// Where a line stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinePlace<'p> {
    pub(crate) file: &'p str,
    pub(crate) line: u64,
}

impl<T> InOrder<T> {
    /// The turn of a block that has so many lines: what it touches, the name of the input, and how
    /// many lines of it came before.
    pub(crate) fn of_block(&mut self, block: &Block, lines: u64) -> (&mut T, &str, u64) {
        if block.starts_input {
            self.input = block.input;
            self.lines_before = 0;
        }
        let before = self.lines_before;
        self.lines_before += lines;
        (&mut self.value, &self.names[self.input], before)
    }
}

/// What is done under the lock of the input.
struct Source<'f, B> {
    blocks: Blocks<'f>,
    read_beside: B,
    /// How many blocks were read.
    count: u64,
}

impl Fold<'_> {
    /// Reads all inputs once, and answers with what was touched in turn. `read_beside` reads what
    /// belongs to the block with this number.
    ///
    /// Of several errors the first one in arrival order is the answer.
    pub(crate) fn run<W: Worker>(
        self,
        in_order: W::InOrder,
        read_beside: impl FnMut(u64) -> anyhow::Result<W::Beside> + Send,
        worker: impl Fn() -> W + Sync,
    ) -> anyhow::Result<W::InOrder> {
        let names = self.inputs.iter().map(|input| input.name.clone()).collect();
        let turns = Turns::new(InOrder {
            value: in_order,
            names,
            input: 0,
            lines_before: 0,
        });
        let source = Mutex::new(Source {
            blocks: Blocks::new(
                self.inputs,
                self.again,
                self.progress,
                self.args.max_line_bytes,
            ),
            read_beside,
            count: 0,
        });
        let work = || work(&source, &turns, worker());
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        thread::scope(|scope| {
            let spawn = |_| {
                thread::Builder::new()
                    .stack_size(STACK_BYTES)
                    .spawn_scoped(scope, work)
            };
            // Where there can be no more threads, those that there are do it.
            let others: Vec<_> = (1..threads.min(THREADS_MAX))
                .map_while(|n| spawn(n).ok())
                .collect();
            let mut done = work();
            for other in others {
                match other.join() {
                    Ok(by_other) => done = done.and(by_other),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            done
        })?;
        Ok(turns.into_inner().value)
    }
}

/// What one thread does. There is one error at most: who has it stops the others.
fn work<W: Worker>(
    source: &Mutex<Source<'_, impl FnMut(u64) -> anyhow::Result<W::Beside>>>,
    turns: &Turns<InOrder<W::InOrder>>,
    mut worker: W,
) -> anyhow::Result<()> {
    let mut block = Block::default();
    loop {
        let mut reading = lock(source);
        if turns.are_stopped() {
            return Ok(());
        }
        let next = reading.blocks.next(&mut block);
        if let Ok(Next::End) = next {
            return Ok(());
        }
        let number = reading.count;
        reading.count += 1;
        let ticket = turns.ticket(number);
        if let Ok(Next::Lines) = next {
            match (reading.read_beside)(number) {
                Ok(beside) => {
                    drop(reading);
                    worker.block(&block, beside, ticket)?;
                }
                Err(error) => return in_turn(ticket, |_| Err(error)),
            }
        } else {
            // The lock is kept: nothing can be read from behind a long line before it is copied,
            // and nothing should be from behind an error.
            in_turn(ticket, |in_order| match next {
                Ok(_) => long_line::<W>(in_order, &block, &mut reading.blocks),
                Err(error) => Err(in_order.broken_off(&block, error)),
            })?;
        }
    }
}

/// Waits for the turn of a ticket and does something in it. Where that goes wrong, nobody has a
/// turn after it; where something went wrong before, it is not done.
pub(crate) fn in_turn<T>(
    ticket: Ticket<'_, T>,
    what: impl FnOnce(&mut T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Some(mut turn) = ticket.wait() else {
        return Ok(());
    };
    let done = what(&mut turn);
    if done.is_err() {
        turn.stop();
    }
    done
}

fn long_line<W: Worker>(
    in_order: &mut InOrder<W::InOrder>,
    block: &Block,
    blocks: &mut Blocks<'_>,
) -> anyhow::Result<()> {
    let (value, file, before) = in_order.of_block(block, 1);
    let place = LinePlace {
        file,
        line: before + 1,
    };
    W::long_line(value, &place, &mut |to| blocks.copy_long_line(block, to))
}

impl<T> InOrder<T> {
    fn broken_off(&mut self, block: &Block, error: ReadError) -> anyhow::Error {
        match error {
            ReadError::Open(error) => error,
            ReadError::Read(error) => {
                let (_, file, before) = self.of_block(block, 0);
                let what = format!("cannot read {file} after line {before}");
                anyhow::Error::new(error).context(what)
            }
        }
    }
}

fn lock<S>(source: &Mutex<S>) -> MutexGuard<'_, S> {
    // Whoever panicked there had a ticket or had read nothing; it is seen when it is joined.
    source.lock().unwrap_or_else(PoisonError::into_inner)
}
