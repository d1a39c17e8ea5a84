//! `--blocked-ids` and `--max-id-bytes` (rules ID-2 and ID-4) on every command.

use serde_json::Value;

use crate::run::{Folder, event_names};

/// A login of each of these users on a device of the same number.
fn logins(users: &[&str]) -> String {
    let login = |(n, user): (usize, &&str)| {
        format!(
            "{{\"event\":\"{user}\",\"properties\":{{\"$device_id\":\"D{n}\",\"$user_id\":\"{user}\"}}}}\n"
        )
    };
    users.iter().enumerate().map(login).collect()
}

fn folder() -> Folder {
    Folder::with(&[
        (
            "events",
            &logins(&["U1", "Test", "null", "#1", "long-user"]),
        ),
        ("list", "# ours\r\n\r\ntest\r\n\\#1\r\n"),
        ("empty", ""),
    ])
}

#[track_caller]
fn canonical_ids(lines: &str) -> Vec<String> {
    let canonical = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["canonical"].as_str().unwrap().to_owned()
    };
    lines.lines().map(canonical).collect()
}

const CASES: [(&str, &[&str]); 6] = [
    ("", &["U1", "Test", "#1", "long-user"]),
    ("--blocked-ids list", &["U1", "null", "long-user"]),
    ("--blocked-ids +list", &["U1", "long-user"]),
    ("--max-id-bytes 8", &["U1", "Test", "#1"]),
    ("--max-id-bytes 8 --blocked-ids +list", &["U1"]),
    (
        "--blocked-ids empty",
        &["U1", "Test", "null", "#1", "long-user"],
    ),
];

#[test]
fn id_2_and_id_4_hold_in_every_command_that_reads_events() {
    let folder = folder();
    for (options, users) in CASES {
        let args = format!("events -q --engine simplified {options}");
        let resolved = folder.run(&format!("resolve {args}")).ok();
        assert_eq!(event_names(&resolved), users, "{options}");
        let clusters = folder.run(&format!("clusters {args}")).ok();
        assert_eq!(canonical_ids(&clusters), users, "{options}");
        let inspect = folder.run(&format!("inspect events -q --format json {options}"));
        let inspected: Value = serde_json::from_str(&inspect.ok()).unwrap();
        for model in ["simplified", "original"] {
            assert_eq!(
                inspected["models"][model]["events"],
                users.len(),
                "{options}"
            );
        }
        for user in ["Test", "null", "long-user"] {
            let done = folder.run(&format!("cluster {user} {args}"));
            let code = if users.contains(&user) { 0 } else { 2 };
            done.code(code);
        }
    }
    folder
        .run("resolve events --engine original --blocked-ids list")
        .says("events, line 2: $user_id \"Test\" is a blocked value")
        .says("(ID-4)");
    folder
        .run("resolve events -q --engine simplified --max-id-bytes 8")
        .says(
            "events, line 5: $user_id \"long-user\" is too long; send an ID of 1 to 8 bytes (ID-2)",
        );
}

#[test]
fn an_option_that_cannot_be_used_is_an_error() {
    let folder = folder();
    folder.write("latin-1", b"a\nZo\xeb\n");
    folder.write("device", "a\n$device:D1\n");
    for (option, code, says) in [
        (
            "--blocked-ids nowhere",
            1,
            "cannot read the blocked IDs from nowhere: No such file",
        ),
        ("--blocked-ids +latin-1", 1, "latin-1, line 2: not UTF-8"),
        (
            "--blocked-ids device",
            1,
            "device, line 2: leave out the prefix $device:",
        ),
        ("--max-id-bytes 0", 2, "0 is not in 1..=65535"),
        ("--max-id-bytes 65536", 2, "65536 is not in 1..=65535"),
        ("--max-line-bytes 0", 2, "0 is not in 1.."),
        (
            "--blocked-ids list --store people",
            2,
            "cannot be used with",
        ),
        ("--max-id-bytes 9 --store people", 2, "cannot be used with"),
    ] {
        let engine = match option.contains("--store") {
            true => "",
            false => "--engine simplified",
        };
        let done = folder.run(&format!("resolve events -q {engine} {option}"));
        assert_eq!(done.stdout, "");
        done.code(code).says(says);
    }
}

/// A list that a shell gives as a pipe can be read only once.
#[cfg(unix)]
#[test]
fn the_list_of_blocked_ids_may_be_a_pipe() {
    let folder = folder();
    crate::run::mkfifo(folder.path("pipe"));
    let line =
        "cat list > pipe & idmerge cluster U1 events -q --engine simplified --blocked-ids +pipe";
    assert_eq!(canonical_ids(&folder.shell(line).ok()), ["U1"]);
}

#[cfg(feature = "store")]
mod store {
    use super::*;

    #[test]
    fn the_rules_for_ids_are_part_of_a_store() {
        let folder = folder();
        folder.write("same", "\u{feff}#1\n\\#1\nTEST\ntest\n");
        for (options, users) in CASES {
            let name = format!("store{}", options.replace(' ', ""));
            let ingest = format!("ingest {name} events -q --engine simplified");
            folder.run(&format!("{ingest} {options}")).ok();
            let clusters = folder.run(&format!("clusters --store {name}")).ok();
            assert_eq!(canonical_ids(&clusters), users, "{options}");
            let resolved = folder.run(&format!("resolve events -q --store {name}"));
            assert_eq!(event_names(&resolved.ok()), users, "{options}");
            // The settings come from the store, or are given again.
            folder.run(&format!("ingest {name} events -q")).ok();
            folder.run(&format!("{ingest} {options}")).ok();
            let same = options.replace("list", "same");
            folder.run(&format!("{ingest} {same}")).ok();
            for (other, _) in CASES.iter().filter(|(other, _)| *other != options) {
                let done = folder.run(&format!("{ingest} {other}")).code(1);
                done.says(&format!("{name} was created with --engine simplified"))
                    .says("which cannot change");
            }
        }
        folder
            .run("ingest store--blocked-ids+list events -q --engine simplified --blocked-ids list")
            .says("(\"0\", \"-1\", \"[]\" and 14 more are blocked)");
        folder
            .run("ingest people events --max-id-bytes 9")
            .code(2)
            .says("--max-id-bytes and --blocked-ids need --engine");
    }

    #[track_caller]
    fn line(folder: &Folder, args: &str) -> Value {
        serde_json::from_str(&folder.run(args).ok()).unwrap()
    }

    #[test]
    fn info_and_compare_tell_the_rules_of_stores_apart() {
        let folder = folder();
        folder.run("ingest a events -q --engine simplified").ok();
        folder
            .run("ingest b events -q --engine simplified --blocked-ids list --max-id-bytes 9")
            .ok();
        let info = line(&folder, "store info a");
        assert_eq!(info.get("blocked_ids"), None);
        assert_eq!(info.get("max_id_bytes"), None);
        let info = line(&folder, "store info b");
        assert_eq!(info["blocked_ids"], serde_json::json!(["#1", "test"]));
        assert_eq!(info["max_id_bytes"], 9);
        let done = folder.run("store compare a b").code(1);
        let compared: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(
            compared["settings"],
            "max_id_bytes is 255, not 9; \"0\", \"-1\", \"[]\" and 14 more are blocked; \
             \"#1\" and \"test\" are not blocked"
        );
    }

    #[test]
    fn a_simulation_leaves_out_the_claims_of_events_that_would_be_refused() {
        let folder = folder();
        let events = logins(&["U1", "Test", "#1", "long-user"]);
        folder.write("events", &events);
        folder
            .run("ingest people events -q --engine simplified")
            .ok();
        for (options, users) in CASES {
            let simulated = line(
                &folder,
                &format!("store simulate people --engine simplified {options}"),
            );
            // `null` was refused when the store was made.
            let users: Vec<_> = users.iter().filter(|user| **user != "null").collect();
            assert_eq!(simulated["simulated_clusters"], users.len(), "{options}");
            let clusters = format!("clusters events -q --engine simplified {options}");
            assert_eq!(
                canonical_ids(&folder.run(&clusters).ok()).len(),
                users.len()
            );
        }
    }

    #[test]
    fn a_simulation_of_the_other_model_has_the_claims_by_the_rules_of_the_store() {
        let folder = Folder::with(&[("list", "x\n")]);
        let uuid = "5f1c37a2-9d2f-4f4a-8f67-1b1c6e0a6f11";
        // By the default rules `null` and the long ID are refused.
        let long = "y".repeat(300);
        let identify = |user: &str| {
            format!(
                "{{\"event\":\"$identify\",\"properties\":{{\"$identified_id\":\"{user}\",\"$anon_id\":\"{uuid}\"}}}}\n"
            )
        };
        for user in ["null", &long] {
            folder.write("events", identify(user));
            let options = "--blocked-ids list --max-id-bytes 1000";
            let store = if user == "null" { "a" } else { "b" };
            folder
                .run(&format!(
                    "ingest {store} events -q --engine simplified {options}"
                ))
                .ok();
            let args = format!("store simulate {store} --engine original {options}");
            assert_eq!(line(&folder, &args)["simulated_clusters"], 1);
        }
    }

    #[test]
    fn a_list_may_have_100_000_ids() {
        let folder = Folder::new();
        let list: String = (0..100_000)
            .map(|n| format!("blocked-user-{n:020}\n"))
            .collect();
        folder.write("list", &list);
        folder.write("other", format!("{list}one-more\n"));
        let events = logins(&["U1", "blocked-user-00000000000000099999", "blocked-user-1"]);
        folder.write("events", events);
        let ingest = "ingest people events -q --engine simplified --blocked-ids";
        folder.run(&format!("{ingest} list")).ok();
        let clusters = folder.run("clusters --store people").ok();
        assert_eq!(canonical_ids(&clusters), ["U1", "blocked-user-1"]);
        let done = folder.run(&format!("{ingest} other")).code(1);
        assert!(done.stderr.len() < 500, "{}", done.stderr.len());
        done.says("--blocked-ids <100000 IDs>, which cannot change (\"one-more\" is not blocked)");
    }
}

#[cfg(all(unix, feature = "serve"))]
#[test]
fn the_rules_for_ids_are_part_of_a_server_s_project() {
    use crate::run::{signal, wait};
    use crate::serve::{address, ask, started};

    const SERVE: &str = "serve --data data --listen 127.0.0.1:0 --log-format off";
    let folder = folder();
    let project = "[[project]]\ntoken = \"T\"\nengine = \"simplified\"\nsecret = \"long enough\"\n";
    let rules = "max_id_bytes = 8\nblocked_ids = \"+../list\"\n";
    std::fs::create_dir(folder.path("conf")).unwrap();
    folder.write("conf/c.toml", format!("{project}{rules}"));
    folder.write("conf/default.toml", project);
    let by_args =
        "--engine simplified --token T --secret long-enough --max-id-bytes 8 --blocked-ids +list";
    // The same settings from arguments and from a file.
    for (args, lines) in [("--config conf/c.toml", 1), (by_args, 2)] {
        let (child, said) = started(&folder, &format!("{SERVE} {args}"), lines);
        for (user, code) in [
            ("U1", 200),
            ("Test", 400),
            ("null", 400),
            ("long-user", 400),
        ] {
            let event = format!(
                r#"[{{"event":"A","properties":{{"time":1700000000,"$insert_id":"{user}","$device_id":"d-{user}","$user_id":"{user}"}}}}]"#
            );
            let basic = if lines == 1 {
                "bG9uZyBlbm91Z2g6"
            } else {
                "bG9uZy1lbm91Z2g6"
            };
            let head = format!(
                "POST /import?strict=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Basic {basic}\r\ncontent-type: application/json\r\ncontent-length: {}",
                event.len()
            );
            let answer = ask(address(&said), &format!("{head}\r\n\r\n{event}"));
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {code} ")),
                "{user}: {answer}"
            );
        }
        signal("TERM", child.id());
        wait(child).ok();
    }
    let other = folder
        .run(&format!("{SERVE} --config conf/default.toml"))
        .code(1);
    other.says("max_id_bytes is 8, not 255; \"#1\" and \"test\" are blocked");
    folder
        .run(&format!("{SERVE} --config conf/c.toml --max-id-bytes 9"))
        .code(2);
}
