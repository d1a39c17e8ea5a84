//! The suite that every engine must pass.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use idmerge_original::{Original, Settings};

fn main() -> std::process::ExitCode {
    idmerge_conformance::main(|settings| {
        Box::new(Original::new(Settings {
            id_rules: settings.id_rules(),
            max_cluster_ids: settings.max_cluster_ids,
            anon_id_format: settings.anon_id_format.name().parse().unwrap(),
        }))
    })
}
