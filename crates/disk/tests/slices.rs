//! A merge of runs changes a bounded number of pages between two calls of `give_way`, and every pair is found
//! meanwhile.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;

use redb::Database;
use redb::backends::InMemoryBackend;

#[path = "support/runs.rs"]
mod support;

use support::{RUNS, found, pages};

/// The most pages that one transaction may write or remove.
const PAGES_PER_COMMIT: u64 = 64;

/// A run of this many pairs has 100 pages.
const PAIRS: u64 = 100_000;

/// The pairs of run `run`. Some keys are in each run.
fn pairs(run: u64) -> Vec<(u64, u64)> {
    let key = |at: u64| at.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..PAIRS).map(|at| (key(at), run)).collect()
}

fn add(database: &Database, run: u64) {
    support::add(database, pairs(run), run);
}

#[test]
fn a_merge_gives_way_after_a_bounded_number_of_pages() {
    let memory = InMemoryBackend::new();
    let database = Database::builder().create_with_backend(memory).unwrap();
    (0..8).for_each(|run| add(&database, run));
    let (key, _) = pairs(0)[4_321];
    let (last, turns, added) = (Cell::new(pages(&database)), Cell::new(0), Cell::new(8));
    assert_eq!(last.get(), 800);
    let give_way = || {
        let changed = pages(&database).abs_diff(last.get());
        assert!(changed <= PAGES_PER_COMMIT, "{changed} pages in one turn");
        turns.set(turns.get() + 1);
        // Others write meanwhile, also while the pages of merged runs are removed.
        if turns.get() % 10 == 0 && added.get() < 12 {
            add(&database, added.get());
            added.set(added.get() + 1);
        }
        let wanted: Vec<u64> = (0..added.get()).collect();
        assert_eq!(found(&database, key), wanted, "turn {}", turns.get());
        last.set(pages(&database));
    };
    while RUNS.merge(&database, &give_way).unwrap() {
        give_way();
    }
    assert!(turns.get() > 20, "{}", turns.get());
    // Nothing of the merged runs is left.
    assert_eq!(pages(&database), 100 * added.get());
}
