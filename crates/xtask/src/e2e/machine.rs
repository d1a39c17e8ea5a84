//! Installs what the scripts need.

use std::env;
use std::path::{Path, PathBuf};

use xshell::{Cmd, Shell, cmd};

use super::suite::Suite;
use super::{spark, wheel};

/// The names of the browser's program.
const CHROMIUMS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// The oldest major version of Node that runs the scripts.
const NODE_MAJOR_MIN: u32 = 20;

/// The oldest minor version of Python 3 that the packages support.
const PYTHON_MINOR_MIN: u32 = 10;

/// The oldest minor version of Python 3 that has the libraries whose tables the package of Python takes.
const WHEEL_PYTHON_MINOR_MIN: u32 = 11;

/// The oldest version of Java that Spark 4 runs on.
const JAVA_MIN: u32 = 17;

/// The folder of the scripts and their packages.
pub(super) const SCRIPTS: &str = "tests/e2e";

/// Segment's destinations are many and large, so they have a folder of their own.
const SEGMENT: &str = "tests/e2e/segment";

/// `Err` says what this machine lacks.
type Available = Result<(), String>;

/// What is installed on this machine.
pub(super) struct Machine<'a> {
    sh: &'a Shell,
    root: &'a Path,
    folder: &'a Path,
    npm_packages: Vec<&'static str>,
    has_python_packages: bool,
    chromium: Option<PathBuf>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(sh: &'a Shell, root: &'a Path, folder: &'a Path) -> Self {
        Self {
            sh,
            root,
            folder,
            npm_packages: Vec::new(),
            has_python_packages: false,
            chromium: None,
        }
    }

    /// Installs what a suite needs.
    pub(super) fn prepare(&mut self, suite: Suite) -> anyhow::Result<Available> {
        match suite {
            Suite::Browser | Suite::Page | Suite::Readme | Suite::Cdp => {
                if let Err(lack) = self.prepare_node(SCRIPTS) {
                    return Ok(Err(lack));
                }
                Ok(self.prepare_chromium())
            }
            Suite::Node => Ok(self.prepare_node(SCRIPTS)),
            Suite::Segment => Ok(self.prepare_node(SEGMENT)),
            Suite::Python | Suite::Api => self.prepare_python(),
            Suite::Wheel => self.prepare_wheel(),
            Suite::Spark => self.prepare_spark(),
        }
    }

    /// The browser, if a suite needs it.
    pub(super) fn chromium(&self) -> Option<PathBuf> {
        self.chromium.clone()
    }

    /// Installs the npm packages of a folder.
    fn prepare_node(&mut self, folder: &'static str) -> Available {
        if self.npm_packages.contains(&folder) {
            return Ok(());
        }
        let sh = self.sh;
        let version = read(cmd!(sh, "node --version")).unwrap_or_default();
        let major = version.trim_start_matches('v').split('.').next();
        let major = major.and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < NODE_MAJOR_MIN) {
            return Err(format!("Node {NODE_MAJOR_MIN} or later"));
        }
        if read(cmd!(sh, "npm --version")).is_none() {
            return Err("npm".to_owned());
        }
        let _in_folder = sh.push_dir(self.root.join(folder));
        cmd!(sh, "npm ci")
            .run()
            .map_err(|error| format!("the npm packages, which cannot be installed: {error}"))?;
        self.npm_packages.push(folder);
        Ok(())
    }

    fn prepare_python(&mut self) -> anyhow::Result<Available> {
        if self.has_python_packages {
            return Ok(Ok(()));
        }
        let venv = self.folder.join("venv");
        if let Err(lack) = self.make_venv(&venv, PYTHON_MINOR_MIN)? {
            return Ok(Err(lack));
        }
        let packages = ["-r", "tests/e2e/requirements.txt"];
        if let Err(lack) = self.pip_install(&python(self.folder, "pip"), &packages) {
            return Ok(Err(lack));
        }
        self.has_python_packages = true;
        Ok(Ok(()))
    }

    /// Makes an environment of Python 3, of this minor version or a later one.
    fn make_venv(&self, venv: &Path, minor_min: u32) -> anyhow::Result<Available> {
        let sh = self.sh;
        let is_new =
            format!("import sys, venv, ensurepip; assert sys.version_info >= (3, {minor_min})");
        if read(cmd!(sh, "python3 -c {is_new}")).is_none() {
            return Ok(Err(format!("Python 3.{minor_min} or later with venv")));
        }
        cmd!(sh, "python3 -m venv {venv}").run()?;
        Ok(Ok(()))
    }

    fn pip_install(&self, pip: &Path, packages: &[&str]) -> Available {
        let sh = self.sh;
        let options = ["--quiet", "--disable-pip-version-check"];
        cmd!(sh, "{pip} install {options...} {packages...}")
            .run()
            .map_err(|error| format!("the Python packages, which cannot be installed: {error}"))
    }

    /// Installs what the tests of the package of Python need, but not the package.
    fn prepare_wheel(&self) -> anyhow::Result<Available> {
        // An environment that is left of an earlier run would hide what the package needs and does not name.
        let (venv, old_pandas) = (wheel::venv(self.folder), wheel::old_pandas(self.folder));
        self.sh.remove_path(&venv)?;
        self.sh.remove_path(&old_pandas)?;
        if let Err(lack) = self.make_venv(&venv, WHEEL_PYTHON_MINOR_MIN)? {
            return Ok(Err(lack));
        }
        let pip = venv.join("bin/pip");
        let packages = ["-r", "python/tests/requirements.txt"];
        if let Err(lack) = self.pip_install(&pip, &packages) {
            return Ok(Err(lack));
        }
        let target = old_pandas.display().to_string();
        let packages = [
            "--no-deps",
            "--target",
            &target,
            "-r",
            "python/tests/old-pandas.txt",
        ];
        Ok(self.pip_install(&pip, &packages))
    }

    /// Installs Spark and Sail. The environments are kept: Spark has 400 MB.
    fn prepare_spark(&self) -> anyhow::Result<Available> {
        // Java prints its version to stderr.
        let version = cmd!(self.sh, "java -version").quiet().ignore_stdout();
        let version = version.read_stderr().ok();
        if version
            .as_deref()
            .and_then(java_version)
            .is_none_or(|major| major < JAVA_MIN)
        {
            return Ok(Err(format!("Java {JAVA_MIN} or later")));
        }
        let environments = [
            (
                spark::venv(self.folder),
                "python/tests/spark/requirements.txt",
            ),
            (
                spark::sail_venv(self.folder),
                "python/tests/spark/sail-requirements.txt",
            ),
        ];
        for (venv, requirements) in environments {
            if let Err(lack) = self.make_venv(&venv, WHEEL_PYTHON_MINOR_MIN)? {
                return Ok(Err(lack));
            }
            if let Err(lack) = self.pip_install(&venv.join("bin/pip"), &["-r", requirements]) {
                return Ok(Err(lack));
            }
        }
        Ok(Ok(()))
    }

    fn prepare_chromium(&mut self) -> Available {
        if self.chromium.is_some() {
            return Ok(());
        }
        let sh = self.sh;
        self.chromium = find_chromium();
        let is_root = || read(cmd!(sh, "id -u")).as_deref() == Some("0");
        let has_apt = || read(cmd!(sh, "apt-get --version")).is_some();
        if self.chromium.is_none() && is_root() && has_apt() {
            let options = ["--yes", "--no-install-recommends"];
            cmd!(sh, "apt-get update")
                .run()
                .and_then(|()| cmd!(sh, "apt-get install {options...} chromium").run())
                .map_err(|error| format!("Chromium, which cannot be installed: {error}"))?;
            self.chromium = find_chromium();
        }
        if self.chromium.is_none() {
            return Err("Chromium: install it, or set CHROMIUM to its path".to_owned());
        }
        Ok(())
    }
}

/// The path of a program of the Python packages, in the folder of what is installed.
pub(super) fn python(folder: &Path, program: &str) -> PathBuf {
    folder.join("venv/bin").join(program)
}

/// What a command prints, or `None` if it cannot be started or fails.
fn read(command: Cmd<'_>) -> Option<String> {
    command.quiet().ignore_stderr().read().ok()
}

/// The major version of Java, of a text such as `openjdk version "17.0.15" 2025-04-15`.
fn java_version(text: &str) -> Option<u32> {
    let version = text.split('"').nth(1)?;
    version.split('.').next()?.parse().ok()
}

fn find_chromium() -> Option<PathBuf> {
    if let Some(chromium) = env::var_os("CHROMIUM") {
        return Some(chromium.into());
    }
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    CHROMIUMS
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_java_is_its_first_number() {
        let of_17 = "openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment";
        assert_eq!(java_version(of_17), Some(17));
        assert_eq!(java_version("openjdk version \"21\" 2023-09-19"), Some(21));
        assert_eq!(java_version("java version \"1.8.0_392\""), Some(1));
        assert_eq!(java_version("command not found"), None);
    }
}
