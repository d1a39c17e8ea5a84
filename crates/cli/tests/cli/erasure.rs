//! `idmerge store erase`: rules E-1 to E-5.

use serde_json::{Value, json};

use crate::run::Folder;
#[cfg(all(unix, feature = "serve"))]
use crate::{serve::ask, server_store::Server};

fn line(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn login(device: &str, user: &str) -> String {
    let properties = json!({"$device_id": device, "$user_id": user});
    json!({"event": "Log In", "properties": properties}).to_string()
}

/// Ada has two devices, and Ben used the first one.
fn people() -> Folder {
    let lines = [
        login("tablet-7f", "ada@example.com"),
        login("phone-8e", "ada@example.com"),
        login("laptop-9d", "ben@example.com"),
        login("tablet-7f", "ben@example.com"),
    ];
    let folder = Folder::with(&[("events", &lines.join("\n"))]);
    folder
        .run("ingest people events --engine simplified -q")
        .ok();
    folder
}

#[test]
fn e_1_any_member_names_the_cluster_and_the_receipt_says_what_is_gone() {
    let folder = people();
    let dry = folder
        .run("store erase people $device:phone-8e --dry-run")
        .ok();
    let dry = line(&dry);
    assert_eq!(dry["ids_erased"], 3);
    let info = line(&folder.run("store info people").ok());
    assert_eq!(info["members"], 5);

    let done = folder.run("store erase people $device:phone-8e").code(0);
    let receipt = line(&done.stdout);
    assert!(
        done.stderr
            .contains("backups and exports that were made before")
    );
    let wanted = json!({
        "dry_run": false,
        "ids_named": 1,
        "ids_erased": 3,
        "devices_refused": 2,
        "entries_rewritten": 3,
        "last_entry": 4,
        "events_erased": 0,
        "events_made_anonymous": 0,
        "events_of_others_changed": 0,
        "profiles_erased": 0,
        "digest_before": dry["digest_before"],
        "digest_after": dry["digest_after"],
        "older_files": [],
        "note": receipt["note"],
    });
    assert_eq!(receipt, wanted);
    let log = folder.run("store log people").ok();
    let log: Vec<Value> = log.lines().map(line).collect();
    let erased = |sequence: u64, answer: &str| json!({"sequence": sequence, "claim": "link", "answer": answer, "erased": true});
    assert_eq!(log[0], erased(1, "merged"));
    assert_eq!(log[1], erased(2, "merged"));
    assert_eq!(log[2]["user"], "ben@example.com");
    assert_eq!(log[3], erased(4, "errAnonDistinctIdAssignedAlready"));
    let info = line(&folder.run("store info people").ok());
    assert_eq!((&info["members"], &info["entries"]), (&json!(2), &json!(4)));
    let digest = line(&folder.run("store digest people").ok());
    assert_eq!(digest["digest"], receipt["digest_after"]);
    // What is erased is in no cluster, and in no file.
    let resolved = folder
        .run("store as-of people 4 $device:tablet-7f ada@example.com")
        .ok();
    assert_eq!(
        line(resolved.lines().next().unwrap())["distinct_id"],
        "$device:tablet-7f"
    );
    let bytes = std::fs::read(folder.path("people/store.redb")).unwrap();
    let text: String = bytes
        .iter()
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    for gone in ["ada@example", "tablet-7f", "phone-8e"] {
        assert!(!text.contains(gone), "{gone}");
    }
    assert!(text.contains("laptop-9d"));
}

#[test]
fn e_2_ingest_counts_what_names_an_erased_id_and_does_not_fail() {
    let folder = people();
    folder.run("store erase people ada@example.com").ok();
    let later = [
        login("tablet-7f", "cy@example.com"),
        login("watch-1a", "ada@example.com"),
        // With an escape.
        r#"{"event":"Log In","properties":{"$device_id":"watch-1a","$user_id":"\u0061da@example.com"}}"#.to_owned(),
        // A model that reads claims of identity events would log it.
        json!({"event": "$create_alias", "properties": {"distinct_id": "ben@example.com", "alias": "ada@example.com"}}).to_string(),
        login("watch-1a", "ben@example.com"),
    ];
    folder.write("later", later.join("\n"));
    let done = folder
        .run("ingest people later --strict -q --summary json")
        .code(0);
    let summary = line(&done.stderr);
    assert_eq!(
        (&summary["events"], &summary["events_erased"]),
        (&json!(5), &json!(4))
    );
    assert_eq!(summary["new_entries"], 1);
    // The events that were erased do not come back with their input.
    folder.run("ingest people events --again -q").ok();
    let info = line(&folder.run("store info people").ok());
    assert_eq!((&info["members"], &info["entries"]), (&json!(3), &json!(5)));
    let text = folder.run("ingest people later --again").code(0).stderr;
    assert!(text.contains("erased"), "{text}");
}

#[test]
fn e_2_until_a_day() {
    for (until, entries) in [("2001-01-01", 5), ("2999-01-01", 4)] {
        let folder = people();
        folder
            .run(&format!(
                "store erase people ada@example.com --until {until}"
            ))
            .ok();
        folder.write("later", login("watch-1a", "ada@example.com"));
        folder.run("ingest people later -q").ok();
        let info = line(&folder.run("store info people").ok());
        assert_eq!(info["entries"], entries, "{until}");
    }
}

#[test]
fn wrong_arguments_have_a_hint() {
    let folder = people();
    folder.run("store erase people").code(2).says("<ID>...");
    folder
        .run("store erase people x --until soon")
        .code(2)
        .says("give a date");
    folder
        .run("store erase people --dry-runs x")
        .code(2)
        .says("--dry-runs");
    folder.run("store erase people --dry-run -- --x").code(0);
    folder.run("store erase people null").code(2).says("ID-4");
    folder
        .run("store erase nowhere x")
        .code(1)
        .says("there is no store in nowhere");
    folder
        .run("store erase people tablet-7f --dry-run")
        .code(0)
        .says("the ID of a device has the prefix");
    let help = folder.run("store erase --help").ok();
    assert!(help.contains("idmerge store erase people ada@example.com --dry-run"));
}

#[cfg(all(unix, feature = "serve"))]
#[test]
fn e_2_a_server_refuses_what_names_an_erased_id_and_says_which_record() {
    let folder = Folder::new();
    let server = Server::start(&folder, "simplified");
    let event = |device: &str, user: &str, number: u32| {
        let time = 1_700_000_000 + number;
        json!({"event": "Log In", "properties": {
            "$device_id": device, "$user_id": user, "time": time, "$insert_id": format!("insert-{number}"),
        }})
    };
    let first = json!([event("tablet-7f", "ada", 1), event("laptop-9d", "ben", 2)]);
    server.request("POST /import?strict=1", &first.to_string());
    server.stop();
    let receipt = line(&folder.run("store erase data/shop ada").ok());
    assert_eq!(
        (&receipt["events_erased"], &receipt["ids_erased"]),
        (&json!(1), &json!(2))
    );

    let server = Server::start(&folder, "simplified");
    let later = json!([
        event("phone-8e", "ada", 3),
        event("laptop-9d", "ben", 4),
        event("tablet-7f", "cy", 5)
    ]);
    let body = later.to_string();
    let answer = ask(
        server.address(),
        &format!(
            "POST /import?strict=1 HTTP/1.0\r\nhost: x\r\nauthorization: Bearer secret-of-shop\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 400 "), "{answer}");
    let body = line(body);
    assert_eq!(body["num_records_imported"], 1);
    let failed = body["failed_records"].as_array().unwrap();
    let indexes: Vec<_> = failed
        .iter()
        .map(|record| record["index"].clone())
        .collect();
    assert_eq!(indexes, [0, 2]);
    let message = failed[0]["message"].as_str().unwrap();
    assert!(
        message.contains("erased") && message.contains("E-2"),
        "{message}"
    );
    let update = json!([{"$token": "shop", "$distinct_id": "ada", "$set": {"a": 1}}]);
    server.request("POST /engage", &update.to_string());
    assert!(server.request("GET /metrics", "").contains("erased"));
    server.stop();
    let receipt = line(&folder.run("store erase data/shop ada --dry-run").ok());
    assert_eq!(
        (&receipt["profiles_erased"], &receipt["events_erased"]),
        (&json!(0), &json!(0))
    );
}
