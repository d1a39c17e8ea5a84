//! `idmerge resolve`: writes every event with the distinct_id of the person who did it.

mod mapping;

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use idmerge_core::{Attribution, Outcome, Resolve};
use idmerge_engines::{Engine, Settings};

use crate::args::identities::Identities;
use crate::args::resolve::ResolveArgs;
use crate::commands::apply::{Applied, Keeping, apply_all};
use crate::commands::one_pass::Files;
use crate::commands::resolve::mapping::MappedState;
use crate::commands::resolve_at_arrival;
#[cfg(feature = "store")]
use crate::commands::resolve_by_store;
#[cfg(feature = "tables")]
use crate::commands::resolve_columns::Columns;
use crate::commands::sorting::{self, Ordering};
use crate::output::conflicts::ConflictsWriter;
#[cfg(feature = "tables")]
use crate::output::destination::Destination;
use crate::output::destination::{Layout, Output};
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
use crate::output::resolved::BlockWriter;
use crate::output::summary::{self, Outcomes, Refused, Summary, SummaryForm};
use crate::output::users::UserCount;
#[cfg(not(feature = "store"))]
use crate::report::left_out;
use crate::spill::blocks::{BlocksReader, BlocksWriter, Which};
use crate::spill::outlines::{BlockOutlines, OutlinesReader, OutlinesWriter};
use crate::spill::rejections::{BlockRejections, RejectionsReader, RejectionsWriter};
use crate::stream::adapt::Adapting;
use crate::stream::block::Block;
use crate::stream::event_reader::EventReader;
use crate::stream::events::{BlockEvents, Keep};
use crate::stream::forms::unusable::Tally;
use crate::stream::input::{self, Input, InputChanged, Reread};
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Pass, Refusal, Sink, Worker, in_turn};
use crate::stream::progress::Progress;
use crate::stream::side_file;

pub(crate) fn run(args: &ResolveArgs) -> anyhow::Result<()> {
    let input_args = &args.identity.input;
    let output = args.output.destination_of(Layout::Events)?;
    let refused = input_args.refused(Some(&output))?;
    let inputs = input::find_all(&input_args.paths)?;
    let mapping = side_file::find(args.mapping.as_ref())?;
    let all_inputs = || inputs.iter().chain(&mapping);
    output.must_keep(all_inputs(), "--output")?;
    let others = [("--output", Some(&output)), ("--refused", refused.as_ref())];
    let conflicts = args.conflicts.writer(&others, all_inputs(), input_args)?;
    let mut refused = input_args.refused_writer(refused, all_inputs())?;
    let form = args.summary.form(input_args.quiet);
    if form == SummaryForm::Json {
        refused.silence();
    }
    let identities = args.identity.identities()?;
    let settings = sorting::settings(&identities)?;
    if mapping.is_some() {
        mapping::check(&settings)?;
    }
    let adapting = args.adapting(&settings)?;
    let adapting = adapting.as_ref();
    #[cfg(feature = "tables")]
    if conflicts.is_none()
        && keeps_columns(args, &identities, adapting, &output)
        && let Some(columns) = Columns::of(&inputs)?
    {
        let summary = columns.resolve(&settings, output, refused, input_args.quiet)?;
        summary::print(&summary, form);
        return Ok(());
    }
    let output = Output::create(output)?;
    let ordering = Ordering::of(&args.identity, &settings, adapting);
    let files = Files {
        inputs: ordering.order(inputs, &mut refused)?,
        adapting,
        refused,
        output,
        conflicts,
        mapping,
    };
    let summary = match identities {
        Identities::OfInput(settings) => match settings.attribution() {
            Attribution::Retroactive => resolve_by_engine(args, &settings, files)?,
            Attribution::AtArrival => resolve_at_arrival::run(args, &settings, files)?,
        },
        #[cfg(feature = "store")]
        Identities::OfStore(folder) => resolve_by_store::run(args, folder, files)?,
        #[cfg(not(feature = "store"))]
        Identities::OfStore(_) => return Err(left_out("`--store`", "store")),
    };
    summary::print(&summary, form);
    if let Some(adapted) = &summary.adapted {
        adapted.warn(form);
    }
    Ok(())
}

/// Whether rows of Parquet become rows of Parquet, and nothing needs them as lines of JSON.
#[cfg(feature = "tables")]
fn keeps_columns(
    args: &ResolveArgs,
    identities: &Identities<'_>,
    adapting: Option<&Adapting>,
    output: &Destination,
) -> bool {
    output.is_parquet()
        && matches!(identities, Identities::OfInput(_))
        && adapting.is_none()
        && args.identity.sorting.fields.is_empty()
        && args.mapping.is_none()
}

/// Reads the input twice: a merge is retroactive, so nothing can be written before everything has
/// been read.
fn resolve_by_engine(
    args: &ResolveArgs,
    settings: &Settings,
    files: Files<'_>,
) -> anyhow::Result<Summary> {
    let Files {
        mut inputs,
        adapting,
        refused,
        output,
        conflicts,
        mapping,
    } = files;
    let input_args = &args.identity.input;
    let bytes = input::total_bytes(&inputs).map(|bytes| 2 * bytes);
    let progress = Progress::of_bytes(bytes, input_args.quiet);
    let limits = input_args.limits();

    let blocks = adapting.map(|_| BlocksWriter::new(which_to_keep(&inputs)));
    progress.stage("reading");
    let pass = Pass::new(&mut inputs, limits, Reread::Yes, &progress).adapting(adapting);
    let mut keeping = Keeping {
        outlines: OutlinesWriter::new(),
        blocks,
        conflicts,
    };
    let mut first = first_pass(pass, settings, refused, mapping, &mut keeping)?;
    // Before anything is written.
    input::check_unchanged(&mut inputs)?;
    let refused = first.report(keeping.conflicts.take(), &progress)?;

    progress.stage("writing");
    // A bar would appear between the events.
    if output.is_terminal() {
        progress.finish();
    }
    let pass = Pass::new(&mut inputs, limits, Reread::No, &progress);
    let blocks = keeping.blocks.and_then(BlocksWriter::read);
    let outlines = keeping.outlines.read();
    let are_blocks_kept = blocks.is_some();
    let pass = again(pass, blocks, &outlines, adapting);
    let kept = Kept {
        are_blocks_kept,
        rejections: first.rejections,
        outlines,
    };
    let (written, users) = second_pass(pass, settings, &*first.engine, kept, output)?;
    written.output.finish()?;
    progress.finish();
    Ok(Summary {
        events: written.events,
        users,
        outcomes: first.outcomes,
        refused,
        adapted: adapting.and_then(Adapting::report),
        is_of_now: false,
    })
}

/// Which blocks are kept for the second pass. To make lines of a table again takes longer than to keep them.
fn which_to_keep(inputs: &[Input]) -> Which {
    match inputs.iter().any(Input::is_table) {
        true => Which::All,
        false => Which::Adapted,
    }
}

/// The second pass, over the events of the first one.
fn again<'p>(
    pass: Pass<'p>,
    blocks: Option<BlocksReader>,
    outlines: &OutlinesReader,
    adapting: Option<&'p Adapting>,
) -> Pass<'p> {
    let is_adapted = adapting.is_some_and(|adapting| adapting.adapter().is_some());
    match blocks {
        Some(blocks) => pass.of_kept(blocks),
        // Duplicates have no outlines, and so they are left out again.
        None if !is_adapted && outlines.are_kept() => pass.settling(adapting),
        None => pass.adapting(adapting),
    }
}

/// The results of the first pass, for the second.
struct FirstPass {
    engine: Engine,
    refused: RefusedWriter,
    outcomes: Outcomes,
    rejections: RejectionsReader,
}

struct Kept {
    /// Whether the pass reads the blocks that the outlines were made of.
    are_blocks_kept: bool,
    rejections: RejectionsReader,
    outlines: OutlinesReader,
}

impl FirstPass {
    /// Reports refused lines and cases to decide before anything is written, so that they are not lost if the
    /// reader of the output stops early.
    fn report(
        &mut self,
        conflicts: Option<ConflictsWriter>,
        progress: &Progress,
    ) -> anyhow::Result<Refused> {
        let refused = Refused::of(&self.refused);
        progress.suspended(|| self.refused.finish())?;
        if let Some(conflicts) = conflicts {
            conflicts.finish(&*self.engine)?;
        }
        self.refused.excess(NOTHING_WRITTEN)?;
        Ok(refused)
    }
}

/// Applies all claims: those of the events, and then those of a table.
fn first_pass(
    pass: Pass<'_>,
    settings: &Settings,
    refused: RefusedWriter,
    mapping: Option<Input>,
    keeping: &mut Keeping,
) -> anyhow::Result<FirstPass> {
    let mut outcomes = Outcomes::default();
    let mut rejections = RejectionsWriter::new();
    let applied = apply_all(
        pass,
        settings,
        refused,
        Some(keeping),
        &mut |block, event, outcome| {
            outcomes.count(&outcome);
            if let Outcome::Rejected(rejection) = outcome {
                rejections
                    .add(block, event, &rejection)
                    .context("cannot write a temporary file")?;
            }
            Ok(())
        },
    )?;
    let Applied {
        mut engine,
        refused,
        ..
    } = applied;
    if let Some(mut mapping) = mapping {
        let state = MappedState {
            settings,
            engine: &mut engine,
            outcomes: &mut outcomes,
            conflicts: keeping.conflicts.as_mut(),
        };
        state.apply(&mut mapping)?;
    }
    Ok(FirstPass {
        engine,
        refused,
        outcomes,
        rejections: rejections.read().context("cannot read a temporary file")?,
    })
}

/// Writes every event with its canonical distinct_id.
fn second_pass(
    pass: Pass<'_>,
    settings: &Settings,
    engine: &dyn Resolve,
    mut kept: Kept,
    output: Output,
) -> anyhow::Result<(Written, UserCount)> {
    let users = Mutex::new(UserCount::default());
    let max_line_bytes = pass.limits.max_line_bytes;
    let are_blocks_kept = kept.are_blocks_kept;
    let written = pass.run(
        Written { output, events: 0 },
        |block| {
            kept.read_block(block)
                .context("cannot read a temporary file")
        },
        || ResolveWorker {
            reader: EventReader::new(max_line_bytes),
            are_blocks_kept,
            settings,
            writer: BlockWriter::new(settings, engine, &users),
        },
    )?;
    let users = users.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((written, users))
}

impl Kept {
    fn read_block(&mut self, block: u64) -> io::Result<(BlockRejections, Option<BlockOutlines>)> {
        let rejections = self.rejections.read_block(block)?;
        Ok((rejections, self.outlines.read_block(block)?))
    }
}

/// Counts of the output so far.
struct Written {
    output: Output,
    events: u64,
}

impl Sink for Written {}

struct ResolveWorker<'w> {
    reader: EventReader,
    are_blocks_kept: bool,
    settings: &'w Settings,
    writer: BlockWriter<'w>,
}

impl Worker for ResolveWorker<'_> {
    type Kept = (BlockRejections, Option<BlockOutlines>);
    type Sink = Written;

    fn block(
        &mut self,
        block: &Block,
        (rejections, outlines): Self::Kept,
        ticket: Ticket<'_, OrderedSink<Written>>,
    ) -> anyhow::Result<()> {
        let outlines = match outlines {
            // A block that was kept cannot have changed.
            Some(outlines) if self.are_blocks_kept || outlines.are_of(block.fingerprint()) => {
                outlines
            }
            Some(_) => {
                return in_turn(ticket, |ordered| {
                    Err(InputChanged::content(ordered.input_of(block)).into())
                });
            }
            None => self.outlines_of(block),
        };
        let count = self.writer.write(block, &outlines, rejections.iter());
        in_turn(ticket, |ordered| {
            let tally = Tally::checked(outlines.lines());
            let (written, _) = ordered.for_block(block, tally)?;
            written.events += count;
            written.output.write(self.writer.lines())
        })
    }

    fn unread_line(
        _: &mut Written,
        _: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        // The first pass has reported it.
        Ok(copy(&mut io::sink())?)
    }
}

impl ResolveWorker<'_> {
    /// Scans a block again. The first pass has reported its refused lines.
    fn outlines_of(&self, block: &Block) -> BlockOutlines {
        let mut events = BlockEvents::read(block, &self.reader, self.settings, Keep::Outlines);
        events.take_outlines().unwrap_or_default()
    }
}
