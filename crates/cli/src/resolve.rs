//! `idmerge resolve`: events in, the same events out with the distinct_id of the person.

use std::io::{self, Write};
use std::mem;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};
use idmerge_core::{IdentityResolver, Outcome};

use crate::args::{InputArgs, ResolveArgs, wrong_usage};
use crate::blocks::Block;
use crate::claims::{self, Folded};
use crate::events::{BlockEvents, Keep, Refusals};
use crate::fold::{Fold, InOrder, LinePlace, Worker, in_turn};
use crate::input::{self, Again};
use crate::model::Source;
use crate::notes::{BlockNotes, NotesReader, NotesWriter};
use crate::output::{Output, Place};
use crate::progress::Progress;
use crate::refused::RefusedLines;
use crate::rejections::{BlockRejections, RejectionsReader, RejectionsWriter};
use crate::resolve_by_store;
use crate::summary::Summary;
use crate::turns::Ticket;
use crate::writing::BlockWriter;

pub(crate) fn run(args: &ResolveArgs) -> anyhow::Result<()> {
    let output = Place::of(args.output.as_deref())?;
    let refused = args.refused.as_deref().map(|path| Place::of(Some(path)));
    let refused = refused.transpose()?;
    if let Some(refused) = &refused {
        if refused.clashes_with(&output) {
            wrong_usage(format_args!("--output and --refused name the same place"));
        }
        // The output may be an input: it is put there when all is read.
        if args
            .fold
            .input
            .inputs
            .iter()
            .any(|path| refused.replaces(path))
        {
            wrong_usage(format_args!(
                "--refused names an INPUT, which it would replace"
            ));
        }
    }
    let mut inputs = input::find_all(&args.fold.input.inputs)?;
    let refused = RefusedLines::new(refused)?;
    let output = Output::create(output)?;
    let model = match args.fold.source.source() {
        Source::Model(model) => model,
        Source::Store(folder) => {
            return resolve_by_store::run(args, folder, inputs, refused, output);
        }
    };
    let progress = Progress::new(&inputs, 2, args.fold.input.quiet);
    let mut summary = Summary::default();

    // A merge is retroactive, so nothing can be written before everything is read.
    progress.stage("reading");
    let (mut rejections, mut notes) = (RejectionsWriter::new(), NotesWriter::new());
    let folded = claims::fold(
        Fold {
            inputs: &mut inputs,
            args: &args.fold.input,
            again: Again::Yes,
            progress: &progress,
        },
        &*model.engine(),
        model.engine(),
        refused,
        Some(&mut notes),
        &mut |block, event, outcome| {
            summary.outcomes.count(&outcome);
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
        args: &args.fold.input,
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
    if !args.fold.input.quiet {
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
            writer: BlockWriter::new(engine, &users),
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
    args: &'w InputArgs,
    engine: &'w dyn IdentityResolver,
    writer: BlockWriter<'w>,
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
        let count = self.writer.write(block, &notes, rejections.iter());
        in_turn(ticket, |in_order| {
            let (written, ..) = in_order.of_block(block, notes.lines());
            written.events += count;
            written.output.write(self.writer.lines())
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
            Keep::Notes,
            &mut refusals,
        );
        events.take_notes().unwrap_or_default()
    }
}
