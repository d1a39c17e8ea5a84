//! The runs that tests merge.

#![allow(dead_code, reason = "each test target uses a part of it")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests; the lint sees only test functions"
)]

use idmerge_disk::Runs;
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};

pub(crate) const RUNS: Runs = Runs::new("runs", "pages");
const PAGES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("pages");

pub(crate) fn add(database: &Database, pairs: Vec<(u64, u64)>, until: u64) {
    let write = database.begin_write().unwrap();
    RUNS.add(&write, pairs, until).unwrap();
    write.commit().unwrap();
}

/// How many pages all runs have.
pub(crate) fn pages(database: &Database) -> u64 {
    let read = database.begin_read().unwrap();
    read.open_table(PAGES).unwrap().len().unwrap()
}

/// The values of a key, in order.
pub(crate) fn found(database: &Database, key: u64) -> Vec<u64> {
    let runs = RUNS.open(&database.begin_read().unwrap()).unwrap();
    let mut values = Vec::new();
    runs.find(key, &mut |value| values.push(value)).unwrap();
    values.sort_unstable();
    values
}
