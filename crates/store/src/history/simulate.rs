//! Simulation: applying the claims of a log to another engine.

use std::collections::HashSet;

use idmerge_core::{Claim, DistinctId, IdentityResolver, Resolve};

use crate::error::StoreError;
use crate::history::History;
use crate::log::entry::What;
use crate::log::index::Index;

/// How the users of two engines differ. Only IDs in a cluster count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The number of clusters of the first engine.
    pub clusters: u64,
    /// The number of clusters of the second engine.
    pub other_clusters: u64,
    /// How many clusters of the first engine are several users in the second.
    pub split: u64,
    /// How many clusters of the second engine are several users in the first.
    pub joined: u64,
    /// The canonical IDs, in the first engine, of some of the clusters counted in `split`.
    pub split_examples: Vec<String>,
    /// The canonical IDs, in the second engine, of some of the clusters counted in `joined`.
    pub joined_examples: Vec<String>,
}

impl Difference {
    /// Compares the states of two engines, with at most `examples_max` examples of each kind.
    pub fn between(first: &dyn Resolve, second: &dyn Resolve, examples_max: usize) -> Self {
        // It is never cancelled.
        Self::between_while(first, second, examples_max, &|| true).unwrap_or_default()
    }

    /// As [`between`](Self::between). `None` once `may_go_on` returns `false`, which is called for each
    /// cluster.
    pub fn between_while(
        first: &dyn Resolve,
        second: &dyn Resolve,
        examples_max: usize,
        may_go_on: &dyn Fn() -> bool,
    ) -> Option<Self> {
        let (clusters, split, split_examples) = apart(first, second, examples_max, may_go_on)?;
        let (other_clusters, joined, joined_examples) =
            apart(second, first, examples_max, may_go_on)?;
        Some(Self {
            clusters,
            other_clusters,
            split,
            joined,
            split_examples,
            joined_examples,
        })
    }

    /// Whether both engines have the same users.
    pub fn is_none(&self) -> bool {
        self.split == 0 && self.joined == 0
    }
}

/// The number of clusters of an engine, how many of them are several users in the other engine, and
/// examples of those. `None` once `may_go_on` returns `false`.
fn apart(
    engine: &dyn Resolve,
    other: &dyn Resolve,
    examples_max: usize,
    may_go_on: &dyn Fn() -> bool,
) -> Option<(u64, u64, Vec<String>)> {
    let (mut clusters, mut apart, mut examples) = (0, 0, Vec::new());
    for cluster in engine.clusters() {
        if !may_go_on() {
            return None;
        }
        clusters += 1;
        let users: HashSet<_> = cluster.members.iter().map(|id| user(other, *id)).collect();
        if users.len() > 1 {
            apart += 1;
            if examples.len() < examples_max {
                examples.push(cluster.canonical.to_string());
            }
        }
    }
    Some((clusters, apart, examples))
}

/// The user of an ID. Original keeps no mark on devices (O-1), so an ID without a cluster is looked up
/// as a device too.
fn user<'a>(engine: &'a dyn Resolve, id: DistinctId<'a>) -> DistinctId<'a> {
    let user = engine.resolve(id);
    if user != id || id.is_device() || engine.is_clustered(id) {
        return user;
    }
    let device = DistinctId::device(id.id());
    let user = engine.resolve(device);
    if user == device { id } else { user }
}

impl<R: IdentityResolver> History<R> {
    /// Applies all claims of the log up to an entry to an engine, except withdrawn ones, and returns
    /// the engine. It may have another rule book or other settings than the store, but the same rules
    /// for IDs: [`simulate_accepted`](Self::simulate_accepted) is for other ones.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchEntry`], [`StoreError::NotFromClaims`] if a snapshot was loaded
    /// into the store, and if the log cannot be read.
    pub fn simulate<S: IdentityResolver>(&self, sequence: u64, engine: S) -> Result<S, StoreError> {
        self.simulate_accepted(sequence, engine, |_| true)
    }

    /// As [`simulate`](Self::simulate), and leaves out the claims that `accepts` does not accept: if an
    /// ID is not valid by the rules of the engine, it would refuse the events of the claims.
    ///
    /// # Errors
    ///
    /// Those of [`simulate`](Self::simulate).
    pub fn simulate_accepted<S: IdentityResolver>(
        &self,
        sequence: u64,
        mut engine: S,
        accepts: impl Fn(Claim<'_>) -> bool,
    ) -> Result<S, StoreError> {
        self.has(sequence)?;
        let log = self.log().up_to(sequence);
        let withdrawn = Index::new(log)?.withdrawn()?;
        log.each_entry(1, &mut |entry| {
            match entry.what {
                What::Claim { .. } if withdrawn.contains(&entry.sequence) => {}
                What::Claim { claim, .. } if accepts(claim) => {
                    engine.apply(claim)?;
                }
                What::Claim { .. } | What::Erased { .. } | What::Retracted { .. } => {}
                What::Replaced => {
                    return Err(StoreError::NotFromClaims {
                        sequence: entry.sequence,
                    });
                }
            }
            Ok(true)
        })?;
        Ok(engine)
    }
}
