//! [`UniquesQuery`]: the users of each event or day (F-10).

use std::cmp::Reverse;

use foldhash::{HashMap, HashSet};
use idmerge_core::DistinctId;

use crate::analysis::{Analysis, ResolvedEvent};
use crate::days::{DAY_MS, is_in_range};
use crate::users::Users;

/// Counts the users of each event, or of each day in UTC.
///
/// If a busy event has nearly as many users as events, identity is lost: each event comes under an ID of its
/// own.
///
/// ```
/// use idmerge_analysis::{Analysis, ResolvedEvent, UniquesBy, UniquesQuery};
/// use idmerge_core::DistinctId;
/// use idmerge_events::JsonEvent;
///
/// let properties = JsonEvent::parse_text(r#"{"event":"","properties":{}}"#)?.properties();
/// let uniques = UniquesQuery::new(UniquesBy::Event);
/// let mut fold = uniques.fold();
/// for (own, name) in [("$device:D1", "View"), ("ada", "View"), ("ada", "Buy")] {
///     let event = ResolvedEvent { name, time_ms: None, properties };
///     if let Some(found) = uniques.read(&event) {
///         uniques.add(&mut fold, DistinctId::try_from("ada")?, DistinctId::try_from(own)?, found);
///     }
/// }
/// let report = uniques.report(fold);
/// let view = &report.rows[0];
/// assert_eq!(view.event.as_deref(), Some("View"));
/// assert_eq!((view.events, view.users, view.users_without_merge), (2, 1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct UniquesQuery {
    /// What has a row.
    pub by: UniquesBy,
    /// Only events at this time or later count.
    pub from_ms: Option<i64>,
    /// Only events before this time count.
    pub until_ms: Option<i64>,
}

/// What has a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UniquesBy {
    /// Each name of an event.
    Event,
    /// Each day, in UTC.
    Day,
}

/// What is kept of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundEvent {
    name: Option<Box<str>>,
    time_ms: Option<i64>,
}

/// The events that were added to a [`UniquesQuery`].
#[derive(Debug, Default)]
pub struct UniquesFold {
    users: Users,
    names: HashMap<Box<str>, i64>,
    /// How many events each row has.
    events: HashMap<i64, u64>,
    /// The users of each row, with and without ID Merge.
    of_rows: [HashSet<(i64, u32)>; 2],
    /// All users, with and without ID Merge.
    all: [HashSet<u32>; 2],
    events_without_time: u64,
}

/// The figures of a [`UniquesQuery`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UniquesReport {
    /// Events: those with the most events first. Days: in order.
    pub rows: Vec<UniquesRow>,
    /// All rows together. A user of several rows counts once.
    pub total: UniquesRow,
    /// How many events were passed over because they have no usable `time`.
    pub events_without_time: u64,
}

/// The users of an event or of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UniquesRow {
    /// The name of the event.
    pub event: Option<String>,
    /// The start of the day in milliseconds since 1970, in UTC.
    pub day_ms: Option<i64>,
    /// How many events there are.
    pub events: u64,
    /// How many users did them.
    pub users: u64,
    /// How many users, if every distinct_id is a user of its own.
    pub users_without_merge: u64,
}

impl UniquesQuery {
    /// The users of all times.
    pub fn new(by: UniquesBy) -> Self {
        Self {
            by,
            from_ms: None,
            until_ms: None,
        }
    }

    /// The figures of all events that were added.
    pub fn report(&self, fold: UniquesFold) -> UniquesReport {
        let mut rows: HashMap<i64, UniquesRow> = HashMap::default();
        for (row, events) in &fold.events {
            rows.entry(*row).or_default().events = *events;
        }
        let [merged, own] = &fold.of_rows;
        for (row, _) in merged {
            rows.entry(*row).or_default().users += 1;
        }
        for (row, _) in own {
            rows.entry(*row).or_default().users_without_merge += 1;
        }
        match self.by {
            UniquesBy::Event => {
                for (name, row) in fold.names {
                    rows.entry(row).or_default().event = Some(name.into_string());
                }
            }
            UniquesBy::Day => {
                for (day, row) in &mut rows {
                    row.day_ms = Some(day * DAY_MS);
                }
            }
        }
        let mut rows: Vec<_> = rows.into_values().collect();
        match self.by {
            UniquesBy::Event => rows.sort_by(|a, b| {
                let order = |row: &UniquesRow| Reverse((row.events, row.users));
                order(a).cmp(&order(b)).then_with(|| a.event.cmp(&b.event))
            }),
            UniquesBy::Day => rows.sort_by_key(|row| row.day_ms),
        }
        UniquesReport {
            total: UniquesRow {
                events: fold.events.values().sum(),
                users: fold.all[0].len() as u64,
                users_without_merge: fold.all[1].len() as u64,
                ..UniquesRow::default()
            },
            rows,
            events_without_time: fold.events_without_time,
        }
    }
}

impl Analysis for UniquesQuery {
    type Found = FoundEvent;
    type Fold = UniquesFold;

    fn fold(&self) -> UniquesFold {
        UniquesFold::default()
    }

    fn read(&self, event: &ResolvedEvent<'_>) -> Option<FoundEvent> {
        Some(FoundEvent {
            name: (self.by == UniquesBy::Event).then(|| event.name.into()),
            time_ms: event.time_ms,
        })
    }

    fn add(
        &self,
        fold: &mut UniquesFold,
        user: DistinctId<'_>,
        own: DistinctId<'_>,
        found: FoundEvent,
    ) {
        let needs_time =
            self.by == UniquesBy::Day || self.from_ms.is_some() || self.until_ms.is_some();
        if needs_time && found.time_ms.is_none() {
            fold.events_without_time += 1;
            return;
        }
        if let Some(time_ms) = found.time_ms
            && !is_in_range(time_ms, self.from_ms, self.until_ms)
        {
            return;
        }
        let row = match found.name {
            None => found.time_ms.unwrap_or_default().div_euclid(DAY_MS),
            Some(name) => {
                let next = fold.names.len() as i64;
                *fold.names.entry(name).or_insert(next)
            }
        };
        *fold.events.entry(row).or_default() += 1;
        let users = fold.users.numbers(user, own);
        for ((of_rows, all), user) in fold.of_rows.iter_mut().zip(&mut fold.all).zip(users) {
            of_rows.insert((row, user));
            all.insert(user);
        }
    }
}
