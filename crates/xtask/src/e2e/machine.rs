//! What the scripts need of a machine, and how it gets there.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Suite;
use crate::failure::Failure;
use crate::program::{run, said, succeeds};

/// As the browser is called.
const CHROMIUMS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// The oldest Node that runs the scripts.
const NODE_MAJOR_MIN: u32 = 20;

/// The oldest Python that the packages are for.
const PYTHON_MINOR_MIN: u32 = 10;

/// Where the scripts and their packages are.
pub(super) const SCRIPTS: &str = "tests/e2e";

/// Segment's destinations are many and large, so that they have a folder of their own.
pub(super) const SEGMENT: &str = "tests/e2e/segment";

/// A machine, and what is known of it.
pub(super) struct Machine<'p> {
    root: &'p Path,
    folder: &'p Path,
    npm_packages: Vec<&'static str>,
    has_python_packages: bool,
    chromium: Option<PathBuf>,
}

impl<'p> Machine<'p> {
    pub(super) fn new(root: &'p Path, folder: &'p Path) -> Self {
        Self {
            root,
            folder,
            npm_packages: Vec::new(),
            has_python_packages: false,
            chromium: None,
        }
    }

    /// Installs what a suite needs. The inner error is what cannot be had here.
    pub(super) fn prepare(&mut self, suite: Suite) -> Result<Result<(), String>, Failure> {
        match suite {
            Suite::Browser | Suite::Page | Suite::Readme => {
                if let Err(lack) = self.prepare_node(SCRIPTS)? {
                    return Ok(Err(lack));
                }
                self.prepare_chromium()
            }
            Suite::Node => self.prepare_node(SCRIPTS),
            Suite::Segment => self.prepare_node(SEGMENT),
            Suite::Python | Suite::Api => self.prepare_python(),
        }
    }

    pub(super) fn chromium(&self) -> Option<&Path> {
        self.chromium.as_deref()
    }

    /// A program of the Python packages.
    pub(super) fn python(&self, program: &str) -> PathBuf {
        self.folder.join("venv/bin").join(program)
    }

    /// Installs the npm packages of a folder.
    fn prepare_node(&mut self, folder: &'static str) -> Result<Result<(), String>, Failure> {
        if self.npm_packages.contains(&folder) {
            return Ok(Ok(()));
        }
        let version = said(Command::new("node").arg("--version"));
        let major = version.as_deref().and_then(|version| {
            version
                .trim_start_matches('v')
                .split('.')
                .next()?
                .parse()
                .ok()
        });
        if major.is_none_or(|major: u32| major < NODE_MAJOR_MIN) {
            return Ok(Err(format!(
                "there is no Node of version {NODE_MAJOR_MIN} or later"
            )));
        }
        if !succeeds(Command::new("npm").arg("--version")) {
            return Ok(Err("there is no npm".to_owned()));
        }
        let mut install = Command::new("npm");
        install.arg("ci").current_dir(self.root.join(folder));
        if let Err(error) = run(&mut install) {
            return Ok(Err(format!(
                "the npm packages cannot be installed: {error}"
            )));
        }
        self.npm_packages.push(folder);
        Ok(Ok(()))
    }

    fn prepare_python(&mut self) -> Result<Result<(), String>, Failure> {
        if self.has_python_packages {
            return Ok(Ok(()));
        }
        let is_new = format!(
            "import sys, venv, ensurepip; assert sys.version_info >= (3, {PYTHON_MINOR_MIN})"
        );
        if !succeeds(Command::new("python3").args(["-c", &is_new])) {
            let lack = format!("there is no Python 3.{PYTHON_MINOR_MIN} or later with venv");
            return Ok(Err(lack));
        }
        let venv = self.folder.join("venv");
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let mut install = Command::new(self.python("pip"));
        install
            .args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(self.root.join("tests/e2e/requirements.txt"));
        if let Err(error) = run(&mut install) {
            return Ok(Err(format!(
                "the Python packages cannot be installed: {error}"
            )));
        }
        self.has_python_packages = true;
        Ok(Ok(()))
    }

    fn prepare_chromium(&mut self) -> Result<Result<(), String>, Failure> {
        if self.chromium.is_some() {
            return Ok(Ok(()));
        }
        self.chromium = find_chromium();
        if self.chromium.is_none()
            && is_root()
            && succeeds(Command::new("apt-get").arg("--version"))
        {
            let install = ["install", "--yes", "--no-install-recommends", "chromium"];
            let installed = run(Command::new("apt-get").arg("update"))
                .and_then(|()| run(Command::new("apt-get").args(install)));
            if let Err(error) = installed {
                return Ok(Err(format!("Chromium cannot be installed: {error}")));
            }
            self.chromium = find_chromium();
        }
        if self.chromium.is_none() {
            let lack = "there is no Chromium; install it, or say where it is in CHROMIUM";
            return Ok(Err(lack.to_owned()));
        }
        Ok(Ok(()))
    }
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

fn is_root() -> bool {
    said(Command::new("id").arg("-u")).as_deref() == Some("0")
}
