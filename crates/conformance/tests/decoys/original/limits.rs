//! Mistakes in the limit on clusters: O-12 and O-18.

use idmerge_conformance::EngineSettings;
use idmerge_conformance::oracle::OriginalOracle;
use idmerge_core::{Claim, DistinctId, Outcome, Rejection, Resolve};

use super::ids_of;
use crate::decoy::{Mistake, judge, weigh};

/// The outcome with the limit of the settings, so that only the check is wrong.
fn says(outcome: Outcome<'static>, limit: u32) -> Outcome<'static> {
    match outcome {
        Outcome::Rejected(Rejection::ManyIds { cluster_ids, .. }) => too_many(cluster_ids, limit),
        outcome => outcome,
    }
}

fn too_many(cluster_ids: u64, limit: u32) -> Outcome<'static> {
    Outcome::Rejected(Rejection::ManyIds {
        cluster_ids,
        max_cluster_ids: limit.into(),
    })
}

/// Accepts one member too many.
#[derive(Default)]
pub(crate) struct LimitTooHigh(u32);

impl Mistake for LimitTooHigh {
    type Oracle = OriginalOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        self.0 = settings.max_cluster_ids;
        EngineSettings {
            max_cluster_ids: self.0.saturating_add(1),
            ..settings
        }
    }

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        says(weigh(oracle, claim), self.0)
    }
}

/// Accepts one member too few.
#[derive(Default)]
pub(crate) struct LimitTooLow(u32);

impl Mistake for LimitTooLow {
    type Oracle = OriginalOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        self.0 = settings.max_cluster_ids;
        EngineSettings {
            max_cluster_ids: self.0.saturating_sub(1),
            ..settings
        }
    }

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        says(weigh(oracle, claim), self.0)
    }
}

/// Always uses the documented limit, and not the settings.
#[derive(Default)]
pub(crate) struct LimitBuiltIn;

impl Mistake for LimitBuiltIn {
    type Oracle = OriginalOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        EngineSettings {
            max_cluster_ids: EngineSettings::default().max_cluster_ids,
            ..settings
        }
    }
}

/// Adds sizes before it checks whether both IDs are in one cluster (O-10), so it counts that cluster
/// twice.
#[derive(Default)]
pub(crate) struct CountsOneClusterTwice(u32);

impl Mistake for CountsOneClusterTwice {
    type Oracle = OriginalOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        self.0 = settings.max_cluster_ids;
        settings
    }

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        if let Some([id, _]) = ids_of(claim)
            && judge(oracle, claim) == Outcome::AlreadyMerged
            && let Some(cluster) = oracle.cluster(DistinctId::plain(id))
        {
            let twice = 2 * cluster.members.len() as u64;
            if twice > self.0.into() {
                return too_many(twice, self.0);
            }
        }
        weigh(oracle, claim)
    }
}

/// Applies the limit to the IDs of all clusters together.
#[derive(Default)]
pub(crate) struct OneLimitForAll(u32);

impl Mistake for OneLimitForAll {
    type Oracle = OriginalOracle;

    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        self.0 = settings.max_cluster_ids;
        settings
    }

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let mut after = oracle.clone();
        let outcome = weigh(&mut after, claim);
        let all: u64 = after.clusters().map(|c| c.members.len() as u64).sum();
        if outcome == Outcome::Merged && all > self.0.into() {
            return too_many(all, self.0);
        }
        *oracle = after;
        outcome
    }
}

/// Reads a snapshot whose clusters exceed the limit of its settings.
#[derive(Default)]
pub(crate) struct SnapshotOverLimit(u32);

impl Mistake for SnapshotOverLimit {
    type Oracle = OriginalOracle;

    /// The oracle reads any snapshot; `apply` keeps the limit on claims.
    fn settings(&mut self, settings: EngineSettings) -> EngineSettings {
        self.0 = settings.max_cluster_ids;
        EngineSettings {
            max_cluster_ids: u32::MAX,
            ..settings
        }
    }

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let mut after = oracle.clone();
        let outcome = weigh(&mut after, claim);
        if let Some([id, _]) = ids_of(claim)
            && outcome == Outcome::Merged
            && let Some(cluster) = after.cluster(DistinctId::plain(id))
            && cluster.members.len() > self.0 as usize
        {
            return too_many(cluster.members.len() as u64, self.0);
        }
        *oracle = after;
        outcome
    }
}
