//! Helpers of the fuzz targets.

use idmerge_core::RuleBook;
use idmerge_state::SnapshotWriter;

/// A snapshot with this payload and a valid frame. A fuzzer cannot guess the checksum.
pub fn framed(payload: &[u8], rule_book: RuleBook) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = SnapshotWriter::begin(&mut bytes, rule_book, 1).and_then(|mut writer| {
        writer.bytes(payload)?;
        writer.end()
    });
    assert!(written.is_ok(), "writing to memory does not fail");
    bytes
}
