//! What the fuzz targets share.

use idmerge_core::RuleBook;
use idmerge_state::SnapshotWriter;

/// A snapshot whose frame is right and whose payload is these bytes: no fuzzer guesses a checksum.
pub fn framed(payload: &[u8], rule_book: RuleBook) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = SnapshotWriter::begin(&mut bytes, rule_book, 1).and_then(|mut writer| {
        writer.bytes(payload)?;
        writer.end()
    });
    assert!(written.is_ok(), "memory takes everything");
    bytes
}
