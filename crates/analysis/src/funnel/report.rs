//! [`FunnelReport`]: the figures of a plan.

use std::collections::BTreeMap;

use foldhash::HashMap;
use idmerge_core::DistinctId;
use serde::Serialize;

use super::entry::Entry;
use super::fold::{FunnelFold, Table};
use super::kinds::{Kinds, UserStep};
use super::path::Path;
use super::plan::Plan;
use super::query::Touch;
use crate::share::share;
use crate::value::text_of;

/// The figures of a funnel (F-8).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FunnelReport {
    /// The steps, in order.
    pub steps: Vec<StepFigures>,
    /// The values of the property of the breakdown: those with the most users at the first step come first.
    pub breakdown: Vec<BreakdownRow>,
    /// How many events could be a step and have no usable `time` (F-3).
    pub events_without_time: u64,
}

/// The figures of a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
pub struct StepFigures {
    /// The step, as it was written.
    pub event: String,
    /// How many users, or entries, reached the step through all steps before it.
    pub users: u64,
    /// As a share of the first step, from 0 to 1.
    pub conversion: f64,
    /// As a share of the step before, from 0 to 1.
    pub conversion_from_previous: f64,
    /// Half of them needed at most this time from the step before. `None` at the first step, or if
    /// there are no such users.
    pub median_ms: Option<i64>,
    /// Nine in ten of them needed at most this time from the step before.
    pub p90_ms: Option<i64>,
    /// The same as `users` if every distinct_id is a user of its own.
    pub users_without_merge: u64,
    /// `users_without_merge` as a share of that of the first step.
    pub conversion_without_merge: f64,
    /// `users` less `users_without_merge`: how many take the step only because of ID Merge. It is negative
    /// if ID Merge joins users who took the step.
    pub difference: i64,
}

/// The figures of one value of a property.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BreakdownRow {
    /// The value as JSON; `None` if no step of the entry has the property.
    pub json: Option<String>,
    /// How many users, or entries, took the first step.
    pub users: u64,
    /// How many of them took the last step.
    pub converted: u64,
    /// `converted` as a share of `users`, from 0 to 1.
    pub conversion: f64,
    /// `users` if every distinct_id is a user of its own.
    pub users_without_merge: u64,
    /// `converted` if every distinct_id is a user of its own.
    pub converted_without_merge: u64,
    /// `converted_without_merge` as a share of `users_without_merge`.
    pub conversion_without_merge: f64,
}

impl BreakdownRow {
    /// The value as text to read: a string without its quotation marks.
    pub fn text(&self) -> Option<String> {
        self.json.as_deref().map(text_of)
    }
}

/// What was counted of the users with or without ID Merge.
#[derive(Default)]
struct Counted<'k> {
    users: Vec<u64>,
    /// The times from the step before.
    times_ms: Vec<Vec<i64>>,
    /// By value: how many entries, and how many that took the last step.
    values: HashMap<Option<&'k str>, [u64; 2]>,
}

pub(super) fn report(
    plan: &Plan,
    fold: FunnelFold,
    visit: &mut dyn FnMut(DistinctId<'_>, usize),
) -> FunnelReport {
    let FunnelFold {
        users,
        kinds,
        merged,
        own,
        events_without_time,
        ..
    } = fold;
    let mut depths: HashMap<u32, usize> = HashMap::default();
    let mut merged = Counted::of(plan, &kinds, merged, &mut |user, depth| {
        depths.insert(user, depth);
    });
    let own = Counted::of(plan, &kinds, own, &mut |_, _| {});
    for (id, number) in users.iter() {
        if let Some(depth) = depths.get(&number) {
            visit(id, *depth);
        }
    }
    let figures = (0..plan.query.steps.len()).map(|step| {
        let before = step.saturating_sub(1);
        let times_ms = &mut merged.times_ms[step];
        times_ms.sort_unstable();
        let [users, without] = [merged.users[step], own.users[step]];
        StepFigures {
            event: plan.query.steps[step].text().to_owned(),
            users,
            conversion: share(users, merged.users[0]),
            conversion_from_previous: share(users, merged.users[before]),
            median_ms: percentile(times_ms, 50),
            p90_ms: percentile(times_ms, 90),
            users_without_merge: without,
            conversion_without_merge: share(without, own.users[0]),
            difference: users.cast_signed() - without.cast_signed(),
        }
    });
    FunnelReport {
        steps: figures.collect(),
        breakdown: breakdown(&merged, &own),
        events_without_time,
    }
}

fn breakdown(merged: &Counted<'_>, own: &Counted<'_>) -> Vec<BreakdownRow> {
    let mut values: BTreeMap<Option<&str>, [[u64; 2]; 2]> = BTreeMap::new();
    for (side, counted) in [merged, own].into_iter().enumerate() {
        for (value, counts) in &counted.values {
            values.entry(*value).or_default()[side] = *counts;
        }
    }
    let row = |(value, [merged, own]): (Option<&str>, [[u64; 2]; 2])| BreakdownRow {
        json: value.map(str::to_owned),
        users: merged[0],
        converted: merged[1],
        conversion: share(merged[1], merged[0]),
        users_without_merge: own[0],
        converted_without_merge: own[1],
        conversion_without_merge: share(own[1], own[0]),
    };
    let mut rows: Vec<_> = values.into_iter().map(row).collect();
    // The sort is stable, so equal ones are in the order of their values.
    rows.sort_by_key(|row| std::cmp::Reverse((row.users, row.users_without_merge)));
    rows
}

impl<'k> Counted<'k> {
    /// Counts the entries of all users. Calls `visit` with each user who took the first step, and how many
    /// steps that user took.
    fn of(plan: &Plan, kinds: &'k Kinds, table: Table, visit: &mut dyn FnMut(u32, usize)) -> Self {
        let steps = plan.query.steps.len();
        let mut counted = Self {
            users: vec![0; steps],
            times_ms: vec![Vec::new(); steps],
            values: HashMap::default(),
        };
        let mut path = Path::default();
        for (user, mut events) in table.users {
            // The sort is stable: equal times stay as they came (F-2).
            events.sort_by_key(|event| event.time_ms);
            path.set(plan, kinds, &events);
            let entries = path.entries(plan, kinds, &events, path.openings());
            for entry in &entries {
                counted.add_steps(entry);
            }
            counted.add_values(plan, kinds, &events, &path, &entries);
            if let Some(depth) = entries.iter().map(Entry::depth).max() {
                visit(user, depth);
            }
        }
        counted
    }

    fn add_steps(&mut self, entry: &Entry) {
        for (step, at_ms) in entry.at_ms.iter().enumerate() {
            self.users[step] += 1;
            if let Some(before) = step.checked_sub(1) {
                self.times_ms[step].push(at_ms.saturating_sub(entry.at_ms[before]));
            }
        }
    }

    fn add_values(
        &mut self,
        plan: &Plan,
        kinds: &'k Kinds,
        events: &[UserStep],
        path: &Path,
        entries: &[Entry],
    ) {
        let value = |index: &usize| kinds.of(events[*index]).by.as_deref();
        match plan.touch() {
            None => {}
            Some(Touch::First) => {
                for entry in entries {
                    self.add_value(plan, entry.taken.iter().find_map(value), entry);
                }
            }
            Some(Touch::Last) => {
                for entry in entries {
                    self.add_value(plan, entry.taken.iter().rev().find_map(value), entry);
                }
            }
            Some(Touch::Each) => {
                let mut openings: BTreeMap<Option<&'k str>, Vec<usize>> = BTreeMap::new();
                for opening in path.openings() {
                    openings.entry(value(opening)).or_default().push(*opening);
                }
                for (value, openings) in openings {
                    for entry in path.entries(plan, kinds, events, &openings) {
                        self.add_value(plan, value, &entry);
                    }
                }
            }
        }
    }

    fn add_value(&mut self, plan: &Plan, value: Option<&'k str>, entry: &Entry) {
        let [users, converted] = self.values.entry(value).or_default();
        *users += 1;
        *converted += u64::from(entry.depth() == plan.query.steps.len());
    }
}

/// The smallest value that is at least as large as this percentage of the values. `None` if there are no values.
fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}
