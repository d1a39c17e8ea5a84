//! Raw records of other products (A-1 to A-8), through every command that reads events.

use serde_json::Value;

use crate::manual::commands;
use crate::run::{Folder, gzip};

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const ANON: &str = "a1a1a1a1-0000-4000-8000-000000000001";

/// A visit and a login, as Segment stores them.
fn calls() -> String {
    [
        format!(
            r#"{{"type":"page","anonymousId":"{ANON}","userId":null,"messageId":"m-1","receivedAt":"2024-05-01T12:00:00Z"}}"#
        ),
        format!(
            r#"{{"type":"identify","anonymousId":"{ANON}","userId":"U1","messageId":"m-2","receivedAt":"2024-05-01T12:00:01Z"}}"#
        ),
    ]
    .map(|line| line + "\n")
    .concat()
}

fn cluster(device: &str) -> String {
    format!("{{\"canonical\":\"U1\",\"members\":[\"U1\",\"{device}\"]}}\n")
}

#[test]
fn a_5_every_command_reads_calls_in_every_form_of_input() {
    let calls = calls();
    let array = format!("[{}]", calls.trim_end().replace('\n', ",\n"));
    let pretty = calls.replace("{", "{\n");
    for bytes in [
        calls.clone().into_bytes(),
        gzip(&calls),
        array.into_bytes(),
        pretty.into_bytes(),
    ] {
        for (engine, device) in [
            ("simplified", format!("$device:{ANON}")),
            ("original", ANON.to_owned()),
        ] {
            let folder = Folder::new();
            folder.write("in", &bytes);
            let from = format!("-q --strict --from segment --engine {engine}");
            assert_eq!(
                folder.run(&format!("clusters in {from}")).ok(),
                cluster(&device)
            );
            assert_eq!(
                folder.pipe(&*bytes, &format!("clusters {from}")).ok(),
                cluster(&device)
            );
            let mappings = folder.run(&format!("mappings in {from} --format csv")).ok();
            assert_eq!(
                mappings,
                format!("distinct_id,resolved_distinct_id\n{device},U1\n")
            );
            let resolved = folder.run(&format!("resolve in {from}")).ok();
            assert_eq!(lines(&resolved).len(), 2);
            assert!(
                lines(&resolved)
                    .iter()
                    .all(|line| line["properties"]["distinct_id"] == "U1")
            );
        }
    }
}

#[cfg(feature = "store")]
#[test]
fn a_5_a_store_takes_calls_once() {
    let folder = Folder::with(&[("calls", &calls())]);
    let ingest = "ingest people calls --from segment --engine original --summary json -q";
    let summary = |stderr: &str| -> Value { serde_json::from_str(stderr).unwrap() };
    let first = summary(&folder.run(ingest).code(0).stderr);
    assert_eq!((&first["merges"], &first["events"]), (&1.into(), &2.into()));
    assert_eq!(first["from"]["format"], "segment");
    let again = summary(&folder.run(ingest).code(0).stderr);
    assert_eq!(
        (&again["merges"], &again["events_taken_before"]),
        (&0.into(), &2.into())
    );
    let clusters = folder.run("clusters --store people").ok();
    assert_eq!(clusters, cluster(ANON));
    let resolved = folder
        .run("resolve calls --store people --from auto -q")
        .ok();
    assert!(
        lines(&resolved)
            .iter()
            .all(|line| line["properties"]["distinct_id"] == "U1")
    );
}

#[test]
fn a_5_inspect_gives_both_models_their_claims() {
    let folder = Folder::with(&[("calls", &calls())]);
    let report = folder
        .run("inspect calls --from segment --format json -q")
        .ok();
    let report: Value = serde_json::from_str(&report).unwrap();
    for model in ["simplified", "original"] {
        let after = report.pointer(&format!("/models/{model}/users"));
        let after = after.unwrap_or_else(|| panic!("{report}"));
        assert_eq!(*after, 1, "{report}");
    }
}

#[test]
fn a_3_a_refused_record_is_named_by_its_line_property_and_rule() {
    let folder = Folder::new();
    let bad = r#"{"type":"track","event":"A","userId":1.5}"#;
    let batch = r#"{"batch":[{"type":"track","userId":"U1"},{"type":"track","event":"B","userId":"undefined"}]}"#;
    folder.write(
        "calls",
        format!("\n{bad}\n{}\n{batch}\n\u{feff}x\n", calls()),
    );
    let args = "resolve calls --from segment --engine simplified --refused refused --summary json";
    let done = folder.run(args).code(0);
    let refused = lines(&folder.read("refused"));
    let shown: Vec<_> = refused
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            (line["line"].as_u64().unwrap(), text("rule"), text("error"))
        })
        .collect();
    let error = |text: &str| text.to_owned();
    assert_eq!(
        shown,
        [
            (
                2,
                error("ID-3"),
                error(r#""userId" "1.5" is not an ID; send a string or an integer (ID-3)"#)
            ),
            (
                6,
                error("A-2"),
                error(
                    r#""batch"[0]: "event" is missing: a track call needs the name of its event (A-2)"#
                )
            ),
            (
                7,
                error("IN-1"),
                error(r#""x" is not a JSON object, so it is not a record (IN-1)"#)
            ),
        ]
    );
    assert_eq!(
        refused[0]["event"],
        serde_json::from_str::<Value>(bad).unwrap()
    );
    let summary: Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(
        (&summary["events"], &summary["refused"]),
        (&3.into(), &3.into())
    );
    assert_eq!(summary["from"]["records"], 5);
    assert_eq!(summary["from"]["blocked_user_id"], 1);
    // In an array a record has a number as well.
    let done = folder.pipe(
        format!("[{},\n{bad}]", calls().trim_end().replace('\n', ",")),
        "clusters --from segment --engine simplified",
    );
    assert!(
        done.stderr.contains("record 3 (line 2): \"userId\""),
        "{}",
        done.stderr
    );
}

#[test]
fn a_7_a_record_that_is_delivered_twice_counts_once() {
    let twice = calls().repeat(2);
    let folder = Folder::with(&[("calls", &twice)]);
    let run = |more: &str| {
        let done = folder.run(&format!(
            "resolve calls --from segment --engine original --summary json {more}"
        ));
        let done = done.code(0);
        let summary: Value = serde_json::from_str(&done.stderr).unwrap();
        (
            lines(&done.stdout).len(),
            summary["from"]["duplicates"].clone(),
        )
    };
    assert_eq!(run(""), (2, 2.into()));
    assert_eq!(run("--dedup"), (2, 2.into()));
    assert_eq!(run("--dedup=no"), (4, 0.into()));
    // Events of Mixpanel stay, unless somebody asks.
    let event = r#"{"event":"A","properties":{"distinct_id":"U1","$insert_id":"i","time":5}}"#;
    let other = r#"{"event":"A","properties":{"distinct_id":"U1","$insert_id":"i","time":6}}"#;
    let events = format!("{event}\n{other}\n{event}\n");
    for (args, count) in [("", 3), ("--dedup", 2), ("--dedup=no", 3)] {
        let resolved = folder.pipe(&*events, &format!("resolve -q --engine simplified {args}"));
        assert_eq!(lines(&resolved.ok()).len(), count, "{args}");
    }
}

#[test]
fn a_8_auto_says_what_it_chose_or_stops() {
    let folder = Folder::with(&[("calls", &calls())]);
    let done = folder
        .run("resolve calls --from auto --engine simplified")
        .code(0);
    assert!(
        done.stderr.contains("read as segment (A-8)"),
        "{}",
        done.stderr
    );
    assert_eq!(lines(&done.stdout).len(), 2);
    let events = r#"{"event":"A","properties":{"distinct_id":"U1"}}"#;
    let done = folder
        .pipe(events, "resolve --from auto --engine simplified")
        .code(0);
    assert!(
        done.stderr.contains("read as mixpanel (A-8)"),
        "{}",
        done.stderr
    );
    assert_eq!(lines(&done.stdout).len(), 1);
    let mixed = format!(
        "{}{}",
        calls(),
        r#"{"type":"track","messageId":"1","rudderId":"r"}"#
    );
    let done = folder
        .pipe(mixed, "resolve --from auto --engine simplified")
        .code(1);
    let error = "look like segment and rudderstack, so --from auto cannot choose (A-8)";
    assert!(done.stderr.contains(error), "{}", done.stderr);
    assert_eq!(done.stdout, "");
}

/// A shared device, in records of the form that Segment's storage has. RudderStack's destination would send a `$merge`
/// for each login, which joins the two users.
#[test]
fn a_8_what_segment_stores_is_not_taken_for_rudderstack() {
    let login = |user: &str| {
        format!(
            r#"{{"_metadata":{{"bundled":["Segment.io"]}},"anonymousId":"{ANON}","channel":"client","context":{{}},"messageId":"{user}","originalTimestamp":"2019-06-21T16:33:26.060Z","projectId":"P0","receivedAt":"2019-06-21T16:33:26.155Z","timestamp":"2019-06-21T16:33:26.155Z","type":"identify","userId":"{user}","version":2}}"#
        ) + "\n"
    };
    let calls = login("alice") + &login("bob");
    let clusters = Folder::new().pipe(
        calls.clone(),
        "clusters --from auto --as mixpanel --engine original",
    );
    let clusters = clusters.code(0).says("read as segment (A-8)").stdout;
    assert_eq!(
        clusters,
        format!("{{\"canonical\":\"alice\",\"members\":[\"alice\",\"{ANON}\"]}}\n")
    );
    // Without --from, the advice is what --from auto would choose.
    for (calls, format) in [
        (calls.clone(), "segment"),
        (calls.replace("\"messageId\"", "\"id\""), "segment"),
        (
            calls.replace("\"projectId\"", "\"rudderId\""),
            "rudderstack",
        ),
        (
            calls
                .replace("\"projectId\"", "\"rudderId\"")
                .replace("\"messageId\"", "\"id\""),
            "rudderstack",
        ),
    ] {
        let done = Folder::new().pipe(calls, "resolve --engine original");
        done.code(1)
            .says(&format!("read it with `--from {format}`"));
    }
}

#[test]
fn a_4_as_mixpanel_needs_a_product_whose_connector_is_known() {
    let folder = Folder::with(&[("calls", &calls())]);
    let done = folder
        .run("resolve calls --as mixpanel --engine original")
        .code(2);
    assert!(
        done.stderr.contains("name it with --from"),
        "{}",
        done.stderr
    );
    let resolved = folder
        .run("resolve calls --as mixpanel --from segment --engine original -q")
        .ok();
    assert_eq!(lines(&resolved)[1]["properties"]["$anon_id"], ANON);
}

#[test]
fn a_6_records_that_go_back_in_the_time_of_receipt_are_reported() {
    let calls = calls();
    let (first, second) = calls.split_once('\n').unwrap();
    let folder = Folder::with(&[("in", &format!("{second}{first}\n"))]);
    let args = "resolve in --from segment --engine simplified -o out";
    let warning = "1 of 2 records have an earlier receivedAt";
    let done = folder.run(args).code(0);
    assert!(done.stderr.contains(warning), "{}", done.stderr);
    let done = folder.run(&format!("{args} -q")).code(0);
    assert_eq!(done.stderr, "");
}

#[test]
fn in_6_an_input_of_another_product_says_how_to_read_it() {
    let done = Folder::new()
        .pipe(calls(), "resolve --engine simplified")
        .code(1);
    assert!(
        done.stderr.contains("read it with `--from segment`"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_2_a_table_is_read_row_by_row() {
    let folder = Folder::new();
    let mut csv = "who,cookie,what,note\r\n".to_owned();
    csv += "U1,D1,\"Buy, now\",\"two\nlines \"\"quoted\"\"\"\n,D1,View,\nU1,D1\nx,y,E,\n";
    folder.write("in.csv", &csv);
    let map = "--from csv --map user=who,device=cookie,event=what --engine simplified";
    let done = folder
        .run(&format!("resolve in.csv {map} --refused refused -q"))
        .code(0);
    let events = lines(&done.stdout);
    assert_eq!(events.len(), 3);
    assert_eq!(events[0]["event"], "Buy, now");
    assert_eq!(events[0]["properties"]["note"], "two\nlines \"quoted\"");
    assert_eq!(events[1]["properties"]["distinct_id"], "U1");
    let refused = lines(&folder.read("refused"));
    assert_eq!(
        (&refused[0]["line"], &refused[0]["rule"]),
        (&5.into(), &"A-2".into())
    );
    assert_eq!(refused[0]["text"], "U1,D1");
    // Rows of many blocks, with line breaks in cells.
    let mut long = "who,cookie,what,note\n".to_owned();
    for row in 0..20_000 {
        long += &format!("u-{row},d-{row},E,\"a\n{row}\nb\"\n");
    }
    let clusters = folder
        .pipe(long, &format!("clusters -q --strict {map}"))
        .ok();
    assert_eq!(clusters.lines().count(), 20_000);
    assert!(
        clusters.ends_with(
            "{\"canonical\":\"u-19999\",\"members\":[\"u-19999\",\"$device:d-19999\"]}\n"
        )
    );
}

#[test]
fn a_8_auto_reads_the_header_of_a_table() {
    let tsv = "collector_tstamp\tevent_name\tdomain_userid\tuser_id\n2024-05-01\tE\tD1\tU1\n";
    let snowflake =
        "AMPLITUDE_ID,EVENT_TYPE,USER_ID,DEVICE_ID,EVENT_PROPERTIES\n1,E,U1,D1,\"{\"\"a\"\":1}\"\n";
    for text in [tsv, snowflake] {
        let clusters =
            Folder::new().pipe(text, "clusters -q --strict --from auto --engine simplified");
        assert_eq!(clusters.ok(), cluster("$device:D1"));
    }
}

#[test]
fn a_2_options_of_one_product_need_it() {
    let folder = Folder::with(&[("in", "")]);
    for (args, error) in [
        ("--from csv", "--from csv needs the columns"),
        ("--map user=a", "--map needs --from csv"),
        ("--from auto --map user=a", "--map needs --from csv"),
        ("--from csv --map user", "is not a part and its column"),
        ("--from csv --map user=a,user=b", "user is named twice"),
        ("--from ga4 --table pages", "--table needs --from segment"),
        (
            "--user-identity email",
            "--user-identity needs --from mparticle",
        ),
        (
            "--from segment --snowplow-device network_userid",
            "needs --from snowplow",
        ),
        (
            "--from ga4 --as mixpanel",
            "is known for segment and rudderstack only",
        ),
    ] {
        let done = folder.run(&format!("resolve in --engine simplified {args}"));
        assert!(matches!(done.code, Some(1 | 2)), "{args}");
        assert!(done.stderr.contains(error), "{args}: {}", done.stderr);
    }
}

/// The samples of the products' documentation, in the form of `crates/adapters/tests/data`.
#[test]
fn a_8_the_first_record_of_each_product_is_recognised() {
    for (format, record) in [
        (
            "mparticle",
            r#"{"events":[{"event_type":"screen_view","data":{}}],"mpid":1,"mp_deviceid":"D1"}"#,
        ),
        (
            "amplitude",
            r#"{"amplitude_id":1,"event_type":"E","device_id":"D1"}"#,
        ),
        (
            "posthog",
            r#"{"event":"E","distinct_id":"D1","person_id":"P","properties":{"$device_id":"D1"}}"#,
        ),
        ("ga4", r#"{"event_name":"E","user_pseudo_id":"D1"}"#),
        ("snowplow", r#"{"event_name":"E","domain_userid":"D1"}"#),
        (
            "rudderstack",
            r#"{"id":"m","anonymous_id":"D1","received_at":"2024-05-01","event":"E"}"#,
        ),
    ] {
        let done = Folder::new()
            .pipe(record, "resolve --from auto --engine simplified")
            .code(0);
        let said = format!("read as {format} (A-8)");
        assert!(done.stderr.contains(&said), "{}", done.stderr);
        let event = &lines(&done.stdout)[0]["properties"];
        assert_eq!(
            (&event["distinct_id"], &event["$source"]),
            (&"$device:D1".into(), &format.into())
        );
    }
}

#[test]
fn every_command_that_reads_events_has_from() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/adapters.md");
    let document = std::fs::read_to_string(document).unwrap();
    assert!(document.contains("another product, in every command that reads events"));
    let folder = Folder::new();
    let mut reading = 0;
    for command in commands(&folder) {
        let help = folder.run(&format!("{command} --help")).ok();
        let reads_events = help.contains(" [INPUT]...\n");
        assert_eq!(help.contains("--from <"), reads_events, "{help}");
        reading += usize::from(reads_events);
    }
    assert!(reading >= 10, "only {reading} commands read events");
}
