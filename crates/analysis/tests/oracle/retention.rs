//! A slow model of retention, written from F-11, F-1, F-2 and F-7 alone.
//!
//! # Decided
//!
//! - R-1 A period is a number: whole days since 1970-01-01, or whole weeks since 1969-12-29, a Monday. Both
//!   are rounded down.
//! - R-2 The range includes `from_ms` and `to_ms`, as D-1. It bounds coming alone. A user who came before the
//!   range and in it has the cohort of the first time in it, even if it is the same week.
//! - R-3 One event can both come and come back, but a return is only in a later period than the cohort's.
//!   An event in the cohort's own period, or before it, is none. Several returns in one period are one.
//! - R-4 The last period is that of the latest event of any name with a usable time that belongs to a user,
//!   with or without ID merge. It is one for both, so both have figures for the same periods. It need not be
//!   in the range, nor after it.
//! - R-5 A cohort has one figure for each period. A figure can be 0.
//! - R-6 An event without an ID belongs to nobody (F-1). It does not make a last period, and it is not counted
//!   among the events that were passed over. An event that is both one of coming and one of coming back is passed
//!   over once.

use std::collections::{BTreeMap, BTreeSet};

use super::{Event, Step, fits};

/// A length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Every {
    /// A day in UTC.
    #[default]
    Day,
    /// A week in UTC, which begins on Monday.
    Week,
}

/// What to count.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The length of a period.
    pub every: Every,
    /// What counts as coming. `None` is any event.
    pub comes: Option<Step>,
    /// What counts as coming back. `None` is any event.
    pub comes_back: Option<Step>,
    /// The greatest number of periods after the cohort's.
    pub periods: usize,
    /// The first time of coming.
    pub from_ms: Option<i64>,
    /// The last time of coming.
    pub to_ms: Option<i64>,
}

/// The users with and without ID merge.
pub type Pair = (u64, u64);

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// For each cohort the first day of its period, since 1970-01-01, its users, and those who come back
    /// in each period after it.
    pub cohorts: Vec<(i64, Pair, Vec<Pair>)>,
    /// The events without a usable time that were passed over.
    pub without_time: u64,
}

/// Counts the users who come back.
pub fn retention(events: &[Event], question: &Question) -> Retention {
    let is = |event: &Event, wanted: &Option<Step>| match wanted {
        None => true,
        Some(step) => fits(event, step),
    };
    let of_somebody: Vec<&Event> = events
        .iter()
        .filter(|event| event.user.is_some() || event.own.is_some())
        .collect();
    let without_time = of_somebody.iter().filter(|event| {
        let is_relevant = is(event, &question.comes) || is(event, &question.comes_back);
        event.time_ms.is_none() && is_relevant
    });
    let times = of_somebody.iter().filter_map(|event| event.time_ms);
    let last = times.map(|time| period(time, question.every)).max();
    // The cohort and the periods of return of a user, or of a distinct_id.
    let visits = |by_user: bool| -> Vec<(i64, BTreeSet<i64>)> {
        let mut histories: BTreeMap<&str, Vec<(i64, &Event)>> = BTreeMap::new();
        for event in &of_somebody {
            let id = if by_user { &event.user } else { &event.own };
            if let (Some(id), Some(time)) = (id, event.time_ms) {
                histories.entry(id).or_default().push((time, event));
            }
        }
        let visits_of = |history: Vec<(i64, &Event)>| {
            let coming = history.iter().filter(|(time, event)| {
                is(event, &question.comes)
                    && question.from_ms.is_none_or(|from| from <= *time)
                    && question.to_ms.is_none_or(|to| *time <= to)
            });
            let cohort = period(coming.map(|(time, _)| *time).min()?, question.every);
            let returns = history
                .iter()
                .filter(|(_, event)| is(event, &question.comes_back))
                .map(|(time, _)| period(*time, question.every))
                .filter(|period| *period > cohort);
            Some((cohort, returns.collect()))
        };
        histories.into_values().filter_map(visits_of).collect()
    };
    let (with, without) = (visits(true), visits(false));
    let all: BTreeSet<i64> = with
        .iter()
        .chain(&without)
        .map(|(cohort, _)| *cohort)
        .collect();
    let cohort = |cohort: i64| {
        let count = |visits: &[(i64, BTreeSet<i64>)], returned: Option<i64>| {
            let of_cohort = visits.iter().filter(|(begin, _)| *begin == cohort);
            let counted = of_cohort.filter(|(_, all)| returned.is_none_or(|at| all.contains(&at)));
            counted.count() as u64
        };
        let pair = |returned| (count(&with, returned), count(&without, returned));
        let after = (cohort + 1..=last.unwrap()).take(question.periods);
        let returns = after.map(|period| pair(Some(period))).collect();
        (first_day(cohort, question.every), pair(None), returns)
    };
    Retention {
        cohorts: all.into_iter().map(cohort).collect(),
        without_time: without_time.count() as u64,
    }
}

/// The number of the period that has this time.
fn period(time_ms: i64, every: Every) -> i64 {
    let day = time_ms.div_euclid(86_400_000);
    match every {
        Every::Day => day,
        // 1970-01-01 was a Thursday.
        Every::Week => (day + 3).div_euclid(7),
    }
}

/// The day with which a period begins.
fn first_day(period: i64, every: Every) -> i64 {
    match every {
        Every::Day => period,
        Every::Week => period * 7 - 3,
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::{ask, events, rows};
    use super::*;

    /// Rows `COMES > COMES_BACK | OPTIONS | EVENTS | ANSWER`. `*` is any event. The options are `week`,
    /// `periods=N`, and the range as in the cases of funnels; 7 periods unless changed. The answer has for
    /// each cohort `FIRST_DAY=USERS:RETURNS,RETURNS,…`, each figure as `WITH/WITHOUT` if the two differ, and
    /// then the events that were passed over, if there are some, as `no-time=NUMBER`.
    fn check(table: &str) {
        for (text, columns) in rows(table) {
            let (comes, comes_back) = columns[0].split_once('>').unwrap();
            let step = |text: &str| match text.trim() {
                "*" => None,
                text => Some(ask(text, "").steps.remove(0)),
            };
            let mut question = Question {
                comes: step(comes),
                comes_back: step(comes_back),
                periods: 7,
                ..Question::default()
            };
            for option in columns[1].split_whitespace() {
                match option.split_once('=') {
                    None => question.every = Every::Week,
                    Some(("periods", number)) => question.periods = number.parse().unwrap(),
                    Some(("from", _)) => question.from_ms = ask("", option).from_ms,
                    _ => question.to_ms = ask("", option).to_ms,
                }
            }
            let answer = retention(&events(columns[2]), &question);
            let pair = |(with, without): &Pair| match with == without {
                true => with.to_string(),
                false => format!("{with}/{without}"),
            };
            let mut parts: Vec<String> = Vec::new();
            for (day, users, returns) in &answer.cohorts {
                let returns: Vec<String> = returns.iter().map(pair).collect();
                parts.push(format!("{day}={}:{}", pair(users), returns.join(",")));
            }
            if answer.without_time > 0 {
                parts.push(format!("no-time={}", answer.without_time));
            }
            assert_eq!(parts.join(" "), columns[3], "{text}");
        }
    }

    #[test]
    fn a_return_is_in_a_later_period() {
        check(
            "
            * > * | | |
            * > * | | A:0 | 0=1:
            * > * | | A:0 A:86399999 | 0=1:
            * > * | | A:0 A:1d | 0=1:1
            * > * | | A:86399999 A:1d | 0=1:1
            * > * | | A:0 A:2d | 0=1:0,1
            # Several returns of a user in a period are one.
            * > * | | A:0 A:1d B:1d A:1d | 0=1:1
            * > * | | A:0:x:x A:0:y:y A:1d:x:x A:2d:y:y | 0=2:1,1
            # Arrival does not matter.
            * > * | | A:2d A:0 A:1d | 0=1:1,1
            ",
        );
    }

    #[test]
    fn figures_go_up_to_the_last_period_of_any_event() {
        check(
            "
            * > * | | A:0:x:x A:3d:y:y | 0=1:0,0,0 3=1:
            A > A | | A:0:x:x X:3d:y:y | 0=1:0,0,0
            A > A | to=0 | A:0:x:x A:2d:y:y | 0=1:0,0
            # An event without an ID belongs to no user, so it makes no last period.
            A > A | | A:0:x:x X:3d:-:- | 0=1:
            A > A | | A:0:x:x X:1d:d:- | 0=1:0
            A > A | | A:0:x:x X:-:y:y | 0=1:
            * > * | | A:0 A:9d | 0=1:0,0,0,0,0,0,0
            * > * | periods=2 | A:0 A:1d A:9d | 0=1:1,0
            * > * | periods=9 | A:0 A:9d | 0=1:0,0,0,0,0,0,0,0,1
            * > * | periods=1 | A:0 | 0=1:
            ",
        );
    }

    #[test]
    fn steps_say_what_counts() {
        check(
            "
            A > B | | A:0 A:1d B:2d | 0=1:0,1
            A > B | | B:0 A:1d B:2d | 1=1:1
            A > B | | B:0 B:2d |
            A > * | | B:0 A:1d X:2d | 1=1:1
            * > B | | X:0 A:1d B:2d | 0=1:0,1
            A > A | | A:0 A:1d B:2d | 0=1:1,0
            # Coming back on the day of the cohort is none, before or after coming.
            A > B | | B:0 A:1s B:2s X:1d | 0=1:0
            # One event is both.
            A/p=1 > A | | A/p=1:0 A/p=1:1d A/p=2:2d | 0=1:1,1
            A > A/p=1 | | A/p=1:0 A:1d A/p=1:2d | 0=1:0,1
            A/p=1 > A/p=2 | | A/p=2:0 A/p=1:1d A/p=2:2d A:3d | 1=1:1,0
            ",
        );
    }

    #[test]
    fn the_range_bounds_coming() {
        check(
            "
            * > * | from=1d | A:0 A:1d A:2d | 1=1:1
            * > * | from=1d to=1d | A:86399999 A:86400000 A:2d | 1=1:1
            * > * | from=86400001 to=2d | A:1d A:172800000 A:3d | 2=1:1
            * > * | to=0 | A:1 |
            # Who came before the range, and not in it, has no cohort.
            * > * | from=1d to=1d | A:0:x:x A:2d:x:x A:1d:y:y | 1=1:0
            # Who came in the week before the range began has a cohort of the same week.
            * > * | week from=5d | A:4d A:5d A:11d | 4=1:1
            A > B | to=1d | A:0 B:5d | 0=1:0,0,0,0,1
            ",
        );
    }

    #[test]
    fn days_before_1970_are_days() {
        check(
            "
            * > * | | A:-1 A:0 | -1=1:1
            * > * | | A:-86400001 A:-86400000 A:-1 | -2=1:1
            * > * | | A:-3d:x:x A:0:x:x | -3=1:0,0,1
            * > * | from=-1s | A:-1001 A:-1000 A:1d | -1=1:0,1
            ",
        );
    }

    #[test]
    fn weeks_begin_on_monday_in_utc() {
        check(
            "
            # 1970-01-01 was a Thursday: Sunday is day 3, Monday is day 4, and the Monday before is day -3.
            * > * | week | A:0 A:3d | -3=1:
            * > * | week | A:0 A:345599999 A:4d | -3=1:1
            * > * | week | A:-3d A:-259200001 | -10=1:1
            # 2020-12-31 is a Thursday, 2021-01-03 a Sunday, 2021-01-04 a Monday. The week begins on 2020-12-28.
            * > * | week | A:18627d A:18630d | 18624=1:
            * > * | week | A:18627d A:18631d | 18624=1:1
            # 2023-12-31 is a Sunday, 2024-01-01 a Monday.
            * > * | week | A:19722d A:19723d | 19716=1:1
            # 2024-12-30 is a Monday, and 2025-01-01 is in its week.
            * > * | week | A:20087d A:20089d A:20094d | 20087=1:1
            # 2012-02-26 to 2012-03-05: a Sunday, a leap day, and the Monday after it.
            * > * | week | A:15396d A:15399d A:15404d | 15390=1:1,1
            ",
        );
    }

    #[test]
    fn without_merge_each_distinct_id_has_a_cohort() {
        check(
            "
            * > * | | A:0:d:u A:1d:u:u | 0=1:1/0 1=0/1:
            * > * | | A:0:d:u A:1d:u:u A:2d:u:u | 0=1:1/0,1/0 1=0/1:0/1
            * > * | | A:0:d:u A:0:e:u A:1d:d:u | 0=1/2:1
            # The device of one user is called like another user.
            * > * | | A:0:u:w A:1d:u:u A:1d:w:w | 0=1:1 1=1:
            * > * | | A:0:u:w A:0:w:u A:2d:u:u | 0=2:0,1
            A > B | | A:0:d:u B:1d:u:u | 0=1:1/0
            # Each of the two reads its own ID.
            * > * | | A:0:d:- A:0:-:u A:1d:d:u | 0=1:1
            * > * | | A:0:d:- A:1d:d:u | 0=0/1:0/1 1=1/0:
            * > * | | A:0:-:- |
            ",
        );
    }

    #[test]
    fn a_missing_time_is_passed_over_and_counted_if_it_matters() {
        check(
            "
            * > * | | A:- | no-time=1
            * > * | | A:0 A:- B:- | 0=1: no-time=2
            A > B | | A:0 A:- B:- X:- | 0=1: no-time=2
            A > A | | A:0 A:- B:- | 0=1: no-time=1
            A > * | | X:- | no-time=1
            A/p=1 > A/p=2 | | A:- A/p=1:- A/p=2:- A/p=3:- | no-time=2
            * > * | from=0 | A:- | no-time=1
            * > * | | A:-:-:- |
            ",
        );
    }
}
