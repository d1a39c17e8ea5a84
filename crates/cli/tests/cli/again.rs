//! Inputs that are given to `ingest` again, whole, longer or in another form: rule AR-3.

use std::process::Stdio;

use serde_json::Value;

use crate::run::{Done, Folder, gzip, run, zstd};

const ANON: &str = "0d6c4e2a-0000-4000-8000-000000000001";

fn alias(id: &str, alias: &str) -> String {
    format!(
        r#"{{"event":"$create_alias","properties":{{"distinct_id":"{id}","alias":"{alias}"}}}}"#
    )
}

fn identify(user: &str) -> String {
    format!(
        r#"{{"event":"$identify","properties":{{"$identified_id":"{user}","$anon_id":"{ANON}"}}}}"#
    )
}

fn merge(first: &str, second: &str) -> String {
    format!(r#"{{"event":"$merge","properties":{{"$distinct_ids":["{first}","{second}"]}}}}"#)
}

/// Weighed twice, these make U2 canonical instead of U1: the second `$identify` of U2 is not rejected
/// once U1 and U2 are one cluster, so U2 becomes an identified ID, and it is older.
fn events() -> [String; 4] {
    [
        alias("U2", "X"),
        identify("U1"),
        identify("U2"),
        merge("U2", "U1"),
    ]
}

fn ndjson(events: &[String]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

fn line(done: Done) -> Value {
    serde_json::from_str(done.ok().trim_end()).unwrap()
}

/// The digest of the state, and the number of entries.
fn state(folder: &Folder, store: &str) -> (Value, Value) {
    let digest = line(folder.run(&format!("store digest {store}")));
    (digest["digest"].clone(), digest["as_of"].clone())
}

fn canonical(folder: &Folder, store: &str, id: &str) -> Value {
    line(folder.run(&format!("cluster {id} --store {store}")))["canonical"].clone()
}

/// A folder in which the store `once` has taken the events once.
fn taken_once() -> Folder {
    let folder = Folder::with(&[("events", &ndjson(&events()))]);
    folder.run("ingest once events --engine original").ok();
    assert_eq!(canonical(&folder, "once", "U2"), "U1");
    folder
}

/// Checks that the store has the state of one run.
#[track_caller]
fn is_as_once(folder: &Folder, store: &str) {
    assert_eq!(state(folder, store), state(folder, "once"), "{store}");
    assert_eq!(canonical(folder, store, "U2"), "U1", "{store}");
}

#[test]
fn ar_3_an_input_that_is_given_twice_counts_once() {
    let folder = taken_once();
    folder
        .run("ingest twice events --engine original")
        .code(0)
        .says("events                   4");
    folder
        .run("ingest twice events")
        .code(0)
        .says("taken before             4")
        .says("events                   0");
    is_as_once(&folder, "twice");
    folder
        .run("ingest in-one-run events events --engine original")
        .ok();
    is_as_once(&folder, "in-one-run");
}

#[test]
fn ar_3_an_input_without_its_last_line_break_is_the_same_input() {
    let folder = taken_once();
    let text = ndjson(&events());
    let windows = text.replace('\n', "\r\n");
    for (store, whole) in [("unix", &text), ("windows", &windows)] {
        folder.write("whole", whole);
        folder
            .run(&format!("ingest {store} whole --engine original"))
            .ok();
        folder.write("cut", whole.trim_end());
        folder.write(
            "longer",
            [whole, "{\"event\":\"A\",\"properties\":{}}\n"].concat(),
        );
        for (input, events) in [("cut", 0), ("whole", 0), ("longer", 1), ("cut", 0)] {
            folder
                .run(&format!("ingest {store} {input}"))
                .code(0)
                .says("taken before             4")
                .says(&format!("events                   {events}"));
        }
        is_as_once(&folder, store);
    }
}

#[test]
fn ar_3_the_content_counts_and_not_the_name_or_the_compression() {
    let folder = taken_once();
    let text = ndjson(&events());
    folder.write("events.gz", gzip(&text));
    folder.write("events.zst", zstd(&text));
    folder.write(
        "members.gz",
        [gzip(&text[..90]), gzip(&text[90..])].concat(),
    );
    folder.run("ingest s events --engine original").ok();
    for again in ["events.gz", "events.zst", "members.gz"] {
        folder
            .run(&format!("ingest s {again}"))
            .code(0)
            .says("taken before             4");
    }
    folder
        .pipe(text.clone(), "ingest s")
        .code(0)
        .says("taken before             4");
    folder
        .pipe(gzip(&text), "ingest s -")
        .code(0)
        .says("taken before             4");
    is_as_once(&folder, "s");
    // First through a pipe, then as a file.
    folder.pipe(text, "ingest p --engine original").ok();
    folder.run("ingest p events").ok();
    is_as_once(&folder, "p");
}

#[test]
fn ar_3_a_longer_input_continues_wherever_the_first_one_ended() {
    let folder = taken_once();
    let events = events();
    let lines = ndjson(&events);
    let array = |events: &[String]| format!("\u{feff}[\n {}\n]\n", events.join(",\n "));
    let row = |events: &[String]| {
        let pretty = |event: &String| event.replacen(",\"", ",\n  \"", 1);
        events.iter().map(pretty).collect::<Vec<_>>().join("\n")
    };
    let crlf = lines.replace('\n', "\r\n");
    let marked = lines.replace('\n', "\n\u{feff}");
    let array = array(&events);
    let row = row(&events);
    for (form, whole) in [
        ("lines", &lines),
        ("crlf", &crlf),
        ("marks", &marked),
        ("array", &array),
        ("row", &row),
    ] {
        for cut in (0..whole.len())
            .step_by(41)
            .chain([90, 91, 92, whole.len() - 1])
        {
            let store = format!("{form}-{cut}");
            folder.write("part", &whole.as_bytes()[..cut]);
            // A part without one usable event is an error (IN-6).
            let part = folder.run(&format!("ingest {store} part -q --engine original"));
            assert!(
                part.code == Some(0) || part.code == Some(1),
                "{}",
                part.stderr
            );
            folder.write("whole", whole);
            let done = folder.run(&format!("ingest {store} whole -q --engine original"));
            assert_eq!(done.code, Some(0), "{form} {cut}: {}", done.stderr);
            assert_eq!(done.stderr, "", "{form} {cut}");
            is_as_once(&folder, &store);
            folder
                .pipe(whole.clone(), &format!("ingest {store} -q"))
                .ok();
            is_as_once(&folder, &store);
        }
    }
}

#[test]
fn ar_3_both_versions_of_an_input_that_has_grown_are_known() {
    let folder = taken_once();
    let events = events();
    folder.write("old", ndjson(&events[..2]));
    folder.run("ingest s old --engine original").ok();
    folder
        .run("ingest s events")
        .code(0)
        .says("taken before             2")
        .says("events                   2");
    for again in ["old", "events", "old"] {
        folder.run(&format!("ingest s {again}")).ok();
        is_as_once(&folder, "s");
    }
}

#[test]
fn ar_3_another_beginning_under_the_same_name_is_a_new_input() {
    let folder = taken_once();
    folder.write("log", ndjson(&[merge("a", "b")]));
    folder.run("ingest s log --engine original").ok();
    folder.write("log", ndjson(&[merge("a", "c"), merge("a", "b")]));
    folder
        .run("ingest s log")
        .code(0)
        .says("events                   2")
        .says("new entries              1");
    let cluster = line(folder.run("cluster a --store s"));
    assert_eq!(cluster["members"].as_array().unwrap().len(), 3);
}

#[test]
fn ar_3_lines_and_records_are_counted_from_the_start_of_the_input() {
    for (first, whole, where_it_is) in [
        (
            "{\"event\":\"A\",\"properties\":{\"distinct_id\":\"u\"}}",
            "{\"event\":\"A\",\"properties\":{\"distinct_id\":\"u\"}}\n\n{\"event\":5}\n",
            "line 3",
        ),
        (
            "{\"event\":\"A\",\"properties\":{\"distinct_id\":\"u\"}}\n\n",
            "{\"event\":\"A\",\"properties\":{\"distinct_id\":\"u\"}}\n\n{\"event\":5}\n",
            "line 3",
        ),
        (
            "[{\"event\":\"A\",\n\"properties\":{\"distinct_id\":\"u\"}}]",
            "[{\"event\":\"A\",\n\"properties\":{\"distinct_id\":\"u\"}},\n{\"event\":5}]",
            "record 2 (line 3)",
        ),
    ] {
        let folder = Folder::with(&[("log", first)]);
        folder.run("ingest s log --engine original").ok();
        folder.write("log", whole);
        folder
            .run("ingest s log")
            .code(0)
            .says(&format!("log, {where_it_is}: "));
    }
}

#[test]
fn ar_3_a_withdrawn_claim_does_not_come_back_with_its_input_unless_again_is_given() {
    let folder = Folder::with(&[("events", &ndjson(&[merge("a", "b")]))]);
    folder.run("ingest s events --engine original").ok();
    folder.run("store retract s 1 --who eve --why wrong").ok();
    folder
        .run("ingest s events")
        .code(0)
        .says("taken before             1");
    assert_eq!(canonical(&folder, "s", "b"), "b");
    folder
        .run("ingest s events --again")
        .code(0)
        .says("events                   1");
    assert_eq!(canonical(&folder, "s", "b"), "a");
    folder
        .run("ingest s events")
        .code(0)
        .says("taken before             1");
}

#[test]
fn ar_3_a_run_with_again_that_failed_is_continued() {
    let folder = Folder::with(&[("events", &ndjson(&events())), ("csv", "a,b\n1,2\n")]);
    folder.run("ingest s events --engine original").ok();
    for _ in 0..2 {
        folder.run("ingest s events csv --again").code(1);
        folder
            .run("ingest s events --again")
            .code(0)
            .says("taken before             4")
            .says("events                   0");
    }
    folder
        .run("ingest s events events --again")
        .code(0)
        .says("taken before             4")
        .says("events                   4");
}

#[test]
fn ar_3_a_withdrawn_claim_is_taken_anew_also_after_a_run_with_again_that_failed() {
    let inputs = [
        ("events", &*ndjson(&[merge("a", "b")])),
        ("csv", "a,b\n1,2\n"),
    ];
    let folder = Folder::with(&inputs);
    folder.run("ingest s events --engine original").ok();
    let fail = || folder.run("ingest s events csv --again").code(1);
    fail();
    // Without a withdrawal the run is continued, and says so.
    folder
        .run("ingest s events --again")
        .code(0)
        .says("idmerge: this continues the --again run that did not finish")
        .says("events                   0");
    fail();
    let json = folder.run("ingest s events --again --summary json");
    assert!(json.stderr.contains(r#""continues_again":true"#));
    fail();
    folder.run("store retract s 1 --who eve --why wrong").ok();
    let json = folder.run("ingest s events --again --summary json");
    assert!(json.stderr.contains(r#""continues_again":false"#));
    assert_eq!(canonical(&folder, "s", "b"), "a");
    let done = folder.run("ingest s events --again").code(0);
    assert!(!done.stderr.contains("continues"), "{}", done.stderr);
}

#[test]
fn ar_3_an_input_that_cannot_be_read_to_its_end_is_continued_when_it_is_whole() {
    let folder = taken_once();
    let events = events();
    let common: String = (0..3_000)
        .map(|n| alias(&format!("u{n}"), &format!("a{n}")) + "\n")
        .collect();
    let whole = gzip(format!(
        "{}{common}{}",
        ndjson(&events[..2]),
        ndjson(&events[2..])
    ));
    folder.write("whole.gz", &whole);
    folder
        .run("ingest once-long whole.gz --engine original")
        .ok();
    folder.write("cut.gz", &whole[..whole.len() * 2 / 3]);
    folder
        .run("ingest s events cut.gz --engine original")
        .code(1)
        .says("cannot read cut.gz after line");
    // What earlier inputs gave is there, and so is what could be read of this one.
    assert_eq!(canonical(&folder, "s", "U2"), "U1");
    assert_eq!(canonical(&folder, "s", "a1"), "u1");
    folder.run("ingest t cut.gz --engine original").code(1);
    folder.run("ingest t whole.gz").code(0).says("taken before");
    assert_eq!(state(&folder, "t"), state(&folder, "once-long"));
    folder
        .run("ingest r events none --engine original")
        .code(1)
        .says("none");
}

#[test]
fn ar_3_an_unusable_input_is_an_error_each_time() {
    let folder = Folder::with(&[("csv", "a,b\n1,2\n")]);
    for _ in 0..2 {
        folder
            .run("ingest s csv --engine original")
            .code(1)
            .says("it looks like CSV");
    }
}

#[test]
fn ar_3_what_a_backup_and_a_repair_keep_is_known_there() {
    let folder = taken_once();
    folder.run("store backup once saved").ok();
    folder.run("store restore saved restored").ok();
    folder
        .run("ingest restored events")
        .code(0)
        .says("taken before             4");
    is_as_once(&folder, "restored");
}

#[test]
fn ar_3_an_interrupted_pipe_is_continued() {
    let folder = taken_once();
    let text = ndjson(&events());
    let mut child = folder
        .command("ingest s -q --engine original")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), &text.as_bytes()[..150]).unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().code().is_some());
    folder.pipe(text, "ingest s -q --engine original").ok();
    is_as_once(&folder, "s");
}

/// Long inputs with a common beginning: what is known is only decided after more than the first bytes.
#[test]
fn ar_3_long_inputs_with_one_beginning_are_told_apart() {
    let folder = Folder::new();
    let user = |n: u32| {
        format!(
            "{{\"event\":\"$create_alias\",\"properties\":{{\"distinct_id\":\"u{n}\",\"alias\":\"a{n}\"}}}}\n"
        )
    };
    let common: String = (0..4_000).map(user).collect();
    let first = format!("{common}{}", ndjson(&events()));
    let second = format!(
        "{common}{}{}",
        ndjson(&[merge("U2", "U3")]),
        ndjson(&events())
    );
    folder.write("first", &first);
    folder.write("second", &second);
    folder.run("ingest s first --engine original -q").ok();
    folder
        .pipe(second.clone(), "ingest s")
        .code(0)
        .says("events               4,005");
    folder
        .pipe(second, "ingest s")
        .code(0)
        .says("taken before         4,005");
    folder
        .pipe(first, "ingest s")
        .code(0)
        .says("taken before         4,004");
    let mut shut = folder.command("ingest s second");
    shut.env("TMPDIR", "/nonexistent");
    run(shut, "").code(0).says("taken before         4,005");
}
