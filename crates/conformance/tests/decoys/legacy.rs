//! Mistakes in Legacy: L-3, L-6, L-7, L-9 and L-11.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use idmerge_conformance::oracle::LegacyOracle;
use idmerge_core::one_namespace::{anon_id, identified_id, merge_ids};
use idmerge_core::{
    Attribution, Claim, DistinctId, Event, IdRules, IdentityResolver, InvalidEvent, Outcome,
    Reading, Rejection, Resolve,
};

use crate::decoy::{Mistake, judge, keep, weigh};

/// The unchanged oracle, which passes every trial.
#[derive(Default)]
pub(crate) struct NoMistake;

impl Mistake for NoMistake {
    type Oracle = LegacyOracle;
}

/// Moves the events that came before an alias (L-3).
#[derive(Default)]
pub(crate) struct MovesThePast;

impl Mistake for MovesThePast {
    type Oracle = LegacyOracle;

    fn attribution(&self, _: &LegacyOracle) -> Attribution {
        Attribution::Retroactive
    }
}

/// Rejects an alias that is merged already, either because it would close a cycle or because it comes
/// again.
fn reject_already_merged(
    oracle: &mut LegacyOracle,
    claim: Claim<'_>,
    closes_cycle: bool,
) -> Outcome<'static> {
    match (judge(oracle, claim), claim) {
        (Outcome::AlreadyMerged, Claim::Alias { distinct_id, alias })
            if closes_cycle
                == (oracle.resolve(DistinctId::plain(distinct_id)) == DistinctId::plain(alias)) =>
        {
            Outcome::Rejected(Rejection::AliasAlreadyExists { alias: keep(alias) })
        }
        _ => weigh(oracle, claim),
    }
}

/// Rejects an alias that comes again (L-6).
#[derive(Default)]
pub(crate) struct RejectsRepeats;

impl Mistake for RejectsRepeats {
    type Oracle = LegacyOracle;

    fn apply(&mut self, oracle: &mut LegacyOracle, claim: Claim<'_>) -> Outcome<'static> {
        reject_already_merged(oracle, claim, false)
    }
}

/// Answers a second alias of one ID with *already merged* (L-6).
#[derive(Default)]
pub(crate) struct AcceptsSecondAlias;

impl Mistake for AcceptsSecondAlias {
    type Oracle = LegacyOracle;

    fn apply(&mut self, oracle: &mut LegacyOracle, claim: Claim<'_>) -> Outcome<'static> {
        match weigh(oracle, claim) {
            Outcome::Rejected(Rejection::AliasAlreadyExists { .. }) => Outcome::AlreadyMerged,
            outcome => outcome,
        }
    }
}

/// Rejects an alias that would close a cycle (L-7).
#[derive(Default)]
pub(crate) struct RejectsCycles;

impl Mistake for RejectsCycles {
    type Oracle = LegacyOracle;

    fn apply(&mut self, oracle: &mut LegacyOracle, claim: Claim<'_>) -> Outcome<'static> {
        reject_already_merged(oracle, claim, true)
    }
}

/// Rejects an alias that events had as their ID before (L-9).
#[derive(Default)]
pub(crate) struct RejectsUsedIds {
    used: Mutex<BTreeSet<String>>,
}

impl Mistake for RejectsUsedIds {
    type Oracle = LegacyOracle;

    fn read<'e>(
        &self,
        oracle: &LegacyOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let reading = oracle.read(event)?;
        if let (Some(own), None) = (reading.distinct_id, reading.claim) {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.insert(own.to_string());
        }
        Ok(reading)
    }

    fn apply(&mut self, oracle: &mut LegacyOracle, claim: Claim<'_>) -> Outcome<'static> {
        let used = self.used.get_mut().unwrap_or_else(PoisonError::into_inner);
        match claim {
            Claim::Alias { alias, .. } if used.contains(&alias.to_string()) => {
                Outcome::Rejected(Rejection::AliasAlreadyExists { alias: keep(alias) })
            }
            _ => weigh(oracle, claim),
        }
    }
}

/// `$identify` makes the identified ID an alias of the anonymous one (L-11).
#[derive(Default)]
pub(crate) struct IdentifyLinks;

impl Mistake for IdentifyLinks {
    type Oracle = LegacyOracle;

    fn read<'e>(
        &self,
        oracle: &LegacyOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let mut reading = oracle.read(event)?;
        let rules = IdRules::default();
        if event.name == Event::IDENTIFY
            && let (Ok(alias), Ok(distinct_id)) =
                (identified_id(&rules, event), anon_id(&rules, event))
        {
            reading.claim = Some(Claim::Alias { distinct_id, alias });
        }
        Ok(reading)
    }
}

/// Attributes `$merge` to the second of its IDs (L-11).
#[derive(Default)]
pub(crate) struct MergeIsOfItsSecond;

impl Mistake for MergeIsOfItsSecond {
    type Oracle = LegacyOracle;

    fn read<'e>(
        &self,
        oracle: &LegacyOracle,
        event: &Event<'e>,
    ) -> Result<Reading<'e>, InvalidEvent> {
        let mut reading = oracle.read(event)?;
        if event.name == Event::MERGE {
            let ids = merge_ids(&IdRules::default(), event);
            reading.distinct_id = ids.ok().map(|[_, second]| DistinctId::plain(second));
        }
        Ok(reading)
    }
}
