//! The suite that every engine must pass.

use idmerge_conformance::AnonIdFormat as Format;
use idmerge_original::{AnonIdFormat, Original, Settings};

fn main() -> std::process::ExitCode {
    idmerge_conformance::main(|settings| {
        Box::new(Original::new(Settings {
            id_rules: settings.id_rules(),
            max_cluster_ids: settings.max_cluster_ids,
            anon_id_format: match settings.anon_id_format {
                Format::UuidV4 => AnonIdFormat::UuidV4,
                Format::Guid => AnonIdFormat::Guid,
                Format::Sdk => AnonIdFormat::Sdk,
            },
        }))
    })
}
