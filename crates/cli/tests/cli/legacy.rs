//! `--engine legacy`: events are resolved when they come, and the input is read once (L-3).

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::run::Folder;

const EVENTS: &str = r#"{"event":"View","properties":{"distinct_id":"U"}}
{"event":"$create_alias","properties":{"distinct_id":"$device:d1","alias":"U"}}
{"event":"View","properties":{"distinct_id":"U"}}
{"event":"$create_alias","properties":{"distinct_id":"d2","alias":"U"}}
{"event":"$identify","properties":{"distinct_id":"U","$anon_distinct_id":"d2"}}
no event
{"event":"Vi\u0065w","properties":{"distinct_id":"\u0055"}}
"#;

/// Worked out by hand.
const RESOLVED: &str = r#"{"event":"View","properties":{"distinct_id":"U"}}
{"event":"$create_alias","properties":{"distinct_id":"d1","alias":"U"}}
{"event":"View","properties":{"distinct_id":"d1","$distinct_id_before_identity":"U"}}
{"event":"$create_alias","properties":{"distinct_id":"d2","alias":"U","$failure_reason":"errAliasAlreadyExists","$failure_description":"the alias \"U\" is already in use"}}
{"event":"$identify","properties":{"distinct_id":"d1","$anon_distinct_id":"d2","$distinct_id_before_identity":"U"}}
{"event":"Vi\u0065w","properties":{"distinct_id":"d1","$distinct_id_before_identity":"U"}}
"#;

#[test]
fn l_3_each_event_is_written_with_its_root_at_its_arrival() {
    let folder = Folder::with(&[("in", EVENTS)]);
    for args in ["resolve in", "resolve in -o out", "resolve -"] {
        let done = match args {
            "resolve -" => folder.pipe(EVENTS, "resolve - --engine legacy"),
            _ => folder.run(&format!("{args} --engine legacy")),
        };
        let done = done.code(0);
        for row in [
            "events                   6",
            "users before             3",
            "users after              3",
            "merges                   1",
            "errAliasAlreadyExists",
            "refused                  1",
        ] {
            assert!(done.stderr.contains(row), "{row}: {}", done.stderr);
        }
        let out = match args {
            "resolve in -o out" => folder.read("out"),
            _ => done.stdout,
        };
        assert_eq!(out, RESOLVED, "{args}");
    }
}

#[test]
fn law_10_resolving_twice_changes_nothing() {
    let folder = Folder::new();
    let once = folder.pipe(RESOLVED, "resolve - --engine legacy").code(0);
    assert_eq!(once.stdout, RESOLVED);
}

/// An input of many blocks: the aliases come on the way, and each event follows its own.
#[test]
fn l_3_the_order_counts_across_blocks_and_threads() {
    let mut lines = String::new();
    let mut wanted = Vec::new();
    for number in 0..20_000 {
        let id = number % 50;
        if (5_000..5_050).contains(&number) {
            let properties = format!("\"distinct_id\":\"d{id}\",\"alias\":\"U{id}\"");
            writeln!(
                lines,
                "{{\"event\":\"$create_alias\",\"properties\":{{{properties}}}}}"
            )
            .unwrap();
            wanted.push(format!("d{id}"));
        } else {
            let pad = "x".repeat(100);
            let properties = format!("\"distinct_id\":\"U{id}\",\"pad\":\"{pad}\"");
            writeln!(
                lines,
                "{{\"event\":\"View\",\"properties\":{{{properties}}}}}"
            )
            .unwrap();
            let has_alias = number >= 5_050;
            wanted.push(format!("{}{id}", if has_alias { "d" } else { "U" }));
        }
    }
    let done = Folder::new()
        .pipe(lines, "resolve - --engine legacy")
        .code(0);
    let found = done.stdout.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["properties"]["distinct_id"]
            .as_str()
            .unwrap()
            .to_owned()
    });
    assert!(found.eq(wanted));
}

/// The answer comes while the input is still open, so nothing waits for its end and nothing copies it.
#[test]
fn l_3_a_pipe_is_answered_before_it_ends() {
    let folder = Folder::new();
    let mut child = folder
        .command("resolve - --engine legacy -q")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let line = "{\"event\":\"View\",\"properties\":{\"distinct_id\":\"U\"}}\n";
    // More than a few blocks, and more than the buffers between the two programs.
    let writer = std::thread::spawn(move || {
        for _ in 0..200_000 {
            stdin.write_all(line.as_bytes()).unwrap();
        }
        stdin
    });
    let mut first = String::new();
    for _ in 0..1_000 {
        first.clear();
        stdout.read_line(&mut first).unwrap();
        assert_eq!(first, line);
    }
    let rest = std::thread::spawn(move || stdout.lines().count());
    drop(writer.join().unwrap());
    assert_eq!(rest.join().unwrap(), 199_000);
    assert!(child.wait().unwrap().success());
}

#[test]
fn l_12_clusters_and_mappings_are_those_of_the_aliases() {
    let folder = Folder::with(&[("in", EVENTS)]);
    let clusters = folder.run("clusters in --engine legacy").ok();
    assert_eq!(
        clusters,
        "{\"canonical\":\"d1\",\"members\":[\"d1\",\"U\"]}\n"
    );
    let mappings = folder.run("mappings in --engine legacy --format csv").ok();
    assert_eq!(mappings, "distinct_id,resolved_distinct_id\nU,d1\n");
}

#[test]
fn l_10_a_limit_of_clusters_is_no_setting_of_legacy() {
    Folder::with(&[("in", EVENTS)])
        .run("resolve in --engine legacy --max-cluster-ids 5")
        .code(2)
        .says("not a setting of --engine legacy");
}

#[cfg(feature = "store")]
mod store {
    use super::*;

    #[test]
    fn l_3_a_store_answers_with_the_root_now_and_says_so() {
        let folder = Folder::with(&[("in", EVENTS)]);
        folder.run("ingest s in --engine legacy").code(0);
        // Of all events, the first one too is of `d1` now.
        let done = folder.run("resolve in --store s").code(0);
        let first = done.stdout.lines().next().unwrap();
        assert_eq!(
            first,
            r#"{"event":"View","properties":{"distinct_id":"d1","$distinct_id_before_identity":"U"}}"#
        );
        assert!(done.stderr.contains("(L-3)"), "{}", done.stderr);
        let done = folder.run("resolve in --store s --summary json").code(0);
        assert!(
            done.stderr.contains("\"resolved_as_of\":\"now\""),
            "{}",
            done.stderr
        );
        let clusters = folder.run("clusters --store s").ok();
        assert_eq!(
            clusters,
            "{\"canonical\":\"d1\",\"members\":[\"d1\",\"U\"]}\n"
        );
    }

    #[test]
    fn l_8_an_alias_that_is_withdrawn_is_as_if_it_had_not_come() {
        let folder = Folder::with(&[("in", EVENTS)]);
        folder.run("ingest s in --engine legacy").code(0);
        folder
            .run("store retract s 1 --who ada --why mistake")
            .code(0);
        // The second alias, which the first one had kept out, counts.
        let clusters = folder.run("clusters --store s").ok();
        assert_eq!(
            clusters,
            "{\"canonical\":\"d2\",\"members\":[\"d2\",\"U\"]}\n"
        );
    }

    #[test]
    fn l_11_a_store_logs_an_alias_once_and_the_claims_of_other_models() {
        let folder = Folder::with(&[("in", EVENTS)]);
        for engine in ["legacy", "original", "simplified"] {
            let store = folder.run(&format!("ingest {engine} in --engine {engine}"));
            store.code(0);
            let info = folder.run(&format!("store info {engine}")).ok();
            let info: Value = serde_json::from_str(&info).unwrap();
            // Two aliases, and an `$identify`.
            assert_eq!(info["entries"], 3, "{engine}: {info}");
        }
    }
}
