//! Starting programs, in sight of whoever started the chore.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::{env, iter};

use crate::failure::Failure;

/// A cargo command that is started at the root of the tree.
pub(crate) fn cargo(root: &Path, args: &str) -> Command {
    // The cargo that runs this program, so that `cargo +nightly xtask` means nightly throughout.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args.split_whitespace()).current_dir(root);
    command
}

/// Prints the command and runs it.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let line = announce(command);
    let status = command.status().map_err(|e| cannot_start(&line, &e))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::of_program(&line, status))
    }
}

/// Prints the command and starts it.
pub(crate) fn start(command: &mut Command) -> Result<Child, Failure> {
    let line = announce(command);
    command.spawn().map_err(|e| cannot_start(&line, &e))
}

/// Prints a cargo command and runs it at the root of the tree.
pub(crate) fn run_cargo(root: &Path, args: &str) -> Result<(), Failure> {
    run(&mut cargo(root, args))
}

/// Prints the command and runs it, and shows each line that it writes to its standard error to
/// `watch` as well.
pub(crate) fn watch(
    command: &mut Command,
    mut watch: impl FnMut(&str),
) -> Result<ExitStatus, Failure> {
    let line = announce(command);
    let failed = |e: io::Error| cannot_start(&line, &e);
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(stderr) = child.stderr.take() {
        let mut stderr = BufReader::new(stderr);
        let mut text = Vec::new();
        while stderr.read_until(b'\n', &mut text).map_err(failed)? > 0 {
            let line = String::from_utf8_lossy(&text);
            eprint!("{line}");
            watch(&line);
            text.clear();
        }
    }
    child.wait().map_err(failed)
}

/// Prints the command and runs it, and gives what it writes to its standard output, and whether it
/// failed.
pub(crate) fn capture(command: &mut Command) -> Result<(String, Result<(), Failure>), Failure> {
    let line = announce(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| cannot_start(&line, &e))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let result = if output.status.success() {
        Ok(())
    } else {
        Err(Failure::of_program(&line, output.status))
    };
    Ok((text, result))
}

/// What a command says in one line, or `None` where it cannot be started or fails. Prints nothing.
pub(crate) fn said(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.trim().to_owned())
}

/// Whether a command can be started and succeeds. Prints nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn announce(command: &Command) -> String {
    let line = line(command);
    eprintln!("$ {line}");
    line
}

fn cannot_start(line: &str, error: &io::Error) -> Failure {
    Failure::new(format!("cannot run `{line}`: {error}"))
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    // Where cargo's program lies is of no interest.
    let program = Path::new(command.get_program()).file_stem();
    variables
        .chain(iter::once(quoted(program.unwrap_or_default())))
        .chain(command.get_args().map(quoted))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Text as a shell takes it.
fn quoted(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_printed_as_one_would_type_it() {
        let mut command = Command::new("/opt/bin/cargo");
        command
            .args(["test", "--bench", "*", "it's"])
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            line(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo test --bench '*' 'it'\''s'"
        );
    }

    #[test]
    fn a_failing_program_gives_its_exit_code() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let quiet = |args| {
            let mut command = cargo(root, args);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            run(&mut command)
        };
        assert!(quiet("--version").is_ok());
        let failure = quiet("no-such-command --at-all").unwrap_err();
        assert_eq!(failure.exit_code(), 101);
        let message = failure.to_string();
        let start = "`cargo no-such-command --at-all` failed, ";
        assert!(message.starts_with(start), "{message}");

        let failure = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        let message = failure.to_string();
        let start = "cannot run `no-such-program`: ";
        assert!(message.starts_with(start), "{message}");
    }

    #[test]
    fn a_captured_program_gives_its_text_and_its_failure() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (text, result) = capture(&mut cargo(root, "--version")).unwrap();
        assert!(text.starts_with("cargo ") && result.is_ok(), "{text}");
        let (text, result) = capture(&mut cargo(root, "no-such-command")).unwrap();
        assert_eq!((text.as_str(), result.unwrap_err().exit_code()), ("", 101));
        assert!(capture(&mut Command::new("no-such-program")).is_err());

        let version = said(&mut cargo(root, "--version")).unwrap();
        assert!(
            version.starts_with("cargo ") && !version.ends_with('\n'),
            "{version}"
        );
        assert_eq!(said(&mut cargo(root, "no-such-command")), None);
    }

    #[test]
    fn a_watched_program_shows_its_lines() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut lines = Vec::new();
        let mut command = cargo(root, "no-such-command");
        let status = watch(&mut command, |line| lines.push(line.to_owned())).unwrap();
        assert!(!status.success());
        assert!(lines.concat().contains("no-such-command"), "{lines:?}");
    }

    #[test]
    fn a_program_may_be_missing() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(succeeds(&mut cargo(root, "--version")));
        assert!(!succeeds(&mut cargo(root, "no-such-command")));
        assert!(!succeeds(&mut Command::new("no-such-program")));
    }
}
