//! A slow model of uniques, written from F-10, F-1 and F-2 alone.
//!
//! # Decided
//!
//! - U-1 An event without an ID belongs to nobody (F-1). No row counts it, and neither does the number of events
//!   that were passed over. (The first version of the model counted it in the events of its row, because F-1 did not
//!   say; now it does.)
//! - U-2 The range includes `from_ms` and `to_ms`, as D-1.
//! - U-3 A day is the number of whole days since 1970-01-01 in UTC, rounded down, so 1 ms before 1970 is in
//!   day -1.
//! - U-4 Names are ordered by their characters, without regard to language. An empty name is a name.
//! - U-5 An event that is passed over is in no row and in no total.

use std::collections::{BTreeMap, BTreeSet};

use super::Event;

/// What has a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Each name.
    Name,
    /// Each day.
    Day,
}

/// The name or the day of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A name.
    Name(String),
    /// A day since 1970-01-01.
    Day(i64),
}

/// Figures of a row or of the total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events.
    pub events: u64,
    /// Users.
    pub users: u64,
    /// Users without ID merge.
    pub users_without_merge: u64,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uniques {
    /// The rows, in their order.
    pub rows: Vec<(Key, Figures)>,
    /// The figures of all rows.
    pub total: Figures,
    /// The events without a usable time that were passed over.
    pub without_time: u64,
}

/// Counts the events from `from_ms` to `to_ms`.
pub fn uniques(events: &[Event], by: By, from_ms: Option<i64>, to_ms: Option<i64>) -> Uniques {
    let needs_time = by == By::Day || from_ms.is_some() || to_ms.is_some();
    let is_of_somebody = |event: &&Event| event.user.is_some() || event.own.is_some();
    let events: Vec<&Event> = events.iter().filter(is_of_somebody).collect();
    let without_time = events.iter().filter(|e| needs_time && e.time_ms.is_none());
    let is_counted = |event: &&&Event| match event.time_ms {
        None => !needs_time,
        Some(time) => from_ms.is_none_or(|from| from <= time) && to_ms.is_none_or(|to| time <= to),
    };
    let counted: Vec<&Event> = events.iter().filter(is_counted).copied().collect();
    let key = |event: &Event| match by {
        By::Name => Key::Name(event.name.clone()),
        By::Day => Key::Day(event.time_ms.unwrap().div_euclid(86_400_000)),
    };
    let mut groups: BTreeMap<Key, Vec<&Event>> = BTreeMap::new();
    for event in &counted {
        groups.entry(key(event)).or_default().push(event);
    }
    let mut rows: Vec<(Key, Figures)> = groups
        .into_iter()
        .map(|(key, events)| (key, figures(&events)))
        .collect();
    if by == By::Name {
        // The sort is stable, and the rows are in order of their names.
        rows.sort_by_key(|(_, row)| std::cmp::Reverse((row.events, row.users)));
    }
    Uniques {
        rows,
        total: figures(&counted),
        without_time: without_time.count() as u64,
    }
}

fn figures(events: &[&Event]) -> Figures {
    let users: BTreeSet<&String> = events.iter().filter_map(|e| e.user.as_ref()).collect();
    let own: BTreeSet<&String> = events.iter().filter_map(|e| e.own.as_ref()).collect();
    Figures {
        events: events.len() as u64,
        users: users.len() as u64,
        users_without_merge: own.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::{ask, events, rows};
    use super::*;

    /// Rows `BY | RANGE | EVENTS | ANSWER`, with the range and the events as in the cases of funnels. The
    /// answer has `KEY=EVENTS,USERS,DISTINCT_IDS` for each row, then the total under `=`, and then the events
    /// that were passed over, if there are some, as `no-time=NUMBER`.
    fn check(table: &str) {
        for (text, columns) in rows(table) {
            let by = if columns[0] == "day" {
                By::Day
            } else {
                By::Name
            };
            let range = ask("", columns[1]);
            let answer = uniques(&events(columns[2]), by, range.from_ms, range.to_ms);
            let figures =
                |f: Figures| format!("{},{},{}", f.events, f.users, f.users_without_merge);
            let mut parts: Vec<String> = Vec::new();
            for (key, row) in answer.rows {
                parts.push(match key {
                    Key::Name(name) => format!("{name}={}", figures(row)),
                    Key::Day(day) => format!("{day}={}", figures(row)),
                });
            }
            parts.push(format!("={}", figures(answer.total)));
            if answer.without_time > 0 {
                parts.push(format!("no-time={}", answer.without_time));
            }
            assert_eq!(parts.join(" "), columns[3], "{text}");
        }
    }

    #[test]
    fn names_count_events_users_and_distinct_ids() {
        check(
            "
            name | | | =0,0,0
            name | | A:0 | A=1,1,1 =1,1,1
            name | | A:0:d:u A:1s:u:u B:2s:u:u | A=2,1,2 B=1,1,1 =3,1,2
            name | | A:0:d:u A:0:d:w | A=2,2,1 =2,2,1
            # The device of one user is called like another user.
            name | | A:0:u:w B:0:w:u | A=1,1,1 B=1,1,1 =2,2,2
            # Case matters.
            name | | a:0 A:0 | A=1,1,1 a=1,1,1 =2,1,1
            ",
        );
    }

    #[test]
    fn names_are_ordered_by_events_then_users_then_name() {
        check(
            "
            name | | A:0 B:0 B:0 | B=2,1,1 A=1,1,1 =3,1,1
            name | | A:0:x:x A:0:x:x B:0:x:x B:0:y:y | B=2,2,2 A=2,1,1 =4,2,2
            name | | B:0:x:x A:0:y:y é:0 Z:0 z:0 | A=1,1,1 B=1,1,1 Z=1,1,1 z=1,1,1 é=1,1,1 =5,3,3
            # Distinct_ids do not decide.
            name | | B:0:d:u B:0:e:u A:0:u:u A:0:u:u | A=2,1,1 B=2,1,2 =4,1,3
            ",
        );
    }

    #[test]
    fn days_are_of_utc_and_in_order() {
        check(
            "
            day | | B:1d A:0 A:86399999 | 0=2,1,1 1=1,1,1 =3,1,1
            day | | A:-1 A:-86400000 A:-86400001 A:0 | -2=1,1,1 -1=2,1,1 0=1,1,1 =4,1,1
            # No row for a day without events.
            day | | A:9d:x:x A:0:y:y | 0=1,1,1 9=1,1,1 =2,2,2
            # 2024-02-29 and the next day.
            day | | A:1709164800s A:1709251199s A:1709251200s | 19782=2,1,1 19783=1,1,1 =3,1,1
            day | | | =0,0,0
            ",
        );
    }

    #[test]
    fn a_range_has_both_ends() {
        check(
            "
            name | from=1s to=2s | A:999 A:1000 B:2000 B:2001 | A=1,1,1 B=1,1,1 =2,1,1
            name | from=-1s | A:-1001 A:-1000 | A=1,1,1 =1,1,1
            day | to=1d | A:0 A:1d A:86400001 | 0=1,1,1 1=1,1,1 =2,1,1
            ",
        );
    }

    #[test]
    fn a_missing_time_matters_by_day_or_with_a_bound() {
        check(
            "
            name | | A:- A:0 | A=2,1,1 =2,1,1
            day | | A:- A:0 | 0=1,1,1 =1,1,1 no-time=1
            name | from=0 | A:- A:0 | A=1,1,1 =1,1,1 no-time=1
            name | to=0 | A:- B:-:x:x A:0 | A=1,1,1 =1,1,1 no-time=2
            # An event out of the range is not passed over for want of a time.
            name | to=0 | A:1 | =0,0,0
            ",
        );
    }

    #[test]
    fn an_event_of_nobody_is_in_no_figure() {
        check(
            "
            name | | A:0:-:- | =0,0,0
            name | | A:0:-:- A:0:-:- B:0 | B=1,1,1 =1,1,1
            day | | A:0:-:- A:-:-:- | =0,0,0
            name | | A:0:d:- A:0:-:u A:0:d:u | A=3,1,1 =3,1,1
            ",
        );
    }
}
