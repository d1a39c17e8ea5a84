//! Mistakes in Simplified ID Merge.

pub(crate) mod batches;
pub(crate) mod exports;
pub(crate) mod linking;
pub(crate) mod reading;
pub(crate) mod showing;

use idmerge_conformance::EngineSettings;
use idmerge_conformance::oracle::SimplifiedOracle;
use idmerge_core::{Claim, Id, Resolve};

use crate::decoy::{Mistake, keep, weigh};

/// The unchanged oracle, which passes every trial.
#[derive(Default)]
pub(crate) struct NoMistake;

impl Mistake for NoMistake {
    type Oracle = SimplifiedOracle;
}

/// Gives devices to other users, which the rules never do. An oracle shows its links only as clusters,
/// so they are linked again from the clusters.
fn relink(
    oracle: &mut SimplifiedOracle,
    settings: &EngineSettings,
    other_user: impl Fn(Id<'static>, Id<'static>) -> Id<'static>,
) {
    let mut links = Vec::new();
    for cluster in oracle.clusters() {
        let user = keep(cluster.canonical.id());
        for device in cluster.members.iter().filter(|id| id.is_device()) {
            links.push((keep(device.id()), user));
        }
    }
    *oracle = SimplifiedOracle::new(settings.clone());
    for (device, user) in links {
        let user = other_user(device, user);
        weigh(oracle, Claim::Link { device, user });
    }
}
