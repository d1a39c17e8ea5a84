//! [`LazyRuns`]: the runs of fingerprints, opened when they are first searched.

use std::fmt;

use redb::ReadTransaction;

use super::error::DedupError;
use crate::runs::{AgedRun, OpenRuns, Runs};

/// The runs as one transaction sees them, opened when they are first searched.
pub struct LazyRuns<'r> {
    read: &'r ReadTransaction,
    runs: Option<AgedRuns>,
}

/// The runs by age.
struct AgedRuns {
    runs: OpenRuns,
    /// For each run, the oldest first: how many additions it and the older ones have.
    ends: Vec<(usize, AgedRun)>,
}

impl<'r> LazyRuns<'r> {
    /// The runs of an index as this transaction sees them.
    pub fn new(read: &'r ReadTransaction) -> Self {
        Self { read, runs: None }
    }

    /// Calls `visit` with the values of a key in the runs of some additions, which are in order. `additions`
    /// is the number of all: if the index has another number, this looks into every run.
    pub(super) fn find(
        &mut self,
        index: &Runs,
        additions: usize,
        places: &[usize],
        key: u64,
        visit: &mut dyn FnMut(u64),
    ) -> Result<(), DedupError> {
        let AgedRuns { runs, ends } = match &self.runs {
            Some(runs) => runs,
            None => self.runs.insert(AgedRuns::open(index, self.read)?),
        };
        if ends.last().is_none_or(|(end, _)| *end != additions) {
            return Ok(runs.find(key, visit)?);
        }
        let mut searched = 0;
        for &place in places {
            if place < searched {
                continue;
            }
            let run = ends.partition_point(|(end, _)| *end <= place);
            if let Some(&(end, run)) = ends.get(run) {
                runs.find_in_run(run, key, visit)?;
                searched = end;
            }
        }
        Ok(())
    }
}

impl AgedRuns {
    fn open(index: &Runs, read: &ReadTransaction) -> Result<Self, DedupError> {
        let runs = index.open(read)?;
        let mut end = 0_usize;
        let ends = runs.by_age().into_iter().map(|(additions, run)| {
            end = end.saturating_add(additions);
            (end, run)
        });
        let ends = ends.collect();
        Ok(Self { runs, ends })
    }
}

impl fmt::Debug for LazyRuns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyRuns").finish_non_exhaustive()
    }
}
