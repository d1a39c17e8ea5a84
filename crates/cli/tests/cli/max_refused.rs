//! `--strict` and `--max-refused` of the commands that use a store.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

use crate::run::{Folder, event};

/// An event that is refused.
const BAD: &str = "{\"event\":\"A\"}\n";

fn link(number: usize) -> String {
    format!(
        "{{\"event\":\"A\",\"properties\":{{\"$device_id\":\"D{number}\",\"$user_id\":\"U{number}\"}}}}\n"
    )
}

fn entries(folder: &Folder) -> u64 {
    let info = folder.run("store info people").ok();
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    info["entries"].as_u64().unwrap()
}

#[test]
fn ingest_adds_nothing_from_the_line_that_is_one_too_many() {
    for (option, bad) in [("--strict", 1), ("--max-refused 2", 3)] {
        let input = [link(1), BAD.repeat(bad), link(2)].concat();
        let folder = Folder::with(&[("in", &input)]);
        let args = format!("ingest people in -q --engine simplified {option}");
        let lines = if bad == 1 {
            "1 line was"
        } else {
            "3 lines were"
        };
        let says = format!(
            "{lines} refused, so the rest of the input was not added to the store; what was committed \
             before stays ({option}); the first: in, line 2: \"properties\" must be an object, but is \
             missing (IN-1)"
        );
        folder
            .run(&format!("{args} --refused refused"))
            .fails_with(&says);
        assert_eq!(folder.read("refused").lines().count(), bad);
        assert!(!folder.path("people").exists());
        // Without a file, the lines are shown.
        let done = folder.run(&args).code(1);
        done.says("refused:\nidmerge:   in, line 2: ").says(&says);
        assert!(!folder.path("people").exists());
        let allowed = format!("ingest people in -q --engine simplified --max-refused {bad}");
        folder.run(&allowed).ok();
        assert_eq!(entries(&folder), 2);
    }
}

#[test]
fn a_line_that_is_refused_unread_counts_too() {
    let long = format!("{}\n", "x".repeat(2_000_000));
    let folder = Folder::with(&[("in", &[link(1), long, link(2)].concat())]);
    let args = "ingest people in -q --engine simplified --strict --max-line-bytes 1000";
    let done = folder.run(args).code(1);
    done.says("1 line was refused, so the rest")
        .says("(--strict); the first: in, line 2: ");
}

#[test]
fn what_ingest_committed_before_stays() {
    // A commit comes after 50,000 claims.
    let many: String = (0..60_000).map(link).collect();
    let folder = Folder::with(&[("in", &[&many, BAD, &link(60_000)].concat())]);
    let done = folder.run("ingest people in -q --engine simplified --strict");
    done.code(1).says("in, line 60001: ");
    let kept = entries(&folder);
    assert!((50_000..=60_000).contains(&kept), "{kept}");
    folder.run("ingest people in -q").ok();
    assert_eq!(entries(&folder), 60_001);
}

#[test]
fn resolve_by_a_store_writes_nothing_to_stdout_if_a_line_too_many_is_refused() {
    let folder = Folder::with(&[("linked", &link(1))]);
    folder
        .run("ingest people linked -q --engine simplified")
        .ok();
    folder.write("in", link(1).repeat(60_000) + BAD);
    let refused = "in, line 60001: \"properties\" must be an object, but is missing (IN-1)";
    for (option, path) in [("--strict", ""), ("--max-refused 0", "-o /dev/stdout")] {
        let done = folder.run(&format!(
            "resolve in -q --store people {option} {path} --refused no"
        ));
        done.fails_with(&format!(
            "1 line was refused, so nothing was written ({option}); the first: {refused}"
        ));
    }
    let resolved = folder
        .run("resolve in -q --store people --max-refused 1")
        .ok();
    assert_eq!(resolved.lines().count(), 60_000);
    assert!(
        resolved
            .lines()
            .all(|line| line.contains(r#""distinct_id":"U1""#))
    );
}

#[test]
fn resolve_by_a_store_writes_nothing_of_an_unusable_input() {
    let folder = Folder::with(&[("linked", &link(1))]);
    folder
        .run("ingest people linked -q --engine simplified")
        .ok();
    let segment = "{\"event\":\"A\",\"properties\":{},\"userId\":\"U1\"}\n";
    // The second is longer than what is held in memory.
    for times in [1, 100_000] {
        folder.write("in", segment.repeat(times));
        let done = folder.run("resolve in -q --store people").code(1);
        done.says("no event of it has an ID where idmerge reads it");
        let done = folder.run("resolve in -q --store people");
        assert_eq!(done.stdout, "");
    }
    // An event without an ID is not lost if others have one.
    folder.write("in", event("a") + &link(1));
    assert_eq!(
        folder
            .run("resolve in -q --store people")
            .ok()
            .lines()
            .count(),
        2
    );
    folder.write("in", event("a"));
    assert_eq!(folder.run("resolve in -q --store people").ok(), event("a"));
}

#[test]
fn resolve_by_a_store_writes_before_the_input_ends() {
    let folder = Folder::with(&[("linked", &link(1))]);
    folder
        .run("ingest people linked -q --engine simplified")
        .ok();
    let mut command = folder.command("resolve -q --store people");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (is_seen, wait_until_seen) = mpsc::channel();
    let writer = thread::spawn(move || {
        // More than a block and the buffers.
        stdin.write_all(link(1).repeat(60_000).as_bytes()).unwrap();
        // The input ends only after its first line was seen.
        wait_until_seen.recv().unwrap();
    });
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    assert!(line.contains("\"distinct_id\":\"U1\""), "{line}");
    is_seen.send(()).unwrap();
    assert_eq!(stdout.lines().count(), 59_999);
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
}
