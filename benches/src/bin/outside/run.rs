//! Starts a program and measures its time and memory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use idmerge_benches::measure::{Samples, peak_bytes};
use wait4::{ResUse, Wait4 as _};

/// Makes the command of a contender that writes to this file.
pub(crate) type MakeCommand = Box<dyn Fn(&Path) -> Result<Command>>;

/// A program in the comparison.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) compare: Compare,
    pub(crate) command: MakeCommand,
}

/// What the output of a program must be.
pub(crate) enum Compare {
    /// The programs after this one, up to the next such program, are compared with this one.
    Reference,
    /// The same events in the same order.
    InOrder,
    /// The same events.
    InAnyOrder,
    /// The same bytes.
    SameBytes,
    /// A copy of this file.
    CopyOf(PathBuf),
    /// As many bytes, within a hundredth, in as many lines, but for a header.
    AsLong,
    /// The same counts of users.
    SameFunnel,
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

/// The peak of a program is at least the peak of this one, because the system counts it from the start of the
/// process, which begins as a copy of this program. So this program must stay smaller than what it measures.
const MOST_BYTES_OF_THIS: u64 = 16 << 20;

/// The least peak that a program can show, which is the peak of this program.
///
/// # Errors
///
/// This program is so large that the peaks of other programs would be its own.
pub(crate) fn least_peak_bytes() -> Result<u64> {
    let bytes = peak_bytes().unwrap_or_default();
    ensure!(
        bytes <= MOST_BYTES_OF_THIS,
        "the benchmark itself has taken {} MB, so the peak of a smaller program cannot be seen: it must not hold a \
         whole file in memory",
        bytes / 1_000_000
    );
    Ok(bytes)
}

/// Runs a contender and adds its measurements.
pub(crate) fn measure(contender: &Contender, folder: &Path, figures: &mut Figures) -> Result<()> {
    least_peak_bytes()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The peak of `dd` with a buffer of this many MiB, which it fills.
    fn peak_of_dd(mebibytes: u64) -> u64 {
        let contender = Contender {
            name: "dd",
            compare: Compare::Reference,
            command: Box::new(move |output| {
                let size = format!("bs={}", mebibytes << 20);
                with_output(
                    Command::new("dd").args(["if=/dev/zero", "count=1", "status=none", &size]),
                    output,
                )
            }),
        };
        let folder = tempfile::tempdir().unwrap();
        run(&contender, &folder.path().join("out"))
            .unwrap()
            .rusage
            .maxrss
    }

    #[test]
    fn the_peak_is_that_of_the_program() {
        let (small, large) = (peak_of_dd(1), peak_of_dd(64));
        assert!(small < MOST_BYTES_OF_THIS + (8 << 20), "{small}");
        assert!((64 << 20..80 << 20).contains(&large), "{large}");
    }
}
