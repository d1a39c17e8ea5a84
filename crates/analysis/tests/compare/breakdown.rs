//! Breakdowns (F-8).

use std::collections::BTreeMap;

use idmerge_analysis::{Breakdown, Touch};
use proptest::prelude::*;
use proptest::sample::select;

use super::canonical;
use crate::oracle::{breakdown, values};
use crate::{check, question, real, times_ms};

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn f_8_a_breakdown_equals_the_model(
        events in super::events(times_ms()),
        question in question(),
        property in select(vec!["p", "q"]),
        (touch, model_touch) in select(vec![
            (Touch::First, breakdown::Touch::First),
            (Touch::Last, breakdown::Touch::Last),
            (Touch::Each, breakdown::Touch::Each),
        ]),
    ) {
        let by = Breakdown { property: property.to_owned(), touch };
        let report = real(&events, &question, Some(by));
        let (events, question) = (canonical(&events), crate::canonical(&question));
        check(&report, &events, &question)?;
        let mut rows = BTreeMap::new();
        for row in &report.breakdown {
            let value = row.json.as_deref().and_then(values::canonical);
            let figures = breakdown::Row {
                users: row.users,
                converted: row.converted,
                users_without_merge: row.users_without_merge,
                converted_without_merge: row.converted_without_merge,
            };
            prop_assert_eq!(rows.insert(value, figures), None, "two rows of {:?}", row.json);
        }
        prop_assert_eq!(rows, breakdown::breakdown(&events, &question, property, model_touch));
        prop_assert!(report.breakdown.is_sorted_by_key(|row| std::cmp::Reverse(row.users)));
    }
}
