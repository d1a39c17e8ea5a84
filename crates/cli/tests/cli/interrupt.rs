//! Ctrl-C and similar signals: unfinished files are deleted.

use std::io::Write;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::run::{DEFAULT_SIGNALS, Folder, event, signal, wait};

/// Starts the program through the command `way`, which sets its signals, and waits until it has this many
/// temporary files.
#[track_caller]
fn started(folder: &Folder, way: &[&str], args: &str, temporary_files: usize) -> Child {
    let mut command = folder.command_by(way, args);
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    if let Some(stdin) = &mut child.stdin {
        stdin
            .write_all(event("half").repeat(10_000).as_bytes())
            .unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(120);
    while temporary(folder) < temporary_files {
        assert!(Instant::now() < deadline, "{:?}", folder.names());
        thread::sleep(Duration::from_millis(5));
    }
    child
}

fn temporary(folder: &Folder) -> usize {
    folder
        .names()
        .iter()
        .filter(|name| name.starts_with(".idmerge-"))
        .count()
}

const RESOLVE: &str = "resolve -q --engine simplified -o out --refused refused";

#[track_caller]
fn goes_away(mut child: Child, by: &str) {
    // Keep stdin open, so that the input does not end.
    let stdin = child.stdin.take();
    signal(by, child.id());
    // 128 plus the number of the signal.
    let done = wait(child).code(match by {
        "HUP" => 129,
        "INT" => 130,
        _ => 143,
    });
    drop(stdin);
    assert_eq!((done.stdout, done.stderr), (String::new(), String::new()));
}

#[test]
fn an_interrupt_while_reading_leaves_no_file() {
    for by in ["INT", "TERM", "HUP"] {
        let folder = Folder::with(&[("out", "old\n")]);
        goes_away(started(&folder, DEFAULT_SIGNALS, RESOLVE, 2), by);
        assert_eq!(folder.names(), ["out"]);
        assert_eq!(folder.read("out"), "old\n");
    }
}

#[test]
fn an_interrupt_while_writing_leaves_no_file() {
    let folder = Folder::with(&[("truth", "old\n")]);
    let generate = "generate -q --workload cap --events 1000000000000 -o out --truth truth";
    let mut child = folder.command_by(DEFAULT_SIGNALS, generate);
    let child = child
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Wait until some output is on disk.
    let deadline = Instant::now() + Duration::from_secs(120);
    let written = || {
        let sizes = folder.names().into_iter().map(|name| {
            let metadata = folder.path(&name).metadata();
            metadata.map_or(0, |metadata| metadata.len())
        });
        sizes.max().unwrap_or_default()
    };
    while written() < 1024 * 1024 {
        assert!(Instant::now() < deadline, "{:?}", folder.names());
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(temporary(&folder), 2);
    goes_away(child, "INT");
    assert_eq!(folder.names(), ["truth"]);
    assert_eq!(folder.read("truth"), "old\n");
}

#[test]
fn a_signal_that_is_ignored_leaves_the_others_as_they_are() {
    let ignoring = [
        DEFAULT_SIGNALS,
        &["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""],
    ]
    .concat();
    for by in ["INT", "TERM"] {
        let folder = Folder::with(&[("out", "old\n")]);
        goes_away(started(&folder, &ignoring, RESOLVE, 2), by);
        assert_eq!(folder.names(), ["out"]);
    }
}

#[test]
fn a_program_started_with_nohup_survives_a_hangup() {
    let folder = Folder::new();
    let nohup = ["sh", "-c", "trap '' HUP; exec \"$0\" \"$@\""];
    let mut child = started(&folder, &nohup, RESOLVE, 2);
    signal("HUP", child.id());
    child
        .stdin
        .take()
        .unwrap()
        .write_all(event("rest").as_bytes())
        .unwrap();
    wait(child).ok();
    assert_eq!(folder.names(), ["out", "refused"]);
    assert_eq!(folder.read("out").lines().count(), 10_001);
}
