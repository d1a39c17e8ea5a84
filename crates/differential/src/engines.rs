//! Both engines, with the settings that the suite asks for.

use idmerge_conformance::{AnonIdFormat as Format, EngineSettings};
use idmerge_core::IdentityResolver;
use idmerge_original::{AnonIdFormat, Original};
use idmerge_simplified::Simplified;

/// The engine of Simplified ID Merge with these settings and no state.
pub fn simplified(settings: &EngineSettings) -> Box<dyn IdentityResolver> {
    Box::new(Simplified::new(idmerge_simplified::Settings {
        id_rules: settings.id_rules(),
    }))
}

/// The engine of Original ID Merge with these settings and no state.
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

/// Both engines with no state: Simplified, then Original with this limit of a cluster. All other
/// settings are the documented ones.
pub fn engines(max_cluster_ids: u32) -> [Box<dyn IdentityResolver>; 2] {
    let settings = EngineSettings {
        max_cluster_ids,
        ..EngineSettings::default()
    };
    [simplified(&settings), original(&settings)]
}
