//! The library of the benches: inputs, rows, clocks and reports.
//!
//! A table has a [`Row`](rows::Row) for each engine and each peer. All rows get the same texts, and
//! their answers are checked before the clock starts. The programs in `src/bin` measure and print a
//! [`Report`](report::Report); `cargo xtask bench` runs them and stores the reports. README.md says
//! what is measured and how to add a row.
//!
//! The workload in memory is a [`Plan`](inputs::links::Plan): users with four devices each, with IDs that
//! are computed from their numbers. Whole programs get a stream of `idmerge-workloads`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "benches read the clock and the memory of the process"
)]

pub mod counts;
pub mod inputs;
pub mod measure;
pub mod probe;
pub mod programs;
pub mod report;
pub mod rows;

use idmerge_original::Original;
use idmerge_simplified::Simplified;
use rows::Entry;
use rows::engines::EngineRow;
use rows::peers::{BehindMap, DisjointSets, Ena, Expert, Map, Petgraph};

/// The rows of the tables in memory, by name.
pub const ROWS: [Entry; 7] = [
    (SIMPLIFIED, || Box::<EngineRow<Simplified>>::default()),
    (ORIGINAL, || Box::<EngineRow<Original>>::default()),
    (EXPERT, || Box::<Expert>::default()),
    (MAP, || Box::<Map>::default()),
    (PETGRAPH, || Box::<BehindMap<Petgraph>>::default()),
    ("ena behind HashMap", || Box::<BehindMap<Ena>>::default()),
    ("disjoint-sets behind HashMap", || {
        Box::<BehindMap<DisjointSets>>::default()
    }),
];

/// The name of a row.
pub const SIMPLIFIED: &str = "simplified";
/// The name of a row.
pub const ORIGINAL: &str = "original";
/// The name of a row that targets refer to.
pub const EXPERT: &str = "hashbrown<u128, u32>, foldhash";
/// The name of a row that targets refer to.
pub const MAP: &str = "HashMap<String, String>";
/// The name of a row that targets refer to.
pub const PETGRAPH: &str = "petgraph behind HashMap";

#[cfg(test)]
mod tests {
    use super::*;
    use inputs::ids::Spelling;
    use inputs::links::Plan;

    #[test]
    fn all_rows_give_the_same_answers() {
        for spelling in [Spelling::Uuid, Spelling::Sdk] {
            let plan = Plan::new(4_000, spelling);
            let links = plan.links(0..plan.devices);
            for (name, make) in ROWS {
                let mut row = make();
                row.apply(&links);
                rows::check(name, &mut *row, &links).unwrap();
                let mut row = make();
                if row.apply_batch(&links) {
                    rows::check(name, &mut *row, &links).unwrap();
                }
                // A device that was never linked resolves to itself.
                let strangers = plan.lookups(100, 100, 1);
                let mut wanted = strangers.iter();
                row = make();
                row.resolve(&strangers, &mut |found| {
                    assert_eq!(wanted.next(), Some(found));
                });
                assert_eq!(wanted.next(), None);
            }
        }
    }

    #[test]
    fn a_row_that_misses_a_link_is_caught() {
        let plan = Plan::new(400, Spelling::Uuid);
        let (all, some) = (plan.links(0..400), plan.links(0..399));
        for (name, make) in ROWS {
            let mut row = make();
            row.apply(&some);
            let error = rows::check(name, &mut *row, &all).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
