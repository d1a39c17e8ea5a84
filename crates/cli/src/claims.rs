//! The first reading, and the only one of most commands: all claims go to the engine.

use std::io::{self, Write};

use idmerge_core::{Claim, IdentityResolver, Outcome};

use crate::args::InputArgs;
use crate::blocks::Block;
use crate::events::{self, BlockEvents, Keep, Refusals};
use crate::fold::{Fold, InOrder, LinePlace, Worker, in_turn};
use crate::notes::NotesWriter;
use crate::refused::RefusedLines;
use crate::turns::Ticket;

/// What claims and refused lines go to.
pub(crate) struct Folded {
    pub(crate) engine: Box<dyn IdentityResolver>,
    pub(crate) refused: RefusedLines,
    /// How many events could be used.
    pub(crate) events: u64,
}

/// Gets an outcome, with the numbers of its block and of its event among those of the block that
/// could be used.
pub(crate) type OutcomeFn<'f> =
    &'f mut (dyn FnMut(u64, usize, Outcome<'_>) -> anyhow::Result<()> + Send);

/// Applies the claims of all events. Reading is pure: an engine with the same settings reads the
/// same, and can be asked while claims go to the first. `notes` are taken for reading them again.
pub(crate) fn fold(
    fold: Fold<'_>,
    reader: &dyn IdentityResolver,
    engine: Box<dyn IdentityResolver>,
    refused: RefusedLines,
    notes: Option<&mut NotesWriter>,
    outcome: OutcomeFn<'_>,
) -> anyhow::Result<Folded> {
    let args = fold.args;
    let folded = Folded {
        engine,
        refused,
        events: 0,
    };
    let keep = match notes {
        Some(_) => Keep::Notes,
        None => Keep::Nothing,
    };
    let worker = || ClaimsWorker { args, reader, keep };
    let in_order = ClaimsInOrder {
        args,
        folded,
        notes,
        outcome,
    };
    Ok(fold.run(in_order, |_| Ok(()), worker)?.folded)
}

/// What one thread at a time does.
struct ClaimsInOrder<'f> {
    args: &'f InputArgs,
    folded: Folded,
    notes: Option<&'f mut NotesWriter>,
    outcome: OutcomeFn<'f>,
}

#[derive(Clone, Copy)]
struct ClaimsWorker<'f> {
    args: &'f InputArgs,
    reader: &'f dyn IdentityResolver,
    keep: Keep,
}

impl<'f> Worker for ClaimsWorker<'f> {
    type Beside = ();
    type InOrder = ClaimsInOrder<'f>;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, InOrder<ClaimsInOrder<'f>>>,
    ) -> anyhow::Result<()> {
        let mut refusals = Refusals::default();
        let mut events = BlockEvents::read(
            block,
            self.args.max_line_bytes,
            self.reader,
            self.keep,
            &mut refusals,
        );
        let (count, lines, notes) = (events.count(), events.lines(), events.take_notes());
        let (claimants, claims) = events.take_claims(self.reader);
        let number = ticket.number();
        in_turn(ticket, |in_order| {
            let (in_order, file, lines_before) = in_order.of_block(block, lines);
            in_order.apply(number, &claims, &claimants)?;
            in_order.folded.events += count as u64;
            if let (Some(writer), Some(notes)) = (&mut in_order.notes, notes) {
                writer.add(number, &notes);
            }
            refusals.hand_on(file, lines_before, &mut in_order.folded.refused)
        })
    }

    fn long_line(
        in_order: &mut ClaimsInOrder<'f>,
        place: &LinePlace<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let reason = events::long_line(place, in_order.args.max_line_bytes);
        in_order.folded.refused.add_long(&reason, copy)
    }
}

impl ClaimsInOrder<'_> {
    fn apply(
        &mut self,
        block: u64,
        claims: &[Claim<'_>],
        claimants: &[usize],
    ) -> anyhow::Result<()> {
        let mut claimants = claimants.iter();
        let mut told = Ok(());
        self.folded.engine.apply_batch(claims, &mut |outcome| {
            if let Some(&event) = claimants.next()
                && told.is_ok()
            {
                told = (self.outcome)(block, event, outcome);
            }
        })?;
        told
    }
}
