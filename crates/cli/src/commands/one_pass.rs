//! The output of a `resolve` that reads its input once, and writes as it goes.

use crate::args::resolve::ResolveArgs;
use crate::output::destination::Output;
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
use crate::output::summary::{Outcomes, Refused, Summary};
use crate::output::users::UserCount;
use crate::stream::adapt::{AdaptReport, Adapting};
use crate::stream::block::Block;
use crate::stream::input::{self, Input, Reread};
use crate::stream::pipeline::{Pass, Sink, Worker};
use crate::stream::progress::Progress;

/// What `resolve` reads and writes.
pub(crate) struct Files<'f> {
    pub(crate) inputs: Vec<Input>,
    /// How records of another product become events.
    pub(crate) adapting: Option<&'f Adapting>,
    pub(crate) refused: RefusedWriter,
    pub(crate) output: Output,
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
    } = files;
    let written = Written::new(args, output, refused);
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
    pub(crate) refused: RefusedWriter,
    is_all_or_nothing: bool,
    pub(crate) events: u64,
    pub(crate) outcomes: Outcomes,
}

impl Sink for Written {}

impl Written {
    /// Nothing is written yet. If a number of refused lines is an error, the output is held until everything
    /// has been read.
    fn new(args: &ResolveArgs, output: Output, refused: RefusedWriter) -> Self {
        Self {
            output,
            refused,
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

    /// Finishes the output. There is none if too many lines were refused.
    pub(crate) fn finish(mut self, users: UserCount) -> anyhow::Result<Summary> {
        let refused = Refused::of(&self.refused);
        self.refused.finish()?;
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
