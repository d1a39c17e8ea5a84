//! One mistake for each law that an engine of a custom model is held to.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use idmerge_core::{
    Claim, Cluster, DistinctId, Event, IdentityResolver, InvalidEvent, Outcome, Reading, Rejection,
    SnapshotError,
};

use super::PostHog;
use crate::decoy::{Mistake, id, judge, keep, weigh};
use crate::events::{without_before, without_mark};

/// The engine without a mistake, which passes every trial.
#[derive(Default)]
pub(crate) struct NoMistake;

impl Mistake for NoMistake {
    type Oracle = PostHog;
}

/// Finds no claim in any event, so all laws hold (law 0).
#[derive(Default)]
pub(crate) struct ReadsNoClaim;

impl Mistake for ReadsNoClaim {
    type Oracle = PostHog;

    fn read<'e>(&self, engine: &PostHog, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        let claim = None;
        Ok(Reading {
            claim,
            ..engine.read(event)?
        })
    }
}

/// Ignores every claim, so all laws hold (law 0).
#[derive(Default)]
pub(crate) struct IgnoresAll;

impl Mistake for IgnoresAll {
    type Oracle = PostHog;

    fn apply(&mut self, _: &mut PostHog, _: Claim<'_>) -> Outcome<'static> {
        Outcome::Ignored
    }
}

/// Writes a byte that no other engine writes, like a random seed (law 1).
#[derive(Default)]
pub(crate) struct Seeded;

impl Mistake for Seeded {
    type Oracle = PostHog;

    fn write_snapshot(&self, engine: &PostHog, sink: &mut dyn Write) -> io::Result<()> {
        static SEED: AtomicU8 = AtomicU8::new(0);
        sink.write_all(&[SEED.fetch_add(1, Ordering::Relaxed)])?;
        engine.write_snapshot(sink)
    }

    fn read_snapshot(
        &mut self,
        engine: &mut PostHog,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        source.read_exact(&mut [0])?;
        engine.read_snapshot(source)
    }
}

/// Adds the persons of a snapshot to those it has (law 1).
#[derive(Default)]
pub(crate) struct SnapshotAddsUp;

impl Mistake for SnapshotAddsUp {
    type Oracle = PostHog;

    fn read_snapshot(
        &mut self,
        engine: &mut PostHog,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        let before = engine.persons.clone();
        engine.read_snapshot(source)?;
        engine.persons.splice(0..0, before);
        Ok(())
    }
}

/// Rejects a claim that comes a second time (law 2).
#[derive(Default)]
pub(crate) struct RejectsRepetitions;

impl Mistake for RejectsRepetitions {
    type Oracle = PostHog;

    fn apply(&mut self, engine: &mut PostHog, claim: Claim<'_>) -> Outcome<'static> {
        match (weigh(engine, claim), claim) {
            (Outcome::AlreadyMerged, Claim::Identify { anon, .. }) => {
                Outcome::Rejected(Rejection::SameIds { id: keep(anon) })
            }
            (outcome, _) => outcome,
        }
    }
}

/// Gives an anonymous ID to the last user who logs in (law 3).
#[derive(Default)]
pub(crate) struct LastUserWins;

impl Mistake for LastUserWins {
    type Oracle = PostHog;

    fn apply(&mut self, engine: &mut PostHog, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(engine, claim);
        let (Claim::Identify { anon, .. }, Outcome::Rejected(_)) = (claim, outcome) else {
            return outcome;
        };
        let anon = DistinctId::plain(anon);
        for ids in &mut engine.persons {
            ids.retain(|id| id.as_id() != anon);
        }
        engine.persons.retain(|ids| ids.len() > 1);
        weigh(engine, claim)
    }
}

/// Shows a number in place of the canonical ID (law 4).
#[derive(Default)]
pub(crate) struct CanonicalIsANumber;

impl Mistake for CanonicalIsANumber {
    type Oracle = PostHog;

    fn shown(&self, cluster: Cluster<'static>) -> Cluster<'static> {
        let canonical = DistinctId::plain(id("person-1"));
        Cluster {
            canonical,
            ..cluster
        }
    }
}

/// Lists no cluster of more than two members, but answers for their members (law 4).
#[derive(Default)]
pub(crate) struct HidesLargeClusters;

impl Mistake for HidesLargeClusters {
    type Oracle = PostHog;

    fn clusters(&self, engine: &PostHog) -> Vec<Cluster<'static>> {
        let all = NoMistake.clusters(engine).into_iter();
        all.filter(|cluster| cluster.members.len() < 3).collect()
    }
}

/// Counts the rejected claims in its snapshot (law 7).
#[derive(Default)]
pub(crate) struct CountsRejections(u8);

impl Mistake for CountsRejections {
    type Oracle = PostHog;

    fn apply(&mut self, engine: &mut PostHog, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(engine, claim);
        if matches!(outcome, Outcome::Rejected(_)) {
            self.0 = self.0.wrapping_add(1);
        }
        outcome
    }

    fn write_snapshot(&self, engine: &PostHog, sink: &mut dyn Write) -> io::Result<()> {
        sink.write_all(&[self.0])?;
        engine.write_snapshot(sink)
    }

    fn read_snapshot(
        &mut self,
        engine: &mut PostHog,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        let mut count = [0];
        source.read_exact(&mut count)?;
        engine.read_snapshot(source)?;
        [self.0] = count;
        Ok(())
    }
}

/// Takes a damaged snapshot for an empty one (law 7).
#[derive(Default)]
pub(crate) struct DamagedIsEmpty;

impl Mistake for DamagedIsEmpty {
    type Oracle = PostHog;

    fn read_snapshot(
        &mut self,
        engine: &mut PostHog,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        if engine.read_snapshot(source).is_err() {
            engine.persons.clear();
        }
        Ok(())
    }
}

/// Has room for three persons in all (law 9).
#[derive(Default)]
pub(crate) struct ThreePersons;

impl Mistake for ThreePersons {
    type Oracle = PostHog;

    fn apply(&mut self, engine: &mut PostHog, claim: Claim<'_>) -> Outcome<'static> {
        if engine.persons.len() < 3 {
            return weigh(engine, claim);
        }
        match judge(engine, claim) {
            Outcome::Merged => Outcome::Rejected(Rejection::ManyIds {
                cluster_ids: 4,
                max_cluster_ids: 3,
            }),
            outcome => outcome,
        }
    }
}

/// Weighs the claims of a batch from last to first.
#[derive(Default)]
pub(crate) struct BatchLastFirst;

impl Mistake for BatchLastFirst {
    type Oracle = PostHog;

    fn apply_batch(&mut self, engine: &mut PostHog, claims: &[Claim<'_>]) -> Vec<Outcome<'static>> {
        let last_first = claims.iter().rev();
        let mut outcomes: Vec<_> = last_first.map(|claim| weigh(engine, *claim)).collect();
        outcomes.reverse();
        outcomes
    }
}

/// Resolves all IDs of a batch but the last.
#[derive(Default)]
pub(crate) struct ResolvesAllButLast;

impl Mistake for ResolvesAllButLast {
    type Oracle = PostHog;

    fn resolve_batch<'a>(&self, engine: &PostHog, ids: &mut [DistinctId<'a>]) {
        if let [all @ .., _] = ids {
            NoMistake.resolve_batch(engine, all);
        }
    }
}

/// Answers `Merged`, but joins nothing.
#[derive(Default)]
pub(crate) struct Hermit;

impl Mistake for Hermit {
    type Oracle = PostHog;

    fn apply(&mut self, engine: &mut PostHog, claim: Claim<'_>) -> Outcome<'static> {
        judge(engine, claim)
    }
}

/// Answers `AlreadyMerged` to every claim that it accepts.
#[derive(Default)]
pub(crate) struct AlwaysAlreadyMerged;

impl Mistake for AlwaysAlreadyMerged {
    type Oracle = PostHog;

    fn apply(&mut self, engine: &mut PostHog, claim: Claim<'_>) -> Outcome<'static> {
        match weigh(engine, claim) {
            Outcome::Merged => Outcome::AlreadyMerged,
            outcome => outcome,
        }
    }
}

/// Attributes an event to the canonical ID when it reads it.
#[derive(Default)]
pub(crate) struct ReadsCanonical;

impl Mistake for ReadsCanonical {
    type Oracle = PostHog;

    fn read<'e>(&self, engine: &PostHog, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        let reading = engine.read(event)?;
        let own = reading.distinct_id;
        Ok(Reading {
            distinct_id: own.map(|own| NoMistake.resolve(engine, own)),
            ..reading
        })
    }
}

/// Reads the first event of an engine differently from all others.
#[derive(Default)]
pub(crate) struct FirstReadingDiffers(AtomicBool);

impl Mistake for FirstReadingDiffers {
    type Oracle = PostHog;

    fn read<'e>(&self, engine: &PostHog, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        let reading = engine.read(event)?;
        if self.0.swap(true, Ordering::Relaxed) {
            return Ok(reading);
        }
        Ok(Reading {
            distinct_id: None,
            ..reading
        })
    }
}

/// Does not know `$distinct_id_before_identity`, so that an export is read differently (law 10).
#[derive(Default)]
pub(crate) struct ReadsOnlyDistinctId;

impl Mistake for ReadsOnlyDistinctId {
    type Oracle = PostHog;

    fn read<'e>(&self, engine: &PostHog, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        engine.read(&without_before(event))
    }
}

/// Weighs a marked event (AR-4).
#[derive(Default)]
pub(crate) struct WeighsMarked;

impl Mistake for WeighsMarked {
    type Oracle = PostHog;

    fn read<'e>(&self, engine: &PostHog, event: &Event<'e>) -> Result<Reading<'e>, InvalidEvent> {
        engine.read(&without_mark(event))
    }
}
