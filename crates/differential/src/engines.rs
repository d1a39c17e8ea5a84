//! The engines, with the settings that the suite asks for.

use idmerge_conformance::{AnonIdFormat as SuiteFormat, EngineSettings};
use idmerge_engines::{AnonIdFormat, Engine, Model, Settings};

/// Each engine, with these settings and no state.
pub const ENGINES: [fn(&EngineSettings) -> Engine; 3] = [simplified, original, legacy];

/// The engine of Simplified ID Merge with these settings and no state.
pub fn simplified(settings: &EngineSettings) -> Engine {
    Settings::of(Model::Simplified)
        .with_id_rules(settings.id_rules())
        .engine()
}

/// The engine of Original ID Merge with these settings and no state.
pub fn original(settings: &EngineSettings) -> Engine {
    let original = idmerge_original::Settings {
        id_rules: settings.id_rules(),
        max_cluster_ids: settings.max_cluster_ids,
        anon_id_format: match settings.anon_id_format {
            SuiteFormat::UuidV4 => AnonIdFormat::UuidV4,
            SuiteFormat::Guid => AnonIdFormat::Guid,
            SuiteFormat::Sdk => AnonIdFormat::Sdk,
        },
    };
    Settings::from(original).engine()
}

/// The engine of Legacy with these settings and no state.
pub fn legacy(settings: &EngineSettings) -> Engine {
    Settings::of(Model::Legacy)
        .with_id_rules(settings.id_rules())
        .engine()
}

/// Both engines of ID Merge with no state: Simplified, then Original with this limit on clusters. All other
/// settings have their defaults.
pub fn engines(max_cluster_ids: u32) -> [Engine; 2] {
    let settings = EngineSettings {
        max_cluster_ids,
        ..EngineSettings::default()
    };
    [simplified(&settings), original(&settings)]
}
