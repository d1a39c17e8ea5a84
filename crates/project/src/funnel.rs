//! How many users go all the way, and how many it would be without ID merge.

use foldhash::HashMap;

use crate::export::ExportQuery;
use crate::keys::push_id;
use crate::{Project, ProjectError};

/// Which way users should go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunnelQuery {
    /// The names of the events, in their order.
    pub steps: Vec<String>,
    /// How long a user may take from the first step to the last, in milliseconds.
    pub window_ms: i64,
    /// The earliest time, in milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// The first time that is too late.
    pub until_ms: Option<i64>,
}

/// How many users came how far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Funnel {
    /// Each step, in order.
    pub steps: Vec<StepCount>,
}

/// How many users came to a step, having gone through those before it in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepCount {
    /// The name of the event.
    pub name: String,
    /// Users as they are known now.
    pub users: u64,
    /// The same if every distinct_id were a user of its own, as it was sent.
    pub users_without_merge: u64,
}

/// A step that somebody took.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Taken {
    user: u32,
    time_ms: i64,
    number: u64,
    /// Place of the event's name.
    name: u32,
}

impl Project {
    /// How many users go through these steps in their order, all within a window of time that
    /// begins with the first. Events of one time count in the order in which they came in, and
    /// between two steps anything may happen. A name may be a step several times.
    ///
    /// # Errors
    ///
    /// [`ProjectError::TooManyEvents`], and where the disk fails.
    pub fn funnel(&self, query: &FunnelQuery) -> Result<Funnel, ProjectError> {
        let mut names: Vec<&str> = query.steps.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let place = |name: &str| {
            names
                .binary_search(&name)
                .ok()
                .and_then(|at| u32::try_from(at).ok())
        };
        let steps: Vec<u32> = query.steps.iter().filter_map(|name| place(name)).collect();
        if steps.is_empty() {
            return Ok(Funnel::default());
        }
        let scanned = ExportQuery {
            from_ms: query.from_ms,
            until_ms: query.until_ms,
            names: names.iter().map(|&name| name.to_owned()).collect(),
            limit: None,
        };
        let events_max = self.shared.options.funnel_events_max;
        let [mut merged, mut unmerged] = [Numbers::default(), Numbers::default()];
        let mut taken = [Vec::new(), Vec::new()];
        self.scan(&scanned, &mut |scanned| {
            let read = scanned.event.event();
            let (Some(own), Some(canonical)) = (scanned.own, scanned.canonical) else {
                return Ok(true);
            };
            let Some(name) = place(read.name) else {
                return Ok(true);
            };
            let users = [merged.number(canonical), unmerged.number(own)];
            for (taken, user) in taken.iter_mut().zip(users) {
                taken.push(Taken {
                    user,
                    time_ms: scanned.stored.time_ms,
                    number: scanned.stored.number,
                    name,
                });
                if taken.len() > events_max {
                    return Err(ProjectError::TooManyEvents { events_max });
                }
            }
            Ok(true)
        })?;
        let counts = taken.map(|taken| reached(taken, &steps, query.window_ms));
        let steps = query.steps.iter().enumerate().map(|(at, name)| StepCount {
            name: name.clone(),
            users: counts[0][at],
            users_without_merge: counts[1][at],
        });
        Ok(Funnel {
            steps: steps.collect(),
        })
    }
}

/// A number for each ID.
#[derive(Default)]
struct Numbers {
    numbers: HashMap<String, u32>,
    scratch: String,
}

impl Numbers {
    fn number(&mut self, id: idmerge_core::DistinctId<'_>) -> u32 {
        self.scratch.clear();
        push_id(id, &mut self.scratch);
        if let Some(number) = self.numbers.get(&self.scratch) {
            return *number;
        }
        // There are no more IDs than events, of which there is a limit.
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.insert(self.scratch.clone(), number);
        number
    }
}

/// How many users came to each step.
fn reached(mut taken: Vec<Taken>, steps: &[u32], window_ms: i64) -> Vec<u64> {
    taken.sort_unstable();
    let mut counts = vec![0; steps.len()];
    // For each step: when the latest way began that came so far. A later beginning leaves more time,
    // so no other way can come further.
    let mut begun: Vec<Option<i64>> = vec![None; steps.len()];
    for way in taken.chunk_by(|a, b| a.user == b.user) {
        begun.fill(None);
        for step in way {
            // From the last to the first, so that an event is one step of a way and not two.
            for at in (0..steps.len()).rev().filter(|&at| steps[at] == step.name) {
                let start = match at.checked_sub(1) {
                    None => Some(step.time_ms),
                    Some(before) => begun[before]
                        .filter(|start| step.time_ms.saturating_sub(*start) <= window_ms),
                };
                begun[at] = begun[at].max(start);
            }
        }
        for (count, begun) in counts.iter_mut().zip(&begun) {
            *count += u64::from(begun.is_some());
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn way(events: &[(i64, u32)]) -> Vec<Taken> {
        let taken = events
            .iter()
            .enumerate()
            .map(|(at, &(time_ms, name))| Taken {
                user: 1,
                time_ms,
                number: at as u64,
                name,
            });
        taken.collect()
    }

    #[test]
    fn steps_count_in_their_order_and_in_time() {
        let steps = [0, 1, 2];
        let reached = |events: &[(i64, u32)]| reached(way(events), &steps, 10);
        assert_eq!(reached(&[(1, 0), (2, 1), (3, 2)]), [1, 1, 1]);
        assert_eq!(reached(&[(3, 0), (2, 1), (1, 2)]), [1, 0, 0]);
        assert_eq!(reached(&[(1, 0), (11, 1)]), [1, 1, 0]);
        assert_eq!(reached(&[(1, 0), (12, 1)]), [1, 0, 0]);
        // The second beginning leaves the time that the first does not.
        assert_eq!(reached(&[(1, 0), (8, 0), (9, 1), (18, 2)]), [1, 1, 1]);
        assert_eq!(reached(&[]), [0, 0, 0]);
    }

    #[test]
    fn an_event_is_one_step_of_a_way() {
        assert_eq!(reached(way(&[(1, 0)]), &[0, 0], 10), [1, 0]);
        assert_eq!(reached(way(&[(1, 0), (2, 0)]), &[0, 0], 10), [1, 1]);
    }

    /// Tries every way.
    fn furthest(events: &[(i64, u32)], steps: &[u32], window_ms: i64) -> usize {
        fn from(events: &[(i64, u32)], steps: &[u32], until: i64) -> usize {
            let Some(first) = steps.first() else { return 0 };
            let ways = events
                .iter()
                .enumerate()
                .filter(|(_, (time, name))| name == first && *time <= until);
            ways.map(|(at, _)| 1 + from(&events[at + 1..], &steps[1..], until))
                .max()
                .unwrap_or(0)
        }
        let begin = events
            .iter()
            .enumerate()
            .filter(|(_, (_, name))| *name == steps[0]);
        begin
            .map(|(at, (time, _))| 1 + from(&events[at + 1..], &steps[1..], time + window_ms))
            .max()
            .unwrap_or(0)
    }

    proptest! {
        #[test]
        fn it_is_as_if_every_way_were_tried(
            mut events in prop::collection::vec((0..20_i64, 0..3_u32), 0..9),
            steps in prop::collection::vec(0..3_u32, 1..5),
            window_ms in 0..12_i64,
        ) {
            events.sort_by_key(|event| event.0);
            let counts = reached(way(&events), &steps, window_ms);
            let furthest = furthest(&events, &steps, window_ms);
            let wanted: Vec<u64> = (0..steps.len()).map(|at| u64::from(at < furthest)).collect();
            prop_assert_eq!(counts, wanted);
        }
    }
}
