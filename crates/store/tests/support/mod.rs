//! Helpers that the tests of the store share.

#![allow(dead_code, reason = "each test target uses a part of it")]

pub(crate) mod counted;
pub(crate) mod disk;
pub(crate) mod journal;
pub(crate) mod logs;
pub(crate) mod traces;
pub(crate) mod workload;

use idmerge_core::IdentityResolver;
use idmerge_original::Original;
use idmerge_simplified::Simplified;

/// An engine with the settings of the tests.
pub(crate) trait Engine: IdentityResolver + Sized + 'static {
    fn empty() -> Self;

    /// The percentage of links among the claims of a workload.
    const LINKS_PERCENT: u64;
}

impl Engine for Simplified {
    fn empty() -> Self {
        Self::new(idmerge_simplified::Settings::default())
    }

    const LINKS_PERCENT: u64 = 90;
}

impl Engine for Original {
    /// The cluster limit is small, so that claims reach it.
    fn empty() -> Self {
        Self::new(idmerge_original::Settings {
            max_cluster_ids: 5,
            ..idmerge_original::Settings::default()
        })
    }

    const LINKS_PERCENT: u64 = 10;
}

/// The snapshot of an engine.
pub(crate) fn snapshot_of(engine: &impl IdentityResolver) -> Vec<u8> {
    let mut bytes = Vec::new();
    engine.write_snapshot(&mut bytes).unwrap();
    bytes
}
