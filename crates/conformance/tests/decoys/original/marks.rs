//! Mistakes in the marks and ages that an event leaves: O-13 and O-14.

use std::io::Read;

use idmerge_conformance::oracle::OriginalOracle;
use idmerge_core::{Claim, Id, IdentityResolver, Outcome, SnapshotError};

use super::ids_of;
use crate::decoy::{Mistake, is_accepted, judge, keep, weigh};
use crate::memory::{all_known, change_all, change_each, known};

/// Forgets that an ID was identified, so O-11 never applies.
#[derive(Default)]
pub(crate) struct ForgetsIdentified;

impl Mistake for ForgetsIdentified {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(oracle, claim);
        change_each(oracle, |known| known.identified = false);
        outcome
    }
}

/// Marks the anonymous ID as identified too.
#[derive(Default)]
pub(crate) struct MarksBoth;

impl Mistake for MarksBoth {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(oracle, claim);
        if let Claim::Identify { anon, .. } = claim
            && is_accepted(outcome)
        {
            change_each(oracle, |known| known.identified |= known.id == anon);
        }
        outcome
    }
}

/// Forgets the marks of the cluster that is merged into another.
#[derive(Default)]
pub(crate) struct LosesMarksOnMerge;

impl Mistake for LosesMarksOnMerge {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let absorbed = ids_of(claim).and_then(|[_, second]| known(oracle, second));
        let before = all_known(oracle);
        let outcome = weigh(oracle, claim);
        if let Some(absorbed) = absorbed
            && outcome == Outcome::Merged
        {
            let was_absorbed = |id| {
                let mut before = before.iter();
                before.any(|known| known.id == id && known.cluster == absorbed.cluster)
            };
            change_each(oracle, |known| known.identified &= !was_absorbed(known.id));
        }
        outcome
    }
}

/// Makes no mark if the outcome is *already merged*.
#[derive(Default)]
pub(crate) struct NoMarkOnAlreadyMerged;

impl Mistake for NoMarkOnAlreadyMerged {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        match judge(oracle, claim) {
            Outcome::AlreadyMerged => Outcome::AlreadyMerged,
            _ => weigh(oracle, claim),
        }
    }
}

/// Marks a known alias even if its event is rejected.
#[derive(Default)]
pub(crate) struct MarksRejectedAlias;

impl Mistake for MarksRejectedAlias {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(oracle, claim);
        if let Claim::Alias { alias, .. } = claim {
            change_each(oracle, |known| known.alias |= known.id == alias);
        }
        outcome
    }
}

/// Gives an ID its age when a claim first names it, even if that claim is rejected.
#[derive(Default)]
pub(crate) struct RejectedGivesAge(Vec<Id<'static>>);

impl RejectedGivesAge {
    fn sees(&mut self, id: Id<'_>) {
        if !self.0.contains(&id) {
            self.0.push(keep(id));
        }
    }
}

impl Mistake for RejectedGivesAge {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        for id in ids_of(claim).into_iter().flatten() {
            self.sees(id);
        }
        let outcome = weigh(oracle, claim);
        change_all(oracle, |all| {
            all.sort_by_key(|known| self.0.iter().position(|id| *id == known.id));
        });
        outcome
    }

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        oracle.read_snapshot(source)?;
        self.0 = all_known(oracle).iter().map(|known| known.id).collect();
        Ok(())
    }
}

/// Enters the second ID of `$merge` first (O-14).
#[derive(Default)]
pub(crate) struct SecondEntersFirst;

impl Mistake for SecondEntersFirst {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        match claim {
            Claim::Merge { first, second } => {
                let (first, second) = (second, first);
                weigh(oracle, Claim::Merge { first, second })
            }
            _ => weigh(oracle, claim),
        }
    }
}

/// Makes the first ID of a repeated claim the oldest.
#[derive(Default)]
pub(crate) struct RepeatMakesOldest;

impl Mistake for RepeatMakesOldest {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(oracle, claim);
        if let Some([first, _]) = ids_of(claim)
            && outcome == Outcome::AlreadyMerged
        {
            change_all(oracle, |all| all.sort_by_key(|known| known.id != first));
        }
        outcome
    }
}
