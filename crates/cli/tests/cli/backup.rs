//! `idmerge store backup` of a store that a server has open, and what processes that make a store at once
//! say.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::run::{Done, Folder, wait};
use crate::server_store::Server;

const STORE: &str = "data/shop";

fn line(done: Done) -> Value {
    serde_json::from_str(&done.ok()).unwrap()
}

fn merge(first: &str, second: &str) -> String {
    let properties = json!({ "$distinct_ids": [first, second], "token": "shop" });
    json!([{ "event": "$merge", "properties": properties }]).to_string()
}

fn page_view(id: &str, number: usize) -> Value {
    json!({ "event": "Page View", "properties": {
        "token": "shop", "distinct_id": id, "time": 1_700_000_000, "$insert_id": format!("{id}-{number}"),
    } })
}

/// A server of 300 events with two merges and a profile.
fn serving(folder: &Folder) -> Server {
    let server = Server::start(folder, "original");
    let events: Vec<_> = (0..300)
        .map(|number| page_view(&format!("user-{}", number % 50), number))
        .collect();
    server.request("POST /import?strict=1", &json!(events).to_string());
    server.request("POST /import?strict=0", &merge("user-1", "user-2"));
    server.request("POST /import?strict=0", &merge("user-2", "user-3"));
    let update = json!([{ "$token": "shop", "$distinct_id": "user-3", "$set": { "a": 1 } }]);
    server.request("POST /engage", &update.to_string());
    server
}

/// The export, profile and mappings of a server.
fn answers(server: &Server) -> [String; 3] {
    [
        "/api/2.0/export?from_date=2000-01-01&to_date=2100-01-01",
        "/v1/users/user-1/profile",
        "/v1/mappings",
    ]
    .map(|path| server.request(&format!("GET {path}"), ""))
}

#[test]
fn lg_3_a_store_is_backed_up_while_a_server_has_it_open() {
    let folder = Folder::new();
    let server = serving(&folder);
    let before = answers(&server);
    let saved = line(folder.run(&format!("store backup {STORE} saved")));
    assert_eq!(saved["entries"], 2);
    // What comes later is not in it.
    server.request("POST /import?strict=0", &merge("user-3", "user-4"));
    server.stop();

    line(folder.run("store restore saved again/shop"));
    let server = Server::start_on(&folder, "again", "original");
    assert_eq!(answers(&server), before);
    server.stop();
    // At rest the same store gives one entry more.
    let saved = line(folder.run(&format!("store backup {STORE} later")));
    assert_eq!(saved["entries"], 3);
    assert!(
        folder.path("data/shop").read_dir().unwrap().count() == 1,
        "the socket is gone"
    );
}

#[test]
fn lg_3_info_and_a_simulation_while_serving_are_those_of_the_commands() {
    for engine in ["original", "simplified"] {
        let folder = Folder::new();
        let server = Server::start(&folder, engine);
        for pair in [
            ["user-1", "user-2"],
            ["user-2", "user-3"],
            ["user-4", "user-5"],
        ] {
            let event = match engine {
                "original" => merge(pair[0], pair[1]),
                _ => {
                    let mut log_in = page_view(pair[1], 0);
                    log_in["properties"]["$device_id"] = pair[0].into();
                    log_in["properties"]["$user_id"] = pair[1].into();
                    json!([log_in]).to_string()
                }
            };
            server.request("POST /import?strict=0", &event);
        }
        let asked = [
            "/v1/info",
            "/v1/simulate?engine=simplified&examples=9",
            "/v1/simulate?engine=original&max_cluster_ids=2",
        ]
        .map(|path| server.request(&format!("GET {path}"), ""));
        server.stop();
        let commands = [
            format!("store info {STORE}"),
            format!("store simulate {STORE} --engine simplified --examples 9"),
            format!("store simulate {STORE} --engine original --max-cluster-ids 2"),
        ];
        for (asked, command) in asked.iter().zip(commands) {
            let asked: Value = serde_json::from_str(asked).unwrap();
            assert_eq!(asked, line(folder.run(&command)), "{command}");
        }
    }
}

#[test]
fn a_backup_replaces_no_file() {
    let folder = Folder::with(&[("saved", "something else")]);
    let server = serving(&folder);
    for _ in 0..2 {
        let done = folder.run(&format!("store backup {STORE} saved"));
        done.code(1)
            .says("saved exists already and is not replaced");
        assert_eq!(folder.read("saved"), "something else");
    }
    server.stop();
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_backup_or_ask_for_one() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let server = serving(&folder);
    line(folder.run(&format!("store backup {STORE} saved")));
    for name in ["saved", "data/shop/backup.sock"] {
        let mode = fs::metadata(folder.path(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    server.stop();
}

#[test]
fn a_store_in_use_by_a_process_that_gives_no_backup_says_what_to_do() {
    let folder = Folder::new();
    let server = serving(&folder);
    fs::remove_file(folder.path("data/shop/backup.sock")).unwrap();
    let done = folder.run(&format!("store backup {STORE} saved"));
    done.code(1).says("/v1/backup -o FILE");
    assert!(!folder.path("saved").exists());
    server.stop();
}

#[cfg(unix)]
#[test]
fn a_path_that_is_too_long_for_a_socket_says_what_to_do() {
    let folder = Folder::new();
    let data = "d".repeat(120);
    let server = Server::start_on(&folder, &data, "original");
    server.request("POST /import?strict=0", &merge("user-1", "user-2"));
    assert!(!folder.path(&format!("{data}/shop/backup.sock")).exists());
    let done = folder.run(&format!("store backup {data}/shop saved"));
    done.code(1)
        .says("curl -f -u SECRET: http://HOST:8080/v1/backup -o FILE");
    assert_eq!(folder.names(), [&*data]);
    server.stop();
    let saved = line(folder.run(&format!("store backup {data}/shop saved")));
    assert_eq!(saved["entries"], 1);
}

/// Digits that hardly compress.
#[cfg(unix)]
fn padding(seed: u64) -> String {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state ^ (state >> 29)
    };
    (0..200).map(|_| format!("{:016x}", next())).collect()
}

#[cfg(unix)]
#[test]
fn a_kill_during_a_backup_leaves_nothing_that_is_taken_for_one() {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    let folder = Folder::new();
    let server = serving(&folder);
    // More than a socket holds.
    let events: Vec<_> = (0..1_000)
        .map(|number| {
            let mut event = page_view("user-9", 1_000 + number);
            event["properties"]["padding"] = padding(number as u64).into();
            event
        })
        .collect();
    server.request("POST /import?strict=1", &json!(events).to_string());
    let before = answers(&server);

    // The server is killed.
    let socket = folder.path("data/shop/backup.sock");
    let mut stream = BufReader::new(UnixStream::connect(&socket).unwrap());
    let mut head = String::new();
    stream.read_line(&mut head).unwrap();
    let mut part = vec![0; 256 << 10];
    stream.read_exact(&mut part).unwrap();
    server.kill();
    stream.read_to_end(&mut part).unwrap();
    let whole: Value = serde_json::from_str(&head).unwrap();
    assert!((part.len() as u64) < whole["bytes"].as_u64().unwrap());
    folder.write("part", &part);
    let done = folder.run("store restore part new");
    done.code(1).says("make the backup again");
    assert_eq!(folder.names(), ["data", "part"]);
    let files = folder.path(STORE).read_dir().unwrap();
    assert_eq!(files.count(), 2, "the store and the socket");
    let server = Server::start(&folder, "original");
    assert_eq!(answers(&server), before);

    // The command is killed.
    fs::remove_file(&socket).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let mut command = folder.command(&format!("store backup {STORE} saved"));
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&part).unwrap();
    // All of this is only taken by a command that writes its file.
    stream.write_all(&vec![0; 2 << 20]).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let names = folder.names();
    let [left, "data", "part"] = &*names.iter().map(|it| &**it).collect::<Vec<_>>() else {
        panic!("{names:?}");
    };
    assert!(left.starts_with(".idmerge-"), "{left}");
    let done = folder.run(&format!("store restore {left} new"));
    done.code(1).says("make the backup again");
    server.stop();
}

#[test]
fn the_socket_of_a_killed_server_is_replaced() {
    let folder = Folder::new();
    let server = serving(&folder);
    server.kill();
    assert!(folder.path("data/shop/backup.sock").exists());
    // At rest no server is needed.
    line(folder.run(&format!("store backup {STORE} first")));
    let server = Server::start(&folder, "original");
    line(folder.run(&format!("store backup {STORE} second")));
    server.stop();
    line(folder.run("store restore first one"));
    line(folder.run("store restore second two"));
    let compared = line(folder.run("store compare one two"));
    assert_eq!(compared["same"], true);
}

#[test]
fn a_copy_of_a_running_store_opens_or_says_what_it_is() {
    let folder = Folder::new();
    let server = Server::start(&folder, "original");
    for round in 0..8 {
        let events: Vec<_> = (0..2_000)
            .map(|number| page_view(&format!("{round}-{number}"), number))
            .collect();
        server.request("POST /import?strict=1", &json!(events).to_string());
        // Half of an earlier copy and half of a later one, as `cp` reads a file that changes.
        let now = fs::read(folder.path("data/shop/store.redb")).unwrap();
        let copy = folder.path(&format!("copy-{round}"));
        fs::create_dir(&copy).unwrap();
        let earlier = fs::read(folder.path("earlier")).unwrap_or_default();
        let half = earlier.len() / 2;
        let torn = [&earlier[..half], &now[half..]].concat();
        fs::write(copy.join("store.redb"), torn).unwrap();
        folder.write("earlier", now);
        let done = folder.run(&format!("store info copy-{round}"));
        if done.code != Some(0) {
            done.code(1).says("a copy of a store that was in use");
        }
        let done = folder.run(&format!("store restore copy-{round}/store.redb of-{round}"));
        if done.code != Some(0) {
            done.code(1).says("make the backup again");
            assert!(!folder.path(&format!("of-{round}")).exists());
        }
    }
    server.stop();
}

#[test]
fn of_processes_that_ingest_into_a_new_store_at_once_none_loses_its_input_silently() {
    let folder = Folder::new();
    let inputs = ["a", "b", "c"];
    for name in inputs {
        let lines: String = (0..200)
            .map(|number| {
                let properties =
                    json!({ "$device_id": format!("{name}-{number}"), "$user_id": name });
                format!(
                    "{}\n",
                    json!({ "event": "Log In", "properties": properties })
                )
            })
            .collect();
        folder.write(name, lines);
    }
    for round in 0..10 {
        let children = inputs.map(|name| {
            let args = format!("ingest people-{round} {name} --engine simplified --quiet");
            let mut command = folder.command(&args);
            let command = command.stdin(Stdio::null());
            let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        });
        let mut taken = 0;
        for child in children {
            let done = wait(child);
            match done.code {
                Some(0) => taken += 1,
                _ => drop(done.code(1).says("the store is in use")),
            }
        }
        assert!(taken > 0, "round {round}");
        let info = line(folder.run(&format!("store info people-{round}")));
        assert_eq!(info["entries"], taken * 200, "round {round}");
        let files = folder.path(&format!("people-{round}")).read_dir().unwrap();
        assert_eq!(files.count(), 1);
    }
}

#[test]
fn a_restore_that_fails_leaves_nothing() {
    let folder = Folder::with(&[("notes", "not a backup")]);
    fs::create_dir_all(folder.path("data/shop")).unwrap();
    let before = folder.names();
    folder
        .run("store restore notes new")
        .code(1)
        .says("not an idmerge store");
    folder
        .run("store restore missing new")
        .code(1)
        .says("cannot open missing");
    let done = folder.run("store restore notes data");
    done.code(1).says("is not empty (it has shop)");
    assert_eq!(folder.names(), before);
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_half_of_a_backup_or_of_a_store() {
    let folder = Folder::new();
    let server = serving(&folder);
    server.stop();
    line(folder.run(&format!("store backup {STORE} saved")));
    // A limit on the size of files stands in for a full disk.
    for command in [
        "store restore saved new",
        "store backup data/shop other",
        "ingest made saved --engine original --quiet",
    ] {
        let done = folder.shell(&format!("ulimit -f 64; trap '' XFSZ; idmerge {command}"));
        assert_eq!(done.code, Some(1), "{command}: {}", done.stderr);
    }
    let left = folder.names();
    assert!(!left.contains(&"new".to_owned()), "{left:?}");
    assert!(!left.contains(&"other".to_owned()), "{left:?}");
    assert!(
        !left.iter().any(|name| name.starts_with(".idmerge-")),
        "{left:?}"
    );
    let made = folder.path("made").read_dir().unwrap();
    assert_eq!(made.count(), 0);
}
