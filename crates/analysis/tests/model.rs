//! The real funnel against a slow model by another author, over random streams of events.
//!
//! There are few users, names and times, and the times are near the edges of window and grace. The streams are
//! long enough for users to have events dropped that cannot count.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod oracle;

use std::collections::BTreeMap;

use idmerge_analysis::{
    Analysis, Count, Exclusion, FunnelQuery, FunnelReport, Reentry, ResolvedEvent, Step,
};
use idmerge_core::DistinctId;
use idmerge_events::JsonEvent;
use proptest::prelude::*;
use proptest::sample::select;

/// The figures of the real funnel.
fn real(events: &[oracle::Event], question: &oracle::Question) -> FunnelReport {
    let step = |step: &oracle::Step| {
        let conditions = step.equals.as_ref();
        let conditions = conditions.map(|(name, value)| format!("[{name} == \"{value}\"]"));
        Step::parse(&(step.name.clone() + &conditions.unwrap_or_default()))
    };
    let query = FunnelQuery {
        window_ms: question.window_ms,
        grace_ms: question.grace_ms,
        reentry: match question.reentry {
            oracle::Reentry::First => Reentry::First,
            oracle::Reentry::Optimized => Reentry::Optimized,
        },
        count: match question.count {
            oracle::Count::Uniques => Count::Uniques,
            oracle::Count::Totals => Count::Totals,
        },
        hold: question.hold.clone(),
        exclude: question
            .exclude
            .iter()
            .map(|exclusion| Exclusion {
                event: Step::named(&exclusion.name),
                between: exclusion.between,
            })
            .collect(),
        from_ms: question.from_ms,
        // The model includes its last time.
        until_ms: question.to_ms.map(|to| to + 1),
        ..FunnelQuery::new(question.steps.iter().map(step).collect())
    };
    let funnel = query.funnel().unwrap();
    let mut fold = funnel.fold();
    for event in events {
        let (Some(user), Some(own)) = (&event.user, &event.own) else {
            continue;
        };
        let pairs = event.properties.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name:?}:{value:?}"))
            .collect();
        let line = format!(r#"{{"event":"","properties":{{{}}}}}"#, pairs.join(","));
        let json = JsonEvent::parse_text(&line).unwrap();
        let resolved = ResolvedEvent {
            name: &event.name,
            time_ms: event.time_ms,
            properties: json.properties(),
        };
        if let Some(found) = funnel.read(&resolved) {
            let [user, own] = [user, own].map(|id| DistinctId::try_from(&**id).unwrap());
            funnel.add(&mut fold, user, own, found);
        }
    }
    funnel.report(fold)
}

/// The smallest time that this many of a hundred are not above.
fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    let is_enough = |at: &usize| (at + 1) * 100 >= sorted.len() * percent;
    (0..sorted.len()).find(is_enough).map(|at| sorted[at])
}

fn check(events: &[oracle::Event], question: &oracle::Question) -> Result<(), TestCaseError> {
    let report = real(events, question);
    let of = |users: fn(&idmerge_analysis::StepFigures) -> u64| -> Vec<u64> {
        report.steps.iter().map(users).collect()
    };
    prop_assert_eq!(
        of(|step| step.users),
        oracle::reached(events, question, true)
    );
    prop_assert_eq!(
        of(|step| step.users_without_merge),
        oracle::reached(events, question, false)
    );
    let times = oracle::times_ms(events, question, true);
    for (step, times) in report.steps[1..].iter().zip(times) {
        prop_assert_eq!(step.median_ms, percentile(&times, 50));
        prop_assert_eq!(step.p90_ms, percentile(&times, 90));
    }
    Ok(())
}

fn properties() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = || prop::option::weighted(0.8, select(vec!["1", "2"]));
    (value(), value()).prop_map(|(p, q)| {
        let pairs = [("p", p), ("q", q)].into_iter();
        pairs
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect()
    })
}

/// Events of at most three users with four distinct_ids. Times are from 0 to 30, and so are windows.
fn events() -> impl Strategy<Value = Vec<oracle::Event>> {
    let own = prop::option::weighted(0.95, 0..4_usize);
    let time = prop::option::weighted(0.95, 0..30_i64);
    let name = select(vec!["A", "A", "B", "B", "C", "X", "Y"]);
    let event = (own, time, name, properties());
    let users = prop::collection::vec(0..3_usize, 4);
    (prop::collection::vec(event, 0..90), users).prop_map(|(events, users)| {
        let event = |(own, time_ms, name, properties): (Option<usize>, _, &str, _)| oracle::Event {
            user: own.map(|own| format!("u{}", users[own])),
            // The distinct_id of the first device is that of its user.
            own: own.map(|own| match own {
                0 => format!("u{}", users[0]),
                own => format!("$device:d{own}"),
            }),
            time_ms,
            name: name.to_owned(),
            properties,
        };
        events.into_iter().map(event).collect()
    })
}

fn step() -> impl Strategy<Value = oracle::Step> {
    let equals = (select(vec!["p", "q"]), select(vec!["1", "2"]));
    let equals = equals.prop_map(|(name, value)| (name.to_owned(), value.to_owned()));
    (
        select(vec!["A", "B", "C"]),
        prop::option::weighted(0.2, equals),
    )
        .prop_map(|(name, equals)| oracle::Step {
            name: name.to_owned(),
            equals,
        })
}

fn question() -> impl Strategy<Value = oracle::Question> {
    let modes = [
        (oracle::Reentry::First, oracle::Count::Uniques),
        (oracle::Reentry::First, oracle::Count::Totals),
        (oracle::Reentry::Optimized, oracle::Count::Uniques),
    ];
    let hold = select(vec![vec![], vec![], vec!["p"], vec!["p", "q"]]);
    let bound = || prop::option::weighted(0.2, 0..30_i64);
    let excluded = (
        select(vec!["X", "Y", "A", "B"]),
        prop::option::of((1..4_usize, 2..5_usize)),
    );
    (
        prop::collection::vec(step(), 1..5),
        (1..20_i64, 0..4_i64),
        select(modes.to_vec()),
        hold,
        prop::collection::vec(excluded, 0..3),
        (bound(), bound()),
        any::<bool>(),
    )
        .prop_map(
            |(steps, (window_ms, grace_ms), (reentry, count), hold, excluded, range, excludes)| {
                let number = steps.len();
                let exclusion =
                    |(name, between): (&str, Option<(usize, usize)>)| oracle::Exclusion {
                        name: name.to_owned(),
                        between: between.filter(|(from, to)| from < to && *to <= number),
                    };
                let exclude = excluded.into_iter().map(exclusion);
                // The real one refuses an empty range.
                let (from_ms, to_ms) = match range {
                    (Some(from), Some(to)) if from > to => (Some(to), Some(from)),
                    range => range,
                };
                oracle::Question {
                    steps,
                    window_ms,
                    grace_ms: grace_ms.min(window_ms),
                    reentry,
                    count,
                    hold: hold.into_iter().map(str::to_owned).collect(),
                    exclude: exclude.filter(|_| excludes).collect(),
                    from_ms,
                    to_ms,
                    opens_with: None,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn f_3_to_f_7_the_funnel_equals_the_model(events in events(), question in question()) {
        check(&events, &question)?;
    }

    /// The plain funnel, which drops most events of a user early.
    #[test]
    fn f_3_dropped_events_change_nothing(
        mut events in events(),
        window_ms in 1..20_i64,
        grace_ms in 0..4_i64,
        steps in select(vec!["AB", "BA", "ABC", "CBA", "AAB"]),
        is_sorted in any::<bool>(),
    ) {
        if is_sorted {
            events.sort_by_key(|event| event.time_ms);
        }
        for event in &mut events {
            // All events are of one user, who has the most to drop.
            if event.user.is_some() {
                event.user = Some("u".to_owned());
            }
        }
        let step = |name: char| oracle::Step { name: name.to_string(), equals: None };
        let question = oracle::Question {
            steps: steps.chars().map(step).collect(),
            window_ms,
            grace_ms: grace_ms.min(window_ms),
            ..oracle::Question::default()
        };
        check(&events, &question)?;
    }
}
