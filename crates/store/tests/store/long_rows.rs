//! A service that keeps long rows marks the store, so that versions that cannot read them refuse it.

use std::path::Path;

use idmerge_simplified::Simplified;
use idmerge_store::redb::TableDefinition;
use idmerge_store::{Durable, Options, StoreError, has_long_rows, set_long_rows};

const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");

/// Whether the store is marked, and the version of its format.
fn mark(folder: &Path) -> (bool, Vec<u8>) {
    let store = Durable::open(folder, Simplified::default, Options::default()).unwrap();
    let read = store.begin_read().unwrap();
    let about = read.open_table(ABOUT).unwrap();
    let format = about.get("format").unwrap().unwrap().value().to_vec();
    (has_long_rows(&read).unwrap(), format)
}

#[test]
fn a_store_with_long_rows_has_the_next_version_of_the_format() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(mark(folder.path()), (false, vec![2, 0]));
    let store = Durable::open(folder.path(), Simplified::default, Options::default()).unwrap();
    store.commit_with::<StoreError>(set_long_rows).unwrap();
    drop(store);
    assert_eq!(mark(folder.path()), (true, vec![3, 0]));
}
