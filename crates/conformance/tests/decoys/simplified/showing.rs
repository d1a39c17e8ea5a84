//! Mistakes in showing correct links: S-9 and S-10.

use idmerge_conformance::oracle::SimplifiedOracle;
use idmerge_core::{Cluster, DistinctId, Resolve};

use crate::decoy::{Mistake, keep_cluster, keep_distinct_id};

/// Looks up a user ID among the devices too.
#[derive(Default)]
pub(crate) struct OneNamespace;

impl Mistake for OneNamespace {
    type Oracle = SimplifiedOracle;

    fn cluster(&self, oracle: &SimplifiedOracle, id: DistinctId<'_>) -> Option<Cluster<'static>> {
        let cluster = oracle.cluster(id);
        let cluster = cluster.or_else(|| oracle.cluster(DistinctId::device(id.id())))?;
        Some(keep_cluster(&cluster))
    }
}

/// Shows a cluster for a user without a device.
#[derive(Default)]
pub(crate) struct StrangerHasCluster;

impl Mistake for StrangerHasCluster {
    type Oracle = SimplifiedOracle;

    fn cluster(&self, oracle: &SimplifiedOracle, id: DistinctId<'_>) -> Option<Cluster<'static>> {
        let canonical = keep_distinct_id(id);
        let members = vec![canonical];
        let alone = Cluster { canonical, members };
        let cluster = oracle.cluster(id).map(|cluster| keep_cluster(&cluster));
        cluster.or_else(|| (!id.is_device()).then_some(alone))
    }
}

/// Lists devices by their text instead of in the order of their links.
#[derive(Default)]
pub(crate) struct DevicesByText;

impl Mistake for DevicesByText {
    type Oracle = SimplifiedOracle;

    fn shown(&self, mut cluster: Cluster<'static>) -> Cluster<'static> {
        cluster.members[1..].sort();
        cluster
    }
}

/// Lists clusters by user ID instead of in the order of the first devices.
#[derive(Default)]
pub(crate) struct ClustersByUser;

impl Mistake for ClustersByUser {
    type Oracle = SimplifiedOracle;

    fn clusters(&self, oracle: &SimplifiedOracle) -> Vec<Cluster<'static>> {
        let clusters = oracle.clusters();
        let mut clusters: Vec<_> = clusters.map(|cluster| keep_cluster(&cluster)).collect();
        clusters.sort_by_key(|cluster| cluster.canonical);
        clusters
    }
}

/// Shows the first device as the canonical ID (S-9).
#[derive(Default)]
pub(crate) struct CanonicalIsDevice;

impl Mistake for CanonicalIsDevice {
    type Oracle = SimplifiedOracle;

    fn shown(&self, cluster: Cluster<'static>) -> Cluster<'static> {
        Cluster {
            canonical: cluster.members[1],
            ..cluster
        }
    }
}
