//! A pass over the input that applies the claims of all events to an engine.

use std::io::{self, Write};

use anyhow::Context;
use foldhash::HashSet;
use idmerge_core::{Claim, Outcome};
use idmerge_engines::{Engine, Settings};
use idmerge_spill::Seen;

use crate::output::conflicts::{ConflictsWriter, RejectedClaim};
use crate::output::refused::RefusedWriter;
use crate::spill::TEMPORARY;
use crate::spill::blocks::BlocksWriter;
use crate::spill::outlines::OutlinesWriter;
use crate::stream::block::Block;
use crate::stream::event_reader::EventReader;
use crate::stream::events::{BlockEvents, Keep, numbers_of};
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Pass, Refusal, Sink, Worker, in_turn};

/// The state after all claims, and the refused lines.
pub(crate) struct Applied {
    pub(crate) engine: Engine,
    pub(crate) refused: RefusedWriter,
    /// How many events could be used.
    pub(crate) events: u64,
}

/// Receives each outcome, with the number of the block and the number of the event among the usable
/// events of the block.
pub(crate) type OnOutcome<'f> =
    &'f mut (dyn FnMut(u64, usize, Outcome<'_>) -> anyhow::Result<()> + Send);

/// What is kept for a second pass.
pub(crate) struct Keeping {
    pub(crate) outlines: OutlinesWriter,
    /// If the records of another product were turned into events.
    pub(crate) blocks: Option<BlocksWriter>,
    /// The cases that a person must decide, if they are asked for.
    pub(crate) conflicts: Option<ConflictsWriter>,
}

/// Applies the claims of all events to a new engine.
pub(crate) fn apply_all(
    pass: Pass<'_>,
    settings: &Settings,
    refused: RefusedWriter,
    keeping: Option<&mut Keeping>,
    on_outcome: OnOutcome<'_>,
) -> anyhow::Result<Applied> {
    let max_line_bytes = pass.limits.max_line_bytes;
    let keep = match keeping {
        Some(_) => Keep::Outlines,
        None => Keep::Nothing,
    };
    let worker = || ApplyWorker {
        reader: EventReader::new(max_line_bytes),
        settings,
        keep,
    };
    let sink = ApplySink {
        applied: Applied {
            engine: settings.engine(),
            refused,
            events: 0,
        },
        keeping,
        on_outcome,
        weighed: Weighed::default(),
    };
    Ok(pass.run(sink, |_| Ok(()), worker)?.applied)
}

struct ApplySink<'f> {
    applied: Applied,
    keeping: Option<&'f mut Keeping>,
    on_outcome: OnOutcome<'f>,
    weighed: Weighed,
}

/// The fingerprints of identity events that were weighed. Their duplicates are not weighed (AR-2).
#[derive(Default)]
pub(crate) struct Weighed(Seen);

struct ApplyWorker<'f> {
    reader: EventReader,
    settings: &'f Settings,
    keep: Keep,
}

impl<'f> Worker for ApplyWorker<'f> {
    type Kept = ();
    type Sink = ApplySink<'f>;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, OrderedSink<ApplySink<'f>>>,
    ) -> anyhow::Result<()> {
        let mut events = BlockEvents::read(block, &self.reader, self.settings, self.keep);
        let (count, tally) = (events.count(), events.tally());
        let (refused, outlines) = (events.take_refused(), events.take_outlines());
        let fingerprints = events.take_fingerprints();
        let (mut claimants, mut claims) = events.take_claims(self.settings);
        let number = ticket.number();
        in_turn(ticket, |ordered| {
            let (sink, position) = ordered.for_block(block, tally)?;
            sink.weighed
                .leave_out_duplicates(&fingerprints, &mut claimants, &mut claims)?;
            let rejected = sink.apply(number, &claims, &claimants)?;
            sink.applied.events += count as u64;
            if let (Some(keeping), Some(outlines)) = (&mut sink.keeping, outlines) {
                keeping.outlines.add(number, &outlines);
                if let Some(blocks) = &mut keeping.blocks {
                    blocks.add(number, block);
                }
                if let Some(conflicts) = &mut keeping.conflicts {
                    conflicts.add_block(block, position, &numbers_of(&refused), &rejected)?;
                }
            }
            sink.applied.refused.add_all(position, refused)
        })
    }

    fn unread_line(
        sink: &mut ApplySink<'f>,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        sink.applied.refused.add_unread(&refusal, copy)
    }
}

impl Weighed {
    /// Whether an identity event is no duplicate of an earlier one.
    pub(crate) fn is_first(&mut self, fingerprint: u128) -> anyhow::Result<bool> {
        self.0.insert(fingerprint).context(TEMPORARY)
    }

    /// Leaves out the claims of duplicates. `fingerprints` has the numbers of the identity events that can
    /// have duplicates, and `claimants` those of the events of `claims`.
    pub(crate) fn leave_out_duplicates(
        &mut self,
        fingerprints: &[(usize, u128)],
        claimants: &mut Vec<usize>,
        claims: &mut Vec<Claim<'_>>,
    ) -> anyhow::Result<()> {
        let mut duplicates: HashSet<usize> = HashSet::default();
        for (number, event) in fingerprints {
            if !self.0.insert(*event).context(TEMPORARY)? {
                duplicates.insert(*number);
            }
        }
        if duplicates.is_empty() {
            return Ok(());
        }
        let mut of_claims = claimants.iter();
        claims.retain(|_| {
            of_claims
                .next()
                .is_none_or(|number| !duplicates.contains(number))
        });
        claimants.retain(|number| !duplicates.contains(number));
        Ok(())
    }
}

impl Sink for ApplySink<'_> {}

impl ApplySink<'_> {
    /// Applies the claims of a block. Returns those that were rejected, if the cases that a person must decide are
    /// asked for.
    fn apply<'c>(
        &mut self,
        block: u64,
        claims: &[Claim<'c>],
        claimants: &[usize],
    ) -> anyhow::Result<Vec<RejectedClaim<'c>>> {
        let keeping = self.keeping.as_ref();
        let is_rejected_kept = keeping.is_some_and(|keeping| keeping.conflicts.is_some());
        let mut rejected = Vec::new();
        let mut made = claimants.iter().zip(claims);
        let mut result = Ok(());
        self.applied.engine.apply_batch(claims, &mut |outcome| {
            let Some((&event, &claim)) = made.next() else {
                return;
            };
            if is_rejected_kept {
                rejected.extend(RejectedClaim::of(event, claim, &outcome));
            }
            if result.is_ok() {
                result = (self.on_outcome)(block, event, outcome);
            }
        })?;
        result.map(|()| rejected)
    }
}
