//! Starts a program and measures its time and memory.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use idmerge_benches::measure::Samples;
use wait4::{ResUse, Wait4 as _};

/// Makes the command of a contender that writes to this file.
pub(crate) type MakeCommand = Box<dyn Fn(&Path) -> Result<Command>>;

/// A program in the comparison.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) compare: Compare,
    pub(crate) command: MakeCommand,
}

/// How the output of a program must compare with that of `idmerge resolve`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Compare {
    /// The same events in the same order.
    InOrder,
    /// The same events.
    InAnyOrder,
    /// Not compared.
    Other,
}

/// The measurements of a program.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) wall_seconds: Samples,
    pub(crate) cpu_seconds: Samples,
    pub(crate) peak_megabytes: Samples,
}

/// The command with its output in a file.
pub(crate) fn with_output(command: &mut Command, output: &Path) -> Result<Command> {
    let mut with_output = Command::new(command.get_program());
    with_output
        .args(command.get_args())
        .stdout(File::create(output)?);
    Ok(with_output)
}

/// Runs a contender.
pub(crate) fn run(contender: &Contender, output: &Path) -> Result<ResUse> {
    // Removing the old file takes time, which must not count for the program.
    if output.exists() {
        fs::remove_file(output)?;
    }
    let mut command = (contender.command)(output)?;
    let child = command
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", contender.name))?;
    let used = child.wait4()?;
    ensure!(
        used.status.success(),
        "{} failed: {}",
        contender.name,
        used.status
    );
    Ok(used)
}

/// Runs a contender and adds its measurements.
///
/// The peak counts from the start of the process, which begins as a copy of this program. So this
/// program must stay small.
pub(crate) fn measure(contender: &Contender, folder: &Path, figures: &mut Figures) -> Result<()> {
    let output = folder.join("measured.ndjson");
    if output.exists() {
        fs::remove_file(&output)?;
    }
    // Data that the previous program has not written to the disk yet would slow this one down.
    let synced = Command::new("sync").status()?;
    ensure!(synced.success(), "sync failed");
    let start = Instant::now();
    let used = run(contender, &output)?;
    figures.wall_seconds.push(start.elapsed().as_secs_f64());
    let cpu = used.rusage.utime + used.rusage.stime;
    figures.cpu_seconds.push(cpu.as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "no process has 2^52 bytes")]
    figures.peak_megabytes.push(used.rusage.maxrss as f64 / 1e6);
    Ok(())
}
