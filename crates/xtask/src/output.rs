//! What the programs of a part print.
//!
//! Parts run beside each other, so what each prints is kept in a file, and printed when the part has ended.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use xshell::Cmd;

/// Where the programs of a part print to.
pub(crate) enum Output {
    /// The terminal, at once.
    Terminal,
    /// A file. A pipe would not do: a program that is left behind would keep it open.
    Kept { file: File, path: PathBuf },
}

impl Output {
    /// Output that is kept in the file `NAME.log` of a folder.
    pub(crate) fn kept(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let path = folder.join(format!("{name}.log"));
        let file =
            File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self::Kept { file, path })
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    ///
    /// Fails if the program cannot be started or fails.
    pub(crate) fn run(&mut self, program: Cmd<'_>) -> anyhow::Result<()> {
        let line = format!("$ {program}");
        self.print(format!("{line}\n").as_bytes())?;
        let mut command = Command::from(program);
        if let Self::Kept { file, .. } = self {
            command.stdout(file.try_clone()?).stderr(file.try_clone()?);
        }
        let status = command
            .status()
            .with_context(|| format!("cannot start `{line}`"))?;
        if !status.success() {
            bail!("`{line}` failed, {status}");
        }
        Ok(())
    }

    /// Prints what a program has printed elsewhere.
    pub(crate) fn print(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Terminal => io::stdout().write_all(text),
            Self::Kept { file, .. } => file.write_all(text),
        }
    }

    /// Prints in one piece, below a title, what was kept.
    pub(crate) fn show(self, title: &str) -> anyhow::Result<()> {
        let Self::Kept { path, .. } = self else {
            return Ok(());
        };
        let mut kept =
            File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut terminal = io::stdout().lock();
        writeln!(terminal, "\n=== {title}\n")?;
        io::copy(&mut kept, &mut terminal)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use xshell::{Shell, cmd};

    use super::*;

    #[test]
    fn what_programs_print_is_kept_in_order_and_a_failure_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let sh = Shell::new().unwrap();
        let mut output = Output::kept(folder.path(), "part").unwrap();
        output.run(cmd!(sh, "cargo --version")).unwrap();
        output.print(b"between\n").unwrap();
        let error = output.run(cmd!(sh, "cargo no-such-command")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`$ cargo no-such-command` failed"),
            "{error}"
        );
        assert!(output.run(cmd!(sh, "no-such-program")).is_err());

        let kept = fs::read_to_string(folder.path().join("part.log")).unwrap();
        let wanted = [
            "$ cargo --version",
            "cargo 1",
            "between",
            "$ cargo no-such-command",
            "error: ",
        ];
        let places = wanted.map(|text| kept.find(text).unwrap_or_else(|| panic!("{text}: {kept}")));
        assert!(places.is_sorted(), "{kept}");
        output.show("part").unwrap();
    }
}
