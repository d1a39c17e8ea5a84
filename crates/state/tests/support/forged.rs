//! Snapshots that announce more than they have. The tests of the engines include this file.

use std::collections::BTreeMap;

use idmerge_core::{Id, IdentityResolver, ImagePiece, RuleBook};
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

/// Checks that an engine refuses an image with this head, and takes little memory for it.
#[track_caller]
#[allow(dead_code, reason = "not every engine has images")]
pub(crate) fn is_head_refused_with_little_memory(mut engine: impl IdentityResolver, head: &[u32]) {
    let mut bytes = vec![1, 0];
    bytes.extend(head.iter().flat_map(|number| number.to_le_bytes()));
    let head = ImagePiece { part: 1, number: 0 };
    let image = BTreeMap::from([(head, bytes)]);
    let measured = allocation_counter::measure(|| {
        assert!(engine.read_image(&image).is_err());
    });
    assert!(
        measured.bytes_max < 512 << 10,
        "{} bytes",
        measured.bytes_max
    );
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
