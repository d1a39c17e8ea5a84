//! `idmerge ingest` is killed in the middle of its input, and run again (AR-3).

use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::run::Folder;

/// How often the program is killed; `IDMERGE_KILLS` in the environment sets it.
fn kills() -> usize {
    let kills = std::env::var("IDMERGE_KILLS");
    kills.map_or(12, |kills| kills.parse().unwrap())
}

const USERS: u32 = 8_000;

/// Events whose state in Original depends on how often each is weighed: see `again.rs`. Half of them
/// have an `$insert_id`, and those are there twice.
fn weighed_once() -> String {
    let mut lines = String::new();
    for n in 0..USERS {
        let anon = format!("{n:08x}-0000-4000-8000-000000000001");
        let (u, v) = (format!("u{n}"), format!("v{n}"));
        let id = |event: u32| match n % 2 {
            0 => String::new(),
            _ => format!(r#","$insert_id":"{n}-{event}""#),
        };
        let events = [
            format!(
                r#""$create_alias","properties":{{"distinct_id":"{v}","alias":"x{n}"{}}}"#,
                id(1)
            ),
            format!(
                r#""$identify","properties":{{"$identified_id":"{u}","$anon_id":"{anon}"{}}}"#,
                id(2)
            ),
            format!(
                r#""$identify","properties":{{"$identified_id":"{v}","$anon_id":"{anon}"{}}}"#,
                id(3)
            ),
            format!(
                r#""$merge","properties":{{"$distinct_ids":["{v}","{u}"]{}}}"#,
                id(4)
            ),
        ];
        for _ in 0..=n % 2 {
            for event in &events {
                lines += &format!("{{\"event\":{event}}}\n");
            }
        }
    }
    lines
}

/// Writes this much of an input to the program, and kills it while it reads, applies or commits the rest.
fn kill_after(folder: &Folder, ingest: &str, input: &[u8], delay: Duration) {
    let mut child = folder
        .command(ingest)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(input).unwrap();
    thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The number of the last entry, and the digest of the state.
fn state(folder: &Folder, store: &str) -> (u64, Value) {
    let line = folder.run(&format!("store digest {store}")).ok();
    let line: Value = serde_json::from_str(&line).unwrap();
    (line["as_of"].as_u64().unwrap(), line["digest"].clone())
}

/// Gives the input in as many parts as there are kills. Each run is killed near the end of its part, and the
/// next one is given the same bytes and more. Each commits after nearly every block.
#[expect(clippy::print_stderr, reason = "a long run says how much it has tried")]
fn a_killed_run_and_the_next_ones_are_as_one(engine: &str, folder: &Folder) {
    let input = std::fs::read(folder.path("events")).unwrap();
    folder
        .run(&format!("ingest whole events -q --engine {engine}"))
        .ok();
    let ingest = format!("ingest killed - -q --engine {engine} --commit-claims 500");
    let mut before = (0, Value::Null);
    let mut states = 0;
    for kill in 0..kills() {
        let bytes = input.len() * (kill + 1) / (kills() + 1);
        let delay = Duration::from_millis(kill as u64 * 7 % 40);
        kill_after(folder, &ingest, &input[..bytes], delay);
        if !folder.path("killed/store.redb").exists() {
            continue;
        }
        let after = state(folder, "killed");
        assert!(after.0 >= before.0, "kill {kill}: {after:?} {before:?}");
        if after != before {
            // The log is a prefix of the log of an undisturbed run.
            let as_of = format!("whole --as-of {}", after.0);
            assert_eq!(after, state(folder, &as_of), "kill {kill}");
            states += 1;
        }
        before = after;
    }
    // The kills were between commits.
    assert!(states >= 3, "{states}");
    // The input is known by its content.
    folder
        .run(&format!("ingest killed events -q --engine {engine}"))
        .ok();
    assert_eq!(state(folder, "killed"), state(folder, "whole"));
    eprintln!("{engine}: {} kills, {states} states", kills());
}

#[test]
fn ar_3_a_killed_run_and_the_next_ones_are_as_one_in_simplified() {
    let folder = Folder::new();
    folder
        .run("generate --workload web-login --events 30000 -q -o events")
        .ok();
    a_killed_run_and_the_next_ones_are_as_one("simplified", &folder);
}

#[test]
fn ar_3_a_killed_run_and_the_next_ones_are_as_one_in_original() {
    let folder = Folder::new();
    folder.write("events", weighed_once());
    a_killed_run_and_the_next_ones_are_as_one("original", &folder);
    for user in [0, 1, USERS - 2, USERS - 1] {
        let cluster = folder.run(&format!("cluster v{user} --store killed")).ok();
        let cluster: Value = serde_json::from_str(&cluster).unwrap();
        assert_eq!(cluster["canonical"], format!("u{user}"));
    }
}

#[test]
fn ar_3_a_killed_run_and_the_next_ones_are_as_one_in_legacy() {
    let folder = Folder::new();
    folder.write("events", weighed_once());
    a_killed_run_and_the_next_ones_are_as_one("legacy", &folder);
}
