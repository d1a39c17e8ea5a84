//! Retention (F-11).

use idmerge_analysis::{Cohort, DAY_MS, Period, RetentionQuery, Returns};
use proptest::prelude::*;
use proptest::sample::select;

use super::{canonical, canonical_step, days, fold, real_step, step};
use crate::oracle::retention::{self, Every, Question, Retention};

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn f_11_retention_equals_the_model(
        (events, (from_ms, to_ms)) in days(),
        (comes, comes_back) in (prop::option::of(step()), prop::option::of(step())),
        (period, every) in select(vec![(Period::Day, Every::Day), (Period::Week, Every::Week)]),
        periods in select(vec![0, 1, 2, 7, 30]),
    ) {
        let query = RetentionQuery {
            first: comes.as_ref().map(real_step),
            then: comes_back.as_ref().map(real_step),
            period,
            periods,
            from_ms,
            // The model includes its last time.
            until_ms: to_ms.map(|to| to + 1),
        };
        let analysis = query.retention();
        let report = analysis.report(fold(&analysis, &events));
        let returns = |returns: &Returns| (returns.users, returns.users_without_merge);
        let cohort = |cohort: &Cohort| {
            assert_eq!(cohort.start_ms % DAY_MS, 0, "{cohort:?}");
            (
                cohort.start_ms / DAY_MS,
                (cohort.users, cohort.users_without_merge),
                cohort.returned.iter().map(returns).collect(),
            )
        };
        let found = Retention {
            cohorts: report.cohorts.iter().map(cohort).collect(),
            without_time: report.events_without_time,
        };
        let question = Question {
            every,
            comes: comes.as_ref().map(canonical_step),
            comes_back: comes_back.as_ref().map(canonical_step),
            periods,
            from_ms,
            to_ms,
        };
        prop_assert_eq!(found, retention::retention(&canonical(&events), &question));
    }
}
