//! This program in another process, which prints numbers.

use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Runs this program with one argument, and returns what it prints. `None` if it has nothing to measure.
pub(crate) fn run_this(option: &str, value: &str) -> Result<Option<String>> {
    let output = Command::new(env::current_exe()?)
        .args([option, value])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "{option} {value} failed, {}",
        output.status
    );
    let text = String::from_utf8(output.stdout).context("figures are text")?;
    Ok((!text.is_empty()).then_some(text))
}

/// The numbers of a line.
pub(crate) fn numbers<T: std::str::FromStr>(line: &str) -> Result<Vec<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let numbers: Result<Vec<T>, _> = line.split([',', ' ']).map(str::parse).collect();
    numbers.with_context(|| format!("no numbers: {line}"))
}
