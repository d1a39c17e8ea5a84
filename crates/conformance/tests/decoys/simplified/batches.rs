//! Mistakes in batches of an engine that is correct one by one.

use idmerge_conformance::oracle::SimplifiedOracle;
use idmerge_core::{Claim, DistinctId, Outcome};

use crate::decoy::{Mistake, weigh};

/// The number of claims that are weighed together.
const TOGETHER: usize = 32;

/// Weighs only the first claims of a long batch, and answers for all.
#[derive(Default)]
pub(crate) struct BatchOfFew;

impl Mistake for BatchOfFew {
    type Oracle = SimplifiedOracle;

    fn apply_batch(
        &mut self,
        oracle: &mut SimplifiedOracle,
        claims: &[Claim<'_>],
    ) -> Vec<Outcome<'static>> {
        let (few, rest) = claims.split_at(claims.len().min(TOGETHER));
        let few = few.iter().map(|claim| weigh(oracle, *claim));
        let mut outcomes: Vec<_> = few.collect();
        let mut other = oracle.clone();
        outcomes.extend(rest.iter().map(|claim| weigh(&mut other, *claim)));
        outcomes
    }
}

/// Weighs claims in the order of their devices, as for faster probes. The first of two users still
/// wins, but devices come in another order (S-10).
#[derive(Default)]
pub(crate) struct Sorted;

impl Mistake for Sorted {
    type Oracle = SimplifiedOracle;

    fn apply_batch(
        &mut self,
        oracle: &mut SimplifiedOracle,
        claims: &[Claim<'_>],
    ) -> Vec<Outcome<'static>> {
        let mut order: Vec<usize> = (0..claims.len()).collect();
        order.sort_by_key(|&at| match claims[at] {
            Claim::Link { device, .. } => Some(device),
            _ => None,
        });
        let mut outcomes = vec![Outcome::Ignored; claims.len()];
        for at in order {
            outcomes[at] = weigh(oracle, claims[at]);
        }
        outcomes
    }
}

/// Treats every ID of a batch as a device.
#[derive(Default)]
pub(crate) struct ResolvesWithoutMark;

impl Mistake for ResolvesWithoutMark {
    type Oracle = SimplifiedOracle;

    fn resolve_batch<'a>(&self, oracle: &SimplifiedOracle, ids: &mut [DistinctId<'a>]) {
        for id in ids {
            let device = DistinctId::device(id.id());
            let resolved = self.resolve(oracle, device);
            if resolved != device {
                *id = resolved;
            }
        }
    }
}
