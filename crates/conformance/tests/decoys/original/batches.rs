//! Mistakes in batches of an engine that is correct one by one.

use std::collections::HashSet;

use idmerge_conformance::oracle::OriginalOracle;
use idmerge_core::{Claim, DistinctId, Outcome};

use crate::decoy::{Mistake, judge, keep_distinct_id, weigh};

/// Answers from the state before the batch, as if claims did not depend on earlier ones.
#[derive(Default)]
pub(crate) struct WeighsAgainstBefore;

impl Mistake for WeighsAgainstBefore {
    type Oracle = OriginalOracle;

    fn apply_batch(
        &mut self,
        oracle: &mut OriginalOracle,
        claims: &[Claim<'_>],
    ) -> Vec<Outcome<'static>> {
        let outcomes = claims.iter().map(|claim| judge(oracle, *claim)).collect();
        for claim in claims {
            weigh(oracle, *claim);
        }
        outcomes
    }
}

/// Gives the outcomes in another order than the claims.
#[derive(Default)]
pub(crate) struct AnswersLastFirst;

impl Mistake for AnswersLastFirst {
    type Oracle = OriginalOracle;

    fn apply_batch(
        &mut self,
        oracle: &mut OriginalOracle,
        claims: &[Claim<'_>],
    ) -> Vec<Outcome<'static>> {
        let mut outcomes: Vec<_> = claims.iter().map(|claim| weigh(oracle, *claim)).collect();
        outcomes.reverse();
        outcomes
    }
}

/// Weighs the last claim first, and answers in the right order.
#[derive(Default)]
pub(crate) struct WeighsLastFirst;

impl Mistake for WeighsLastFirst {
    type Oracle = OriginalOracle;

    fn apply_batch(
        &mut self,
        oracle: &mut OriginalOracle,
        claims: &[Claim<'_>],
    ) -> Vec<Outcome<'static>> {
        let claims = claims.iter().rev();
        let mut outcomes: Vec<_> = claims.map(|claim| weigh(oracle, *claim)).collect();
        outcomes.reverse();
        outcomes
    }
}

/// Drops a claim that comes twice in a batch, and answers once.
#[derive(Default)]
pub(crate) struct DropsRepeats;

impl Mistake for DropsRepeats {
    type Oracle = OriginalOracle;

    fn apply_batch(
        &mut self,
        oracle: &mut OriginalOracle,
        claims: &[Claim<'_>],
    ) -> Vec<Outcome<'static>> {
        let mut seen = HashSet::new();
        let claims = claims.iter().filter(|claim| seen.insert(**claim));
        claims.map(|claim| weigh(oracle, *claim)).collect()
    }
}

/// Does not resolve the last ID of a batch.
#[derive(Default)]
pub(crate) struct ResolvesAllButLast;

impl Mistake for ResolvesAllButLast {
    type Oracle = OriginalOracle;

    fn resolve_batch<'a>(&self, oracle: &OriginalOracle, ids: &mut [DistinctId<'a>]) {
        if let Some((_, ids)) = ids.split_last_mut() {
            for id in ids {
                *id = self.resolve(oracle, *id);
            }
        }
    }
}

/// Gives an unknown ID the answer of the ID before it.
#[derive(Default)]
pub(crate) struct ResolvesToNeighbour;

impl Mistake for ResolvesToNeighbour {
    type Oracle = OriginalOracle;

    fn resolve_batch<'a>(&self, oracle: &OriginalOracle, ids: &mut [DistinctId<'a>]) {
        let mut before = None;
        for id in ids {
            let known = self.cluster(oracle, *id).is_some();
            *id = match before {
                Some(before) if !known => before,
                _ => self.resolve(oracle, *id),
            };
            before = Some(keep_distinct_id(*id));
        }
    }
}
