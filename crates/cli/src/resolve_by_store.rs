//! `idmerge resolve --store`: one reading, since the store knows who is who.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::bail;
use foldhash::quality::RandomState;
use idmerge_core::{Claim, DistinctId, IdentityResolver, Outcome, Rejection, RuleBook};
use idmerge_store::What;

use crate::args::{InputArgs, ResolveArgs};
use crate::blocks::Block;
use crate::events::{self, BlockEvents, Keep, Refusals};
use crate::fold::{Fold, InOrder, LinePlace, Worker, in_turn};
use crate::input::{Again, Input};
use crate::output::Output;
use crate::progress::Progress;
use crate::refused::RefusedLines;
use crate::rejections::StoredRejection;
use crate::store::{Store, open_for_reading};
use crate::summary::Summary;
use crate::turns::Ticket;
use crate::users::UserCount;
use crate::writing::BlockWriter;

pub(crate) fn run(
    args: &ResolveArgs,
    folder: &Path,
    mut inputs: Vec<Input>,
    refused: RefusedLines,
    output: Output,
) -> anyhow::Result<()> {
    let store = open_for_reading(folder)?;
    let rejected = Rejected::of_store(&store)?;
    let progress = Progress::new(&inputs, 1, args.fold.input.quiet);
    progress.stage("writing");
    if output.is_terminal() {
        progress.finish();
    }
    let users = Mutex::new(UserCount::default());
    let fold = Fold {
        inputs: &mut inputs,
        args: &args.fold.input,
        again: Again::No,
        progress: &progress,
    };
    let written = fold.run(
        Written {
            output,
            refused,
            max_line_bytes: args.fold.input.max_line_bytes,
            summary: Summary::default(),
        },
        |_| Ok(()),
        || StoreWorker {
            args: &args.fold.input,
            engine: &store.engine,
            rejected: &rejected,
            writer: BlockWriter::new(&store.engine, &users),
        },
    )?;
    let Written {
        output,
        refused,
        mut summary,
        ..
    } = written;
    progress.finish();
    summary.refused = refused.count();
    refused.finish()?;
    if args.strict && summary.refused > 0 {
        bail!(
            "{} refused, and --strict was given: the output is not complete",
            summary.refused
        );
    }
    output.finish()?;
    summary.users = users.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !args.fold.input.quiet {
        summary.say();
    }
    Ok(())
}

/// Which claims the store has rejected, with what was said of it.
struct Rejected {
    /// The hash of a claim is of 64 bits with a key of this process, so that two claims are taken
    /// for one by chance alone, once in ten thousand runs with a million claims.
    state: RandomState,
    said: HashMap<u64, (&'static str, String)>,
}

impl Rejected {
    fn of_store(store: &Store) -> anyhow::Result<Self> {
        let mut rejected = Self {
            state: RandomState::default(),
            said: HashMap::new(),
        };
        // In Simplified the state itself says it.
        if store.engine.rule_book() == RuleBook::Simplified {
            return Ok(rejected);
        }
        store.each(1, &mut |entry| {
            if let What::Claim { claim, outcome } = entry.what {
                let hash = rejected.state.hash_one(claim);
                if let Outcome::Rejected(rejection) = outcome {
                    let said = (rejection.code(), rejection.to_string());
                    rejected.said.insert(hash, said);
                } else {
                    rejected.said.remove(&hash);
                }
            }
            Ok(true)
        })?;
        Ok(rejected)
    }

    /// What the store has against a claim.
    fn against(
        &self,
        engine: &dyn IdentityResolver,
        claim: Claim<'_>,
    ) -> Option<(&'static str, String)> {
        if let Claim::Link { device, user } = claim {
            let holder = engine.resolve(DistinctId::device(device));
            let is_free = holder.is_device() || holder == DistinctId::plain(user);
            let rejection = Rejection::AnonDistinctIdAssignedAlready {
                anon: device,
                holder: holder.id(),
            };
            return (!is_free).then(|| (rejection.code(), rejection.to_string()));
        }
        let said = self.said.get(&self.state.hash_one(claim))?;
        Some((said.0, said.1.clone()))
    }
}

/// What is touched in turn.
struct Written {
    output: Output,
    refused: RefusedLines,
    max_line_bytes: u64,
    summary: Summary,
}

struct StoreWorker<'w> {
    args: &'w InputArgs,
    engine: &'w dyn IdentityResolver,
    rejected: &'w Rejected,
    writer: BlockWriter<'w>,
}

impl Worker for StoreWorker<'_> {
    type Beside = ();
    type InOrder = Written;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, InOrder<Written>>,
    ) -> anyhow::Result<()> {
        let mut refusals = Refusals::default();
        let max_line_bytes = self.args.max_line_bytes;
        let mut events = BlockEvents::read(
            block,
            max_line_bytes,
            self.engine,
            Keep::Notes,
            &mut refusals,
        );
        let (lines, notes) = (events.lines(), events.take_notes().unwrap_or_default());
        let (claimants, claims) = events.take_claims(self.engine);
        let against: Vec<_> = claimants
            .iter()
            .zip(&claims)
            .filter_map(|(&event, &claim)| {
                Some((event, self.rejected.against(self.engine, claim)?))
            })
            .collect();
        let rejections = against
            .iter()
            .map(|(event, (code, description))| StoredRejection {
                event: *event,
                code,
                description,
            });
        let count = self.writer.write(block, &notes, rejections);
        in_turn(ticket, |in_order| {
            let (written, file, lines_before) = in_order.of_block(block, lines);
            written.summary.events += count;
            for (_, (code, _)) in &against {
                written.summary.outcomes.count_rejection(code);
            }
            refusals.hand_on(file, lines_before, &mut written.refused)?;
            written.output.write(self.writer.lines())
        })
    }

    fn long_line(
        written: &mut Written,
        place: &LinePlace<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let reason = events::long_line(place, written.max_line_bytes);
        written.refused.add_long(&reason, copy)
    }
}
