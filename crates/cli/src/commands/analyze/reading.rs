//! Reads the events of an input, resolves them, and folds them (F-1).

use std::io::{self, Write};

use anyhow::Context;
use idmerge_analysis::{Analysis, ResolvedEvent};
use idmerge_core::{Attribution, Claim, DistinctId, DistinctIdBuf, IdentityResolver, Resolve};
use idmerge_engines::{Engine, Settings};
use idmerge_events::{Envelope, TimeRange};

use crate::args::identities::{Identities, IdentityArgs};
use crate::args::input::adapt::AdaptArgs;
use crate::commands::analyze::names::Names;
use crate::commands::apply::{Applied, Keeping, Weighed, apply_all};
use crate::commands::sorting::{self, Ordering};
#[cfg(feature = "store")]
use crate::commands::store::open::open_for_reading;
use crate::output::destination::{Destination, Output};
use crate::output::refused::{NOTHING_WRITTEN, RefusedWriter};
#[cfg(feature = "store")]
use crate::output::summary::OF_NOW;
#[cfg(not(feature = "store"))]
use crate::report::left_out;
use crate::spill::blocks::{BlocksWriter, Which};
use crate::spill::outlines::{BlockOutlines, OutlinesWriter};
use crate::stream::adapt::Adapting;
use crate::stream::block::Block;
use crate::stream::event_reader::{self, EventReader, identity_fingerprint};
use crate::stream::events::{RefusedLine, first_refused};
use crate::stream::forms::unusable::Tally;
use crate::stream::input::{self, Input, InputChanged, Reread};
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Pass, Refusal, Sink, Worker, in_turn};
use crate::stream::progress::Progress;

/// What was found in the events of an input.
pub(super) struct Folded<F> {
    pub(super) fold: F,
    /// The names of the events.
    pub(super) names: Names,
    /// How many events have no ID, and belong to no user.
    pub(super) events_without_id: u64,
}

/// Reads the input, and adds each event to the analysis under its user. Returns the output, which is opened
/// before anything is read, with the result.
pub(super) fn fold<A: Analysis>(
    args: &IdentityArgs,
    output: Destination,
    analysis: &A,
) -> anyhow::Result<(Folded<A::Fold>, Output)> {
    let identities = args.identities()?;
    let refused = args.input.refused(Some(&output))?;
    let inputs = input::find_all(&args.input.paths)?;
    output.must_keep(&inputs, "--output")?;
    let mut refused = args.input.refused_writer(refused, &inputs)?;
    let output = Output::create(output)?;
    let settings = sorting::settings(&identities)?;
    let adapting = args.adapt.adapting(&settings, args.input.quiet)?;
    let adapting = adapting.as_ref();
    let ordering = Ordering::of(args, &settings, adapting);
    let run = Run {
        args,
        analysis,
        adapting,
        inputs: ordering.order(inputs, &mut refused)?,
        refused,
    };
    let folded = match identities {
        Identities::OfInput(settings) => match settings.attribution() {
            Attribution::Retroactive => run.by_engine(&settings),
            Attribution::AtArrival => run.at_arrival(&settings),
        },
        #[cfg(feature = "store")]
        Identities::OfStore(folder) => {
            let store = open_for_reading(folder)?;
            let folded = run.by_store(&store.settings, &store.engine)?;
            if store.settings.attribution() == Attribution::AtArrival && !args.input.quiet {
                // Ignores that stderr may be closed.
                let _unheard = writeln!(io::stderr(), "{OF_NOW}");
            }
            Ok(folded)
        }
        #[cfg(not(feature = "store"))]
        Identities::OfStore(_) => Err(left_out("`--store`", "store")),
    };
    Ok((folded?, output))
}

struct Run<'r, A> {
    args: &'r IdentityArgs,
    analysis: &'r A,
    /// How records of another product become events.
    adapting: Option<&'r Adapting>,
    inputs: Vec<Input>,
    refused: RefusedWriter,
}

impl<A: Analysis> Run<'_, A> {
    /// Reads the input twice: a merge is retroactive, so no event has its user before everything has been read.
    fn by_engine(mut self, settings: &Settings) -> anyhow::Result<Folded<A::Fold>> {
        let input_args = &self.args.input;
        let bytes = input::total_bytes(&self.inputs).map(|bytes| 2 * bytes);
        let progress = Progress::of_bytes(bytes, input_args.quiet);
        let limits = input_args.limits();
        let adapting = self.adapting;

        progress.stage("reading");
        let pass = Pass::new(&mut self.inputs, limits, Reread::Yes, &progress).adapting(adapting);
        let mut keeping = Keeping {
            outlines: OutlinesWriter::new(),
            blocks: adapting.map(|_| BlocksWriter::new(Which::All)),
            conflicts: None,
        };
        let applied = apply_all(
            pass,
            settings,
            self.refused,
            Some(&mut keeping),
            &mut |_, _, _| Ok(()),
        )?;
        let Applied {
            engine,
            mut refused,
            ..
        } = applied;
        input::check_unchanged(&mut self.inputs)?;
        progress.suspended(|| refused.finish())?;
        refused.excess(NOTHING_WRITTEN)?;
        let mut outlines = keeping.outlines.read();

        progress.stage("counting");
        let pass = Pass::new(&mut self.inputs, limits, Reread::No, &progress);
        let blocks = keeping.blocks.and_then(BlocksWriter::read);
        let are_blocks_kept = blocks.is_some();
        let pass = match blocks {
            Some(blocks) => pass.of_kept(blocks),
            None => pass.adapting(adapting),
        };
        let sink = FoldSink::new(self.analysis, settings, None);
        let worker = || FoldWorker {
            events: EventReader::new(limits.max_line_bytes),
            settings,
            analysis: self.analysis,
            engine: Some(&*engine),
        };
        // They tell whether a block has changed. One that was kept cannot, and its duplicates are blanked out.
        let read_outlines = |block| match are_blocks_kept {
            true => Ok(None),
            false => {
                let read = outlines.read_block(block);
                read.context("cannot read a temporary file")
            }
        };
        let sink = pass.run(sink, read_outlines, worker)?;
        sink.finish(&progress, adapting, input_args.quiet)
    }

    /// Reads the input once: each event has the user of its arrival (L-3).
    fn at_arrival(self, settings: &Settings) -> anyhow::Result<Folded<A::Fold>> {
        self.in_one_pass(settings, None)
    }

    /// Reads the input once: the store has all identities.
    #[cfg(feature = "store")]
    fn by_store(
        self,
        settings: &Settings,
        engine: &dyn Resolve,
    ) -> anyhow::Result<Folded<A::Fold>> {
        self.in_one_pass(settings, Some(engine))
    }

    fn in_one_pass(
        mut self,
        settings: &Settings,
        engine: Option<&dyn Resolve>,
    ) -> anyhow::Result<Folded<A::Fold>> {
        let input_args = &self.args.input;
        let progress = Progress::of_bytes(input::total_bytes(&self.inputs), input_args.quiet);
        progress.stage("counting");
        let adapting = self.adapting;
        let limits = input_args.limits();
        let pass = Pass::new(&mut self.inputs, limits, Reread::No, &progress).adapting(adapting);
        let sink = FoldSink::new(self.analysis, settings, Some(self.refused));
        let worker = || FoldWorker {
            events: EventReader::new(limits.max_line_bytes),
            settings,
            analysis: self.analysis,
            engine,
        };
        let sink = pass.run(sink, |_| Ok(None), worker)?;
        sink.finish(&progress, adapting, input_args.quiet)
    }
}

/// What was added, in arrival order.
struct FoldSink<'r, A: Analysis> {
    analysis: &'r A,
    /// Of a model that attributes events at their arrival.
    engine: Engine,
    weighed: Weighed,
    /// `None` if an earlier pass has reported the refused lines.
    refused: Option<RefusedWriter>,
    folded: Folded<A::Fold>,
}

impl<A: Analysis> Sink for FoldSink<'_, A> {}

impl<'r, A: Analysis> FoldSink<'r, A> {
    fn new(analysis: &'r A, settings: &Settings, refused: Option<RefusedWriter>) -> Self {
        Self {
            analysis,
            engine: settings.engine(),
            weighed: Weighed::default(),
            refused,
            folded: Folded {
                fold: analysis.fold(),
                names: Names::default(),
                events_without_id: 0,
            },
        }
    }

    fn finish(
        self,
        progress: &Progress,
        adapting: Option<&Adapting>,
        is_quiet: bool,
    ) -> anyhow::Result<Folded<A::Fold>> {
        progress.finish();
        AdaptArgs::say(adapting, is_quiet);
        if let Some(mut refused) = self.refused {
            refused.finish()?;
            refused.excess(NOTHING_WRITTEN)?;
        }
        Ok(self.folded)
    }

    /// Adds the events of a block, whose users are known.
    fn add(
        &mut self,
        found: Vec<FoundEvent<A::Found>>,
        own: &[DistinctId<'_>],
        users: &[DistinctId<'_>],
    ) {
        for ((found, own), user) in found.into_iter().zip(own).zip(users) {
            self.analysis
                .add(&mut self.folded.fold, *user, *own, found.found);
        }
    }

    /// Adds the events of a block, and applies each claim when its event comes.
    fn add_at_arrival(
        &mut self,
        found: Vec<FoundEvent<A::Found>>,
        own: &[DistinctId<'_>],
        claimants: &[usize],
        claims: &[Claim<'_>],
    ) -> anyhow::Result<()> {
        let mut claims = claimants.iter().zip(claims).peekable();
        for (found, own) in found.into_iter().zip(own) {
            // An event's own claim does not change its root (L-4), so it may be applied first.
            while let Some((_, claim)) = claims.next_if(|(number, _)| **number <= found.number) {
                self.engine.apply(*claim)?;
            }
            let user = self.engine.resolve(*own);
            self.analysis
                .add(&mut self.folded.fold, user, *own, found.found);
        }
        for (_, claim) in claims {
            self.engine.apply(*claim)?;
        }
        Ok(())
    }
}

struct FoldWorker<'r, A> {
    events: EventReader,
    settings: &'r Settings,
    analysis: &'r A,
    /// `None` if events are attributed at their arrival.
    engine: Option<&'r dyn Resolve>,
}

/// An event that matters.
struct FoundEvent<F> {
    /// Its number among the usable events of its block.
    number: usize,
    found: F,
}

/// The events of a block.
struct FoundBlock<'b, F> {
    tally: Tally,
    found: Vec<FoundEvent<F>>,
    /// The distinct_id of each event that was found.
    own: Vec<DistinctIdBuf>,
    /// The events that make claims, and their numbers, if events are attributed at their arrival.
    claimants: Vec<(usize, Envelope<'b>)>,
    fingerprints: Vec<(usize, u128)>,
    names: Names,
    without_id: u64,
    refused: Vec<RefusedLine<'b>>,
}

impl<A: Analysis> FoldWorker<'_, A> {
    fn read<'b>(&self, block: &'b Block) -> FoundBlock<'b, A::Found> {
        let mut read = FoundBlock {
            tally: Tally::default(),
            found: Vec::new(),
            own: Vec::new(),
            claimants: Vec::new(),
            fingerprints: Vec::new(),
            names: Names::default(),
            without_id: 0,
            refused: Vec::new(),
        };
        let (lines, refused) = self
            .events
            .read(block, |_, envelope| self.add(envelope, &mut read));
        read.tally.lines = lines;
        read.tally.first_refused = first_refused(&refused);
        read.refused = refused;
        read
    }

    fn add<'b>(
        &self,
        envelope: Envelope<'b>,
        read: &mut FoundBlock<'b, A::Found>,
    ) -> Result<(), event_reader::Refusal> {
        let event = envelope.json_event().event();
        let reading = self.settings.read(&event);
        let reading = reading.map_err(event_reader::Refusal::Invalid)?;
        let number = usize::try_from(read.tally.events).unwrap_or(usize::MAX);
        read.tally.events += 1;
        read.names.add(envelope.name());
        if let Some(own) = reading.distinct_id {
            read.tally.with_id += 1;
            let found = self.analysis.read(&ResolvedEvent {
                name: envelope.name(),
                time_ms: envelope.time(TimeRange::Year9999).ms(),
                properties: envelope.json_event().properties(),
            });
            if let Some(found) = found {
                read.found.push(FoundEvent { number, found });
                read.own.push(own.to_buf());
            }
        } else {
            read.without_id += 1;
        }
        if self.engine.is_none() && reading.claim.is_some() {
            let fingerprint = identity_fingerprint(&envelope, &reading, self.settings);
            read.fingerprints
                .extend(fingerprint.map(|event| (number, event)));
            read.claimants.push((number, envelope));
        }
        Ok(())
    }

    /// The claims of these events, and the numbers of the events.
    fn claims<'e>(&self, claimants: &'e [(usize, Envelope<'_>)]) -> (Vec<usize>, Vec<Claim<'e>>) {
        let claim = |(number, envelope): &'e (usize, Envelope<'_>)| {
            let reading = self.settings.read(&envelope.json_event().event());
            Some((*number, reading.ok()?.claim?))
        };
        claimants.iter().filter_map(claim).unzip()
    }
}

impl<'r, A: Analysis> Worker for FoldWorker<'r, A> {
    type Kept = Option<BlockOutlines>;
    type Sink = FoldSink<'r, A>;

    fn block(
        &mut self,
        block: &Block,
        outlines: Option<BlockOutlines>,
        ticket: Ticket<'_, OrderedSink<FoldSink<'r, A>>>,
    ) -> anyhow::Result<()> {
        if outlines.is_some_and(|outlines| !outlines.are_of(block.fingerprint())) {
            return in_turn(ticket, |ordered| {
                Err(InputChanged::content(ordered.input_of(block)).into())
            });
        }
        let read = self.read(block);
        let own: Vec<_> = read.own.iter().map(DistinctIdBuf::as_id).collect();
        let users = self.engine.map(|engine| {
            let mut users = own.clone();
            engine.resolve_batch(&mut users);
            users
        });
        let (mut claimants, mut claims) = self.claims(&read.claimants);
        in_turn(ticket, |ordered| {
            let (sink, position) = ordered.for_block(block, read.tally)?;
            sink.folded.names.extend(read.names);
            sink.folded.events_without_id += read.without_id;
            if let Some(users) = users {
                sink.add(read.found, &own, &users);
            } else {
                sink.weighed.leave_out_duplicates(
                    &read.fingerprints,
                    &mut claimants,
                    &mut claims,
                )?;
                sink.add_at_arrival(read.found, &own, &claimants, &claims)?;
            }
            match &mut sink.refused {
                Some(writer) => writer.add_all(position, read.refused),
                None => Ok(()),
            }
        })
    }

    fn unread_line(
        sink: &mut FoldSink<'r, A>,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        match &mut sink.refused {
            Some(writer) => writer.add_unread(&refusal, copy),
            None => Ok(copy(&mut io::sink())?),
        }
    }
}
