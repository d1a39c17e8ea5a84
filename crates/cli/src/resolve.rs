//! `idmerge resolve`: events in, the same events out with the distinct_id of the person.

use std::io::{self, Write};
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use idmerge_core::{IdentityResolver, Outcome};
use idmerge_events::{Failure, Resolved};

use crate::args::{FoldArgs, ResolveArgs, wrong_usage};
use crate::blocks::Block;
use crate::claims::{self, Folded};
use crate::events::{BlockEvents, Refusals};
use crate::fold::{Fold, InOrder, LinePlace, Worker, in_turn};
use crate::input::{self, Again};
use crate::output::{Output, Place};
use crate::progress::Progress;
use crate::refused::RefusedLines;
use crate::rejections::{BlockRejections, RejectionsReader, RejectionsWriter};
use crate::summary::Summary;
use crate::turns::Ticket;
use crate::users::UserCount;

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
    let mut rejections = RejectionsWriter::new();
    let folded = claims::fold(
        Fold {
            inputs: &mut inputs,
            args: &args.fold,
            again: Again::Yes,
            progress: &progress,
        },
        engine,
        refused,
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
    let rejections = rejections.read().context("cannot read a temporary file")?;
    let fold = Fold {
        inputs: &mut inputs,
        args: &args.fold,
        again: Again::No,
        progress: &progress,
    };
    let written = write_resolved(fold, &*engine, rejections, output, &mut summary)?;
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

/// The second reading: every event with its answer.
fn write_resolved(
    fold: Fold<'_>,
    engine: &dyn IdentityResolver,
    mut rejections: RejectionsReader,
    output: Output,
    summary: &mut Summary,
) -> anyhow::Result<Written> {
    let users = Mutex::new(mem::take(&mut summary.users));
    let args = fold.args;
    let written = fold.run(
        Written { output, events: 0 },
        |block| {
            rejections
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
    type Beside = BlockRejections;
    type InOrder = Written;

    fn block(
        &mut self,
        block: &Block,
        rejections: BlockRejections,
        ticket: Ticket<'_, InOrder<Written>>,
    ) -> anyhow::Result<()> {
        // They were heard of at the first reading.
        let mut refusals = Refusals::default();
        let events = BlockEvents::parse(block, self.args.max_line_bytes, &mut refusals);
        let (mut used, mut canonical) = (Vec::new(), Vec::new());
        events.read(self.engine, &mut refusals, |event, reading| {
            used.push((event, reading.distinct_id));
            canonical.extend(reading.distinct_id);
        });
        self.engine.resolve_batch(&mut canonical);

        let mut users = lock(self.users).some();
        let rule_book = self.engine.rule_book();
        let mut canonical = canonical.into_iter();
        let mut rejections = rejections.iter().peekable();
        self.lines.clear();
        for (number, &(event, own)) in used.iter().enumerate() {
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
            let (written, ..) = in_order.of_block(block, events.lines());
            written.events += used.len() as u64;
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

fn lock(users: &Mutex<UserCount>) -> MutexGuard<'_, UserCount> {
    // After a panic nobody asks for the figures.
    users.lock().unwrap_or_else(PoisonError::into_inner)
}
