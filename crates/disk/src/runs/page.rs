//! Pages of runs: sorted pairs in one row of the database.

use super::error::RunsError;
use crate::row;

/// As many pairs as fit four pages of the database with what the database adds.
pub(super) const PAGE_PAIRS: usize = 1_000;

const PAIR_BYTES: usize = 16;

pub(super) fn page_number(pages: usize) -> Result<u32, RunsError> {
    u32::try_from(pages).map_err(|_| RunsError::Damaged)
}

pub(super) fn page_row(key: (u64, u32), pairs: &[(u64, u64)]) -> Vec<u8> {
    let mut row = row::start_with_capacity(pairs.len() * PAIR_BYTES);
    for (key, value) in pairs {
        row.extend(key.to_le_bytes());
        row.extend(value.to_le_bytes());
    }
    row::seal(row::place_of(key), row)
}

pub(super) fn page_pairs(key: (u64, u32), row: &[u8]) -> Result<&[[u8; PAIR_BYTES]], RunsError> {
    let content = row::open(row::place_of(key), row).ok_or(RunsError::Damaged)?;
    let (pairs, rest) = content.as_chunks();
    rest.is_empty().then_some(pairs).ok_or(RunsError::Damaged)
}

pub(super) fn pair_of(bytes: &[u8; PAIR_BYTES]) -> (u64, u64) {
    let (words, _) = bytes.as_chunks();
    (u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]))
}
