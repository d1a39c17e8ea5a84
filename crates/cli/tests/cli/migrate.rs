//! `migrate`: from one model to another, and into a server.

use std::fs;

use serde_json::{Value, json};

#[cfg(all(unix, feature = "serve", feature = "store"))]
use crate::run::run;
use crate::run::{Folder, gzip};
#[cfg(all(unix, feature = "serve", feature = "store"))]
use crate::server_store::Server;

pub(crate) const MIGRATE: &str = "migrate in --from original --to simplified -o new";
const DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/migrating.md");

/// The blocks of docs/migrating.md, in order.
fn blocks() -> Vec<String> {
    let text = fs::read_to_string(DOC).unwrap();
    let blocks = text.split("```").skip(1).step_by(2);
    blocks
        .map(|block| block.split_once('\n').unwrap().1.to_owned())
        .collect()
}

pub(crate) fn values(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn m_21_the_example_of_the_documentation() {
    let [export, command, links, events, cases, ..] = &blocks()[..] else {
        panic!("the documentation has five blocks");
    };
    let folder = Folder::with(&[("export.ndjson", export)]);
    folder
        .run(command.trim().strip_prefix("idmerge ").unwrap())
        .ok();
    assert_eq!(folder.read("new/links.ndjson"), *links);
    assert_eq!(folder.read("new/events.ndjson"), *events);
    let found = values(&folder.read("new/conflicts.ndjson"));
    let found: Vec<String> = found
        .iter()
        .map(|case| {
            let ids = case["ids"].as_array().unwrap().iter();
            let words = [&case["kind"]].into_iter().chain(ids);
            let words: Vec<_> = words.map(|word| word.as_str().unwrap()).collect();
            words.join(" ")
        })
        .collect();
    let mut found_cases = found.clone();
    found_cases.sort();
    let mut wanted: Vec<_> = cases.lines().map(str::to_owned).collect();
    wanted.sort();
    assert_eq!(found_cases, wanted);
    assert!(folder.read("new/IMPORT.md").contains("`links.ndjson`"));
}

#[test]
fn m_19_a_project_without_id_merge() {
    let alias = json!({"event": "$create_alias", "properties": {"distinct_id": "$device:D1", "alias": "ada"}});
    let view = |id: &str, time: u64| json!({"event": "View", "properties": {"distinct_id": id, "time": time}});
    let events = [
        view("D1", 1_700_000_000),
        view("ada", 1_700_000_001),
        alias,
        view("ada", 1_700_000_002),
    ];
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    for to in ["simplified", "original"] {
        let folder = Folder::with(&[("in", &text)]);
        let command = format!("migrate in --from legacy --to {to} -o new --user-id ^ada$");
        let _summary = folder
            .run(&command)
            .says("moved                    1 events")
            .code(0);
        let report: Value = serde_json::from_str(&folder.read("new/report.json")).unwrap();
        assert_eq!(report["from"], "legacy");
        assert_eq!(report["events"]["moved"], 1);
        assert_eq!(report["users"], json!({"before": 2, "after": 1}));
        // The new project: links first, then events.
        let resolve = format!("resolve new/links.ndjson new/events.ndjson --engine {to}");
        let out = folder.run(&resolve).ok();
        let views = values(&out);
        let views: Vec<_> = views
            .iter()
            .filter(|it| it["event"] == "View")
            .map(|it| it["properties"]["distinct_id"].clone())
            .collect();
        assert_eq!(views, ["ada"; 3], "{to}");
    }
}

/// An export with what real ones have: doubles, replaced IDs, prefixes that occur twice, users that are
/// UUIDs, insert IDs of other tools, and events that no project takes.
pub(crate) fn odd_export() -> String {
    let device = |n: u64| format!("0000000{n}-0000-4000-8000-000000000000");
    let user = "abcdefab-0000-4000-8000-00000000000a";
    let mut lines = String::new();
    let mut add = |name: &str, mut properties: Value| {
        if properties.get("time").is_none() {
            properties["time"] = json!(1_700_000_000 + lines.len());
        }
        lines += &json!({"event": name, "properties": properties}).to_string();
        lines.push('\n');
    };
    for n in 0..8 {
        let id = device(n);
        add(
            "View",
            json!({"distinct_id": format!("$device:$device:{id}"), "$device_id": format!("$device:$device:{id}"), "$insert_id": format!("ajs-next-{n}:x")}),
        );
        add(
            "$identify",
            json!({"distinct_id": user, "$anon_distinct_id": format!("$device:{id}"), "$user_id": user, "$device_id": id}),
        );
        add(
            "Buy",
            json!({"distinct_id": format!("u{}", n % 2), "$user_id": format!("u{}", n % 2), "$device_id": id, "$insert_id": format!("b-{n}")}),
        );
        add(
            "View",
            json!({"distinct_id": user, "$distinct_id_before_identity": id, "$is_reshuffled": true, "mp_processing_time_ms": 1, "time": 1_700_000_000, "$insert_id": "same"}),
        );
    }
    add(
        "View",
        json!({"distinct_id": "ada", "$user_id": "ada", "$device_id": "ada"}),
    );
    add(
        "View",
        json!({"distinct_id": "$device:x", "$user_id": "undefined"}),
    );
    add("View", json!({"$user_id": 42, "$device_id": 7}));
    add("View", json!({}));
    add(
        "View",
        json!({"distinct_id": "late", "time": 9_000_000_000_u64}),
    );
    lines
}

#[test]
fn m_15_every_line_is_written_or_refused() {
    let folder = Folder::new();
    let mut export = odd_export().into_bytes();
    export.extend(
        b"{\"event\":\"A\",\"properties\":{\"distinct_id\":\"caf\xe9\",\"time\":1700000000}}\n",
    );
    export.extend(b"{\"event\":\"A\"}\n");
    folder.write("in", &export);
    folder.run(MIGRATE).ok();
    let report: Value = serde_json::from_str(&folder.read("new/report.json")).unwrap();
    let events = &report["events"];
    let count = |key: &str| events[key].as_u64().unwrap();
    let lines = export.iter().filter(|&&byte| byte == b'\n').count() as u64;
    assert_eq!(
        count("written") + count("duplicates") + count("identity_events") + count("refused"),
        lines
    );
    assert_eq!(count("read"), lines);
    assert_eq!(count("refused"), 3);
    let refused = values(&folder.read("new/refused.ndjson"));
    let at: Vec<_> = refused
        .iter()
        .map(|line| line["line"].as_u64().unwrap())
        .collect();
    assert_eq!(at, [lines - 2, lines - 1, lines]);
    assert!(
        refused[0]["error"]
            .as_str()
            .unwrap()
            .contains("must not be in the future")
    );
    assert_eq!(
        count("written"),
        folder.read("new/events.ndjson").lines().count() as u64
    );
}

#[test]
fn m_22_a_second_run_gives_the_same_bytes() {
    let folder = Folder::new();
    folder.write("in", odd_export());
    let files = ["links", "events", "profiles", "conflicts", "refused"]
        .map(|it| format!("new/{it}.ndjson"));
    let others = [
        "new/report.json",
        "new/migration.json",
        "new/mapping.csv",
        "new/IMPORT.md",
    ];
    let files: Vec<&str> = files.iter().map(String::as_str).chain(others).collect();
    let all = |folder: &Folder| {
        files
            .iter()
            .map(|name| folder.read(name))
            .collect::<Vec<_>>()
    };
    folder.run(MIGRATE).ok();
    let first = all(&folder);
    for input in [odd_export().into_bytes(), gzip(odd_export())] {
        folder.write("in", input);
        folder.run(MIGRATE).ok();
        for (name, (first, again)) in files.iter().zip(first.iter().zip(all(&folder))) {
            assert_eq!(*first, again, "{name}");
        }
    }
    // In another folder too: nothing depends on the run.
    folder
        .run("migrate in --from original --to simplified -o other")
        .ok();
    for name in ["links.ndjson", "events.ndjson", "conflicts.ndjson"] {
        assert_eq!(
            folder.read(&format!("new/{name}")),
            folder.read(&format!("other/{name}"))
        );
    }
}

#[test]
fn m_22_a_folder_keeps_its_options_and_takes_no_other_files() {
    let folder = Folder::with(&[("in", &odd_export())]);
    folder.run(MIGRATE).ok();
    folder
        .run(&format!("{MIGRATE} --link-event Other"))
        .code(2)
        .says("--link-event Identity Link")
        .says("M-22");
    folder.write("ids", "u1\n");
    folder.write("m.csv", "distinct_id,resolved_distinct_id\nx,y\n");
    for (option, said) in [
        ("--source-rules beyond-limits", "with --source-rules as-was"),
        ("--on-conflict report", "with --on-conflict direct"),
        ("--user-id ^u", "without --user-id"),
        ("--not-users ids", "without --not-users"),
        ("--mapping m.csv", "without --mapping"),
        ("--max-cluster-ids 7", "with other settings of the source"),
    ] {
        let done = folder.run(&format!("{MIGRATE} {option}")).code(2);
        done.says(said)
            .says("use the same, or another folder (M-22)");
    }
    folder.run(MIGRATE).ok();
    // Files are known by what is in them.
    let migrate = |options: &str| {
        folder.run(&format!(
            "migrate in --from original --to simplified -o other {options}"
        ))
    };
    migrate("--user-id ^u --not-users ids --mapping m.csv").ok();
    folder.write("ids-2", "u1\n\n");
    folder.write("m-2.csv", folder.read("m.csv"));
    migrate("--user-id ^u --not-users ids-2 --mapping m-2.csv").ok();
    folder.write("ids-2", "u2\n");
    folder.write("m-2.csv", folder.read("m.csv") + "z,y\n");
    for (options, said) in [
        (
            "--user-id ^v --not-users ids --mapping m.csv",
            "with --user-id '^u'",
        ),
        (
            "--user-id ^u --not-users ids-2 --mapping m.csv",
            "whose file of --not-users had another content",
        ),
        (
            "--user-id ^u --not-users ids --mapping m-2.csv",
            "whose file of --mapping had another content",
        ),
        ("--user-id ^u --not-users ids", "with --mapping"),
    ] {
        migrate(options).code(2).says(said);
    }
    // Earlier versions did not keep these options.
    let mut kept: Value = serde_json::from_str(&folder.read("new/migration.json")).unwrap();
    assert!(kept.as_object_mut().unwrap().remove("people").is_some());
    folder.write("new/migration.json", kept.to_string());
    folder.run(&format!("{MIGRATE} --user-id ^u")).ok();
    fs::create_dir(folder.path("full")).unwrap();
    folder.write("full/notes.txt", "mine");
    folder
        .run("migrate in --from original --to simplified -o full")
        .code(2)
        .says("notes.txt");
    assert_eq!(folder.read("full/notes.txt"), "mine");
}

#[test]
fn m_22_a_file_that_is_read_is_not_replaced() {
    let folder = Folder::with(&[("in", &odd_export())]);
    folder.run(&format!("{MIGRATE} --split 5")).ok();
    folder.write(
        "new/profiles.ndjson",
        r#"{"$distinct_id":"u1","$properties":{"plan":"free"}}"#,
    );
    let events = "migrate new/events-00001.ndjson --from original --to simplified -o new";
    for (command, file) in [
        (events, "new/events-00001.ndjson"),
        (
            &format!("{MIGRATE} --profiles new/profiles.ndjson"),
            "new/profiles.ndjson",
        ),
        (
            &format!("{MIGRATE} --mapping new/mapping.csv"),
            "new/mapping.csv",
        ),
    ] {
        let before = folder.read(file);
        let done = folder.run(command);
        assert_eq!(fs::read_to_string(folder.path(file)).ok(), Some(before));
        done.code(2).says(file).says("which it would replace");
    }
}

#[cfg(all(unix, feature = "serve", feature = "store"))]
#[test]
fn m_21_a_server_takes_links_and_events_strictly() {
    let folder = Folder::with(&[("in", &odd_export())]);
    folder.run(MIGRATE).ok();
    let server = Server::start(&folder, "simplified");
    for file in ["links", "events"] {
        let records = values(&folder.read(&format!("new/{file}.ndjson")));
        assert_ne!(records.len(), 0);
        // Another status than 200 fails.
        let answer = server.request(
            "POST /import?strict=1",
            &Value::from(records.clone()).to_string(),
        );
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["num_records_imported"], records.len());
    }
    let mappings = server.request("GET /v1/mappings?format=csv", "");
    let sorted = |rows: &str| {
        let mut rows: Vec<_> = rows.lines().map(str::to_owned).collect();
        rows.sort();
        rows
    };
    assert_eq!(sorted(&mappings), sorted(&folder.read("new/mapping.csv")));
    server.stop();
}

#[cfg(all(unix, feature = "serve", feature = "store"))]
#[test]
fn m_21_to_server_sends_links_events_and_profiles() {
    // More than one request of events.
    let mut export = odd_export();
    for n in 0..2_500 {
        let properties = json!({"distinct_id": format!("user {n}"), "time": 1_700_000_000 + n});
        export += &json!({"event": "Many", "properties": properties}).to_string();
        export.push('\n');
    }
    let profile = json!({"$distinct_id": "user 7", "$properties": {"plan": "free"}}).to_string();
    let folder = Folder::with(&[("in", &export), ("profiles", &profile)]);
    let server = Server::start(&folder, "simplified");
    let send = format!(
        "{MIGRATE} --profiles profiles --to-server http://{}",
        server.address()
    );
    // Without a secret nothing is written.
    let mut command = folder.command(&send);
    command.env_remove("IDMERGE_SECRET");
    run(command, "").code(2).says("IDMERGE_SECRET");
    assert!(!folder.path("new/links.ndjson").exists());
    let sent = |secret: &str| {
        let mut command = folder.command(&send);
        command
            .env("IDMERGE_SECRET", secret)
            .env("IDMERGE_TOKEN", "shop");
        run(command, "")
    };
    sent("wrong")
        .code(1)
        .says("answered 401")
        .says("lines 1 to ");
    // Again adds nothing twice.
    for _ in 0..2 {
        sent("secret-of-shop").ok();
        let export = server.request(
            "GET /api/2.0/export?from_date=1971-01-01&to_date=2100-01-01",
            "",
        );
        let written = folder.read("new/events.ndjson").lines().count();
        let links = folder.read("new/links.ndjson").lines().count();
        assert_eq!(export.lines().count(), written + links);
        let page = server.request("GET /v1/users/user%207/profile", "");
        assert!(page.contains("\"plan\":\"free\""), "{page}");
    }
    server.stop();
}

#[test]
fn m_13_raw_records_of_segment() {
    let device = "00000001-0000-4000-8000-000000000000";
    let call = |kind: &str, more: Value| {
        let mut call = json!({"type": kind, "timestamp": "2023-11-14T22:13:20.000Z", "messageId": format!("m-{more}")});
        call["messageId"] = json!(format!("m{}", more.to_string().len()));
        for (key, value) in more.as_object().unwrap() {
            call[key] = value.clone();
        }
        format!("{call}\n")
    };
    let calls = [
        call(
            "track",
            json!({"event": "View", "anonymousId": device, "userId": null}),
        ),
        call(
            "identify",
            json!({"anonymousId": device, "userId": "ada", "traits": {}}),
        ),
        call("track", json!({"event": "Buy", "userId": "ada"})),
        // Two users cannot be one in Simplified.
        call("alias", json!({"userId": "eve", "previousId": "ada"})),
    ];
    let folder = Folder::with(&[("in", &calls.concat())]);
    folder
        .run("migrate in --from segment --to simplified -o new")
        .ok();
    let rows = format!("distinct_id,resolved_distinct_id\n$device:{device},ada\n");
    assert_eq!(folder.read("new/mapping.csv"), rows);
    let events = values(&folder.read("new/events.ndjson"));
    let names: Vec<_> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["View", "Buy"]);
    assert_eq!(
        events[0]["properties"]["distinct_id"],
        format!("$device:{device}")
    );
    let cases = values(&folder.read("new/conflicts.ndjson"));
    assert_eq!((cases.len(), &cases[0]["kind"]), (1, &json!("two_users")));
    assert_eq!(cases[0]["ids"], json!([device, "ada", "eve"]));
}

#[test]
fn m_18_exit_codes() {
    let folder = Folder::with(&[
        ("in", &odd_export()),
        (
            "clean",
            "{\"event\":\"A\",\"properties\":{\"distinct_id\":\"ada\",\"time\":1700000000}}\n",
        ),
    ]);
    folder.run(&format!("{MIGRATE} --fail-on-conflict")).code(3);
    assert_ne!(folder.read("new/conflicts.ndjson"), "");
    let clean = "migrate clean --from original --to simplified -o clean-new --fail-on-conflict";
    folder.run(clean).code(0);
    folder
        .run("migrate in --from original --to simplified -o low --min-association 1")
        .code(1)
        .says("--min-association 1");
    assert_eq!(fs::read_dir(folder.path("low")).unwrap().count(), 1);
    folder
        .run(&format!("{MIGRATE} --rewrite-users"))
        .code(2)
        .says("M-11");
    // A line that the target refuses counts too.
    folder
        .run("migrate in --from original --to simplified -o strict --strict")
        .code(1)
        .says("must not be in the future");
    assert_eq!(fs::read_dir(folder.path("strict")).unwrap().count(), 0);
    folder
        .run("migrate none --from original --to simplified -o x")
        .code(1)
        .says("none");
}

#[test]
fn m_4_the_order_is_that_of_the_input() {
    // Two users of one device: who comes first in the input gets it, whatever the times.
    let line = |user: &str, time: u64| {
        format!(
            "{{\"event\":\"A\",\"properties\":{{\"distinct_id\":\"{user}\",\"$user_id\":\"{user}\",\"$device_id\":\"d\",\"time\":{time}}}}}\n"
        )
    };
    let folder = Folder::with(&[(
        "in",
        &format!(
            "{}{}",
            line("ada", 1_700_000_900),
            line("bob", 1_700_000_000)
        ),
    )]);
    folder.run(MIGRATE).ok();
    assert_eq!(
        folder.read("new/mapping.csv"),
        "distinct_id,resolved_distinct_id\n$device:d,ada\n"
    );
}

#[test]
fn a_dry_run_writes_the_report_alone_and_split_makes_files() {
    let folder = Folder::with(&[("in", &odd_export())]);
    folder.run(&format!("{MIGRATE} --dry-run")).ok();
    assert_eq!(fs::read_dir(folder.path("new")).unwrap().count(), 1);
    let report = folder.read("new/report.json");
    folder.run(&format!("{MIGRATE} --split 5")).ok();
    assert_eq!(folder.read("new/report.json"), report);
    let lines = |name: &str| folder.read(&format!("new/{name}")).lines().count();
    assert_eq!(
        [lines("events-00001.ndjson"), lines("events-00002.ndjson")],
        [5, 5]
    );
    // Again in one file: the others go.
    folder.run(MIGRATE).ok();
    assert!(!folder.path("new/events-00001.ndjson").exists());
    assert!(folder.path("new/events.ndjson").exists());
}

#[test]
fn m_6_a_mapping_file_and_profiles() {
    let id = "00000001-0000-4000-8000-000000000000";
    let view = format!(
        "{{\"event\":\"A\",\"properties\":{{\"distinct_id\":\"{id}\",\"time\":1700000000}}}}\n"
    );
    let profile = format!("{{\"$distinct_id\":\"{id}\",\"$properties\":{{\"plan\":\"free\"}}}}\n");
    let csv = format!("\u{feff}distinct_id,other,resolved_distinct_id\n$device:{id},x,ada\n");
    let ndjson = format!("{{\"distinct_id\":\"{id}\",\"resolved_distinct_id\":\"ada\"}}\n");
    let folder = Folder::with(&[
        ("in", &view),
        ("profiles", &profile),
        ("csv", &csv),
        ("ndjson", &ndjson),
    ]);
    for (folder_name, mapping) in [("a", "csv"), ("b", "ndjson")] {
        folder.run(&format!("migrate in --from original --to simplified -o {folder_name} --mapping {mapping} --profiles profiles")).ok();
        let rows = folder.read(&format!("{folder_name}/mapping.csv"));
        assert_eq!(
            rows,
            format!("distinct_id,resolved_distinct_id\n$device:{id},ada\n")
        );
        let profiles = folder.read(&format!("{folder_name}/profiles.ndjson"));
        assert!(
            profiles.starts_with("{\"$distinct_id\":\"ada\","),
            "{profiles}"
        );
    }
    // A pipe can be read only once.
    let from_pipe = "migrate in --from original --to simplified -o p --profiles -";
    folder.pipe(&*profile, from_pipe).ok();
    let profiles = folder.read("p/profiles.ndjson");
    assert!(profiles.contains("\"plan\":\"free\""), "{profiles}");
    folder.write("bad", "a,b\n1,2\n");
    folder
        .run("migrate in --from original --to simplified -o c --mapping bad")
        .code(1)
        .says("bad, line 1")
        .says("M-6");
    folder.write(
        "bad",
        format!("distinct_id,resolved_distinct_id\n{id},null\n"),
    );
    folder
        .run("migrate in --from original --to simplified -o c --mapping bad")
        .code(1)
        .says("bad, line 2")
        .says("ID-4");
}
