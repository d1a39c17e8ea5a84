//! `ingest` and `store`: making, querying and repairing a store.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use idmerge_core::{Claim, Id, IdentityResolver as _};
use idmerge_engines::{AnonIdFormat, Model, Overrides, Settings};
use idmerge_store::{Durable, Options};
use serde_json::{Value, json};

use crate::run::{Done, Folder, run};

/// ben's phone, a tablet that is first ben's and then ada's, and a claim of Original.
const EVENTS: &str = r#"{"event":"Page View","properties":{"$device_id":"phone","$insert_id":"i1","time":1700000000}}
{"event":"Log In","properties":{"$device_id":"phone","$user_id":"ben","$insert_id":"i2","time":1700000001.5}}
{"event":"Log In","properties":{"$device_id":"tablet","$user_id":"ben","$insert_id":"i3","time":1700000002000}}
{"event":"Log In","properties":{"$device_id":"tablet","$user_id":"ada"}}
{"event":"$merge","properties":{"$distinct_ids":["ben","ada"]}}
{"event":"Page View","properties":{"$device_id":"tablet"}}
"#;

fn made(engine: &str) -> Folder {
    let folder = Folder::with(&[("events", EVENTS)]);
    let done = folder.run(&format!("ingest people events --engine {engine}"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    folder
}

fn lines(done: &Done) -> Vec<Value> {
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let lines = done.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn line(done: &Done) -> Value {
    let mut lines = lines(done);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

#[test]
fn info_and_log_show_the_contents_and_their_causes() {
    let folder = made("simplified");
    let info = json!({
        "engine": "simplified", "entries": 4, "clusters": 1, "members": 3, "largest_cluster": 3,
    });
    assert_eq!(line(&folder.run("store info people")), info);
    let log = lines(&folder.run("store log people"));
    let expected = [
        json!({"sequence": 1, "claim": "link", "device": "phone", "user": "ben", "answer": "merged",
            "insert_id": "i2", "time_ms": 1_700_000_001_500_i64, "source": "events"}),
        json!({"sequence": 2, "claim": "link", "device": "tablet", "user": "ben", "answer": "merged",
            "insert_id": "i3", "time_ms": 1_700_000_002_000_i64, "source": "events"}),
        json!({"sequence": 3, "claim": "link", "device": "tablet", "user": "ada",
            "answer": "errAnonDistinctIdAssignedAlready",
            "description": log[2]["description"], "source": "events"}),
        json!({"sequence": 4, "claim": "merge", "first": "ben", "second": "ada",
            "answer": "ignored", "source": "events"}),
    ];
    assert_eq!(log, expected);
    assert!(log[2]["description"].as_str().unwrap().contains("ben"));
    let some = lines(&folder.run("store log people --from 2 --limit 2"));
    assert_eq!(some, expected[1..3]);
}

#[test]
fn insert_id_and_time_are_logged_with_the_claim() {
    let cases = [
        (
            r#""$insert_id":"5c7f","time":1700000000"#,
            json!({"insert_id": "5c7f", "time_ms": 1_700_000_000_000_i64}),
        ),
        (
            r#""time":1700000000123,"$insert_id":"5c\u0037f""#,
            json!({"insert_id": "5c7f", "time_ms": 1_700_000_000_123_i64}),
        ),
        (
            r#""time":1700000000.5"#,
            json!({"time_ms": 1_700_000_000_500_i64}),
        ),
        (r#""time":"now","$insert_id":5"#, json!({})),
        (r#""time":1e300"#, json!({})),
    ];
    let events: String = cases
        .iter()
        .enumerate()
        .map(|(n, (properties, _))| {
            format!(
                "{{\"event\":\"A\",\"properties\":{{\"$device_id\":\"d{n}\",\"$user_id\":\"u\",{properties}}}}}\n"
            )
        })
        .collect();
    let folder = Folder::with(&[("events", &events)]);
    folder.run("ingest people events --engine simplified").ok();
    let log = lines(&folder.run("store log people"));
    assert_eq!(log.len(), cases.len());
    for (line, (properties, cause)) in log.iter().zip(&cases) {
        assert_eq!(line["insert_id"], cause["insert_id"], "{properties}");
        assert_eq!(line["time_ms"], cause["time_ms"], "{properties}");
    }
}

#[test]
fn claims_in_the_store_add_no_entries_and_its_engine_is_fixed() {
    let folder = made("simplified");
    let again = folder.run("ingest people events");
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(
        again.stderr.contains("new entries              0"),
        "{}",
        again.stderr
    );
    let other = folder.run("ingest people events --engine original");
    assert_eq!(other.code, Some(1));
    assert!(
        other
            .stderr
            .contains("was created with --engine simplified"),
        "{}",
        other.stderr
    );
    let none = folder.run("ingest nobody events");
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("--engine"), "{}", none.stderr);
    let limit = folder.run("ingest limits events --engine original --max-cluster-ids 3");
    assert_eq!(limit.code, Some(0), "{}", limit.stderr);
    let other = folder.run("ingest limits events --engine original");
    assert!(
        other.stderr.contains("--max-cluster-ids 3"),
        "{}",
        other.stderr
    );
}

#[test]
fn a_store_with_the_text_of_settings_of_the_first_edition_opens() {
    let folder = Folder::with(&[("events", EVENTS)]);
    let overrides = Overrides {
        max_cluster_ids: Some(7),
        anon_id_format: Some(AnonIdFormat::Sdk),
        ..Overrides::default()
    };
    let settings = Settings::new(Model::Original, &overrides).unwrap();
    let options = Options {
        settings: "max_cluster_ids=7 anon_id_format=sdk".to_owned(),
        ..Options::default()
    };
    let store = Durable::open(folder.path("people"), move || settings.engine(), options);
    store.unwrap().close().unwrap();

    let info = line(&folder.run("store info people"));
    assert_eq!(
        (&info["max_cluster_ids"], &info["anon_id_format"]),
        (&json!(7), &json!("sdk"))
    );
    let same = "--engine original --max-cluster-ids 7 --anon-id-format sdk";
    folder.run(&format!("ingest people events {same}")).ok();
    folder.run("ingest people events").ok();
    folder
        .run("ingest people events --engine original")
        .code(1)
        .says("--max-cluster-ids 7");
}

#[test]
fn resolving_by_a_store_gives_the_same_output() {
    for engine in ["simplified", "original"] {
        let folder = made(engine);
        let by_input = folder.run(&format!("resolve events --engine {engine}"));
        let by_store = folder.run("resolve events --store people");
        assert_eq!(by_store.code, Some(0), "{}", by_store.stderr);
        assert_eq!(by_store.stdout, by_input.stdout);
        // One event without a claim.
        let page_view = EVENTS.lines().last().unwrap();
        let resolved = folder.pipe(page_view, "resolve --store people");
        assert_eq!(
            Some(resolved.stdout.trim_end()),
            by_input.stdout.lines().last()
        );
        let by_input = folder.run(&format!("clusters events --engine {engine}"));
        assert_eq!(
            folder.run("clusters --store people").stdout,
            by_input.stdout
        );
        let by_input = folder.run(&format!("cluster ben events --engine {engine}"));
        assert_eq!(
            folder.run("cluster ben --store people").stdout,
            by_input.stdout
        );
    }
    let folder = made("simplified");
    let refused = folder.pipe("no event\n", "resolve --store people --strict -o out");
    assert_eq!(refused.code, Some(1));
    assert_eq!(folder.names(), ["events", "people"]);
    let both = folder.run("resolve events --store people --engine simplified");
    assert_eq!(both.code, Some(2));
    let input = folder.run("clusters events --store people");
    assert_eq!(input.code, Some(2));
    assert_eq!(folder.run("clusters").code, Some(2));
}

#[test]
fn a_claim_is_explained_withdrawn_and_restored() {
    let folder = made("simplified");
    let why = lines(&folder.run("store explain people $device:phone $device:tablet"));
    assert_eq!(why[0]["explanation"], "joined");
    let chain: Vec<_> = why[1..].iter().map(|line| &line["sequence"]).collect();
    assert_eq!(chain, [1, 2]);
    let apart = lines(&folder.run("store explain people ada $device:tablet"));
    assert_eq!(apart[0]["explanation"], "apart");
    assert_eq!(apart[1]["sequence"], 3);
    assert_eq!(apart[1]["answer"], "errAnonDistinctIdAssignedAlready");
    assert_eq!(apart[1]["rule"], "S-7");

    let mut retract = folder.command("store retract people 2 --who eve --why");
    retract.arg("a shared tablet");
    let remaps = lines(&run(retract, ""));
    let remap = json!({"sequence": 5, "id": "$device:tablet", "from": "ben", "to": "ada"});
    assert_eq!(remaps, [remap]);
    let feed = lines(&folder.run("store changes people --since 4"));
    assert_eq!(feed[0]["to"], "ada");
    let story = lines(&folder.run("store explain people $device:tablet"));
    assert_eq!(story[0]["members"], json!(["ada", "$device:tablet"]));
    assert_eq!(story[1]["withdrawn"], true);
    assert_eq!(story[2]["answer"], "merged");
    let was = lines(&folder.run("store as-of people 4 $device:tablet ada"));
    assert_eq!(
        was[0],
        json!({"id": "$device:tablet", "distinct_id": "ben"})
    );
    // LG-2: it is withdrawn already.
    let again = folder.run("store retract people 2 --who eve --why again");
    again
        .code(0)
        .says("entry 2 was already withdrawn by entry 5; nothing has changed");

    let digest =
        |at: &str| line(&folder.run(&format!("store digest people{at}")))["digest"].clone();
    let before = digest(" --as-of 4");
    assert_ne!(digest(""), before);
    lines(&folder.run("store retract people 5 --who eve --why hers"));
    assert_eq!(digest(""), before);
    let log = lines(&folder.run("store log people --from 5"));
    assert_eq!(log[0]["why"], "a shared tablet");
    assert_eq!(log[1]["retracted"], 5);
}

#[test]
fn the_other_model_is_simulated_from_the_same_log() {
    let folder = made("simplified");
    let simulated = line(&folder.run("store simulate people --engine original"));
    assert_eq!(simulated["simulated_clusters"], 1);
    // In Original ben has no devices, and ben and ada are one person.
    assert_eq!(
        (&simulated["split"], &simulated["joined"]),
        (&json!(1), &json!(1))
    );
    let same = line(&folder.run("store simulate people --engine simplified"));
    assert_eq!((&same["split"], &same["joined"]), (&json!(0), &json!(0)));
}

#[test]
fn a_backup_is_restored_and_compared() {
    let folder = made("original");
    assert_eq!(line(&folder.run("store backup people saved"))["entries"], 4);
    assert_eq!(folder.run("store backup people saved").code, Some(1));
    folder.run("store info saved").code(1).says(
        "saved is a file, and a store is a folder; if it is a backup, `idmerge store restore",
    );
    line(&folder.run("store restore saved again"));
    assert_eq!(
        line(&folder.run("store compare people again"))["same"],
        true
    );
    let more = r#"{"event":"$merge","properties":{"$distinct_ids":["ben","eve"]}}"#;
    assert_eq!(folder.pipe(more, "ingest again").code, Some(0));
    let compared = folder.run("store compare people again");
    assert_eq!(compared.code, Some(1));
    let compared: Value = serde_json::from_str(&compared.stdout).unwrap();
    assert_eq!(
        (&compared["sequence"], &compared["first"]),
        (&json!(5), &Value::Null)
    );
    assert_eq!(compared["second"]["second"], "eve");
}

#[test]
fn a_damaged_store_is_repaired_and_the_loss_is_reported() {
    let folder = made("simplified");
    let path = folder.path("people/store.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    // Damages the log only.
    let windows = bytes.windows(6).enumerate();
    let places: Vec<_> = windows
        .filter(|(_, it)| it == b"tablet")
        .map(|(at, _)| at)
        .collect();
    for at in places {
        bytes[at] ^= 1;
    }
    std::fs::write(&path, bytes).unwrap();
    let repaired = line(&folder.run("store repair people"));
    assert_eq!(repaired["entries"], 0, "all entries were in one block");
    assert_eq!(repaired["lost"]["sequence"], 1);
    let damaged = repaired["damaged_file"].as_str().unwrap();
    assert!(folder.path(damaged).exists());
    assert_eq!(folder.run("ingest people events").code, Some(0));
    assert_eq!(line(&folder.run("store info people"))["entries"], 4);
    assert_eq!(
        line(&folder.run("store repair people"))["lost"],
        Value::Null
    );
}

#[test]
fn a_missing_store_is_an_error() {
    let folder = Folder::with(&[("events", EVENTS)]);
    for command in [
        "store info none",
        "store repair none",
        "resolve events --store none",
        "clusters --store none",
    ] {
        let done = folder.run(command);
        assert_eq!(done.code, Some(1), "{command}");
        assert!(!done.stderr.is_empty(), "{command}");
    }
    assert_eq!(folder.names(), ["events"]);
    let text = folder.run("store explain none undefined");
    assert_eq!(text.code, Some(1));
    let folder = made("simplified");
    let text = folder.run("store explain people undefined");
    assert_eq!(text.code, Some(2));
    assert!(text.stderr.contains("ID-4"), "{}", text.stderr);
}

fn entries(folder: &Folder, store: &str) -> u64 {
    let info = line(&folder.run(&format!("store info {store}")));
    info["entries"].as_u64().unwrap()
}

fn digest_of(folder: &Folder, store: &str, at: &str) -> Value {
    line(&folder.run(&format!("store digest {store}{at}")))["digest"].clone()
}

/// A limit on the size of files stands in for a full disk.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_and_loses_nothing_that_was_committed() {
    let folder = Folder::new();
    folder.run("generate --workload web-login --events 150000 -q -o events");
    let done = folder
        .shell("trap '' XFSZ; ulimit -f 1500; idmerge ingest people events -q --engine simplified");
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(
        done.stderr.contains("cannot write the store people"),
        "{}",
        done.stderr
    );
    let safe = entries(&folder, "people");
    let done = folder.run("ingest people events -q");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(entries(&folder, "people") > safe);
    folder.run("ingest whole events -q --engine simplified");
    assert_eq!(
        digest_of(&folder, "people", ""),
        digest_of(&folder, "whole", "")
    );
}

#[test]
#[cfg(unix)]
fn a_store_that_cannot_be_written_is_an_error() {
    let folder = Folder::with(&[("events", EVENTS), ("people", "a file")]);
    let done = folder.run("ingest people events --engine simplified");
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("people"), "{}", done.stderr);
}

#[test]
fn only_one_program_at_a_time_writes_a_store() {
    let folder = made("simplified");
    let start = || {
        let mut command = folder.command("ingest people - -q");
        command.stdin(Stdio::piped()).spawn().unwrap()
    };
    let mut first = start();
    // Retry until the first has opened it. If it was the first that found the store in use, it has ended.
    let second = (0..200).find_map(|_| {
        thread::sleep(Duration::from_millis(20));
        let done = folder.run("ingest people events -q");
        if first.try_wait().unwrap().is_some() {
            first = start();
        }
        (done.code == Some(1)).then_some(done)
    });
    let second = second.unwrap();
    assert!(
        second.stderr.contains("the store is in use"),
        "{}",
        second.stderr
    );
    // It can be read meanwhile.
    assert_eq!(entries(&folder, "people"), 4);
    drop(first.stdin.take());
    assert!(first.wait().unwrap().success());
}

#[test]
fn help_has_examples() {
    let folder = Folder::new();
    for command in ["ingest --help", "store --help", "store retract --help"] {
        let done = folder.run(command);
        assert_eq!(done.code, Some(0));
        assert!(done.stdout.contains("Example"), "{command}");
    }
}

/// Another process has the store open, and its last commits are in the journal. Each command sees all of them: it says the
/// same as about a store with the same claims that is closed.
#[test]
fn commands_see_what_another_process_has_in_its_journal() {
    let folder = Folder::with(&[("events", EVENTS)]);
    let settings = Settings::new(Model::Simplified, &Overrides::default()).unwrap();
    let make = |name: &str, journal_bytes: usize| {
        let engine = settings.clone();
        let options = Options {
            settings: settings.to_string(),
            journal_after: 0,
            journal_bytes,
            ..Options::default()
        };
        let store = Durable::open(folder.path(name), move || engine.engine(), options);
        let mut store = store.unwrap();
        for (device, user) in [
            ("phone", "ben"),
            ("tablet", "ben"),
            ("tablet", "ada"),
            ("tv", "ada"),
        ] {
            let [device, user] = [device, user].map(|text| Id::new(text).unwrap());
            store.apply(Claim::Link { device, user }).unwrap();
            store.commit().unwrap();
        }
        store
    };
    make("closed", 0).close().unwrap();
    let open = make("open", 1 << 16);
    std::fs::create_dir(folder.path("killed")).unwrap();
    for file in ["store.redb", "store.redb.journal"] {
        let [from, to] = ["open", "killed"].map(|name| folder.path(name).join(file));
        std::fs::copy(from, to).unwrap();
    }
    for command in [
        "store log NAME",
        "store digest NAME",
        "store changes NAME",
        "store as-of NAME 4 $device:tv $device:tablet",
        "store explain NAME $device:phone $device:tablet",
        "store explain NAME ada $device:tv",
        "store simulate NAME --engine original",
        "clusters --store NAME",
        "resolve events --store NAME",
    ] {
        let wanted = folder.run(&command.replace("NAME", "closed"));
        assert_eq!(wanted.code, Some(0), "{command}: {}", wanted.stderr);
        assert!(!wanted.stdout.is_empty(), "{command}");
        // The last one is of a process that was killed: the first command opens it for writing once.
        for name in ["open", "killed"] {
            let found = folder.run(&command.replace("NAME", name));
            assert_eq!(
                found.stdout, wanted.stdout,
                "{command} of {name}: {}",
                found.stderr
            );
        }
    }
    folder.run("store backup open saved").ok();
    folder.run("store restore saved restored").ok();
    let [restored, closed] =
        ["restored", "closed"].map(|name| folder.run(&format!("store log {name}")).stdout);
    assert_eq!(restored, closed);
    folder.run("store compare open closed").ok();
    open.close().unwrap();
    assert_eq!(folder.run("store log open").stdout, closed);
}
