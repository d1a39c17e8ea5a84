//! The output of a `resolve` that reads its input once, and writes as it goes.

use std::io::{self, Write};

use idmerge_core::Resolve;

use crate::args::resolve::ResolveArgs;
use crate::output::conflicts::{ConflictsWriter, RejectedClaim};
use crate::output::destination::Output;
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
use crate::output::summary::{Outcomes, Refused, Summary};
use crate::output::users::UserCount;
use crate::stream::adapt::{AdaptReport, Adapting};
use crate::stream::block::Block;
use crate::stream::events::{RefusedLine, numbers_of};
use crate::stream::input::{self, Input, Reread};
use crate::stream::pipeline::{BlockPosition, Pass, Refusal, Sink, Worker};
use crate::stream::progress::Progress;

/// What `resolve` reads and writes.
pub(crate) struct Files<'f> {
    pub(crate) inputs: Vec<Input>,
    /// How records of another product become events.
    pub(crate) adapting: Option<&'f Adapting>,
    pub(crate) refused: RefusedWriter,
    pub(crate) output: Output,
    /// The cases that a person must decide, if they are asked for.
    pub(crate) conflicts: Option<ConflictsWriter>,
    /// A table of who is who.
    pub(crate) mapping: Option<Input>,
}

/// Reads the inputs once, and writes what `new_worker` makes of them. Returns the sink, which `new_sink` makes
/// of the output, and what became of the records of another product.
pub(crate) fn run<W: Worker<Kept = ()>>(
    args: &ResolveArgs,
    files: Files<'_>,
    new_sink: impl FnOnce(Written) -> W::Sink,
    new_worker: impl Fn() -> W + Sync,
) -> anyhow::Result<(W::Sink, Option<AdaptReport>)> {
    let Files {
        mut inputs,
        adapting,
        refused,
        output,
        conflicts,
        mapping: _,
    } = files;
    let written = Written::new(args, output, refused, conflicts);
    let input_args = &args.identity.input;
    let progress = Progress::of_bytes(input::total_bytes(&inputs), input_args.quiet);
    progress.stage("writing");
    // A bar would appear between the events.
    if written.output.is_terminal() {
        progress.finish();
    }
    let pass =
        Pass::new(&mut inputs, input_args.limits(), Reread::No, &progress).adapting(adapting);
    let sink = pass.run(new_sink(written), |_| Ok(()), new_worker)?;
    progress.finish();
    Ok((sink, adapting.and_then(Adapting::report)))
}

/// Counts of the output so far.
pub(crate) struct Written {
    output: Output,
    refused: RefusedWriter,
    conflicts: Option<ConflictsWriter>,
    is_all_or_nothing: bool,
    pub(crate) events: u64,
    pub(crate) outcomes: Outcomes,
}

impl Sink for Written {}

impl Written {
    /// Nothing is written yet. If a number of refused lines is an error, the output is held until everything
    /// has been read.
    fn new(
        args: &ResolveArgs,
        output: Output,
        refused: RefusedWriter,
        conflicts: Option<ConflictsWriter>,
    ) -> Self {
        Self {
            output,
            refused,
            conflicts,
            is_all_or_nothing: args.identity.input.max_refused().lines().is_some(),
            events: 0,
            outcomes: Outcomes::default(),
        }
    }

    /// Writes the lines of a block. Those of an input are held until one of its events has an ID, because
    /// an input without such an event may turn out to be unusable (IN-6).
    pub(crate) fn write(
        &mut self,
        lines: &[u8],
        block: &Block,
        with_id: u64,
    ) -> anyhow::Result<()> {
        if block.starts_input {
            self.output.hold();
        }
        if with_id > 0 && !self.is_all_or_nothing {
            self.output.release()?;
        }
        self.output.write(lines)
    }

    /// Takes the lines of a block that are no usable events, and the claims that were rejected.
    pub(crate) fn take_refused(
        &mut self,
        block: &Block,
        position: BlockPosition<'_>,
        refused: Vec<RefusedLine<'_>>,
        rejected: &[RejectedClaim<'_>],
    ) -> anyhow::Result<()> {
        if let Some(conflicts) = &mut self.conflicts {
            conflicts.add_block(block, position, &numbers_of(&refused), rejected)?;
        }
        self.refused.add_all(position, refused)
    }

    /// Takes a line that is refused unread; `copy` writes it.
    pub(crate) fn take_unread(
        &mut self,
        refusal: &Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        self.refused.add_unread(refusal, copy)
    }

    /// Finishes the output. There is none if too many lines were refused. `state` has all claims.
    pub(crate) fn finish(
        mut self,
        users: UserCount,
        state: &dyn Resolve,
    ) -> anyhow::Result<Summary> {
        let refused = Refused::of(&self.refused);
        self.refused.finish()?;
        if let Some(conflicts) = self.conflicts {
            conflicts.finish(state)?;
        }
        self.refused.excess(NOTHING_WRITTEN)?;
        self.output.finish()?;
        Ok(Summary {
            events: self.events,
            users,
            outcomes: self.outcomes,
            refused,
            adapted: None,
            is_of_now: false,
        })
    }
}
