//! The engines that the fuzz targets try.

use idmerge_conformance::{AnonIdFormat as Format, EngineSettings};
use idmerge_core::{IdentityResolver, RuleBook};
use idmerge_original::{AnonIdFormat, Original};
use idmerge_simplified::Simplified;
use idmerge_state::SnapshotWriter;

/// Simplified ID Merge with these settings.
pub fn simplified(settings: &EngineSettings) -> Box<dyn IdentityResolver> {
    Box::new(Simplified::new(idmerge_simplified::Settings {
        id_rules: settings.id_rules(),
    }))
}

/// Original ID Merge with these settings.
pub fn original(settings: &EngineSettings) -> Box<dyn IdentityResolver> {
    Box::new(Original::new(idmerge_original::Settings {
        id_rules: settings.id_rules(),
        max_cluster_ids: settings.max_cluster_ids,
        anon_id_format: match settings.anon_id_format {
            Format::UuidV4 => AnonIdFormat::UuidV4,
            Format::Guid => AnonIdFormat::Guid,
            Format::Sdk => AnonIdFormat::Sdk,
        },
    }))
}

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
