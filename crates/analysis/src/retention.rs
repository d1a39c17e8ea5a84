//! [`RetentionQuery`]: the users who come back (F-11).

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashMap;
use idmerge_core::DistinctId;

use crate::analysis::{Analysis, ResolvedEvent};
use crate::days::{DAY_MS, is_in_range};
use crate::step::Step;
use crate::users::Users;
use crate::value::{Names, Values};

/// Counts the users who come back, by the day or the week in which they first came.
///
/// The days are those of UTC, and a week begins on Monday. A user is in the cohort of the first event that
/// counts as coming, in the range of times, and comes back in each later period with an event that counts as
/// coming back.
#[derive(Clone, Debug, PartialEq)]
pub struct RetentionQuery {
    /// The event with which a user first comes. `None` means any.
    pub first: Option<Step>,
    /// The event with which a user comes back. `None` means any.
    pub then: Option<Step>,
    /// The length of a period.
    pub period: Period,
    /// How many periods after the first one have figures.
    pub periods: usize,
    /// Users first come at this time or later.
    pub from_ms: Option<i64>,
    /// Users first come before this time. They can come back later.
    pub until_ms: Option<i64>,
}

/// The length of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A day of UTC.
    Day,
    /// Monday to Sunday, in UTC.
    Week,
}

/// A [`RetentionQuery`] as an analysis.
///
/// ```
/// use idmerge_analysis::{Analysis, DAY_MS, ResolvedEvent, RetentionQuery};
/// use idmerge_core::DistinctId;
/// use idmerge_events::JsonEvent;
///
/// let properties = JsonEvent::parse_text(r#"{"event":"","properties":{}}"#)?.properties();
/// let retention = RetentionQuery::default().retention();
/// let mut fold = retention.fold();
/// // Ada comes on a device, and logs in two days later.
/// for (own, day) in [("$device:D1", 0), ("ada", 2)] {
///     let event = ResolvedEvent { name: "View", time_ms: Some(day * DAY_MS), properties };
///     if let Some(found) = retention.read(&event) {
///         retention.add(&mut fold, DistinctId::try_from("ada")?, DistinctId::try_from(own)?, found);
///     }
/// }
/// let report = retention.report(fold);
/// assert_eq!(report.cohorts[0].returned[1].users, 1);
/// assert_eq!(report.cohorts[0].returned[1].users_without_merge, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Retention {
    query: RetentionQuery,
    properties: Names,
}

/// What is kept of an event. An event that is neither kind of visit shows that there are events in its period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    time_ms: Option<i64>,
    is_first: bool,
    is_then: bool,
}

/// The events that were added to a [`Retention`].
#[derive(Debug, Default)]
pub struct RetentionFold {
    users: Users,
    /// With and without ID Merge.
    visits: [HashMap<u32, Visits>; 2],
    /// The last period with an event.
    last: Option<i64>,
    events_without_time: u64,
}

/// The periods in which a user came.
#[derive(Debug, Default)]
struct Visits {
    first: Option<i64>,
    then: BTreeSet<i64>,
}

/// The figures of a [`RetentionQuery`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// The cohorts that have users, in order.
    pub cohorts: Vec<Cohort>,
    /// How many events were passed over because they have no usable `time`.
    pub events_without_time: u64,
}

/// The users who first came in a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    /// The start of the period in milliseconds since 1970, in UTC.
    pub start_ms: i64,
    /// How many users.
    pub users: u64,
    /// How many users, if every distinct_id is a user of its own.
    pub users_without_merge: u64,
    /// How many of them came back one period later, two periods later, and so on, up to the last period with
    /// any event.
    pub returned: Vec<Returns>,
}

/// How many users of a cohort came back in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    /// How many users.
    pub users: u64,
    /// How many users, if every distinct_id is a user of its own.
    pub users_without_merge: u64,
}

impl Default for RetentionQuery {
    fn default() -> Self {
        Self {
            first: None,
            then: None,
            period: Period::Day,
            periods: 7,
            from_ms: None,
            until_ms: None,
        }
    }
}

impl RetentionQuery {
    /// The most periods.
    pub const MAX_PERIODS: usize = 366;

    /// The analysis that answers the query, with at most [`MAX_PERIODS`](Self::MAX_PERIODS).
    pub fn retention(mut self) -> Retention {
        self.periods = self.periods.min(Self::MAX_PERIODS);
        let steps = self.first.iter().chain(&self.then);
        let properties = steps.flat_map(|step| step.properties().map(str::to_owned));
        Retention {
            properties: properties.collect(),
            query: self,
        }
    }
}

impl Period {
    /// The number of the period of a time.
    fn of(self, time_ms: i64) -> i64 {
        let day = time_ms.div_euclid(DAY_MS);
        match self {
            Self::Day => day,
            // 1970 began on a Thursday.
            Self::Week => (day + 3).div_euclid(7),
        }
    }

    fn start_ms(self, number: i64) -> i64 {
        DAY_MS
            * match self {
                Self::Day => number,
                Self::Week => number * 7 - 3,
            }
    }
}

impl Retention {
    /// The query that it answers.
    pub fn query(&self) -> &RetentionQuery {
        &self.query
    }

    /// The figures of all events that were added.
    pub fn report(&self, fold: RetentionFold) -> RetentionReport {
        let mut cohorts: BTreeMap<i64, Cohort> = BTreeMap::new();
        let last = fold.last.unwrap_or(i64::MIN);
        for (side, visits) in fold.visits.into_iter().enumerate() {
            for visits in visits.into_values() {
                let Some(first) = visits.first else { continue };
                let cohort = cohorts.entry(first).or_insert_with(|| {
                    let periods = usize::try_from(last - first).unwrap_or(0);
                    Cohort {
                        start_ms: self.query.period.start_ms(first),
                        returned: vec![Returns::default(); periods.min(self.query.periods)],
                        ..Cohort::default()
                    }
                });
                let counts = |returns: &mut Returns| match side {
                    0 => returns.users += 1,
                    _ => returns.users_without_merge += 1,
                };
                match side {
                    0 => cohort.users += 1,
                    _ => cohort.users_without_merge += 1,
                }
                for period in visits.then.range(first + 1..) {
                    let at = usize::try_from(period - first - 1).unwrap_or(usize::MAX);
                    cohort.returned.get_mut(at).into_iter().for_each(counts);
                }
            }
        }
        RetentionReport {
            cohorts: cohorts.into_values().collect(),
            events_without_time: fold.events_without_time,
        }
    }

    fn may_be_first(&self, time_ms: i64) -> bool {
        is_in_range(time_ms, self.query.from_ms, self.query.until_ms)
    }
}

impl Analysis for Retention {
    type Found = Visit;
    type Fold = RetentionFold;

    fn fold(&self) -> RetentionFold {
        RetentionFold::default()
    }

    fn read(&self, event: &ResolvedEvent<'_>) -> Option<Visit> {
        let values = Values::read(event.properties.as_str(), &self.properties);
        let is = |step: &Option<Step>| {
            let step = step.as_ref();
            step.is_none_or(|step| step.is(event.name, &values))
        };
        // Any event can be the last one of the input, which the figures end with.
        Some(Visit {
            time_ms: event.time_ms,
            is_first: is(&self.query.first),
            is_then: is(&self.query.then),
        })
    }

    fn add(
        &self,
        fold: &mut RetentionFold,
        user: DistinctId<'_>,
        own: DistinctId<'_>,
        found: Visit,
    ) {
        let is_visit = found.is_first || found.is_then;
        let Some(time_ms) = found.time_ms else {
            fold.events_without_time += u64::from(is_visit);
            return;
        };
        let period = self.query.period.of(time_ms);
        fold.last = fold.last.max(Some(period));
        if !is_visit {
            return;
        }
        let users = fold.users.numbers(user, own);
        for (visits, user) in fold.visits.iter_mut().zip(users) {
            let visits = visits.entry(user).or_default();
            if found.is_first && self.may_be_first(time_ms) {
                visits.first = Some(visits.first.map_or(period, |first| first.min(period)));
            }
            if found.is_then {
                visits.then.insert(period);
            }
        }
    }
}
