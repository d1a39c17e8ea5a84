//! Uniques (F-10).

use idmerge_analysis::{DAY_MS, UniquesBy, UniquesQuery, UniquesRow};
use proptest::prelude::*;
use proptest::sample::select;

use super::{canonical, days, fold};
use crate::oracle::uniques::{self, By, Figures, Key, Uniques};

fn figures(row: &UniquesRow) -> Figures {
    Figures {
        events: row.events,
        users: row.users,
        users_without_merge: row.users_without_merge,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn f_10_uniques_equal_the_model(
        (events, (from_ms, to_ms)) in days(),
        (by, model_by) in select(vec![(UniquesBy::Event, By::Name), (UniquesBy::Day, By::Day)]),
    ) {
        let mut query = UniquesQuery::new(by);
        query.from_ms = from_ms;
        // The model includes its last time.
        query.until_ms = to_ms.map(|to| to + 1);
        let report = query.report(fold(&query, &events));
        let row = |row: &UniquesRow| {
            let key = match (&row.event, row.day_ms) {
                (Some(name), None) => Key::Name(name.clone()),
                (None, Some(day_ms)) if day_ms % DAY_MS == 0 => Key::Day(day_ms / DAY_MS),
                other => panic!("a row of {other:?}"),
            };
            (key, figures(row))
        };
        let found = Uniques {
            rows: report.rows.iter().map(row).collect(),
            total: figures(&report.total),
            without_time: report.events_without_time,
        };
        prop_assert_eq!(found, uniques::uniques(&canonical(&events), model_by, from_ms, to_ms));
    }
}
