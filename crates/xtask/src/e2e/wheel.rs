//! Tests the package of Python as a user installs it.

use std::path::{Path, PathBuf};

use xshell::{Cmd, Shell, cmd};

use crate::output::Output;
use crate::packages::metadata;
use crate::shell_at;

/// The environment in which the package is tested.
pub(super) fn venv(folder: &Path) -> PathBuf {
    folder.join("wheel")
}

/// The folder with the pandas before the newest one.
pub(super) fn old_pandas(folder: &Path) -> PathBuf {
    folder.join("old-pandas")
}

/// Installs the package with the command that its documentation names, which compiles it.
pub(super) fn install(root: &Path, folder: &Path, output: &mut Output) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    let pip = venv(folder).join("bin/pip");
    // A build that fails is no lack of the machine. It takes minutes of all cores: what runs beside it comes first.
    let install = ["install", "--disable-pip-version-check", "./python"];
    output.run(cmd!(sh, "nice {pip} {install...}"))
}

/// Runs the tests of the package that is installed, with the newest pandas and with the one before.
pub(super) fn run(root: &Path, folder: &Path, output: &mut Output) -> anyhow::Result<()> {
    let sh = shell_at(root)?;
    let pytest = |arguments: &[&str]| pytest(&sh, root, &venv(folder), arguments);
    output.run(pytest(&["python/tests"])?)?;
    let pytest = pytest(&["python/tests", "-k", "pandas"])?;
    output.run(pytest.env("PYTHONPATH", old_pandas(folder)))
}

/// Tests of the package that is installed in an environment, which compare it with the command.
pub(super) fn pytest<'s>(
    sh: &'s Shell,
    root: &Path,
    venv: &Path,
    arguments: &[&str],
) -> anyhow::Result<Cmd<'s>> {
    let target = metadata(&root.join("Cargo.toml"))?.target_directory;
    let program = target.join("debug").join("idmerge");
    let python = venv.join("bin/python");
    // Not in the folder of the package: Python would import the sources there, and not what was installed.
    let options = [
        "-m",
        "pytest",
        "-c",
        "python/pyproject.toml",
        "--rootdir",
        "python",
    ];
    let pytest = cmd!(sh, "{python} {options...} {arguments...}");
    Ok(pytest.env("IDMERGE", program))
}
