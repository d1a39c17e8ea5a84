//! `idmerge resolve --store`: one pass is enough, since the store has every merge already.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use foldhash::quality::RandomState;
use idmerge_core::{Attribution, Claim, Outcome, Resolve, RuleBook};
use idmerge_engines::Settings;

use crate::args::resolve::ResolveArgs;
use crate::commands::one_pass::{self, Files, Written};
use crate::commands::store::open::{OpenStore, open_for_reading};
use crate::output::conflicts::RejectedClaim;
use crate::output::resolved::{BlockWriter, Rejected};
use crate::output::summary::Summary;
use crate::output::users::UserCount;
use crate::spill::rejections::StoredRejection;
use crate::stream::block::Block;
use crate::stream::event_reader::EventReader;
use crate::stream::events::{BlockEvents, Keep};
use crate::stream::ordered::Ticket;
use crate::stream::pipeline::{OrderedSink, Refusal, Worker, in_turn};

pub(crate) fn run(args: &ResolveArgs, folder: &Path, files: Files<'_>) -> anyhow::Result<Summary> {
    let store = open_for_reading(folder)?;
    let rejected = RejectedClaims::of_store(&store)?;
    let users = Mutex::new(UserCount::default());
    let worker = || StoreWorker {
        reader: EventReader::new(args.identity.input.max_line_bytes),
        settings: &store.settings,
        engine: &store.engine,
        rejected: &rejected,
        writer: BlockWriter::new(&store.settings, &store.engine, &users),
    };
    let (written, adapted) = one_pass::run(args, files, |written| written, worker)?;
    let users = users.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Summary {
        adapted,
        is_of_now: store.settings.attribution() == Attribution::AtArrival,
        ..written.finish(users, &store.engine)?
    })
}

/// The claims that the store rejects, by hash.
struct RejectedClaims {
    /// The hash has 64 bits and a random key. With a million claims, two have the same hash in fewer
    /// than one run in ten million.
    state: RandomState,
    rejections: HashMap<u64, Rejected>,
}

impl RejectedClaims {
    fn of_store(store: &OpenStore) -> anyhow::Result<Self> {
        let mut rejected = Self {
            state: RandomState::default(),
            rejections: HashMap::new(),
        };
        // In Simplified the state tells which links are rejected (S-7).
        if store.engine.rule_book() == RuleBook::Simplified {
            return Ok(rejected);
        }
        store.history.counting_claims(&mut |claim, outcome| {
            let hash = rejected.state.hash_one(claim);
            if let Outcome::Rejected(rejection) = outcome {
                rejected.rejections.insert(hash, Rejected::by(&rejection));
            } else {
                rejected.rejections.remove(&hash);
            }
        })?;
        Ok(rejected)
    }

    /// Why the store rejects a claim, if it does.
    fn get(&self, settings: &Settings, engine: &dyn Resolve, claim: Claim<'_>) -> Option<Rejected> {
        let by_state = settings.rejection_by_state(engine, claim);
        let by_state = by_state.map(|rejection| Rejected::by(&rejection));
        by_state.or_else(|| self.rejections.get(&self.state.hash_one(claim)).cloned())
    }
}

struct StoreWorker<'w> {
    reader: EventReader,
    settings: &'w Settings,
    engine: &'w dyn Resolve,
    rejected: &'w RejectedClaims,
    writer: BlockWriter<'w>,
}

impl Worker for StoreWorker<'_> {
    type Kept = ();
    type Sink = Written;

    fn block(
        &mut self,
        block: &Block,
        (): (),
        ticket: Ticket<'_, OrderedSink<Written>>,
    ) -> anyhow::Result<()> {
        let mut events = BlockEvents::read(block, &self.reader, self.settings, Keep::Outlines);
        let (tally, refused) = (events.tally(), events.take_refused());
        let with_id = tally.with_id;
        let outlines = events.take_outlines().unwrap_or_default();
        let (claimants, claims) = events.take_claims(self.settings);
        let made = claimants.iter().zip(&claims);
        let reason = |claim| self.rejected.get(self.settings, self.engine, claim);
        let (rejected, reasons): (Vec<_>, Vec<_>) = made
            .filter_map(|(&event, &claim)| {
                let reason = reason(claim)?;
                let code = reason.code;
                Some((RejectedClaim { event, claim, code }, reason))
            })
            .unzip();
        let rejections = rejected.iter().zip(&reasons);
        let rejections = rejections.map(|(claim, reason)| StoredRejection {
            event: claim.event,
            code: claim.code,
            description: &reason.description,
        });
        let count = self.writer.write(block, &outlines, rejections);
        in_turn(ticket, |ordered| {
            let (written, position) = ordered.for_block(block, tally)?;
            written.events += count;
            for claim in &rejected {
                written.outcomes.count_rejection(claim.code);
            }
            written.take_refused(block, position, refused, &rejected)?;
            written.write(self.writer.lines(), block, with_id)
        })
    }

    fn unread_line(
        sink: &mut Written,
        refusal: Refusal<'_>,
        copy: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        sink.take_unread(&refusal, copy)
    }
}
