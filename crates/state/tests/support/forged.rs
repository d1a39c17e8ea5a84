//! Snapshots that announce more than they have. The tests of the engines include this file.

use idmerge_core::{Id, IdentityResolver, RuleBook};
use idmerge_state::SnapshotWriter;

/// The largest number of rows that a table can have.
pub(crate) const MOST: u64 = u32::MAX as u64;

/// A snapshot with these numbers, and then these IDs.
pub(crate) fn forged(rule_book: RuleBook, numbers: &[u64], ids: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = SnapshotWriter::begin(&mut bytes, rule_book, 1).unwrap();
    for &number in numbers {
        writer.number(number).unwrap();
    }
    for id in ids {
        writer.id(Id::new(id).unwrap()).unwrap();
    }
    writer.end().unwrap();
    bytes
}

/// Checks that an engine refuses a snapshot, and takes little memory for it.
#[track_caller]
pub(crate) fn is_refused_with_little_memory(mut engine: impl IdentityResolver, snapshot: &[u8]) {
    let measured = allocation_counter::measure(|| {
        assert!(engine.read_snapshot(&mut &*snapshot).is_err());
    });
    assert!(
        measured.bytes_max < 512 << 10,
        "{} bytes",
        measured.bytes_max
    );
}
