//! `idmerge resolve`: events in, the same events out with the distinct_id of the person.

use std::io::{self, Write};
use std::mem;
use std::slice;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use idmerge_core::{DistinctId, IdentityResolver, Outcome};
use idmerge_events::{Failure, JsonEvent, OutlinedEvent, Resolved};

use crate::args::{FoldArgs, ResolveArgs, wrong_usage};
use crate::blocks::{BLOCK_BYTES, Block};
use crate::claims::{self, Folded};
use crate::events::{BlockEvents, Refusals, TakeNotes};
use crate::fold::{Fold, InOrder, LinePlace, Worker, in_turn};
use crate::input::{self, Again};
use crate::notes::{BlockNotes, BlockText, Noted, NotesReader, NotesWriter};
use crate::output::{Output, Place};
use crate::progress::Progress;
use crate::refused::RefusedLines;
use crate::rejections::{BlockRejections, RejectionsReader, RejectionsWriter};
use crate::summary::Summary;
use crate::turns::Ticket;
use crate::users::UserCount;

/// About as many bytes as an event has at least. It is for the room that is made beforehand.
const EVENT_BYTES: usize = 256;

pub(crate) fn run(args: &ResolveArgs) -> anyhow::Result<()> {
    let engine = args.fold.engine();
    let output = Place::of(args.output.as_deref())?;
    let refused = args.refused.as_deref().map(|path| Place::of(Some(path)));
    let refused = refused.transpose()?;
    if let Some(refused) = &refused {
        if refused.clashes_with(&output) {
            wrong_usage(format_args!("--output and --refused name the same place"));
        }
        // The output may be an input: it is put there when all is read.
        if args.fold.inputs.iter().any(|path| refused.replaces(path)) {
            wrong_usage(format_args!(
                "--refused names an INPUT, which it would replace"
            ));
        }
    }
    let mut inputs = input::find_all(&args.fold.inputs)?;
    let refused = RefusedLines::new(refused)?;
    let output = Output::create(output)?;
    let progress = Progress::new(&inputs, 2, args.fold.quiet);
    let mut summary = Summary::default();

    // A merge is retroactive, so nothing can be written before everything is read.
    progress.stage("reading");
    let (mut rejections, mut notes) = (RejectionsWriter::new(), NotesWriter::new());
    let folded = claims::fold(
        Fold {
            inputs: &mut inputs,
            args: &args.fold,
            again: Again::Yes,
            progress: &progress,
        },
        engine,
        refused,
        Some(&mut notes),
        &mut |block, event, outcome| {
            summary.count_outcome(&outcome);
            if let Outcome::Rejected(rejection) = outcome {
                rejections
                    .add(block, event, &rejection)
                    .context("cannot write a temporary file")?;
            }
            Ok(())
        },
    )?;
    let Folded {
        engine,
        refused,
        events,
        ..
    } = folded;
    summary.refused = refused.count();

    // Now, so that they are not lost where nobody reads the output to its end.
    progress.aside(|| refused.finish())?;
    if args.strict && summary.refused > 0 {
        bail!(
            "{} refused, and --strict was given: nothing is written",
            summary.refused
        );
    }

    progress.stage("writing");
    // A bar would stand between the events.
    if output.is_terminal() {
        progress.finish();
    }
    let beside = Beside {
        rejections: rejections.read().context("cannot read a temporary file")?,
        notes: notes.read(),
    };
    let fold = Fold {
        inputs: &mut inputs,
        args: &args.fold,
        again: Again::No,
        progress: &progress,
    };
    let written = write_resolved(fold, &*engine, beside, output, &mut summary)?;
    if written.events != events {
        bail!(
            "the input changed while it was read: it had {events} events, then {}",
            written.events
        );
    }
    written.output.finish()?;

    progress.finish();
    if !args.fold.quiet {
        summary.say();
    }
    Ok(())
}

/// What the first reading left.
struct Beside {
    rejections: RejectionsReader,
    notes: NotesReader,
}

/// The second reading: every event with its answer.
fn write_resolved(
    fold: Fold<'_>,
    engine: &dyn IdentityResolver,
    mut beside: Beside,
    output: Output,
    summary: &mut Summary,
) -> anyhow::Result<Written> {
    let users = Mutex::new(mem::take(&mut summary.users));
    let args = fold.args;
    let written = fold.run(
        Written { output, events: 0 },
        |block| {
            beside
                .read_block(block)
                .context("cannot read a temporary file")
        },
        || ResolveWorker {
            args,
            engine,
            users: &users,
            lines: Vec::new(),
        },
    )?;
    summary.events = written.events;
    summary.users = users.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(written)
}

impl Beside {
    fn read_block(&mut self, block: u64) -> io::Result<(BlockRejections, Option<BlockNotes>)> {
        let rejections = self.rejections.read_block(block)?;
        Ok((rejections, self.notes.read_block(block)?))
    }
}

/// What has been written, in order.
struct Written {
    output: Output,
    events: u64,
}

struct ResolveWorker<'w> {
    args: &'w FoldArgs,
    engine: &'w dyn IdentityResolver,
    users: &'w Mutex<UserCount>,
    /// What is written for a block.
    lines: Vec<u8>,
}

impl Worker for ResolveWorker<'_> {
    type Beside = (BlockRejections, Option<BlockNotes>);
    type InOrder = Written;

    fn block(
        &mut self,
        block: &Block,
        (rejections, notes): Self::Beside,
        ticket: Ticket<'_, InOrder<Written>>,
    ) -> anyhow::Result<()> {
        let notes = match notes {
            Some(notes) if notes.are_of(block) => notes,
            _ => self.notes_of(block),
        };
        let text = BlockText::of(block);
        let again = notes.read_again(text);
        let events = || Events {
            noted: notes.events(text),
            again: again.iter(),
        };
        let room = block.bytes().len().min(BLOCK_BYTES) / EVENT_BYTES;
        let (mut own, mut canonical) = (Vec::with_capacity(room), Vec::with_capacity(room));
        for event in events() {
            let id = event.own(self.engine);
            own.push(id);
            canonical.extend(id);
        }
        self.engine.resolve_batch(&mut canonical);

        let mut users = lock(self.users).some();
        let rule_book = self.engine.rule_book();
        let mut canonical = canonical.into_iter();
        let mut rejections = rejections.iter().peekable();
        self.lines.clear();
        let count = own.len() as u64;
        for (number, (event, own)) in events().zip(own).enumerate() {
            let canonical = own.and_then(|_| canonical.next());
            users.add(own, canonical);
            let rejection = rejections.next_if(|rejection| rejection.event == number);
            let resolved = Resolved {
                rule_book,
                own,
                canonical,
                failure: rejection.as_ref().map(|rejection| Failure {
                    reason: rejection.code,
                    description: &rejection.description,
                }),
            };
            event.write_resolved(&resolved, &mut self.lines);
            self.lines.push(b'\n');
        }
        lock(self.users).take(&mut users);
        in_turn(ticket, |in_order| {
            let (written, ..) = in_order.of_block(block, notes.lines());
            written.events += count;
            written.output.write(&self.lines)
        })
    }

    fn long_line(
        _: &mut Written,
        _: &LinePlace<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        Ok(copy(&mut io::sink())?)
    }
}

impl ResolveWorker<'_> {
    /// Notes of a block of which there are none.
    fn notes_of(&self, block: &Block) -> BlockNotes {
        // They were heard of at the first reading.
        let mut refusals = Refusals::default();
        let max_line_bytes = self.args.max_line_bytes;
        let mut events = BlockEvents::read(
            block,
            max_line_bytes,
            self.engine,
            TakeNotes::Yes,
            &mut refusals,
        );
        events.take_notes().unwrap_or_default()
    }
}

/// The usable events of a block.
struct Events<'e, 'b, N> {
    noted: N,
    /// Those that were read again.
    again: slice::Iter<'e, JsonEvent<'b>>,
}

enum Event<'e, 'b> {
    Outlined(OutlinedEvent<'b>),
    Read(&'e JsonEvent<'b>),
}

impl<'e, 'b, N: Iterator<Item = Noted<'b>>> Iterator for Events<'e, 'b, N> {
    type Item = Event<'e, 'b>;

    #[inline]
    fn next(&mut self) -> Option<Event<'e, 'b>> {
        Some(match self.noted.next()? {
            Noted::Outlined(event) => Event::Outlined(event),
            Noted::Line(_) => Event::Read(self.again.next()?),
        })
    }
}

impl<'e, 'b: 'e> Event<'e, 'b> {
    #[inline]
    fn own(&self, engine: &dyn IdentityResolver) -> Option<DistinctId<'e>> {
        match self {
            Self::Outlined(event) => event.own(),
            Self::Read(event) => engine.read(&event.event()).ok()?.distinct_id,
        }
    }

    fn write_resolved(&self, resolved: &Resolved<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Outlined(event) => event.write_resolved(resolved, out),
            Self::Read(event) => event.write_resolved(resolved, out),
        }
    }
}

fn lock(users: &Mutex<UserCount>) -> MutexGuard<'_, UserCount> {
    // After a panic nobody asks for the figures.
    users.lock().unwrap_or_else(PoisonError::into_inner)
}
