//! The peers that are Python packages, in a virtual environment inside the target folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::MakeCommand;

const REQUIREMENTS: &str = include_str!("../../../peers/requirements.txt");

/// Fails without output if a package is missing.
const IMPORTS: &str = "
import importlib.util, sys
sys.exit(not all(map(importlib.util.find_spec, ['duckdb', 'polars'])))
";

/// The packages and their versions.
pub(crate) fn versions() -> String {
    REQUIREMENTS.lines().collect::<Vec<_>>().join(", ")
}

/// A Python interpreter, and whether it has the packages.
pub(crate) struct Python {
    program: Result<PathBuf, String>,
    wheels: Result<(), String>,
}

impl Python {
    /// Makes the environment and installs the packages, unless they are there already.
    pub(crate) fn install(folder: &Path) -> Self {
        let environment = folder.join(versions().replace("==", "-").replace(", ", "-"));
        let program = environment.join("bin").join("python");
        let made = if program.is_file() {
            Ok(())
        } else {
            let mut command = Command::new("python3");
            succeeds(command.args(["-m", "venv"]).arg(&environment))
        };
        if let Err(why) = made {
            let why = format!("no Python environment: {why}; install python3 with venv");
            return Self {
                program: Err(why.clone()),
                wheels: Err(why),
            };
        }
        let wheels = succeeds(Command::new(&program).args(["-c", IMPORTS]))
            .or_else(|_| {
                eprintln!("install {}", versions());
                let mut pip = Command::new(&program);
                pip.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"]);
                succeeds(pip.args(REQUIREMENTS.lines()))
            })
            .map_err(|why| format!("{} cannot be installed: {why}", versions()));
        Self {
            program: Ok(program),
            wheels,
        }
    }

    /// The command of a script in the folder `peers` that reads this file, or the reason if it cannot
    /// run.
    pub(crate) fn script(
        &self,
        script: &str,
        input: &Path,
        options: &'static [&'static str],
        needs_wheels: bool,
    ) -> Result<MakeCommand, String> {
        let program = self.program.clone()?;
        if needs_wheels {
            self.wheels.clone()?;
        }
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let (script, input) = (peers.join(script), input.to_owned());
        Ok(Box::new(move |output| {
            let mut command = Command::new(&program);
            command.arg(&script).arg(&input).arg(output).args(options);
            // As many threads as DuckDB gets.
            command.env("POLARS_MAX_THREADS", "2");
            Ok(command)
        }))
    }
}

/// Runs a command. Its standard error is printed.
fn succeeds(command: &mut Command) -> Result<(), String> {
    match command.stdin(Stdio::null()).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{status}")),
        Err(error) => Err(error.to_string()),
    }
}
