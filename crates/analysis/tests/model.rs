//! The real analyses against slow models by other authors, over random streams of events. Here are funnels;
//! `compare` has breakdowns, uniques and retention.
//!
//! There are few users, names and times, and the times are near the edges of window and grace. The streams are
//! long enough for users to have events dropped that cannot count.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod compare;
mod oracle;

use idmerge_analysis::{
    Breakdown, Count, Exclusion, FunnelQuery, FunnelReport, Reentry, Step, StepFigures,
};
use proptest::prelude::*;
use proptest::sample::select;

/// The figures of the real funnel.
fn real(
    events: &[oracle::Event],
    question: &oracle::Question,
    by: Option<Breakdown>,
) -> FunnelReport {
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
        by,
        ..FunnelQuery::new(question.steps.iter().map(compare::real_step).collect())
    };
    let funnel = query.funnel().unwrap();
    funnel.report(compare::fold(&funnel, events))
}

/// The smallest time that this many of a hundred are not above.
fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    let is_enough = |at: &usize| (at + 1) * 100 >= sorted.len() * percent;
    (0..sorted.len()).find(is_enough).map(|at| sorted[at])
}

/// Checks the figures of the steps. `events` and `question` are those of the model.
fn check(
    report: &FunnelReport,
    events: &[oracle::Event],
    question: &oracle::Question,
) -> Result<(), TestCaseError> {
    let of =
        |users: fn(&StepFigures) -> u64| -> Vec<u64> { report.steps.iter().map(users).collect() };
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

/// The question as the model reads it.
fn canonical(question: &oracle::Question) -> oracle::Question {
    let steps = question.steps.iter().map(compare::canonical_step).collect();
    oracle::Question {
        steps,
        ..question.clone()
    }
}

/// Times are from 0 to 30, and so are windows.
fn times_ms() -> BoxedStrategy<i64> {
    (0..30_i64).boxed()
}

fn question() -> impl Strategy<Value = oracle::Question> {
    let modes = [
        (oracle::Reentry::First, oracle::Count::Uniques),
        (oracle::Reentry::First, oracle::Count::Totals),
        (oracle::Reentry::Optimized, oracle::Count::Uniques),
    ];
    let hold = select(vec![vec![], vec![], vec!["p"], vec!["p", "q"]]);
    let excluded = (
        select(vec!["X", "Y", "A", "B"]),
        prop::option::of((1..4_usize, 2..5_usize)),
    );
    (
        prop::collection::vec(compare::step(), 1..5),
        (1..20_i64, 0..4_i64),
        select(modes.to_vec()),
        hold,
        prop::collection::vec(excluded, 0..3),
        compare::range(times_ms()),
        any::<bool>(),
    )
        .prop_map(
            |(
                steps,
                (window_ms, grace_ms),
                (reentry, count),
                hold,
                excluded,
                (from_ms, to_ms),
                excludes,
            )| {
                let number = steps.len();
                let exclusion =
                    |(name, between): (&str, Option<(usize, usize)>)| oracle::Exclusion {
                        name: name.to_owned(),
                        between: between.filter(|(from, to)| from < to && *to <= number),
                    };
                let exclude = excluded.into_iter().map(exclusion);
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
    fn f_3_to_f_7_the_funnel_equals_the_model(
        events in compare::events(times_ms()),
        question in question(),
    ) {
        let report = real(&events, &question, None);
        check(&report, &compare::canonical(&events), &canonical(&question))?;
    }

    /// The plain funnel, which drops most events of a user early.
    #[test]
    fn f_3_dropped_events_change_nothing(
        mut events in compare::events(times_ms()),
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
        let report = real(&events, &question, None);
        check(&report, &compare::canonical(&events), &question)?;
    }
}
