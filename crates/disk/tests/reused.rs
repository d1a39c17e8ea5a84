//! A run may get the number of one that was merged. The pages of the earlier run are removed, and its own are not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;

use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase};

#[path = "support/runs.rs"]
mod support;

use support::{RUNS, found, pages};

/// As many pairs as the pages of one transaction have.
const PAIRS: u64 = 64_000;

fn add(database: &Database, pairs: u64, until: u64) {
    let pairs = (0..pairs).map(|key| (key, until)).collect();
    support::add(database, pairs, until);
}

#[test]
fn a_run_that_is_added_when_the_last_page_of_a_merged_one_was_removed_keeps_its_pages() {
    let memory = InMemoryBackend::new();
    let database = Database::builder().create_with_backend(memory).unwrap();
    // Only the first of eight has pages.
    (0..8).for_each(|run| add(&database, if run == 0 { PAIRS } else { 0 }, run));
    let is_added = Cell::new(false);
    let give_way = || {
        let runs = RUNS.open(&database.begin_read().unwrap()).unwrap();
        let is_merged = format!("{runs:?}").contains("runs: 1,");
        if is_merged && pages(&database) == 64 && !is_added.replace(true) {
            // The pages of the merged run are gone, and those of the new one are there.
            add(&database, PAIRS, 8);
        }
    };
    while RUNS.merge(&database, &give_way).unwrap() {
        give_way();
    }
    assert!(is_added.get());
    for key in [0, 31_999, PAIRS - 1] {
        assert_eq!(found(&database, key), [0, 8]);
    }
    assert_eq!(pages(&database), 128);
}
