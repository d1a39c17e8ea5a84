//! `idmerge lint`: mistakes in tracking code, with evidence.

#[cfg(unix)]
use std::fs;

use serde_json::{Value, json};

#[cfg(unix)]
use crate::funnel::block_after;
use crate::run::{Folder, gzip};

fn line(name: &str, properties: Value) -> String {
    json!({ "event": name, "properties": properties }).to_string() + "\n"
}

/// Two users of a tablet without a reset, and a login with code as ID.
fn events() -> String {
    [
        line(
            "View",
            json!({"$device_id": "tablet", "time": 1_700_000_000}),
        ),
        line(
            "Log In",
            json!({"$device_id": "tablet", "$user_id": "ben", "time": 1_700_000_001}),
        ),
        line(
            "Log In",
            json!({"$device_id": "tablet", "$user_id": "ada", "time": 1_700_000_002}),
        ),
        line(
            "Buy",
            json!({"$device_id": "tablet", "$user_id": "ada", "time": 1_700_000_003}),
        ),
        line(
            "Log In",
            json!({"$device_id": "phone", "$user_id": "user_id", "time": 1_700_000_004}),
        ),
        line(
            "View",
            json!({"distinct_id": "undefined", "time": 1_700_000_005}),
        ),
    ]
    .concat()
}

#[track_caller]
fn lint(folder: &Folder, args: &str) -> Value {
    let done = folder.run(&format!("lint -q --json {args}")).code(0);
    serde_json::from_str(&done.stdout).unwrap()
}

/// The findings, each with its IDs.
fn found(report: &Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| {
            let examples = finding["examples"].as_array().unwrap().iter();
            let ids = examples.map(|example| text(&example["id"]));
            (text(&finding["finding"]), ids.collect())
        })
        .collect()
}

fn expected(findings: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    findings
        .iter()
        .map(|(finding, ids)| ((*finding).to_owned(), owned(ids)))
        .collect()
}

#[test]
fn each_finding_has_its_evidence_and_its_fix() {
    let folder = Folder::with(&[("events", &events())]);
    let report = lint(&folder, "events --engine simplified");
    assert_eq!(
        found(&report),
        expected(&[
            ("junk-id", &["undefined"]),
            ("placeholder-id", &["user_id"]),
            ("missing-reset", &["tablet"]),
        ])
    );
    assert_eq!(
        (&report["events"], &report["refused"]),
        (&json!(5), &json!(1))
    );
    let reset = &report["findings"][2];
    assert_eq!(
        reset["examples"],
        json!([{
            "id": "tablet",
            "what": "ben, then ada",
            "events": 2,
            "evidence": [
                {"file": "events", "line": 2, "time_ms": 1_700_000_001_000_u64},
                {"file": "events", "line": 3, "time_ms": 1_700_000_002_000_u64},
            ],
        }])
    );
    assert_eq!(
        (&reset["users"], &reset["rule"]),
        (&json!(2), &json!("S-7"))
    );
    assert!(reset["fix"].as_str().unwrap().contains("reset()"));
}

#[cfg(unix)]
#[test]
fn the_readme_shows_what_is_printed() {
    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    let folder = Folder::new();
    fs::create_dir(folder.path("examples")).unwrap();
    let shop = fs::read(format!("{ROOT}/examples/web-shop.ndjson")).unwrap();
    folder.write("examples/web-shop.ndjson", shop);
    let command = "idmerge lint examples/web-shop.ndjson --engine simplified";
    assert_eq!(folder.shell(command).ok(), block_after(&readme, command));
}

#[test]
fn the_exit_code_is_1_only_if_it_is_asked_for() {
    let folder = Folder::with(&[("events", &events())]);
    let plain = folder.run("lint events --engine simplified -q").code(0);
    assert!(plain.stdout.contains("missing-reset"), "{}", plain.stdout);
    for fail_on in ["error", "warning", "note"] {
        folder
            .run(&format!(
                "lint events --engine simplified -q --fail-on {fail_on}"
            ))
            .code(1);
    }
    let reset = events()
        .lines()
        .take(3)
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    folder.write("reset", reset);
    folder
        .run("lint reset --engine simplified -q --fail-on error")
        .code(0);
    folder
        .run("lint reset --engine simplified -q --fail-on warning")
        .code(1);
    folder
        .run("lint reset --engine simplified --fail-on never")
        .code(2);
    folder.run("lint reset").code(2);
    folder.run("lint reset --store people").code(2);
}

#[test]
fn the_text_fits_a_screen() {
    let folder = Folder::new();
    folder
        .run("generate --workload web-login --events 30000 --mistakes truth -q -o in")
        .ok();
    for engine in ["simplified", "original"] {
        let page = folder
            .run(&format!("lint in -q --engine {engine}"))
            .code(0)
            .stdout;
        assert!(page.lines().count() <= 30, "{page}");
        assert!(
            page.lines().all(|line| line.chars().count() <= 100),
            "{page}"
        );
    }
    let clean = folder
        .run("generate --workload web-login --events 3000 -q")
        .ok();
    let page = folder
        .pipe(&*clean, "lint -q --engine original")
        .code(0)
        .stdout;
    assert!(page.contains("No mistake was found."), "{page}");
}

#[test]
fn the_planted_mistakes_are_found_through_every_form_of_input() {
    let folder = Folder::new();
    folder
        .run("generate --workload web-login --events 4000 --seed 7 --mistakes truth -q -o in")
        .ok();
    let plain = lint(&folder, "in --engine original --examples 100");
    let events = folder.read("in");
    let array = format!("[{}]", events.lines().collect::<Vec<_>>().join(",\n"));
    folder.write("array", &array);
    folder.write("in.gz", gzip(events.as_bytes()));
    for (name, record) in [("array", true), ("in.gz", false)] {
        let report = lint(&folder, &format!("{name} --engine original --examples 100"));
        assert_eq!(found(&report), found(&plain), "{name}");
        let evidence = &report["findings"][0]["examples"][0]["evidence"][0];
        let place = &plain["findings"][0]["examples"][0]["evidence"][0]["line"];
        assert_eq!(&evidence["line"], place);
        assert_eq!(evidence.get("record").is_some(), record);
    }
    let truth = folder.read("truth");
    let planted = truth
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_original = planted.filter(|it| it["models"].to_string().contains("original"));
    let (mut count, mut missed) = (0, 0);
    let all = found(&plain);
    for mistake in of_original {
        count += 1;
        let is_found = all.iter().any(|(finding, ids)| {
            mistake["mistake"] == finding.as_str()
                && mistake["ids"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|id| ids.iter().any(|found| id == found.as_str()))
        });
        missed += u32::from(!is_found);
    }
    assert!(count > 20 && missed * 10 <= count, "{missed} of {count}");
}

/// After `--order-by` a line is that of the file, and the order of time decides who has the device.
#[test]
fn lines_are_those_of_the_files_after_sorting() {
    let late = line(
        "Log In",
        json!({"$device_id": "tablet", "$user_id": "ada", "time": 900}),
    );
    let early = line(
        "Log In",
        json!({"$device_id": "tablet", "$user_id": "ben", "time": 100}),
    );
    let folder = Folder::with(&[("one", &late), ("two", &early)]);
    let report = lint(&folder, "one two --engine simplified");
    assert_eq!(
        found(&report),
        expected(&[
            ("missing-reset", &["tablet"]),
            ("order-decided", &["tablet"])
        ])
    );
    let what = &report["findings"][1]["examples"][0]["what"];
    assert_eq!(what, "belongs to ada, but ben was there before");
    let sorted = lint(&folder, "one two --engine simplified --order-by time");
    assert_eq!(found(&sorted), expected(&[("missing-reset", &["tablet"])]));
    let evidence = &sorted["findings"][0]["examples"][0]["evidence"];
    assert_eq!(
        (&evidence[0]["file"], &evidence[0]["line"]),
        (&json!("two"), &json!(1))
    );
}

#[test]
fn records_of_other_products_and_odd_bytes_are_read() {
    let mut calls = String::new();
    for user in ["ben", "ada"] {
        let call = json!({
            "type": "track", "event": "Log In", "messageId": format!("m-{user}"), "anonymousId": "tablet",
            "userId": user, "timestamp": "2026-01-01T00:00:00.000Z", "writeKey": "k",
        });
        calls += &(call.to_string() + "\n");
    }
    let folder = Folder::with(&[("calls", &calls)]);
    let report = lint(&folder, "calls --from segment --engine simplified");
    let resets = ("missing-reset", &["tablet"][..]);
    // The two have one time, so their order decided.
    assert_eq!(
        found(&report),
        expected(&[resets, ("order-decided", &["tablet"])])
    );

    folder.write(
        "table.csv",
        "who,device,what,at\nben,\u{1f4f1},Log In,2026-01-01\nada,\u{1f4f1},Log In,2026-01-02\n",
    );
    let args =
        "table.csv --from csv --map user=who,device=device,event=what,time=at --engine simplified";
    let report = lint(&folder, args);
    assert_eq!(
        found(&report),
        expected(&[("missing-reset", &["\u{1f4f1}"])])
    );

    let mut bytes = events().into_bytes();
    bytes.extend_from_slice(b"{\"event\":\"Caf\xe9\",\"properties\":{\"$device_id\":\"d\xe9\"}}\n");
    folder.write("latin", &bytes);
    let report = lint(&folder, "latin --engine simplified");
    assert_eq!(
        (&report["refused"], &report["events"]),
        (&json!(2), &json!(5))
    );
    let escape = line(
        "Log In",
        json!({"$user_id": "{{\u{1b}[31mred}}", "$device_id": "d"}),
    );
    let page = folder
        .pipe(&*escape, "lint -q --engine simplified")
        .code(0)
        .stdout;
    assert!(
        page.contains("placeholder-id") && !page.contains('\u{1b}'),
        "{page}"
    );
}

#[cfg(feature = "store")]
#[test]
fn a_store_is_linted_by_its_log() {
    let with_insert_ids = events().replace(
        "\"properties\":{",
        "\"properties\":{\"$insert_id\":\"i-1\",",
    );
    let folder = Folder::with(&[("events", &with_insert_ids)]);
    folder
        .run("ingest people events --engine simplified -q")
        .code(0);
    let report = lint(&folder, "--store people");
    assert_eq!(
        found(&report),
        expected(&[
            ("placeholder-id", &["user_id"]),
            ("missing-reset", &["tablet"])
        ])
    );
    let evidence = &report["findings"][1]["examples"][0]["evidence"];
    assert_eq!(evidence[1]["entry"], 2);
    assert_eq!(evidence[1]["insert_id"], "i-1");
    assert_eq!(evidence[1]["time_ms"], 1_700_000_002_000_u64);
    // What was withdrawn shows nothing.
    folder
        .run("store retract people 2 --who eve --why test")
        .code(0);
    let report = lint(&folder, "--store people");
    assert_eq!(
        found(&report),
        expected(&[("placeholder-id", &["user_id"])])
    );
    folder.run("lint events --store people").code(2);
}
