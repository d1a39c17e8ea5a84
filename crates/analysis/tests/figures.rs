//! Uniques and retention, with figures worked out by hand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test fails by panicking, and a share is computed in one way"
)]

use idmerge_analysis::{
    Analysis, Period, ResolvedEvent, RetentionQuery, Returns, Step, UniquesBy, UniquesQuery,
};
use idmerge_core::DistinctId;
use idmerge_events::JsonEvent;

const DAY: i64 = 24 * 60 * 60 * 1_000;

fn fold<A: Analysis>(analysis: &A, events: &[(&str, &str, &str, Option<i64>)]) -> A::Fold {
    let mut fold = analysis.fold();
    for (user, own, name, time_ms) in events {
        let event = JsonEvent::parse_text(r#"{"event":"","properties":{}}"#).unwrap();
        let event = ResolvedEvent {
            name,
            time_ms: *time_ms,
            properties: event.properties(),
        };
        let [user, own] = [user, own].map(|id| DistinctId::try_from(*id).unwrap());
        if let Some(found) = analysis.read(&event) {
            analysis.add(&mut fold, user, own, found);
        }
    }
    fold
}

const EVENTS: &[(&str, &str, &str, Option<i64>)] = &[
    ("ada", "$device:D1", "View", Some(-1)),
    ("ada", "ada", "View", Some(0)),
    ("ben", "ben", "Buy", Some(DAY - 1)),
    ("ada", "ada", "Buy", Some(9 * DAY)),
    ("ada", "ada", "View", None),
];

#[test]
fn f_10_uniques_of_events_and_of_days() {
    let query = UniquesQuery::new(UniquesBy::Event);
    let report = query.report(fold(&query, EVENTS));
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| {
            let event = row.event.as_deref().unwrap_or_default();
            (event, row.events, row.users, row.users_without_merge)
        })
        .collect();
    assert_eq!(rows, [("View", 3, 1, 2), ("Buy", 2, 2, 2)]);
    let total = &report.total;
    assert_eq!(
        (total.events, total.users, total.users_without_merge),
        (5, 2, 3)
    );

    let query = UniquesQuery::new(UniquesBy::Day);
    let report = query.report(fold(&query, EVENTS));
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.day_ms, row.events, row.users, row.users_without_merge))
        .collect();
    let expected = [
        (Some(-DAY), 1, 1, 1),
        (Some(0), 2, 2, 2),
        (Some(9 * DAY), 1, 1, 1),
    ];
    assert_eq!(rows, expected);
    assert_eq!(report.events_without_time, 1);
}

#[test]
fn f_11_a_period_with_events_has_figures_although_nobody_comes_back() {
    let query = RetentionQuery {
        first: Some(Step::named("View")),
        then: Some(Step::named("Cancel")),
        ..RetentionQuery::default()
    };
    let query = query.retention();
    let events = [
        ("ada", "ada", "View", Some(0)),
        ("ben", "ben", "Buy", Some(2 * DAY)),
        ("ben", "ben", "Buy", None),
    ];
    let report = query.report(fold(&query, &events));
    let [cohort] = &report.cohorts[..] else {
        panic!()
    };
    assert_eq!(cohort.returned, [Returns::default(); 2]);
    // A purchase is no visit of these, so it needs no time.
    assert_eq!(report.events_without_time, 0);
}

#[test]
fn f_11_retention_by_day_and_week() {
    let query = RetentionQuery::default().retention();
    let report = query.report(fold(&query, EVENTS));
    let [first, second] = &report.cohorts[..] else {
        panic!()
    };
    // Ada comes a day earlier on her device; without merge she comes as another user.
    assert_eq!(
        (first.start_ms, first.users, first.users_without_merge),
        (-DAY, 1, 1)
    );
    assert_eq!(first.returned.len(), 7);
    let returns = |users, users_without_merge| Returns {
        users,
        users_without_merge,
    };
    assert_eq!(first.returned[0], returns(1, 0));
    assert_eq!(
        (second.start_ms, second.users, second.users_without_merge),
        (0, 1, 2)
    );
    assert_eq!(second.returned[0], returns(0, 0));
    assert_eq!(report.events_without_time, 1);

    let query = RetentionQuery {
        first: Some(Step::named("View")),
        then: Some(Step::named("Buy")),
        period: Period::Week,
        periods: 3,
        ..RetentionQuery::default()
    };
    let query = query.retention();
    let report = query.report(fold(&query, EVENTS));
    let [cohort] = &report.cohorts[..] else {
        panic!()
    };
    // The week of 1970-01-01 began on Monday, the 29th of December; the last event is in the next but one.
    assert_eq!(
        (cohort.start_ms, cohort.users, cohort.users_without_merge),
        (-3 * DAY, 1, 2)
    );
    assert_eq!(cohort.returned, [returns(1, 1)]);
}
