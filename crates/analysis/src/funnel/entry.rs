//! One entry of a user into a funnel (F-3, F-5, F-6).

use std::cmp::Reverse;

use foldhash::{HashMap, HashSet};

use super::kinds::{Kinds, UserStep};
use super::path::Path;
use super::plan::Plan;
use super::query::{Count, Reentry};

/// An entry: the events that were taken as its steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// The index of the event of each step that was reached.
    pub(super) taken: Vec<usize>,
    /// When each of these steps was reached.
    pub(super) at_ms: Vec<i64>,
    /// The index of the event that excluded it.
    excluded_by: Option<usize>,
    /// The index from which on another entry may open (F-4).
    end: usize,
}

impl Entry {
    /// How many steps were reached.
    pub(super) fn depth(&self) -> usize {
        self.taken.len()
    }
}

/// The events of earlier entries, which a later entry of the user cannot use (F-4).
///
/// A later entry never looks at an event before the one that an earlier entry began to look from. So what was
/// passed over once is passed over for good, and a user with many entries takes time in proportion to them.
#[derive(Debug, Default)]
struct Used {
    events: HashSet<usize>,
    /// For each step and the number of its held values: where its list begins now.
    steps: HashMap<(usize, u32), usize>,
    /// For each exclusion.
    exclusions: HashMap<usize, usize>,
}

impl Path {
    /// The entries of a user that count, of those that open at `openings`, in order.
    pub(super) fn entries(
        &self,
        plan: &Plan,
        kinds: &Kinds,
        events: &[UserStep],
        openings: &[usize],
    ) -> Vec<Entry> {
        let entry = |opening: &usize| self.entry(plan, kinds, events, *opening);
        match (plan.query.count, plan.query.reentry) {
            (Count::Uniques, Reentry::First) => openings.first().map(entry).into_iter().collect(),
            (Count::Uniques, Reentry::Optimized) => {
                // F-4: the furthest one. Of several the one that gets there first, and of these the last that
                // opens.
                let rank = |entry: &Entry| {
                    let reached_ms = entry.at_ms.last().copied().unwrap_or_default();
                    (entry.depth(), Reverse(reached_ms))
                };
                let furthest = openings.iter().map(entry).max_by_key(rank);
                furthest.into_iter().collect()
            }
            (Count::Totals, _) => {
                let (mut entries, mut from) = (Vec::<Entry>::new(), 0);
                let mut used = Used::default();
                for opening in openings {
                    if *opening >= from {
                        let entry = self.follow(plan, kinds, events, *opening, Some(&mut used));
                        from = entry.end;
                        used.events.extend(&entry.taken);
                        used.events.extend(entry.excluded_by);
                        entries.push(entry);
                    }
                }
                entries
            }
        }
    }

    /// The entry that opens with the event at this index.
    pub(super) fn entry(
        &self,
        plan: &Plan,
        kinds: &Kinds,
        events: &[UserStep],
        opening: usize,
    ) -> Entry {
        self.follow(plan, kinds, events, opening, None)
    }

    fn follow(
        &self,
        plan: &Plan,
        kinds: &Kinds,
        events: &[UserStep],
        opening: usize,
        mut used: Option<&mut Used>,
    ) -> Entry {
        let opened = events[opening];
        let until_ms = opened.time_ms.saturating_add(plan.query.window_ms);
        let held = kinds.held(opened);
        let mut entry = Entry {
            taken: vec![opening],
            at_ms: vec![opened.time_ms],
            excluded_by: None,
            end: opening + 1,
        };
        // Where the entry is: the latest event that was taken.
        let mut position = opening;
        for step in 1..self.steps.len() {
            let from = match plan.query.grace_ms {
                // F-3: equal times count as they came.
                0 => position + 1,
                // F-5
                grace_ms => {
                    let from_ms = events[position].time_ms.saturating_sub(grace_ms);
                    events.partition_point(|event| event.time_ms < from_ms)
                }
            };
            let is_in_time = |index: &usize| events[*index].time_ms <= until_ms;
            let found = held.and_then(|held| self.step(step, held, from, &entry, &mut used));
            let excluded = self.exclusion(plan, step, from, &entry, &mut used);
            match (found.filter(is_in_time), excluded.filter(is_in_time)) {
                // F-6: the earlier one counts, and an event that is both is the step.
                (Some(found), excluded) if excluded.is_none_or(|excluded| found <= excluded) => {
                    position = position.max(found);
                    entry.taken.push(found);
                    entry.at_ms.push(events[position].time_ms);
                    entry.end = position + 1;
                }
                (_, Some(excluded)) => {
                    entry.excluded_by = Some(excluded);
                    entry.end = position.max(excluded) + 1;
                    break;
                }
                _ => {
                    entry.end = events.partition_point(|event| event.time_ms <= until_ms);
                    break;
                }
            }
        }
        entry
    }

    /// The first event from this index on that is a step with these held values, and that is not used.
    fn step(
        &self,
        step: usize,
        held: u32,
        from: usize,
        entry: &Entry,
        used: &mut Option<&mut Used>,
    ) -> Option<usize> {
        let list = &self.steps[step];
        let start = list.partition_point(|at| *at < (held, from));
        let passed = used.as_ref().and_then(|used| used.steps.get(&(step, held)));
        let mut at = start.max(passed.copied().unwrap_or(0));
        let of = |at: usize| list.get(at).filter(|found| found.0 == held);
        while of(at).is_some_and(|found| is_used(found.1, entry, used)) {
            at += 1;
        }
        if let Some(used) = used {
            used.steps.insert((step, held), at);
        }
        of(at).map(|found| found.1)
    }

    /// The first event from this index on that ends an entry before this step, and that is not used.
    fn exclusion(
        &self,
        plan: &Plan,
        step: usize,
        from: usize,
        entry: &Entry,
        used: &mut Option<&mut Used>,
    ) -> Option<usize> {
        let mut first = None;
        for (number, list) in self.exclusions.iter().enumerate() {
            let (before, last) = plan.excluded_before[number];
            if !(before..=last).contains(&step) {
                continue;
            }
            let start = list.partition_point(|index| *index < from);
            let passed = used.as_ref().and_then(|used| used.exclusions.get(&number));
            let mut at = start.max(passed.copied().unwrap_or(0));
            while list
                .get(at)
                .is_some_and(|index| is_used(*index, entry, used))
            {
                at += 1;
            }
            if let Some(used) = used {
                used.exclusions.insert(number, at);
            }
            let found = list.get(at).copied();
            first = match (first, found) {
                (Some(first), Some(found)) => Some(usize::min(first, found)),
                (first, found) => first.or(found),
            };
        }
        first
    }
}

fn is_used(index: usize, entry: &Entry, used: &Option<&mut Used>) -> bool {
    entry.taken.contains(&index)
        || used
            .as_ref()
            .is_some_and(|used| used.events.contains(&index))
}
