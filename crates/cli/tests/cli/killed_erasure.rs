//! `idmerge store erase` is killed at any moment: all is erased or nothing, and running it again finishes (E-5).

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::run::Folder;
use crate::server_store::Server;

/// How often the program is killed; `IDMERGE_KILLS` in the environment sets it.
fn kills() -> u32 {
    let kills = std::env::var("IDMERGE_KILLS");
    kills.map_or(8, |kills| kills.parse().unwrap())
}

fn line(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn erase(folder: &Folder, args: &str) -> Value {
    line(&folder.run(&format!("store erase {args}")).ok())
}

/// What tells a store from another one: its state, and how many entries were erased.
fn state(folder: &Folder, store: &str) -> (Value, usize) {
    let digest = line(&folder.run(&format!("store digest {store}")).ok());
    let log = folder.run(&format!("store log {store}")).ok();
    let erased = log
        .lines()
        .filter(|entry| entry.contains("\"erased\":true"));
    (digest["digest"].clone(), erased.count())
}

/// Kills erasures of a copy of the store `whole`, each after another part of the time that one takes.
#[expect(clippy::print_stderr, reason = "a long run says how much it has tried")]
fn all_or_nothing(folder: &Folder, id: &str) {
    let copy = |name: &str| {
        drop(fs::remove_dir_all(folder.path(name)));
        fs::create_dir(folder.path(name)).unwrap();
        fs::copy(
            folder.path("whole/store.redb"),
            folder.path(&format!("{name}/store.redb")),
        )
        .unwrap();
    };
    copy("erased");
    let started = Instant::now();
    let receipt = erase(folder, &format!("erased {id}"));
    let takes = started.elapsed();
    let (before, after) = (state(folder, "whole"), state(folder, "erased"));
    assert!(receipt["entries_rewritten"].as_u64().unwrap() > 0);
    assert_ne!(before, after);
    let (mut all, mut nothing) = (0, 0);
    for kill in 0..kills() {
        copy("killed");
        let mut child = folder
            .command(&format!("store erase killed {id}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The last ones come after the erasure.
        thread::sleep(takes * (kill + 1) / kills() * 5 / 4);
        // It may have ended.
        drop(child.kill());
        child.wait().unwrap();
        let found = state(folder, "killed");
        let is_erased = found == after;
        assert!(is_erased || found == before, "kill {kill}");
        *if is_erased { &mut all } else { &mut nothing } += 1;
        // The next one does the rest, of the log and of the events.
        let again = erase(folder, &format!("killed {id}"));
        let wanted = if is_erased {
            &json!(0)
        } else {
            &receipt["entries_rewritten"]
        };
        assert_eq!(&again["entries_rewritten"], wanted, "kill {kill}");
        let wanted = if is_erased {
            &json!(0)
        } else {
            &receipt["events_erased"]
        };
        assert_eq!(&again["events_erased"], wanted, "kill {kill}");
        assert_eq!(state(folder, "killed"), after, "kill {kill}");
        let names: Vec<_> = fs::read_dir(folder.path("killed")).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }
    eprintln!("{} kills: {all} had erased all, {nothing} nothing", kills());
    assert!(nothing > 0);
}

#[test]
fn e_5_a_store_of_ingest() {
    let folder = Folder::new();
    folder
        .run("generate --workload web-login --events 20000 -q -o events")
        .ok();
    folder
        .run("ingest whole events -q --engine simplified")
        .ok();
    let log = folder.run("store log whole").ok();
    let user = log
        .lines()
        .find_map(|entry| line(entry)["user"].as_str().map(str::to_owned));
    let user = user.unwrap();
    all_or_nothing(&folder, &user);
}

#[test]
fn e_5_a_project_of_a_server() {
    let folder = Folder::new();
    let server = Server::start_on(&folder, "data", "original");
    for batch in 0..20_u32 {
        let events: Vec<Value> = (0..200_u32)
            .map(|at| {
                let number = batch * 200 + at;
                let (user, device) = (
                    format!("u{}", number % 50),
                    format!("{:08x}-0000-4000-8000-000000000001", number % 97),
                );
                let (name, ids) = match number % 9 {
                    0 => (
                        "$identify",
                        json!({"$identified_id": user, "$anon_id": device}),
                    ),
                    _ => ("A", json!({"distinct_id": device})),
                };
                let mut properties = ids;
                properties["time"] = json!(1_700_000_000 + number);
                properties["$insert_id"] = json!(format!("i{number}"));
                json!({"event": name, "properties": properties})
            })
            .collect();
        server.request("POST /import?strict=0", &Value::Array(events).to_string());
    }
    server.stop();
    fs::rename(folder.path("data/shop"), folder.path("whole")).unwrap();
    all_or_nothing(&folder, "u7");
}
