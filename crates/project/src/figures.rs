//! What there is to measure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Project;

/// The upper bounds of [`Figures::commit_latency`], in milliseconds. What took longer is in the
/// last place.
pub const LATENCY_BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// What happened since the project was opened, and what is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Events that were kept.
    pub events: u64,
    /// Events that were there already.
    pub repeated: u64,
    /// Updates of profiles that were carried out.
    pub updates: u64,
    /// Claims that joined two IDs.
    pub merges: u64,
    /// Claims that a guardrail turned down, by the vendor's code.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Records that could not be used, by rule; updates of profiles under `update`.
    pub refused: BTreeMap<&'static str, u64>,
    /// Commits.
    pub commits: u64,
    /// How many commits took how long, by [`LATENCY_BOUNDS_MS`].
    pub commit_latency: [u64; LATENCY_BOUNDS_MS.len() + 1],
    /// How long all commits took together.
    pub commit_time: Duration,
    /// Batches that wait or are being written.
    pub queue_batches: usize,
    /// The bytes of their text.
    pub queue_bytes: usize,
    /// All events of the project.
    pub events_total: u64,
    /// The number of the last entry in the log of claims.
    pub sequence: u64,
    /// Clusters that have at least nine tenths of the IDs that they may have.
    pub clusters_near_cap: usize,
    /// Why the project cannot write any more, if it cannot.
    pub failure: Option<String>,
}

impl Figures {
    pub(crate) fn add_commit(&mut self, took: Duration) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let place = LATENCY_BOUNDS_MS.partition_point(|bound| *bound < ms);
        self.commit_latency[place] += 1;
        self.commit_time += took;
        self.commits += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.repeated += other.repeated;
        self.updates += other.updates;
        self.merges += other.merges;
        for (code, count) in other.rejected {
            *self.rejected.entry(code).or_default() += count;
        }
        for (rule, count) in other.refused {
            *self.refused.entry(rule).or_default() += count;
        }
    }
}

impl Project {
    /// What happened since the project was opened, and what is now.
    pub fn figures(&self) -> Figures {
        let mut figures = self.shared.figures.lock().clone();
        (figures.queue_batches, figures.queue_bytes) = self.shared.queue.waiting();
        figures.events_total = self.shared.directory.read().last();
        figures.sequence = self.shared.store.read().committed();
        figures.clusters_near_cap = self.shared.near_cap.lock().len();
        figures.failure = self.shared.failure.lock().clone();
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_counted_where_its_time_belongs() {
        let mut figures = Figures::default();
        for ms in [0, 1, 2, 3, 5_000, 5_001, 9_999_999] {
            figures.add_commit(Duration::from_millis(ms));
        }
        assert_eq!(
            figures.commit_latency,
            [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]
        );
        assert_eq!(figures.commits, 7);
    }
}
