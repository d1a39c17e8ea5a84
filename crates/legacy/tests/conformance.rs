//! The suite that every engine must pass.

use idmerge_legacy::{Legacy, Settings};

fn main() -> std::process::ExitCode {
    idmerge_conformance::main(|settings| {
        Box::new(Legacy::new(Settings {
            id_rules: settings.id_rules(),
        }))
    })
}
