//! `idmerge resolve` in a model that attributes events at their arrival: one pass, which writes as it
//! goes. Nothing that comes later changes what was written (L-3).

use std::io::{self, Write};

use idmerge_core::{Claim, Outcome, Resolve};
use idmerge_engines::{Engine, Settings};

use crate::args::resolve::ResolveArgs;
use crate::commands::apply::Weighed;
use crate::commands::one_pass::{self, Files, Written};
use crate::output::conflicts::RejectedClaim;
use crate::output::resolved::{EventWriter, Rejected};
use crate::output::summary::{Outcomes, Summary};
use crate::output::users::{UserBatch, UserCount};
use crate::spill::outlines::BlockText;
use crate::stream::block::Block;
use crate::stream::event_reader::EventReader;
use crate::stream::events::{BlockEvents, Keep};
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Refusal, Sink, Worker, in_turn};

pub(crate) fn run(
    args: &ResolveArgs,
    settings: &Settings,
    files: Files<'_>,
) -> anyhow::Result<Summary> {
    let users = UserCount::default();
    let sink = |written| Arrivals {
        written,
        engine: settings.engine(),
        weighed: Weighed::default(),
        batch: users.batch(),
        users,
        lines: Vec::new(),
    };
    let worker = || ArrivalWorker {
        reader: EventReader::new(args.identity.input.max_line_bytes),
        settings,
    };
    let (arrivals, adapted) = one_pass::run(args, files, sink, worker)?;
    Ok(Summary {
        adapted,
        ..arrivals.written.finish(arrivals.users, &*arrivals.engine)?
    })
}

/// What the events of the next block depend on, and what was written.
struct Arrivals {
    written: Written,
    engine: Engine,
    weighed: Weighed,
    users: UserCount,
    batch: UserBatch,
    /// The output for the last block.
    lines: Vec<u8>,
}

impl Sink for Arrivals {}

struct ArrivalWorker<'w> {
    reader: EventReader,
    settings: &'w Settings,
}

impl Worker for ArrivalWorker<'_> {
    type Kept = ();
    type Sink = Arrivals;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, OrderedSink<Arrivals>>,
    ) -> anyhow::Result<()> {
        let mut events = BlockEvents::read(block, &self.reader, self.settings, Keep::Outlines);
        let (tally, refused) = (events.tally(), events.take_refused());
        let with_id = tally.with_id;
        let outlines = events.take_outlines().unwrap_or_default();
        let fingerprints = events.take_fingerprints();
        let (mut claimants, mut claims) = events.take_claims(self.settings);
        let text = BlockText::new(block);
        let writer = EventWriter::new(self.settings, &outlines, text);
        in_turn(ticket, |ordered| {
            let (arrivals, position) = ordered.for_block(block, tally)?;
            arrivals
                .weighed
                .leave_out_duplicates(&fingerprints, &mut claimants, &mut claims)?;
            let rejected = arrivals.write(&writer, &claimants, &claims)?;
            let written = &mut arrivals.written;
            written.take_refused(block, position, refused, &rejected)?;
            arrivals.written.write(&arrivals.lines, block, with_id)
        })
    }

    fn unread_line(
        sink: &mut Arrivals,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        sink.written.take_unread(&refusal, copy)
    }
}

impl Arrivals {
    /// Writes the events of a block, and applies each claim when its event comes. `claimants` has the
    /// numbers of the events that make the claims. Returns the claims that were rejected.
    fn write<'c>(
        &mut self,
        events: &EventWriter<'_, '_>,
        claimants: &[usize],
        claims: &[Claim<'c>],
    ) -> anyhow::Result<Vec<RejectedClaim<'c>>> {
        let mut rejected = Vec::new();
        let mut claims = claimants.iter().zip(claims).peekable();
        self.lines.clear();
        for (number, event) in events.events().enumerate() {
            // An event's own claim does not change its root (L-4), so its answer may be applied first.
            let rejection = match claims.next_if(|(claimant, _)| **claimant == number) {
                Some((_, claim)) => {
                    let rejection = apply(&mut self.engine, *claim, &mut self.written.outcomes)?;
                    rejected.extend(rejection.as_ref().map(|rejection| RejectedClaim {
                        event: number,
                        claim: *claim,
                        code: rejection.code,
                    }));
                    rejection
                }
                None => None,
            };
            let own = events.own(&event);
            let canonical = own.map(|id| self.engine.resolve(id));
            let failure = rejection.as_ref().map(Rejected::failure);
            events.write(&event, own, canonical, failure, &mut self.lines);
            self.batch.add(own, canonical);
            self.written.events += 1;
        }
        self.users.add(&mut self.batch);
        Ok(rejected)
    }
}

/// Applies a claim, and returns why it was rejected, if it was.
fn apply(
    engine: &mut Engine,
    claim: Claim<'_>,
    outcomes: &mut Outcomes,
) -> anyhow::Result<Option<Rejected>> {
    let outcome = engine.apply(claim)?;
    outcomes.count(&outcome);
    Ok(match outcome {
        Outcome::Rejected(rejection) => Some(Rejected::by(&rejection)),
        _ => None,
    })
}
