//! The suite that every engine must pass.

use idmerge_simplified::{Settings, Simplified};

fn main() -> std::process::ExitCode {
    idmerge_conformance::main(|settings| {
        Box::new(Simplified::new(Settings {
            id_rules: settings.id_rules(),
        }))
    })
}
