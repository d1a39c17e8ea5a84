//! The events of one user, sorted by step.

use super::kinds::{Kinds, UserStep};
use super::plan::Plan;

/// Where the steps of a user are in the sorted list of the user's events. The memory is used again for each
/// user.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// For each step: the numbers of the held values and the indices of the events, sorted.
    pub(super) steps: Vec<Vec<(u32, usize)>>,
    /// For each exclusion: the indices of the events, sorted.
    pub(super) exclusions: Vec<Vec<usize>>,
    /// The indices of the events that may open an entry, in order.
    openings: Vec<usize>,
}

impl Path {
    /// Finds the steps in these events, which are sorted by time.
    pub(super) fn set(&mut self, plan: &Plan, kinds: &Kinds, events: &[UserStep]) {
        let query = &plan.query;
        self.steps.resize_with(query.steps.len(), Vec::new);
        self.exclusions.resize_with(query.exclude.len(), Vec::new);
        self.steps.iter_mut().for_each(Vec::clear);
        self.exclusions.iter_mut().for_each(Vec::clear);
        self.openings.clear();
        for (index, event) in events.iter().enumerate() {
            let kind = kinds.of(*event);
            if kind.is_first_step() && plan.may_open(event.time_ms) {
                self.openings.push(index);
            }
            // F-6: an event without a held property is no step after the first.
            if let Some(held) = kinds.held(*event) {
                for step in bits(kind.steps) {
                    self.steps[step].push((held, index));
                }
            }
            for exclusion in bits(u128::from(kind.exclusions)) {
                self.exclusions[exclusion].push(index);
            }
        }
        if !query.hold.is_empty() {
            self.steps.iter_mut().for_each(|step| step.sort_unstable());
        }
    }

    pub(super) fn openings(&self) -> &[usize] {
        &self.openings
    }
}

/// The numbers of the bits that are set.
fn bits(mut mask: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(bit)
    })
}
