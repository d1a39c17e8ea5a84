//! Heads of runs: what a lookup needs to know without reading pages.

use super::error::RunsError;
use crate::row;

/// The size of a run is in the highest bits of its number.
pub(super) const LEVEL_SHIFT: u32 = 56;

/// The head of a run.
pub(super) struct Head {
    pub(super) run: u64,
    /// How far the index goes with this run.
    pub(super) until: u64,
    /// The first key of each page.
    pub(super) first_keys: Vec<u64>,
}

impl Head {
    /// The size of the run: 0 for what a commit added, one more with every merge.
    pub(super) fn level(&self) -> usize {
        usize::try_from(self.run >> LEVEL_SHIFT).unwrap_or(usize::MAX)
    }

    pub(super) fn row(&self) -> Vec<u8> {
        let mut row = row::start_with_capacity(8 + 8 * self.first_keys.len());
        row.extend(self.until.to_le_bytes());
        for first_key in &self.first_keys {
            row.extend(first_key.to_le_bytes());
        }
        row::seal(self.run, row)
    }

    pub(super) fn read(run: u64, row: &[u8]) -> Result<Self, RunsError> {
        let content = row::open(run, row).ok_or(RunsError::Damaged)?;
        let (words, rest) = content.as_chunks::<8>();
        let (until, first_keys) = words.split_first().ok_or(RunsError::Damaged)?;
        if !rest.is_empty() {
            return Err(RunsError::Damaged);
        }
        let first_keys = first_keys.iter().map(|key| u64::from_le_bytes(*key));
        Ok(Self {
            run,
            until: u64::from_le_bytes(*until),
            first_keys: first_keys.collect(),
        })
    }
}
