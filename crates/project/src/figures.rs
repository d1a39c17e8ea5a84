//! [`Figures`]: counters and gauges of a project.

use std::collections::BTreeMap;
use std::time::Duration;

/// The upper bounds of [`Figures::commit_latency`], in milliseconds. The last counter has the
/// commits that took longer.
pub const LATENCY_BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// Counters since the project was opened, and gauges of its current state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Events that were stored.
    pub events: u64,
    /// Events that were stored before and arrived again.
    pub repeated: u64,
    /// Of the events that were stored, those that replaced one from a sender who is known less (AR-2).
    pub replaced: u64,
    /// Profile updates that were carried out.
    pub updates: u64,
    /// Claims that joined two IDs.
    pub merges: u64,
    /// Claims that a guardrail rejected, by the vendor's code.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Invalid records by the rule that refuses them; profile updates under `update`.
    pub refused: BTreeMap<&'static str, u64>,
    /// Commits.
    pub commits: u64,
    /// Commits by their duration. The bounds are [`LATENCY_BOUNDS_MS`].
    pub commit_latency: [u64; LATENCY_BOUNDS_MS.len() + 1],
    /// The duration of all commits.
    pub commit_time: Duration,
    /// Batches in the queue, including those that are being written.
    pub queue_batches: usize,
    /// The bytes of their text.
    pub queue_bytes: usize,
    /// All events of the project, without those that are replaced.
    pub events_total: u64,
    /// The number of the last entry in the log of claims.
    pub sequence: u64,
    /// The IDs in clusters, to which the memory of the project is in proportion.
    pub ids: usize,
    /// The most IDs that the clusters may have: [`Options::max_ids`](crate::Options::max_ids).
    pub max_ids: usize,
    /// Clusters with at least 90 percent of the IDs that a cluster may have.
    pub clusters_near_cap: usize,
    /// How often the project could write again after a failure.
    pub recoveries: u64,
    /// How often background work failed and was left for later, such as a snapshot that had no room on the disk.
    pub maintenance_failures: u64,
    /// How often people were erased.
    pub erasures: u64,
    /// How many IDs were erased.
    pub ids_erased: u64,
    /// Deletions that wait or are carried out.
    pub deletions_waiting: usize,
    /// Whether people are being erased, so that nothing else is written.
    pub is_erasing: bool,
    /// Why the project cannot write; `None` if it can.
    pub failure: Option<String>,
}

impl Figures {
    pub(crate) fn add_commit(&mut self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let bucket = LATENCY_BOUNDS_MS.partition_point(|bound| *bound < ms);
        self.commit_latency[bucket] += 1;
        self.commit_time += duration;
        self.commits += 1;
    }

    pub(crate) fn add_refused(&mut self, rule: &'static str) {
        *self.refused.entry(rule).or_default() += 1;
    }

    /// Adds the counters of a commit.
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.repeated += other.repeated;
        self.replaced += other.replaced;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_counted_under_its_duration() {
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
