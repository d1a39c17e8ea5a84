//! What another engine would have made of the same claims.

use std::collections::HashSet;

use idmerge_core::{DistinctId, IdentityResolver};

use crate::error::StoreError;
use crate::history::History;
use crate::log::entry::What;
use crate::log::index::Index;

/// How two engines differ in who is who. Only ids that are in a cluster count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// How many users have several ids with the first engine.
    pub clusters: u64,
    /// How many with the second.
    pub other_clusters: u64,
    /// How many of the first's are several users with the second.
    pub split: u64,
    /// How many of the second's are several users with the first.
    pub joined: u64,
    /// The canonical ids of the first few that split, with the first engine's.
    pub split_examples: Vec<String>,
    /// The canonical ids of the first few that were joined, with the second engine's.
    pub joined_examples: Vec<String>,
}

impl Difference {
    /// Compares the states of two engines, and keeps so many examples.
    pub fn between(
        first: &dyn IdentityResolver,
        second: &dyn IdentityResolver,
        examples_max: usize,
    ) -> Self {
        let (clusters, split, split_examples) = apart(first, second, examples_max);
        let (other_clusters, joined, joined_examples) = apart(second, first, examples_max);
        Self {
            clusters,
            other_clusters,
            split,
            joined,
            split_examples,
            joined_examples,
        }
    }

    /// Whether the same ids belong together with both.
    pub fn is_none(&self) -> bool {
        self.split == 0 && self.joined == 0
    }
}

/// How many clusters an engine has, how many of them are several users with the other, and which.
fn apart(
    engine: &dyn IdentityResolver,
    other: &dyn IdentityResolver,
    examples_max: usize,
) -> (u64, u64, Vec<String>) {
    let (mut clusters, mut apart, mut examples) = (0, 0, Vec::new());
    for cluster in engine.clusters() {
        clusters += 1;
        let users: HashSet<_> = cluster.members.iter().map(|id| user(other, *id)).collect();
        if users.len() > 1 {
            apart += 1;
            if examples.len() < examples_max {
                examples.push(cluster.canonical.to_string());
            }
        }
    }
    (clusters, apart, examples)
}

/// Who an id is. In Original a device has no mark (rule O-1), so an id that is nobody's is looked
/// for as a device too.
fn user<'a>(engine: &'a dyn IdentityResolver, id: DistinctId<'a>) -> DistinctId<'a> {
    let user = engine.resolve(id);
    if user != id || id.is_device() || engine.cluster(id).is_some() {
        return user;
    }
    let device = DistinctId::device(id.id());
    let user = engine.resolve(device);
    if user == device { id } else { user }
}

impl<R: IdentityResolver> History<R> {
    /// Gives an engine all claims of the log up to an entry, but for those that are withdrawn,
    /// whatever was answered to them. It may be of the other rule book, or have other settings.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchEntry`], [`StoreError::NotFromClaims`] where the state was replaced by
    /// one from elsewhere, and where the log cannot be read.
    pub fn simulate<S: IdentityResolver>(
        &self,
        sequence: u64,
        mut engine: S,
    ) -> Result<S, StoreError> {
        self.has(sequence)?;
        let log = self.log().up_to(sequence);
        let withdrawn = Index::new(log)?.withdrawn()?;
        log.each_entry(1, &mut |entry| {
            match entry.what {
                What::Claim { .. } if withdrawn.contains(&entry.sequence) => {}
                What::Claim { claim, .. } => {
                    engine.apply(claim)?;
                }
                What::Retracted { .. } => {}
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
