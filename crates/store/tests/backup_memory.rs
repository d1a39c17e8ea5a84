//! A backup keeps little of the copy in memory, however large the store is.
//!
//! A program of its own, because it counts allocations.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use allocation_counter::measure;
use idmerge_simplified::Simplified;
use idmerge_store::redb::TableDefinition;
use idmerge_store::{Durable, Options, Sharing, StoreError};

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const MIB: usize = 1 << 20;

#[test]
fn a_backup_of_a_large_store_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        cache_bytes: MIB,
        sharing: Sharing::Nobody,
        ..Options::default()
    };
    let store = Durable::open(folder.path(), Simplified::default, options).unwrap();
    let row = vec![0x5a; 100_000];
    for commit in 0..12 {
        let written = store.commit_with(|write| {
            let mut rows = write.open_table(ROWS)?;
            for number in 0..40 {
                rows.insert(commit * 40 + number, &*row)?;
            }
            Ok::<_, StoreError>(())
        });
        written.unwrap();
    }
    let history = store.history().unwrap();
    let file = tempfile::tempfile().unwrap();
    let copy = file.try_clone().unwrap();
    let memory = measure(|| {
        history.backup_into(copy).unwrap();
    });
    let bytes = usize::try_from(file.metadata().unwrap().len()).unwrap();
    assert!(bytes > 45 * MIB, "{bytes}");
    let most = usize::try_from(memory.bytes_max).unwrap();
    assert!(most < 16 * MIB, "{most}");
}
