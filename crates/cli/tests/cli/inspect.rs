//! `idmerge inspect`: what events carry, what each model gives, and which one fits. The truth comes
//! from plain engines that are given the same events (`plain.rs`).

use idmerge::{Model, Overrides, Settings};
use serde_json::{Value, json};

use crate::plain::{check_models, plain};
use crate::run::{Folder, gzip, zstd};

const UUID: &str = "a1a1a1a1-0000-4000-8000-00000000000";

fn line(name: &str, properties: Value) -> String {
    json!({ "event": name, "properties": properties }).to_string() + "\n"
}

#[track_caller]
fn inspect(lines: &str) -> Value {
    let done = Folder::new()
        .pipe(lines, "inspect -q --format json")
        .code(0);
    serde_json::from_str(&done.stdout).unwrap()
}

#[test]
fn generated_workloads_and_the_example_give_what_plain_engines_give() {
    let folder = Folder::new();
    for (workload, engine) in [
        ("web-login", "simplified"),
        ("identify", "original"),
        ("shared-device", "simplified"),
        ("cap", "simplified"),
    ] {
        let generate = format!("generate --workload {workload} --events 4000 -q");
        let lines = folder.run(&generate).ok();
        let report = inspect(&lines);
        check_models(&report, &lines);
        assert_eq!(report["engine"], engine, "{workload}");
        assert_eq!(report["events"], 4000);
    }
    let example = include_str!("../../../../examples/web-shop.ndjson");
    let report = inspect(example);
    check_models(&report, example);
    // As the README says.
    assert_eq!(report["models"]["simplified"]["users"], 7);
    assert_eq!(report["models"]["simplified"]["merges"], 6);
}

#[test]
fn an_export_is_named_and_gives_what_plain_engines_give() {
    let folder = Folder::new();
    for (workload, engine) in [("web-login", "simplified"), ("identify", "original")] {
        let generate = format!("generate --workload {workload} --events 2000 --seed 3 -q -o in");
        folder.run(&generate).ok();
        let exported = folder.run(&format!("resolve in -q --engine {engine}")).ok();
        // As the vendor's export writes it.
        let exported = exported.replace(
            "\"properties\":{",
            "\"properties\":{\"mp_processing_time_ms\":1780000000000,",
        );
        let report = inspect(&exported);
        check_models(&report, &exported);
        let evidence = &report["evidence"];
        assert_eq!(evidence["mp_processing_time_ms"], 2000);
        let moved = exported
            .lines()
            .filter(|line| line.contains("$distinct_id_before_identity"));
        let moved = moved.count();
        assert!(moved > 100, "{moved}");
        assert_eq!(evidence["distinct_id_before_identity"], moved);
        let page = folder.pipe(exported, "inspect").ok();
        assert!(page.contains("mp_processing_time_ms (an export)"), "{page}");
    }
}

#[test]
fn each_event_counts_under_what_it_carries() {
    let both = json!({"$device_id": "D1", "$user_id": "U1", "distinct_id": "U1"});
    let identify = |anon: &str| json!({"$identified_id": "U1", "$anon_id": anon});
    let lines = [
        line("A", both.clone()),
        line("A", json!({"$device_id": "D1", "$user_id": "U2"})),
        line("A", json!({"$user_id": "U1"})),
        line(
            "A",
            json!({"$device_id": "D2", "distinct_id": "$device:D2"}),
        ),
        line("A", json!({"distinct_id": "$device:D3"})),
        line(
            "A",
            json!({"distinct_id": 5, "$user_id": "", "$device_id": null}),
        ),
        line("A", json!({})),
        line("$identify", identify(&format!("{UUID}1"))),
        line("$identify", identify(&format!("$device:{UUID}2"))),
        line("$identify", identify("session_abc")),
        line(
            "$identify",
            json!({"distinct_id": "U1", "$anon_distinct_id": "x"}),
        ),
        line("$identify", both),
        line("$create_alias", json!({"distinct_id": "U1", "alias": "U9"})),
        line("$merge", json!({"$distinct_ids": ["U1", "U8"]})),
        line(
            "A",
            json!({"distinct_id": "U1", "mp_processing_time_ms": 1, "$distinct_id_before_identity": "x"}),
        ),
        // Not a property, and not a key.
        line(
            "mp_processing_time_ms",
            json!({"distinct_id": "U1", "a": {"mp_processing_time_ms": 1}}),
        ),
        "no event\n".to_owned(),
    ];
    let report = inspect(&lines.concat());
    assert_eq!(report["refused"], 1);
    assert_eq!(report["events"], 16);
    assert_eq!(
        report["evidence"],
        json!({
            "device_and_user_id": 2,
            "user_id": 1,
            "device_id": 1,
            "distinct_id_alone": 4,
            "no_id": 1,
            "identify": 5,
            "identify_uuid_v4": 2,
            "identify_other_form": 2,
            "identify_without_anonymous_id": 1,
            "identify_identified_id": 3,
            "create_alias": 1,
            "merge": 1,
            "device_prefix": 2,
            "distinct_id_before_identity": 1,
            "mp_processing_time_ms": 1,
            "is_reshuffled": 0,
            "failure_reason": 0,
            "identity_failure_reason": 0,
            "moved_to_a_device": 0,
            // The two UUIDs; none; D1, D2, D3, session_abc and x.
            "anonymous_ids": {"uuid_v4": 2, "other_sdk_form": 0, "other_form": 5},
            // D1 with U1 and U2; the two UUIDs, session_abc and x with U1.
            "devices": 5,
            "devices_with_several_users": 1,
            "devices_with_several_users_share": 0.2,
            "missing_resets": {"calls": 2, "devices": 1, "events": 1},
        })
    );
    check_models(&report, &lines.concat());
}

#[test]
fn the_recommendation_says_what_would_be_lost() {
    let page = |id: &str| {
        line(
            "View",
            json!({"$device_id": id, "distinct_id": format!("$device:{id}")}),
        )
    };
    let login = |id: &str, user: &str| {
        line(
            "Log In",
            json!({"$device_id": id, "$user_id": user, "distinct_id": user}),
        )
    };
    let says = |lines: &str, texts: &[&str]| {
        let done = Folder::new().pipe(lines, "inspect").code(0);
        // The page is wrapped.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in texts {
            let has_text = words(&done.stdout).contains(&words(text));
            assert!(has_text, "{text}\n{}", done.stdout);
        }
    };
    // Logins without $identify.
    let lines = page("D1") + &login("D1", "U1") + &page("D2") + &login("D2", "U1");
    let texts = [
        "Use --engine simplified: 2 events carry both $device_id and $user_id",
        ": 1 user with --engine simplified, and 3 with original",
        "Under original:\n  - 2 more users would be counted\n  - 2 events would not move to the user who did them\n",
    ];
    says(&lines, &texts);
    // A server that only sends identity events.
    let lines = line("View", json!({"distinct_id": format!("{UUID}1")}))
        + &line(
            "$identify",
            json!({"$identified_id": "U1", "$anon_id": format!("{UUID}1")}),
        )
        + &line("Buy", json!({"distinct_id": "U1"}));
    let texts = [
        "Use --engine original: 1 identity event ($identify, $create_alias, $merge) join",
        ": 1 user with --engine original, and 2 with simplified",
        "Under simplified:\n  - 1 more user would be counted\n",
        "  - 1 event would belong to no user\n",
        "  - 1 identity event would join nothing\n",
    ];
    says(&lines, &texts);
    // Anonymous IDs that Original does not take.
    let lines = page("d")
        + &line(
            "$identify",
            json!({"distinct_id": "U1", "$anon_distinct_id": "$device:d", "$device_id": "d", "$user_id": "U1"}),
        )
        + &login("d", "U1");
    says(
        &lines,
        &["Use --engine simplified: Original rejects 1 claim"],
    );
    // Nothing to join: both are the same.
    let lines = line("A", json!({"distinct_id": "U1"}));
    let texts = [
        "stdin: 1 event\n",
        "Use --engine simplified: no event joins two IDs, so both models count 1 user",
        "Under original nothing would be lost.\n",
    ];
    says(&lines, &texts);
}

#[test]
fn settings_of_original_count() {
    let identify = line(
        "$identify",
        json!({"$identified_id": "U1", "$anon_id": "x"}),
    );
    let folder = Folder::with(&[("in", &identify)]);
    let args = "inspect in -q --format json --max-cluster-ids";
    for (limit, merges) in [(2, 0), (1, 0)] {
        let report: Value =
            serde_json::from_str(&folder.run(&format!("{args} {limit}")).ok()).unwrap();
        assert_eq!(report["models"]["original"]["merges"], merges);
    }
    let overrides = Overrides {
        max_cluster_ids: Some(2),
        ..Overrides::default()
    };
    let lines = line("$merge", json!({"$distinct_ids": ["a", "b"]}))
        + &line("$merge", json!({"$distinct_ids": ["b", "c"]}));
    let settings = Settings::new(Model::Original, &overrides).unwrap();
    let folder = Folder::with(&[("in", &lines)]);
    let report: Value = serde_json::from_str(&folder.run(&format!("{args} 2")).ok()).unwrap();
    assert_eq!(report["models"]["original"], plain(&settings, &lines));
    assert_eq!(report["models"]["original"]["rejections"]["errManyIDs"], 1);
}

#[test]
fn a_folder_means_its_files_by_name() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("days/inner")).unwrap();
    // By name the link comes first, so the device is U1's.
    let first = line("A", json!({"$device_id": "D", "$user_id": "U1"}));
    let second = line("A", json!({"$device_id": "D", "$user_id": "U2"}));
    folder.write("days/2.ndjson.gz", gzip(&second));
    folder.write("days/1.ndjson.zst", zstd(&first));
    folder.write("days/.hidden", "no event");
    folder.write("days/inner/3", "no event");
    let report: Value =
        serde_json::from_str(&folder.run("inspect days -q --format json").ok()).unwrap();
    assert_eq!(
        report["inputs"],
        json!(["days/1.ndjson.zst", "days/2.ndjson.gz"])
    );
    check_models(&report, &(first.clone() + &second));
    // One file that cannot be used fails the run, and is named.
    folder.write("days/0.csv", "a,b\n1,2\n");
    let done = folder
        .run("inspect days")
        .code(1)
        .says("days/0.csv: none of its events can be used");
    assert_eq!(done.stdout, "");
    std::fs::create_dir(folder.path("empty")).unwrap();
    folder
        .run("inspect empty")
        .code(1)
        .says("there is no file in the folder empty");
}

#[test]
fn ar_2_a_copy_of_an_identity_event_is_weighed_once() {
    let identify = |user: &str, insert_id: &str| {
        let ids = json!({"$identified_id": user, "$anon_id": "A", "distinct_id": user,
            "time": 1_700_000_000, "$insert_id": insert_id});
        line("$identify", ids)
    };
    // The anonymous ID is not of UUIDv4 form, so both are rejected.
    let events = [identify("U1", "a"), identify("U2", "b")].concat();
    let rejections = |lines: &str| {
        let original = inspect(lines)["models"]["original"].clone();
        original["rejections"]["errAnonDistinctIdNonGUIDForm"].clone()
    };
    assert_eq!(rejections(&events), 2);
    assert_eq!(rejections(&events.repeat(3)), 2);
    // Another event says the same.
    assert_eq!(rejections(&[events, identify("U1", "c")].concat()), 3);
}

#[test]
fn no_event_and_no_id() {
    let empty = inspect("");
    assert_eq!(empty["engine"], Value::Null);
    let done = Folder::new().pipe("", "inspect").code(0);
    assert_eq!(
        done.stdout,
        "stdin: 0 events\n\nNo model fits: there is no event.\n"
    );
    let lines = line("A", json!({}));
    let done = Folder::new().pipe(lines, "inspect").code(1);
    assert!(
        done.stdout
            .contains("No model fits: no event carries an ID"),
        "{}",
        done.stdout
    );
    // Refused lines are counted and shown; a line that one model can use is not refused.
    let lines = [
        line("A", json!({"distinct_id": "U1"})),
        "5\n".to_owned(),
        line("$merge", json!({"distinct_id": "U1"})),
    ];
    let done = Folder::new().pipe(lines.concat(), "inspect").code(0);
    assert!(
        done.stdout.starts_with("stdin: 2 events, 1 line refused\n"),
        "{}",
        done.stdout
    );
    done.says("1 line was refused:").says("-, line 2: ");
    check_models(&inspect(&lines.concat()), &lines.concat());
    let done = Folder::new()
        .pipe(lines.concat(), "inspect --strict")
        .code(1);
    assert_eq!(done.stdout, "");
    Folder::new()
        .pipe(lines.concat(), "inspect --max-refused 1")
        .ok();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_input() {
    let folder = Folder::new();
    let link = json!({"$device_id": "D1", "$user_id": "U1", "a": "x".repeat(1_000)});
    let lines = zstd(line("A", link).repeat(1_000));
    folder.write("in", lines.repeat(100));
    let done = folder.shell("ulimit -d 40000 || exit 9; idmerge inspect in -q --format json");
    let report: Value = serde_json::from_str(&done.ok()).unwrap();
    assert_eq!(report["models"]["simplified"]["joined_events"], 0);
    assert_eq!(report["evidence"]["device_and_user_id"], 100_000);
}
