//! Funnels: how many users take some steps in order, with and without ID merge.

use foldhash::HashMap;
use idmerge_core::{AsDistinctId, DistinctId, DistinctIdBuf};

use crate::error::ProjectError;
use crate::project::Project;
use crate::read::export::ExportQuery;

/// The steps of a funnel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunnelQuery {
    /// The names of the events, in order.
    pub steps: Vec<String>,
    /// The longest time from a user's first step to the last, in milliseconds.
    pub window_ms: i64,
    /// The earliest time, in milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Events at this time or later do not count.
    pub until_ms: Option<i64>,
}

/// The number of users at each step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Funnel {
    /// The steps, in order.
    pub steps: Vec<StepCount>,
}

/// The number of users who reached a step through all steps before it, within the time window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepCount {
    /// The name of the event.
    pub name: String,
    /// Users with their current clusters.
    pub users: u64,
    /// Users if each distinct_id counts as a user of its own.
    pub users_without_merge: u64,
}

/// An event of a user that is a step. The order of the fields is the order of sorting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct UserStep {
    user: u32,
    time_ms: i64,
    number: u64,
    /// The index of the event's name.
    name: u32,
}

impl Project {
    /// Counts the users who take these steps in order, within a time window that starts with the
    /// first step. Other events may happen between two steps. Events with the same time count in
    /// the order of arrival. A name may occur as several steps.
    ///
    /// # Errors
    ///
    /// [`ProjectError::TooManyEvents`], and any error of the disk.
    pub fn funnel(&self, query: &FunnelQuery) -> Result<Funnel, ProjectError> {
        self.funnel_while(query, &|| true)
    }

    /// As [`funnel`](Self::funnel), until `may_go_on` returns `false`. It is called for each block of events
    /// that is read.
    ///
    /// # Errors
    ///
    /// [`ProjectError::Cancelled`] if it returned `false`, and those of [`funnel`](Self::funnel).
    pub fn funnel_while(
        &self,
        query: &FunnelQuery,
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<Funnel, ProjectError> {
        let mut names = query.steps.clone();
        names.sort_unstable();
        names.dedup();
        let steps: Vec<u32> = query
            .steps
            .iter()
            .filter_map(|name| index_of(&names, name))
            .collect();
        if steps.is_empty() {
            return Ok(Funnel::default());
        }
        let [merged, unmerged] = self
            .user_steps(query, names, may_go_on)?
            .map(|taken| users_per_step(taken, &steps, query.window_ms));
        let steps = query.steps.iter().zip(merged.into_iter().zip(unmerged));
        let steps = steps.map(|(name, (users, users_without_merge))| StepCount {
            name: name.clone(),
            users,
            users_without_merge,
        });
        Ok(Funnel {
            steps: steps.collect(),
        })
    }

    /// All events with these names, by canonical user and by own distinct_id.
    fn user_steps(
        &self,
        query: &FunnelQuery,
        names: Vec<String>,
        may_go_on: &dyn Fn() -> bool,
    ) -> Result<[Vec<UserStep>; 2], ProjectError> {
        let scanned = ExportQuery {
            from_ms: query.from_ms,
            until_ms: query.until_ms,
            names,
            ..ExportQuery::default()
        };
        let max_events = self.inner.options.max_funnel_events;
        let [mut merged, mut unmerged] = [UserNumbers::default(), UserNumbers::default()];
        let mut steps = [Vec::new(), Vec::new()];
        self.scan(&scanned, may_go_on, &mut |event| {
            let (Some(own), Some(canonical)) = (event.own, event.canonical) else {
                return Ok(true);
            };
            let Some(name) = index_of(&scanned.names, event.event.event().name) else {
                return Ok(true);
            };
            let users = [merged.number(canonical), unmerged.number(own)];
            for (steps, user) in steps.iter_mut().zip(users) {
                steps.push(UserStep {
                    user,
                    time_ms: event.stored.time_ms,
                    number: event.stored.number,
                    name,
                });
                if steps.len() > max_events {
                    return Err(ProjectError::TooManyEvents { max_events });
                }
            }
            Ok(true)
        })?;
        Ok(steps)
    }
}

fn index_of(names: &[String], name: &str) -> Option<u32> {
    let index = names
        .binary_search_by(|other| other.as_str().cmp(name))
        .ok()?;
    u32::try_from(index).ok()
}

/// Numbers the users from 0.
#[derive(Default)]
struct UserNumbers(HashMap<DistinctIdBuf, u32>);

impl UserNumbers {
    fn number(&mut self, id: DistinctId<'_>) -> u32 {
        if let Some(number) = self.0.get(&id as &dyn AsDistinctId) {
            return *number;
        }
        // There are at most as many users as events, and their number is limited.
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(id.to_buf(), number);
        number
    }
}

/// The number of users who reached each step.
fn users_per_step(mut taken: Vec<UserStep>, steps: &[u32], window_ms: i64) -> Vec<u64> {
    taken.sort_unstable();
    let mut counts = vec![0; steps.len()];
    // For each step: the latest start of a path that reached it. A later start leaves more time, so
    // no path with an earlier start gets further.
    let mut starts: Vec<Option<i64>> = vec![None; steps.len()];
    for path in taken.chunk_by(|a, b| a.user == b.user) {
        starts.fill(None);
        for step in path {
            // From the last step to the first, so that one event is not counted as two steps.
            for at in (0..steps.len()).rev().filter(|&at| steps[at] == step.name) {
                let start = match at.checked_sub(1) {
                    None => Some(step.time_ms),
                    Some(before) => starts[before]
                        .filter(|start| step.time_ms.saturating_sub(*start) <= window_ms),
                };
                starts[at] = starts[at].max(start);
            }
        }
        for (count, start) in counts.iter_mut().zip(&starts) {
            *count += u64::from(start.is_some());
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(events: &[(i64, u32)]) -> Vec<UserStep> {
        let taken = events
            .iter()
            .enumerate()
            .map(|(at, &(time_ms, name))| UserStep {
                user: 1,
                time_ms,
                number: at as u64,
                name,
            });
        taken.collect()
    }

    #[test]
    fn steps_count_in_order_and_within_the_window() {
        let steps = [0, 1, 2];
        let users = |events: &[(i64, u32)]| users_per_step(path(events), &steps, 10);
        assert_eq!(users(&[(1, 0), (2, 1), (3, 2)]), [1, 1, 1]);
        assert_eq!(users(&[(3, 0), (2, 1), (1, 2)]), [1, 0, 0]);
        assert_eq!(users(&[(1, 0), (11, 1)]), [1, 1, 0]);
        assert_eq!(users(&[(1, 0), (12, 1)]), [1, 0, 0]);
        // The second start leaves enough time; the first does not.
        assert_eq!(users(&[(1, 0), (8, 0), (9, 1), (18, 2)]), [1, 1, 1]);
        assert_eq!(users(&[]), [0, 0, 0]);
    }

    #[test]
    fn an_event_is_one_step_of_a_path() {
        assert_eq!(users_per_step(path(&[(1, 0)]), &[0, 0], 10), [1, 0]);
        assert_eq!(users_per_step(path(&[(1, 0), (2, 0)]), &[0, 0], 10), [1, 1]);
    }

    /// Tries every path, and returns the most steps.
    fn furthest(events: &[(i64, u32)], steps: &[u32], window_ms: i64) -> usize {
        fn from(events: &[(i64, u32)], steps: &[u32], until: i64) -> usize {
            let Some(first) = steps.first() else { return 0 };
            let paths = events
                .iter()
                .enumerate()
                .filter(|(_, (time, name))| name == first && *time <= until);
            paths
                .map(|(at, _)| 1 + from(&events[at + 1..], &steps[1..], until))
                .max()
                .unwrap_or(0)
        }
        let starts = events
            .iter()
            .enumerate()
            .filter(|(_, (_, name))| *name == steps[0]);
        starts
            .map(|(at, (time, _))| 1 + from(&events[at + 1..], &steps[1..], time + window_ms))
            .max()
            .unwrap_or(0)
    }

    proptest! {
        #[test]
        fn it_counts_as_if_every_path_were_tried(
            mut events in prop::collection::vec((0..20_i64, 0..3_u32), 0..9),
            steps in prop::collection::vec(0..3_u32, 1..5),
            window_ms in 0..12_i64,
        ) {
            events.sort_by_key(|event| event.0);
            let counts = users_per_step(path(&events), &steps, window_ms);
            let furthest = furthest(&events, &steps, window_ms);
            let wanted: Vec<u64> = (0..steps.len()).map(|at| u64::from(at < furthest)).collect();
            prop_assert_eq!(counts, wanted);
        }
    }
}
