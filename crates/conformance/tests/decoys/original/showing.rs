//! Mistakes in showing a correct state: O-15 to O-17, and ID-1.

use std::collections::BTreeMap;
use std::io::Read;

use idmerge_conformance::oracle::OriginalOracle;
use idmerge_core::{
    Claim, Cluster, DistinctId, Id, IdentityResolver, Outcome, Resolve, SnapshotError,
};

use crate::decoy::{Mistake, id, is_accepted, keep, keep_cluster, keep_distinct_id, weigh};
use crate::events::with_ids;
use crate::memory::all_known;

/// Shows the ID that was identified first as canonical, even if it is the youngest (O-15).
#[derive(Default)]
pub(crate) struct CanonicalIsFirstIdentified(Vec<Id<'static>>);

impl Mistake for CanonicalIsFirstIdentified {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(oracle, claim);
        if let Claim::Identify { identified, .. } = claim
            && is_accepted(outcome)
            && !self.0.contains(&identified)
        {
            self.0.push(keep(identified));
        }
        outcome
    }

    fn shown(&self, cluster: Cluster<'static>) -> Cluster<'static> {
        let mut identified = self.0.iter().map(|id| DistinctId::plain(*id));
        let canonical = identified.find(|id| cluster.members.contains(id));
        Cluster {
            canonical: canonical.unwrap_or(cluster.canonical),
            ..cluster
        }
    }

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        oracle.read_snapshot(source)?;
        let all = all_known(oracle).into_iter();
        self.0 = all
            .filter(|known| known.identified)
            .map(|known| known.id)
            .collect();
        Ok(())
    }
}

/// Shows the oldest ID as canonical, identified or not (O-15).
#[derive(Default)]
pub(crate) struct CanonicalIsOldest;

impl Mistake for CanonicalIsOldest {
    type Oracle = OriginalOracle;

    fn shown(&self, cluster: Cluster<'static>) -> Cluster<'static> {
        Cluster {
            canonical: cluster.members[0],
            ..cluster
        }
    }
}

/// Keeps the canonical ID of each ID from the time when it arrived, and never updates it (O-16).
#[derive(Default)]
pub(crate) struct ResolvesOneStep(BTreeMap<DistinctId<'static>, DistinctId<'static>>);

impl ResolvesOneStep {
    fn look(&mut self, oracle: &OriginalOracle) {
        for cluster in oracle.clusters() {
            let cluster = keep_cluster(&cluster);
            for member in cluster.members {
                self.0.entry(member).or_insert(cluster.canonical);
            }
        }
    }
}

impl Mistake for ResolvesOneStep {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        let outcome = weigh(oracle, claim);
        self.look(oracle);
        outcome
    }

    fn resolve(&self, oracle: &OriginalOracle, id: DistinctId<'_>) -> DistinctId<'static> {
        let own = DistinctId::plain(keep(id.id()));
        match self.0.get(&own) {
            Some(canonical) => *canonical,
            None => keep_distinct_id(oracle.resolve(id)),
        }
    }

    fn read_snapshot(
        &mut self,
        oracle: &mut OriginalOracle,
        source: &mut dyn Read,
    ) -> Result<(), SnapshotError> {
        oracle.read_snapshot(source)?;
        self.0.clear();
        self.look(oracle);
        Ok(())
    }
}

/// Treats the prefix `$device:` as a part of the ID in lookups (O-1).
#[derive(Default)]
pub(crate) struct MarkedIsAnother;

impl Mistake for MarkedIsAnother {
    type Oracle = OriginalOracle;

    fn cluster(&self, oracle: &OriginalOracle, id: DistinctId<'_>) -> Option<Cluster<'static>> {
        if id.is_device() {
            return None;
        }
        oracle.cluster(id).map(|cluster| keep_cluster(&cluster))
    }

    fn resolve(&self, oracle: &OriginalOracle, id: DistinctId<'_>) -> DistinctId<'static> {
        if id.is_device() {
            return keep_distinct_id(id);
        }
        keep_distinct_id(oracle.resolve(id))
    }
}

/// Lists members by their text instead of by age (O-17).
#[derive(Default)]
pub(crate) struct MembersByText;

impl Mistake for MembersByText {
    type Oracle = OriginalOracle;

    fn shown(&self, mut cluster: Cluster<'static>) -> Cluster<'static> {
        cluster.members.sort();
        cluster
    }
}

/// Lists clusters by canonical ID instead of by oldest member.
#[derive(Default)]
pub(crate) struct ClustersByText;

impl Mistake for ClustersByText {
    type Oracle = OriginalOracle;

    fn clusters(&self, oracle: &OriginalOracle) -> Vec<Cluster<'static>> {
        let clusters = oracle.clusters();
        let mut clusters: Vec<_> = clusters.map(|cluster| keep_cluster(&cluster)).collect();
        clusters.sort_by_key(|cluster| cluster.canonical);
        clusters
    }
}

/// Compares IDs case-insensitively (ID-1): it makes all of them lower-case.
#[derive(Default)]
pub(crate) struct FoldsCase;

fn lower(upper: Id<'_>) -> Id<'static> {
    id(&upper.text().to_ascii_lowercase())
}

impl Mistake for FoldsCase {
    type Oracle = OriginalOracle;

    fn apply(&mut self, oracle: &mut OriginalOracle, claim: Claim<'_>) -> Outcome<'static> {
        weigh(oracle, with_ids(claim, lower))
    }

    fn cluster(&self, oracle: &OriginalOracle, id: DistinctId<'_>) -> Option<Cluster<'static>> {
        let cluster = oracle.cluster(DistinctId::plain(lower(id.id())))?;
        Some(keep_cluster(&cluster))
    }
}

/// Counts an ID that is in no cluster as a cluster of one.
#[derive(Default)]
pub(crate) struct CountsStrangers;

impl Mistake for CountsStrangers {
    type Oracle = OriginalOracle;

    fn cluster_len(&self, oracle: &OriginalOracle, id: DistinctId<'_>) -> usize {
        oracle.cluster_len(id).max(1)
    }
}

/// Counts the members of a cluster without the canonical one.
#[derive(Default)]
pub(crate) struct CountsOthers;

impl Mistake for CountsOthers {
    type Oracle = OriginalOracle;

    fn cluster_len(&self, oracle: &OriginalOracle, id: DistinctId<'_>) -> usize {
        oracle.cluster_len(id).saturating_sub(1)
    }
}

/// Counts clusters, not the IDs in them.
#[derive(Default)]
pub(crate) struct CountsClusters;

impl Mistake for CountsClusters {
    type Oracle = OriginalOracle;

    fn clustered_ids(&self, oracle: &OriginalOracle) -> usize {
        oracle.clusters().count()
    }
}

/// Takes every ID for one that is in a cluster.
#[derive(Default)]
pub(crate) struct KnowsEverybody;

impl Mistake for KnowsEverybody {
    type Oracle = OriginalOracle;

    fn is_clustered(&self, _: &OriginalOracle, _: DistinctId<'_>) -> bool {
        true
    }
}
