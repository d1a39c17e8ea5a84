//! Comparing the logs of two stores.

use idmerge_core::IdentityResolver;
use idmerge_disk::row;

use crate::error::StoreError;
use crate::history::History;

/// How many entries are compared at a time.
const AT_A_TIME: usize = 1 << 16;

/// The number of the first entry that differs between two logs, or that only one of them has; `None`
/// if the logs are equal. Causes are not compared. The states before that entry are equal.
///
/// # Errors
///
/// If one of the logs cannot be read.
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

/// A hash of each of the next entries, without their causes.
fn hashes<R: IdentityResolver>(history: &History<R>, from: u64) -> Result<Vec<u64>, StoreError> {
    let mut hashes = Vec::new();
    history.entries(from, &mut |entry| {
        hashes.push(row::checksum(0, format!("{:?}", entry.what).as_bytes()));
        Ok(hashes.len() < AT_A_TIME)
    })?;
    Ok(hashes)
}
