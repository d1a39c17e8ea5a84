//! Funnels, with figures worked out by hand from rules F-1 to F-7 of `docs/rules.md`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test fails by panicking, and a share is computed in one way"
)]

use idmerge_analysis::{
    Analysis, Breakdown, Count, Exclusion, Funnel, FunnelQuery, FunnelReport, QueryError, Reentry,
    ResolvedEvent, Step, Touch,
};
use idmerge_core::DistinctId;
use idmerge_events::JsonEvent;

const S: i64 = 1_000;
const DAY: i64 = 24 * 60 * 60 * S;

/// An event of a user: the canonical ID, the own one, the name, the time, the properties.
type Event<'e> = (&'e str, &'e str, &'e str, Option<i64>, &'e str);

/// The figures of these events. Some numbers of users and orders of the same events are tried.
#[track_caller]
fn report(query: FunnelQuery, events: &[Event<'_>]) -> FunnelReport {
    let funnel = query.funnel().unwrap();
    let mut fold = funnel.fold();
    add_all(&funnel, &mut fold, events);
    funnel.report(fold)
}

fn add_all(funnel: &Funnel, fold: &mut idmerge_analysis::FunnelFold, events: &[Event<'_>]) {
    for (user, own, name, time_ms, properties) in events {
        let line = format!(r#"{{"event":"","properties":{properties}}}"#);
        let event = JsonEvent::parse_text(&line).unwrap();
        let event = ResolvedEvent {
            name,
            time_ms: *time_ms,
            properties: event.properties(),
        };
        if let Some(found) = funnel.read(&event) {
            let [user, own] = [user, own].map(|id| DistinctId::try_from(*id).unwrap());
            funnel.add(fold, user, own, found);
        }
    }
}

fn steps(names: &str) -> FunnelQuery {
    FunnelQuery::new(names.split_whitespace().map(Step::parse).collect())
}

/// The users at each step, for events of one user.
#[track_caller]
fn users(query: FunnelQuery, events: &[(&str, i64)]) -> Vec<u64> {
    let events: Vec<Event<'_>> = events
        .iter()
        .map(|(name, time_ms)| ("u", "u", *name, Some(*time_ms), "{}"))
        .collect();
    let report = report(query, &events);
    report.steps.iter().map(|step| step.users).collect()
}

#[test]
fn f_1_a_user_is_the_canonical_id_and_each_own_id_is_one_without_merge() {
    let events = [
        ("ada", "$device:D1", "A", Some(0), "{}"),
        ("ada", "ada", "B", Some(DAY), "{}"),
        ("ada", "$device:D2", "A", Some(DAY), "{}"),
        ("ben", "ben", "A", Some(0), "{}"),
        ("ben", "ben", "B", Some(5 * S), "{}"),
    ];
    let report = report(steps("A B"), &events);
    let [a, b] = &report.steps[..] else { panic!() };
    assert_eq!((a.users, a.users_without_merge, a.difference), (2, 3, -1));
    assert_eq!((b.users, b.users_without_merge, b.difference), (2, 1, 1));
    assert_eq!((b.conversion, b.conversion_from_previous), (1.0, 1.0));
    assert_eq!(b.conversion_without_merge, 1.0 / 3.0);
    assert_eq!((b.median_ms, b.p90_ms), (Some(5 * S), Some(DAY)));
    assert_eq!((a.median_ms, a.conversion), (None, 1.0));
}

#[test]
fn f_2_events_are_in_the_order_of_their_times_and_equal_ones_as_they_came() {
    let query = || FunnelQuery {
        grace_ms: 0,
        ..steps("A B")
    };
    assert_eq!(users(query(), &[("B", 2), ("A", 1)]), [1, 1]);
    assert_eq!(users(query(), &[("A", 1), ("B", 1)]), [1, 1]);
    assert_eq!(users(query(), &[("B", 1), ("A", 1)]), [1, 0]);
}

#[test]
fn f_3_later_events_of_the_first_step_do_not_renew_the_window() {
    let events = [("A", 0), ("A", 10 * DAY), ("B", 12 * DAY)];
    assert_eq!(users(steps("A B"), &events), [1, 0]);
    // The window includes its last moment, and goes on from the opening for every step.
    assert_eq!(
        users(steps("A B C"), &[("A", 0), ("B", DAY), ("C", 7 * DAY)]),
        [1, 1, 1]
    );
    assert_eq!(
        users(steps("A B C"), &[("A", 0), ("B", DAY), ("C", 7 * DAY + 1)]),
        [1, 1, 0]
    );
    // An event is one step.
    assert_eq!(users(steps("A A"), &[("A", 0)]), [1, 0]);
    assert_eq!(users(steps("A A"), &[("A", 0), ("A", 0)]), [1, 1]);
    assert_eq!(
        users(steps("A B A B"), &[("A", 0), ("B", 1), ("A", 9), ("B", 8)]),
        [1; 4]
    );
}

#[test]
fn f_3_entries_open_in_the_range_and_steps_can_be_later() {
    let query = |from_ms, until_ms| FunnelQuery {
        from_ms,
        until_ms,
        ..steps("A B")
    };
    let events = [("A", 0), ("A", DAY), ("B", 3 * DAY)];
    assert_eq!(users(query(Some(DAY), Some(2 * DAY)), &events), [1, 1]);
    assert_eq!(users(query(Some(DAY + 1), None), &events), [0, 0]);
    assert_eq!(users(query(None, Some(0)), &events), [0, 0]);
    assert_eq!(users(query(None, Some(1)), &events), [1, 1]);
    let late = [("A", DAY - 1), ("B", 8 * DAY)];
    assert_eq!(users(query(None, Some(DAY)), &late), [1, 0]);
}

#[test]
fn f_3_an_event_without_a_time_is_passed_over_and_counted() {
    let events = [
        ("u", "u", "A", None, "{}"),
        ("u", "u", "A", Some(0), "{}"),
        ("u", "u", "B", None, "{}"),
        ("u", "u", "X", None, "{}"),
    ];
    let report = report(steps("A B"), &events);
    assert_eq!(report.steps[1].users, 0);
    assert_eq!(report.events_without_time, 2);
}

#[test]
fn f_4_optimized_takes_the_entry_that_gets_furthest() {
    let query = || FunnelQuery {
        reentry: Reentry::Optimized,
        ..steps("A B C")
    };
    let events = [("A", 0), ("A", 10 * DAY), ("B", 12 * DAY)];
    assert_eq!(users(query(), &events), [1, 1, 0]);
    let report = report(
        query(),
        &events.map(|(name, at)| ("u", "u", name, Some(at), "{}")),
    );
    assert_eq!(report.steps[1].median_ms, Some(2 * DAY));
}

#[test]
fn f_4_totals_open_another_entry_after_the_end_of_one() {
    let query = || FunnelQuery {
        count: Count::Totals,
        ..steps("A B")
    };
    // Done, and then again.
    assert_eq!(
        users(
            query(),
            &[("A", 0), ("B", 5 * S), ("A", 9 * S), ("B", 15 * S)]
        ),
        [2, 2]
    );
    // While an entry is open, no other one opens.
    assert_eq!(
        users(query(), &[("A", 0), ("A", 5 * S), ("B", 9 * S)]),
        [1, 1]
    );
    // Timed out: the second one is within the window, the third is not.
    let events = [("A", 0), ("A", 7 * DAY), ("A", 7 * DAY + 1), ("B", 8 * DAY)];
    assert_eq!(users(query(), &events), [2, 1]);
    // Excluded: the event that excludes opens no entry.
    let mut query = query();
    query.exclude = vec![Exclusion {
        event: Step::named("A"),
        between: None,
    }];
    assert_eq!(
        users(
            query,
            &[("A", 0), ("A", 5 * S), ("A", 9 * S), ("B", 15 * S)]
        ),
        [2, 1]
    );
}

#[test]
fn f_5_steps_within_the_grace_count_in_either_order() {
    assert_eq!(users(steps("A B"), &[("B", 0), ("A", 2 * S)]), [1, 1]);
    assert_eq!(users(steps("A B"), &[("B", 0), ("A", 2 * S + 1)]), [1, 0]);
    // The grace is to the time at which the step before was reached.
    let events = [("C", 0), ("B", 2 * S), ("A", 3 * S)];
    assert_eq!(users(steps("A B C"), &events), [1, 1, 0]);
    assert_eq!(
        users(steps("A B C"), &[("C", S), ("B", 2 * S), ("A", 3 * S)]),
        [1, 1, 1]
    );
    let query = FunnelQuery {
        grace_ms: 0,
        ..steps("A B")
    };
    assert_eq!(users(query, &[("B", 0), ("A", 1)]), [1, 0]);
    // The time from the step before is never negative.
    let report = report(
        steps("A B"),
        &[
            ("u", "u", "B", Some(0), "{}"),
            ("u", "u", "A", Some(S), "{}"),
        ],
    );
    assert_eq!(report.steps[1].median_ms, Some(0));
}

#[test]
fn f_6_held_properties_have_the_value_of_the_opening() {
    let query = FunnelQuery {
        hold: vec!["item".to_owned()],
        ..steps("A B")
    };
    let event = |user, name, at, properties| (user, user, name, Some(at), properties);
    let events = [
        event("u", "A", 0, r#"{"item":1}"#),
        event("u", "B", 5 * S, r#"{"item":2}"#),
        event("u", "B", 9 * S, r#"{"item":1.0}"#),
        event("v", "A", 0, r#"{"item":1}"#),
        event("v", "A", 3 * S, r#"{"item":"1"}"#),
        event("v", "B", 5 * S, r#"{"item":"1"}"#),
        event("w", "A", 0, "{}"),
        event("w", "B", 5 * S, "{}"),
    ];
    let report = report(query, &events);
    assert_eq!((report.steps[0].users, report.steps[1].users), (3, 1));
    assert_eq!(report.steps[1].median_ms, Some(9 * S));
}

#[test]
fn f_6_an_excluded_event_between_two_steps_ends_the_entry() {
    let query = |between| FunnelQuery {
        exclude: vec![Exclusion {
            event: Step::named("X"),
            between,
        }],
        ..steps("A B C")
    };
    let at_b = [("A", 0), ("X", 5 * S), ("B", 9 * S), ("C", 15 * S)];
    let at_c = [("A", 0), ("B", 5 * S), ("X", 9 * S), ("C", 15 * S)];
    assert_eq!(users(query(None), &at_b), [1, 0, 0]);
    assert_eq!(users(query(None), &at_c), [1, 1, 0]);
    assert_eq!(users(query(Some((2, 3))), &at_b), [1, 1, 1]);
    assert_eq!(users(query(Some((2, 3))), &at_c), [1, 1, 0]);
    assert_eq!(users(query(Some((1, 2))), &at_c), [1, 1, 1]);
    // Before the first step and after the last it does not matter.
    let around = [
        ("X", 0),
        ("A", 5 * S),
        ("B", 9 * S),
        ("C", 15 * S),
        ("X", 20 * S),
    ];
    assert_eq!(users(query(None), &around), [1, 1, 1]);
}

#[test]
fn f_7_a_step_has_conditions() {
    let query = FunnelQuery::new(vec![
        Step::parse(r#"View [path == "/blog"]"#),
        Step::parse("Clicked [CTA]"),
    ]);
    let event = |user, name, properties| (user, user, name, Some(0), properties);
    let events = [
        event("u", "View", r#"{"path":"/blog"}"#),
        event("u", "Clicked [CTA]", "{}"),
        event("v", "View", r#"{"path":"/"}"#),
        event("v", "Clicked [CTA]", "{}"),
    ];
    let report = report(query, &events);
    assert_eq!((report.steps[0].users, report.steps[1].users), (1, 1));
    assert_eq!(report.steps[0].event, r#"View [path == "/blog"]"#);
}

#[test]
fn f_8_a_breakdown_attributes_each_entry_to_a_value() {
    let events: Vec<Event<'_>> = vec![
        ("u", "D1", "A", Some(0), r#"{"utm":"x"}"#),
        ("u", "D1", "A", Some(S), r#"{"utm":"y"}"#),
        ("u", "u", "B", Some(9 * S), r#"{"utm":"z"}"#),
        ("v", "v", "A", Some(0), "{}"),
        ("v", "v", "B", Some(9 * S), r#"{"utm":"z"}"#),
        ("w", "w", "A", Some(0), "{}"),
    ];
    let rows = |touch| {
        let query = FunnelQuery {
            by: Some(Breakdown {
                property: "utm".to_owned(),
                touch,
            }),
            ..steps("A B")
        };
        let report = report(query, &events);
        let mut rows: Vec<_> = report
            .breakdown
            .iter()
            .map(|row| {
                let text = row.text().unwrap_or_default();
                let merged = (row.users, row.converted);
                (
                    text,
                    merged,
                    (row.users_without_merge, row.converted_without_merge),
                )
            })
            .collect();
        rows.sort();
        rows
    };
    let row = |text: &str, merged, own| (text.to_owned(), merged, own);
    let first = [
        row("", (1, 0), (1, 0)),
        row("x", (1, 1), (1, 0)),
        row("z", (1, 1), (1, 1)),
    ];
    assert_eq!(rows(Touch::First), first);
    let last = [
        row("", (1, 0), (1, 0)),
        row("x", (0, 0), (1, 0)),
        row("z", (2, 2), (1, 1)),
    ];
    assert_eq!(rows(Touch::Last), last);
    let each = [
        row("", (2, 1), (2, 1)),
        row("x", (1, 1), (1, 0)),
        row("y", (1, 1), (1, 0)),
    ];
    assert_eq!(rows(Touch::Each), each);
}

#[test]
fn f_8_a_query_has_bounds() {
    let check = |change: fn(&mut FunnelQuery)| {
        let mut query = steps("A B");
        change(&mut query);
        query.funnel().map(drop)
    };
    assert_eq!(
        check(|query| query.steps.clear()),
        Err(QueryError::Steps { count: 0 })
    );
    assert!(check(|query| query.steps = vec![Step::named("A"); 100]).is_ok());
    assert!(check(|query| query.steps = vec![Step::named("A"); 101]).is_err());
    assert!(check(|query| query.window_ms = 0).is_err());
    assert!(check(|query| query.window_ms = 366 * DAY).is_ok());
    assert!(check(|query| query.window_ms = 366 * DAY + 1).is_err());
    assert!(check(|query| query.grace_ms = -1).is_err());
    assert!(check(|query| query.hold = vec![String::new(); 4]).is_err());
    assert!(check(|query| (query.from_ms, query.until_ms) = (Some(1), Some(1))).is_err());
    for (from, to) in [(0, 1), (1, 1), (2, 1), (1, 3)] {
        let mut query = steps("A B");
        query.exclude = vec![Exclusion {
            event: Step::named("X"),
            between: Some((from, to)),
        }];
        assert!(query.funnel().is_err(), "{from} {to}");
    }
    let both = |query: &mut FunnelQuery| {
        query.count = Count::Totals;
        query.reentry = Reentry::Optimized;
    };
    assert_eq!(check(both), Err(QueryError::TotalsOptimized));
}

#[test]
fn events_of_a_user_that_cannot_count_are_dropped() {
    let funnel = steps("A B").funnel().unwrap();
    let mut fold = funnel.fold();
    let views: Vec<Event<'_>> = (0..10_000)
        .map(|at| ("u", "u", "A", Some(at), "{}"))
        .collect();
    add_all(&funnel, &mut fold, &views);
    assert!(fold.bytes_held() < 4_096, "{}", fold.bytes_held());
    let others: Vec<Event<'_>> = (0..10_000)
        .map(|at| ("u", "u", "B", Some(at), "{}"))
        .collect();
    add_all(&funnel, &mut fold, &others);
    assert!(fold.bytes_held() < 4_096, "{}", fold.bytes_held());
    assert_eq!(funnel.report(fold).steps[1].users, 1);
}
