//! [`FunnelFold`]: the steps of each user, with and without ID Merge.

use std::mem::size_of;

use foldhash::HashMap;
use idmerge_core::DistinctId;

use super::kinds::{FoundStep, Kinds, UserStep};
use super::path::Path;
use super::plan::Plan;
use super::query::{Count, Reentry, Touch};
use crate::users::{Users, table_bytes};

/// The events of users that are pruned: from here on at each power of two.
const PRUNED_FROM: usize = 16;

/// The events that were added to a [`Funnel`](super::Funnel).
///
/// The memory is a few hundred bytes for each user, and is known at any time ([`bytes_held`](Self::bytes_held)). Of the events of a user, those that cannot count any more
/// are dropped. With the default options, what is kept are the steps of the entry, and steps that would count
/// if an earlier event of the first step still came.
#[derive(Debug, Default)]
pub struct FunnelFold {
    pub(super) users: Users,
    pub(super) kinds: Kinds,
    /// By canonical distinct_id.
    pub(super) merged: Table,
    /// By the distinct_id that was sent.
    pub(super) own: Table,
    pub(super) events_without_time: u64,
    /// The bits of the steps that some event was.
    occurring: u128,
}

/// The events of each user.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) users: HashMap<u32, Vec<UserStep>>,
    /// The events that there is memory for.
    capacity: usize,
}

impl Table {
    fn bytes_held(&self) -> usize {
        table_bytes(&self.users) + self.capacity * size_of::<UserStep>()
    }
}

impl FunnelFold {
    pub(super) fn add(
        &mut self,
        plan: &Plan,
        user: DistinctId<'_>,
        own: DistinctId<'_>,
        found: FoundStep,
    ) {
        self.occurring |= found.kind.steps;
        let Some(time_ms) = found.time_ms else {
            self.events_without_time += 1;
            return;
        };
        if !plan.may_count(time_ms) {
            return;
        }
        let step = UserStep {
            time_ms,
            kind: self.kinds.number(found.kind),
        };
        let [user, own] = self.users.numbers(user, own);
        for (table, user) in [(&mut self.merged, user), (&mut self.own, own)] {
            let steps = table.users.entry(user).or_default();
            let before = steps.capacity();
            steps.push(step);
            table.capacity += steps.capacity() - before;
            if steps.len() >= PRUNED_FROM && steps.len().is_power_of_two() {
                prune(plan, &self.kinds, steps);
            }
        }
    }

    /// Whether any event that was added is the step with this number, counted from 0, at whatever time.
    pub fn occurs(&self, step: usize) -> bool {
        u32::try_from(step)
            .ok()
            .and_then(|step| self.occurring.checked_shr(step))
            .is_some_and(|steps| steps & 1 == 1)
    }

    /// About how much memory the fold takes, in bytes. A caller can limit it by this.
    pub fn bytes_held(&self) -> usize {
        let tables = [&self.merged, &self.own];
        let tables: usize = tables.map(Table::bytes_held).iter().sum();
        self.users.bytes_held() + self.kinds.bytes_held() + tables
    }
}

/// Drops the events of a user that cannot count, whatever events still come.
///
/// This is so only if one entry counts, that of the first opening: an event that still comes can make the
/// opening earlier, but not later. So nothing after its window counts, and no other event that is the first
/// step alone. If in addition each event can be one step, an earlier opening makes no step of the entry later;
/// so no event counts that is the same step as one of the entry, and later.
fn prune(plan: &Plan, kinds: &Kinds, steps: &mut Vec<UserStep>) {
    let query = &plan.query;
    let has_entries = query.count == Count::Totals
        || query.reentry == Reentry::Optimized
        || plan.touch() == Some(Touch::Each);
    if has_entries {
        return;
    }
    // The sort is stable: equal times stay as they came (F-2).
    steps.sort_by_key(|step| step.time_ms);
    let mut path = Path::default();
    path.set(plan, kinds, steps);
    let Some(opening) = path.openings().first().copied() else {
        return;
    };
    let is_plain = query.hold.is_empty() && query.exclude.is_empty() && plan.has_distinct_steps;
    let entry = path.entry(plan, kinds, steps, opening);
    let until_ms = steps[opening].time_ms.saturating_add(query.window_ms);
    let mut at = 0;
    steps.retain(|step| {
        let index = at;
        at += 1;
        let kind = kinds.of(*step);
        let is_first_alone = kind.steps == 1 && kind.exclusions == 0;
        let is_later = is_plain && {
            let number = kind.steps.trailing_zeros() as usize;
            entry.taken.get(number).is_some_and(|&taken| index > taken)
        };
        index == opening || step.time_ms <= until_ms && !is_first_alone && !is_later
    });
}
