//! [`Plan`]: a query that was checked, and what follows from it for each event.

use super::kinds::{FoundStep, Kind};
use super::query::{FunnelQuery, Touch};
use crate::analysis::ResolvedEvent;
use crate::days::is_in_range;
use crate::step::Step;
use crate::value::{Names, Values};

/// A query that was checked.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) query: FunnelQuery,
    /// The names of all properties that are read.
    properties: Names,
    /// For each exclusion: the first and the last step, counted from 0, before which it ends an entry.
    pub(super) excluded_before: Vec<(usize, usize)>,
    /// An event can be only one step.
    pub(super) has_distinct_steps: bool,
}

impl Plan {
    pub(super) fn new(query: FunnelQuery) -> Self {
        let properties = events(&query)
            .flat_map(|step| step.properties().map(str::to_owned))
            .chain(query.hold.iter().cloned())
            .chain(query.by.iter().map(|by| by.property.clone()))
            .collect();
        let steps = query.steps.len();
        let excluded_before = query.exclude.iter().map(|exclusion| {
            // Between the steps 2 and 4, counted from 1: before the steps 2 and 3, counted from 0.
            let (from, to) = exclusion.between.unwrap_or((1, steps));
            (from, to - 1)
        });
        let mut names: Vec<_> = query.steps.iter().map(Step::name).collect();
        names.sort_unstable();
        names.dedup();
        Self {
            properties,
            excluded_before: excluded_before.collect(),
            has_distinct_steps: names.len() == steps,
            query,
        }
    }

    pub(super) fn touch(&self) -> Option<Touch> {
        self.query.by.as_ref().map(|by| by.touch)
    }

    /// The names of the events that can be a step, or are excluded. A name can occur more than once.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        events(&self.query).map(Step::name)
    }

    /// Whether an entry may open at this time.
    pub(super) fn may_open(&self, time_ms: i64) -> bool {
        is_in_range(time_ms, self.query.from_ms, self.query.until_ms)
    }

    /// The range of the times of all events that can be part of an entry.
    pub(super) fn range_ms(&self) -> (Option<i64>, Option<i64>) {
        let FunnelQuery {
            window_ms,
            grace_ms,
            from_ms,
            until_ms,
            ..
        } = self.query;
        let from_ms = from_ms.map(|from| from.saturating_sub(grace_ms));
        let until_ms = until_ms.map(|until| until.saturating_add(window_ms));
        (from_ms, until_ms)
    }

    /// Whether an event at this time can be part of an entry.
    pub(super) fn may_count(&self, time_ms: i64) -> bool {
        let (from_ms, until_ms) = self.range_ms();
        is_in_range(time_ms, from_ms, until_ms)
    }

    /// What the funnel needs of an event.
    pub(super) fn read(&self, event: &ResolvedEvent<'_>) -> Option<FoundStep> {
        if !self.names().any(|name| name == event.name) {
            return None;
        }
        let query = &self.query;
        let values = Values::read(event.properties.as_str(), &self.properties);
        let mut kind = Kind::default();
        for (at, step) in query.steps.iter().enumerate() {
            kind.steps |= u128::from(step.is(event.name, &values)) << at;
        }
        for (at, exclusion) in query.exclude.iter().enumerate() {
            kind.exclusions |= u32::from(exclusion.event.is(event.name, &values)) << at;
        }
        if kind.steps == 0 && kind.exclusions == 0 {
            return None;
        }
        let json = |name: &String| values.get(name).map(|value| value.json().into_boxed_str());
        // F-6: an exclusion is not a step, so it needs no value.
        if kind.steps != 0 {
            kind.by = query.by.as_ref().and_then(|by| json(&by.property));
            kind.held = (!query.hold.is_empty()).then(|| query.hold.iter().map(json).collect());
        }
        Some(FoundStep {
            time_ms: event.time_ms,
            kind,
        })
    }
}

/// The steps and the excluded events.
fn events(query: &FunnelQuery) -> impl Iterator<Item = &Step> {
    let exclude = query.exclude.iter().map(|exclusion| &exclusion.event);
    query.steps.iter().chain(exclude)
}
