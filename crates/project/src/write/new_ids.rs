//! The limit on the IDs of a project. Everybody who has the token can send claims, and the IDs of accepted
//! claims stay in memory.

use std::collections::HashSet;

use idmerge_core::Resolve;

use crate::error::ProjectError;
use crate::options::Options;
use crate::write::prepare::PreparedBatch;

/// Checks that there is room for the IDs that a batch adds.
///
/// # Errors
///
/// [`ProjectError::TooManyIds`] if there is none.
pub(crate) fn check_ids(
    batch: &PreparedBatch,
    engine: &impl Resolve,
    options: &Options,
) -> Result<(), ProjectError> {
    let (ids, max_ids) = (engine.clustered_ids(), options.max_ids);
    let claims = || batch.events.iter().filter_map(|event| batch.claim(event));
    if ids.saturating_add(2 * batch.events.len()) <= max_ids {
        return Ok(());
    }
    let named = claims().flat_map(|claim| claim.ids());
    let new = named.filter(|id| engine.cluster_len(*id) == 0);
    let new: HashSet<_> = new.collect();
    match new.is_empty() || ids.saturating_add(new.len()) <= max_ids {
        true => Ok(()),
        false => Err(ProjectError::TooManyIds { ids, max_ids }),
    }
}
