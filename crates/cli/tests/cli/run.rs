//! Runs the program in a temporary folder, and checks what it did.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A program that runs longer hangs.
const DEADLINE: Duration = Duration::from_secs(180);

/// The folder that has the files of a test, and in which the program runs.
pub(crate) struct Folder(TempDir);

/// A test runner may ignore signals, as under `nohup`, and child processes inherit that. This starts one that does not;
/// the `env` of other systems cannot.
#[cfg(unix)]
pub(crate) const DEFAULT_SIGNALS: &[&str] = match cfg!(target_os = "linux") {
    true => &["env", "--default-signal=INT,TERM,HUP"],
    false => &["env"],
};

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self::new();
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The names of its files, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
        let mut names: Vec<_> = entries.map(|entry| name(entry).unwrap()).collect();
        names.sort();
        names
    }

    /// The program with these arguments, separated by spaces.
    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idmerge"));
        command.args(args.split_whitespace());
        command.current_dir(self.0.path());
        command
    }

    /// The program, started through the command `way`, which sets its signals.
    #[cfg(unix)]
    pub(crate) fn command_by(&self, way: &[&str], args: &str) -> Command {
        let program = self.command(args);
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).arg(program.get_program());
        command.args(program.get_args()).current_dir(self.0.path());
        command
    }

    /// Runs shell code in which `idmerge` is the program.
    #[cfg(unix)]
    pub(crate) fn shell(&self, line: &str) -> Done {
        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_idmerge");
        let line = format!("idmerge() {{ '{program}' \"$@\"; }}\n{line}");
        command.arg("-c").arg(line).current_dir(self.0.path());
        run(command, "")
    }

    /// Runs the program with nothing on stdin.
    #[track_caller]
    pub(crate) fn run(&self, args: &str) -> Done {
        run(self.command(args), "")
    }

    /// Runs the program with this on stdin, through a pipe.
    #[track_caller]
    pub(crate) fn pipe(&self, stdin: impl Into<Vec<u8>>, args: &str) -> Done {
        run(self.command(args), stdin)
    }
}

#[track_caller]
pub(crate) fn run(mut command: Command, stdin: impl Into<Vec<u8>>) -> Done {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.into();
    // The program need not read it to its end.
    thread::spawn(move || pipe.write_all(&stdin));
    wait(child)
}

/// Waits until the program ends.
#[track_caller]
pub(crate) fn wait(child: Child) -> Done {
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(DEADLINE) {
        Ok(output) => Done::new(output.unwrap()),
        Err(_) => {
            signal("KILL", pid);
            panic!("the program hangs");
        }
    }
}

pub(crate) fn signal(name: &str, pid: u32) {
    let mut kill = Command::new("kill");
    let kill = kill.arg(format!("-{name}")).arg(pid.to_string());
    assert!(kill.status().unwrap().success());
}

/// The result of a run.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    fn new(output: Output) -> Self {
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr,
        }
    }

    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    /// Checks that the program succeeded, and returns its stdout.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        self.code(0).stdout
    }

    /// Checks that the program failed with exactly this message and an empty stdout.
    #[track_caller]
    pub(crate) fn fails_with(self, says: &str) {
        let done = self.code(1);
        assert_eq!(done.stdout, "");
        assert_eq!(done.stderr, format!("idmerge: {says}\n"));
    }

    /// Checks that stderr contains this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{}", self.stderr);
        self
    }
}

/// An ordinary event without IDs: it has the empty distinct_id of W-7, so `resolve` does not change it.
pub(crate) fn event(name: &str) -> String {
    format!("{{\"event\":\"{name}\",\"properties\":{{\"distinct_id\":\"\"}}}}\n")
}

/// The names of events, line by line.
#[track_caller]
pub(crate) fn event_names(lines: &str) -> Vec<String> {
    lines.lines().map(|line| text_of(line, "event")).collect()
}

/// The text at this key of a JSON object.
#[track_caller]
pub(crate) fn text_of(line: &str, key: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    line[key].as_str().unwrap().to_owned()
}

pub(crate) fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    zstd::encode_all(bytes.as_ref(), 1).unwrap()
}

/// A named pipe.
#[cfg(unix)]
pub(crate) fn mkfifo(path: impl AsRef<OsStr>) {
    let status = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(status.success());
}
