//! [`FunnelQuery`]: the question that a funnel answers.

use thiserror::Error;

use crate::days::DAY_MS;
use crate::step::Step;

/// The question that a funnel answers.
#[derive(Clone, Debug, PartialEq)]
pub struct FunnelQuery {
    /// The events, in order.
    pub steps: Vec<Step>,
    /// The longest time from the opening of an entry to each of its steps (F-3).
    pub window_ms: i64,
    /// Two steps at most this far apart may happen in either order (F-5).
    pub grace_ms: i64,
    /// Which events of the first step open an entry (F-3, F-4).
    pub reentry: Reentry,
    /// What is counted (F-4).
    pub count: Count,
    /// The properties that have the same value at every step (F-6).
    pub hold: Vec<String>,
    /// The events that end an entry (F-6).
    pub exclude: Vec<Exclusion>,
    /// Entries open at this time or later.
    pub from_ms: Option<i64>,
    /// Entries open before this time. Later steps may be later.
    pub until_ms: Option<i64>,
    /// Counts the entries of each value of a property too.
    pub by: Option<Breakdown>,
}

/// Which events of the first step open an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reentry {
    /// The first one in the range; later ones do not renew the window (F-3).
    #[default]
    First,
    /// Each one, and the entry of a user that gets furthest counts (F-4).
    Optimized,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Count {
    /// Users.
    #[default]
    Uniques,
    /// Entries: the next event of the first step after the end of an entry opens another (F-4).
    Totals,
}

/// An event that ends an entry if it happens between two steps (F-6).
#[derive(Clone, Debug, PartialEq)]
pub struct Exclusion {
    /// The event.
    pub event: Step,
    /// The numbers of the steps, counted from 1, between which it ends an entry. `None` means between the
    /// first and the last.
    pub between: Option<(usize, usize)>,
}

/// The property whose values have figures of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakdown {
    /// The name of the property.
    pub property: String,
    /// The step that gives an entry its value.
    pub touch: Touch,
}

/// The step that gives an entry its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Touch {
    /// The first step of the entry that has the property.
    #[default]
    First,
    /// The last step of the entry that has the property.
    Last,
    /// The opening, and a user has an entry for each value of the first step.
    Each,
}

/// Why a query cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// There are none, or too many.
    #[error("there are {count} steps; give 1 to {max} (F-8)", max = FunnelQuery::MAX_STEPS)]
    Steps {
        /// How many there are.
        count: usize,
    },
    /// The window is empty, or longer than a year.
    #[error("a window of {window_ms} ms is not more than 0 and at most 366 days (F-8)")]
    Window {
        /// The window.
        window_ms: i64,
    },
    /// The grace is negative, or longer than the window.
    #[error("a grace of {grace_ms} ms is not from 0 to the window of {window_ms} ms (F-5)")]
    Grace {
        /// The grace.
        grace_ms: i64,
        /// The window.
        window_ms: i64,
    },
    /// Too many properties are held.
    #[error("{count} properties are held; hold at most {max} (F-6)", max = FunnelQuery::MAX_HELD)]
    Held {
        /// How many there are.
        count: usize,
    },
    /// There are too many exclusions.
    #[error("there are {count} exclusions; give at most {max}", max = FunnelQuery::MAX_EXCLUSIONS)]
    Exclusions {
        /// How many there are.
        count: usize,
    },
    /// An exclusion is not between two steps of the funnel.
    #[error(
        "there are no steps {from} and {to} to exclude an event between: give two of the {steps} steps (F-6)"
    )]
    Between {
        /// The first step.
        from: usize,
        /// The second step.
        to: usize,
        /// How many steps there are.
        steps: usize,
    },
    /// Both options of F-4 are set.
    #[error(
        "totals count each entry of a user, and optimized re-entry one of them: choose one (F-4)"
    )]
    TotalsOptimized,
    /// The range of times is empty.
    #[error("the range ends before it begins: swap its dates")]
    Range,
}

impl FunnelQuery {
    /// The most steps.
    pub const MAX_STEPS: usize = 100;
    /// The most properties that are held.
    pub const MAX_HELD: usize = 3;
    /// The most exclusions.
    pub const MAX_EXCLUSIONS: usize = 32;
    /// The longest window: 366 days.
    pub const MAX_WINDOW_MS: i64 = 366 * DAY_MS;
    /// The window of a new query: 7 days.
    pub const DEFAULT_WINDOW_MS: i64 = 7 * DAY_MS;
    /// The grace of a new query: 2 seconds.
    pub const DEFAULT_GRACE_MS: i64 = 2_000;

    /// The query for these steps, with the window and the grace that vendors have by default.
    pub fn new(steps: Vec<Step>) -> Self {
        Self {
            steps,
            window_ms: Self::DEFAULT_WINDOW_MS,
            grace_ms: Self::DEFAULT_GRACE_MS,
            reentry: Reentry::default(),
            count: Count::default(),
            hold: Vec::new(),
            exclude: Vec::new(),
            from_ms: None,
            until_ms: None,
            by: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), QueryError> {
        let (count, window_ms, grace_ms) = (self.steps.len(), self.window_ms, self.grace_ms);
        if !(1..=Self::MAX_STEPS).contains(&count) {
            return Err(QueryError::Steps { count });
        }
        if !(1..=Self::MAX_WINDOW_MS).contains(&window_ms) {
            return Err(QueryError::Window { window_ms });
        }
        if !(0..=window_ms).contains(&grace_ms) && grace_ms != Self::DEFAULT_GRACE_MS {
            return Err(QueryError::Grace {
                grace_ms,
                window_ms,
            });
        }
        if self.hold.len() > Self::MAX_HELD {
            return Err(QueryError::Held {
                count: self.hold.len(),
            });
        }
        if self.exclude.len() > Self::MAX_EXCLUSIONS {
            return Err(QueryError::Exclusions {
                count: self.exclude.len(),
            });
        }
        for (from, to) in self
            .exclude
            .iter()
            .filter_map(|exclusion| exclusion.between)
        {
            if !(1 <= from && from < to && to <= count) {
                return Err(QueryError::Between {
                    from,
                    to,
                    steps: count,
                });
            }
        }
        if self.count == Count::Totals && self.reentry == Reentry::Optimized {
            return Err(QueryError::TotalsOptimized);
        }
        match (self.from_ms, self.until_ms) {
            (Some(from), Some(until)) if from >= until => Err(QueryError::Range),
            _ => Ok(()),
        }
    }
}
