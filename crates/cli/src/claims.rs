//! The first reading, and the only one of most commands: all claims go to the engine.

use std::io::{self, Write};

use idmerge_core::{Claim, IdentityResolver, Outcome};

use crate::args::FoldArgs;
use crate::blocks::Block;
use crate::events::{self, BlockEvents, Refusals};
use crate::fold::{Fold, InOrder, LinePlace, Worker, in_turn};
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

/// Applies the claims of all events.
pub(crate) fn fold(
    fold: Fold<'_>,
    engine: Box<dyn IdentityResolver>,
    refused: RefusedLines,
    outcome: OutcomeFn<'_>,
) -> anyhow::Result<Folded> {
    let args = fold.args;
    // Reading is pure: another engine with the same settings reads the same, and can be asked while
    // claims go to the first.
    let reader = args.engine();
    let folded = Folded {
        engine,
        refused,
        events: 0,
    };
    let worker = || ClaimsWorker {
        args,
        reader: &*reader,
    };
    let in_order = ClaimsInOrder {
        args,
        folded,
        outcome,
    };
    Ok(fold.run(in_order, |_| Ok(()), worker)?.folded)
}

/// What one thread at a time does.
struct ClaimsInOrder<'f> {
    args: &'f FoldArgs,
    folded: Folded,
    outcome: OutcomeFn<'f>,
}

#[derive(Clone, Copy)]
struct ClaimsWorker<'f> {
    args: &'f FoldArgs,
    reader: &'f dyn IdentityResolver,
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
        let events = BlockEvents::parse(block, self.args.max_line_bytes, &mut refusals);
        let (mut used, mut claims, mut claimants) = (0, Vec::new(), Vec::new());
        events.read(self.reader, &mut refusals, |_, reading| {
            if let Some(claim) = reading.claim {
                claims.push(claim);
                claimants.push(used);
            }
            used += 1;
        });
        let number = ticket.number();
        in_turn(ticket, |in_order| {
            let (in_order, file, lines_before) = in_order.of_block(block, events.lines());
            in_order.apply(number, &claims, &claimants)?;
            in_order.folded.events += used as u64;
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
