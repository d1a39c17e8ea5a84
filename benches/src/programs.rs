//! The programs of this workspace: those that are measured, and this one in another process.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context as _, Result, ensure};

/// The path of a program of this package, which is built into the folder of this program.
///
/// # Errors
///
/// It is not there.
pub fn beside(name: &str, package: &str) -> Result<PathBuf> {
    let path = folder()?.join(name);
    ensure!(
        path.is_file(),
        "{} is missing: build it with `cargo build --release -p {package}`",
        path.display()
    );
    Ok(path)
}

/// The folder of this program.
///
/// # Errors
///
/// The system does not tell.
pub fn folder() -> Result<PathBuf> {
    let program = env::current_exe()?;
    let folder = program.parent().context("a program is in a folder")?;
    Ok(folder.to_owned())
}

/// Runs this program in a process of its own with these arguments, and returns what it prints: what one measurement has
/// freed would make the next one faster or slower.
///
/// # Errors
///
/// It fails, or prints no text.
pub fn run_this(args: &[&OsStr]) -> Result<String> {
    let output = Command::new(env::current_exe()?)
        .args(args)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "this program with {args:?} failed, {}",
        output.status
    );
    String::from_utf8(output.stdout).context("figures are text")
}

/// The numbers of a line.
///
/// # Errors
///
/// There is something else.
pub fn numbers<T>(line: &str) -> Result<Vec<T>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let numbers: Result<Vec<T>, _> = line.split([',', ' ']).map(str::parse).collect();
    numbers.with_context(|| format!("no numbers: {line}"))
}
