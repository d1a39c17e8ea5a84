//! The peers that are Python packages, in a virtual environment inside the target folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::MakeCommand;

const REQUIREMENTS: &str = include_str!("../../../peers/requirements.txt");

/// The packages and their versions.
pub(crate) fn versions() -> String {
    REQUIREMENTS.lines().collect::<Vec<_>>().join(", ")
}

/// A Python interpreter, and for each package whether it is there.
pub(crate) struct Python {
    program: Result<PathBuf, String>,
    packages: Vec<(&'static str, Result<(), String>)>,
}

impl Python {
    /// Makes the environment and installs the packages, unless they are there already.
    pub(crate) fn install(folder: &Path) -> Self {
        let environment = folder.join(versions().replace("==", "-").replace(", ", "-"));
        let program = environment.join("bin").join("python");
        if !program.is_file() {
            let mut command = Command::new("python3");
            if let Err(why) = succeeds(command.args(["-m", "venv"]).arg(&environment)) {
                let why = format!("no Python environment: {why}; install python3 with venv");
                return Self {
                    program: Err(why),
                    packages: Vec::new(),
                };
            }
        }
        let packages = REQUIREMENTS.lines().map(|requirement| {
            let name = requirement.split("==").next().unwrap_or(requirement);
            (name, install(&program, name, requirement))
        });
        Self {
            packages: packages.collect(),
            program: Ok(program),
        }
    }

    /// The command of a script in the folder `peers` that reads this file, or the reason if it cannot
    /// run. The name of a script begins with that of the package that it needs.
    pub(crate) fn script(
        &self,
        script: &str,
        input: &Path,
        options: &'static [&'static str],
    ) -> Result<MakeCommand, String> {
        let program = self.program.clone()?;
        let needed = script.split('_').next();
        let package = self.packages.iter().find(|(name, _)| Some(*name) == needed);
        if let Some((_, installed)) = package {
            installed.clone()?;
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

/// Installs a package, unless it is there already. One that cannot be had must not take the others away.
fn install(program: &Path, name: &str, requirement: &str) -> Result<(), String> {
    // Importing would take a second, and print an error if there is no package.
    let find =
        format!("import importlib.util, sys; sys.exit(not importlib.util.find_spec('{name}'))");
    succeeds(Command::new(program).args(["-c", &find]))
        .or_else(|_| {
            eprintln!("install {requirement}");
            let mut pip = Command::new(program);
            pip.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"]);
            succeeds(pip.arg(requirement))
        })
        .map_err(|why| format!("{requirement} cannot be installed: {why}"))
}

/// Runs a command. Its standard error is printed.
fn succeeds(command: &mut Command) -> Result<(), String> {
    match command.stdin(Stdio::null()).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{status}")),
        Err(error) => Err(error.to_string()),
    }
}
