//! Where two stores part.

use idmerge_core::IdentityResolver;
use idmerge_disk::row;

use crate::error::StoreError;
use crate::history::History;

/// How many entries are held of one log while the other is read.
const AT_A_TIME: usize = 1 << 16;

/// The number of the first entry that two logs do not have in common, or that only one of them
/// has; `None` where all entries are the same. Causes do not count. Up to that entry the states of
/// the two are equal.
///
/// # Errors
///
/// Where one of the logs cannot be read.
pub fn first_difference<R: IdentityResolver, S: IdentityResolver>(
    first: &History<R>,
    second: &History<S>,
) -> Result<Option<u64>, StoreError> {
    let mut from = 1;
    loop {
        let (ours, theirs) = (hashes(first, from)?, hashes(second, from)?);
        let length = ours.len().max(theirs.len());
        if let Some(at) = (0..length).find(|&at| ours.get(at) != theirs.get(at)) {
            return Ok(Some(from + at as u64));
        }
        if length == 0 {
            return Ok(None);
        }
        from += length as u64;
    }
}

/// What each of some entries says, as a hash.
fn hashes<R: IdentityResolver>(history: &History<R>, from: u64) -> Result<Vec<u64>, StoreError> {
    let mut hashes = Vec::new();
    history.entries(from, &mut |entry| {
        hashes.push(row::checksum(0, format!("{:?}", entry.what).as_bytes()));
        Ok(hashes.len() < AT_A_TIME)
    })?;
    Ok(hashes)
}
