//! The store of a server's project is a store of `idmerge store`: rule LG-3.

use std::process::Child;

use serde_json::{Value, json};

use crate::run::{Done, Folder, run, signal, wait};
use crate::serve::{address, ask, started};

const STORE: &str = "data/shop";

/// A server of the project `shop`.
pub(crate) struct Server {
    /// `None` once it was stopped.
    child: Option<Child>,
    address: String,
}

impl Server {
    pub(crate) fn start(folder: &Folder, engine: &str) -> Self {
        Self::start_on(folder, "data", engine)
    }

    pub(crate) fn start_on(folder: &Folder, data: &str, engine: &str) -> Self {
        let args = format!(
            "serve --data {data} --engine {engine} --token shop --secret secret-of-shop \
             --listen 127.0.0.1:0 --log-format off"
        );
        let (child, said) = started(folder, &args, 1);
        Self {
            address: address(&said).to_owned(),
            child: Some(child),
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn request(&self, head: &str, body: &str) -> String {
        let length = body.len();
        let answer = ask(
            &self.address,
            &format!(
                "{head} HTTP/1.0\r\nhost: x\r\nauthorization: Bearer secret-of-shop\r\n\
                 content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            ),
        );
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{answer}");
        body.to_owned()
    }

    fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.request(&format!("GET {path}"), "")).unwrap()
    }

    /// Sends events one after another, so that their claims have the numbers 1, 2, 3, …
    fn import(&self, events: &[Value]) {
        for event in events {
            self.request("POST /import?strict=0", &json!([event]).to_string());
        }
    }

    fn set(&self, id: &str, value: u32) {
        let update = json!([{ "$token": "shop", "$distinct_id": id, "$set": { "a": value } }]);
        self.request("POST /engage", &update.to_string());
    }

    /// The number of events of a user.
    fn events(&self, id: &str) -> usize {
        let page = self.get(&format!("/v1/users/{id}/events"));
        page["events"].as_array().unwrap().len()
    }

    fn members(&self, id: &str) -> Value {
        self.get(&format!("/v1/ids/{id}"))["members"].clone()
    }

    fn profile(&self, id: &str) -> Value {
        self.get(&format!("/v1/users/{id}/profile"))
    }

    pub(crate) fn kill(self) {
        drop(self);
    }

    pub(crate) fn stop(mut self) {
        let child = self.child.take().unwrap();
        signal("TERM", child.id());
        wait(child).ok();
    }
}

/// A test that fails, or that does not care how the server ends, leaves none behind.
impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn merge(first: &str, second: &str) -> Value {
    json!({ "event": "$merge", "properties": { "$distinct_ids": [first, second], "token": "shop" } })
}

/// An event as `/import` takes it.
fn event(name: &str, mut properties: Value) -> Value {
    properties["token"] = "shop".into();
    properties["time"] = 1_700_000_000.into();
    properties["$insert_id"] = format!("{name} of {}", properties["distinct_id"]).into();
    json!({ "event": name, "properties": properties })
}

fn page_view(id: &str) -> Value {
    event("Page View", json!({ "distinct_id": id }))
}

fn log_in(device: &str, user: &str) -> Value {
    event(
        "Log In",
        json!({ "distinct_id": user, "$device_id": device, "$user_id": user }),
    )
}

fn lines(done: Done) -> Vec<Value> {
    let stdout = done.ok();
    let lines = stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn line(done: Done) -> Value {
    let [line] = lines(done).try_into().unwrap();
    line
}

/// user-b, user-c and user-d are one user; events and profiles of each.
fn served_original() -> Folder {
    let folder = Folder::new();
    let server = Server::start(&folder, "original");
    for (id, value) in [("user-b", 1), ("user-c", 2)] {
        server.import(&[page_view(id)]);
        server.set(id, value);
    }
    server.import(&[merge("user-b", "user-c"), merge("user-c", "user-d")]);
    assert_eq!(server.profile("user-c"), server.profile("user-b"));
    server.stop();
    folder
}

#[test]
fn lg_3_every_question_is_answered_from_the_store_of_a_server() {
    let folder = served_original();
    let store = |args: &str| folder.run(&format!("store {args}"));
    let info = line(store(&format!("info {STORE}")));
    assert_eq!(
        (&info["engine"], &info["entries"], &info["clusters"]),
        (&json!("original"), &json!(2), &json!(1))
    );
    let log = lines(store(&format!("log {STORE}")));
    assert_eq!(log[0]["claim"], "merge");
    assert_eq!(log[0]["source"], "/import");
    assert_eq!(
        (&log[1]["first"], &log[1]["second"]),
        (&json!("user-c"), &json!("user-d"))
    );
    let why = lines(store(&format!("explain {STORE} user-b user-d")));
    assert_eq!(why[0]["explanation"], "joined");
    assert_eq!(why.len(), 3);
    let changes = lines(store(&format!("changes {STORE} --since 1")));
    assert_eq!(
        (&changes[0]["id"], &changes[0]["to"]),
        (&json!("user-d"), &json!("user-b"))
    );
    let was = line(store(&format!("as-of {STORE} 1 user-d")));
    assert_eq!(was["distinct_id"], "user-d");
    let simulated = line(store(&format!("simulate {STORE} --engine simplified")));
    assert_eq!(simulated["split"], 1);
    let same = line(store(&format!("simulate {STORE} --engine original")));
    assert_eq!((&same["split"], &same["joined"]), (&json!(0), &json!(0)));
    assert_eq!(line(store(&format!("digest {STORE}")))["as_of"], 2);
    assert_eq!(
        line(store(&format!("compare {STORE} {STORE}")))["same"],
        true
    );

    let event = page_view("user-d").to_string();
    let resolved = line(folder.pipe(event, &format!("resolve --store {STORE}")));
    assert_eq!(resolved["properties"]["distinct_id"], "user-b");
    let cluster = line(folder.run(&format!("cluster user-d --store {STORE}")));
    assert_eq!(cluster["canonical"], "user-b");
}

#[test]
fn lg_3_the_store_of_a_simplified_project_is_one_too() {
    let folder = Folder::new();
    let server = Server::start(&folder, "simplified");
    server.import(&[log_in("phone", "ben"), log_in("phone", "ada")]);
    server.stop();
    let story = lines(folder.run(&format!("store explain {STORE} $device:phone")));
    assert_eq!(story[0]["members"], json!(["ben", "$device:phone"]));
    assert_eq!(story[2]["rule"], "S-7");
    let mut retract = folder.command(&format!("store retract {STORE} 1 --who eve --why"));
    retract.arg("a shared phone");
    let change = line(run(retract, ""));
    assert_eq!(
        change,
        json!({"sequence": 3, "id": "$device:phone", "from": "ben", "to": "ada"})
    );
    let server = Server::start(&folder, "simplified");
    assert_eq!(server.members("ada"), json!(["ada", "$device:phone"]));
    server.stop();
}

#[test]
fn lg_3_a_retraction_at_rest_is_seen_by_the_server() {
    let folder = served_original();
    let retract = |sequence: u32| {
        let mut command =
            folder.command(&format!("store retract {STORE} {sequence} --who ada --why"));
        command.arg("a shared tablet");
        lines(run(command, ""))
    };
    let changes = retract(1);
    let changed: Vec<_> = changes.iter().map(|change| &change["id"]).collect();
    assert_eq!(changed, ["user-c", "user-d"]);

    let server = Server::start(&folder, "original");
    assert_eq!(server.members("user-b"), json!(["user-b"]));
    assert_eq!(server.members("user-c"), json!(["user-c", "user-d"]));
    let feed = server.get("/v1/changes?since=2");
    assert_eq!(feed["changes"].as_array().unwrap().len(), 2);
    let explained = server.get("/v1/ids/user-c?explain=true");
    assert_eq!(explained["explanation"][0]["withdrawn"], true);
    // The merge had hidden the profile of user-c.
    assert_eq!(server.profile("user-b")["properties"], json!({"a": 1}));
    assert_eq!(server.profile("user-c")["properties"], json!({"a": 2}));
    assert_eq!((server.events("user-b"), server.events("user-d")), (2, 2));
    server.import(&[merge("user-b", "user-e")]);
    assert_eq!(server.members("user-e"), json!(["user-b", "user-e"]));
    server.stop();

    // Withdraw the retraction: everything is as it was.
    retract(3);
    let server = Server::start(&folder, "original");
    assert_eq!(server.members("user-d").as_array().unwrap().len(), 4);
    assert_eq!(server.profile("user-c")["properties"], json!({"a": 1}));
    server.stop();
}

#[test]
fn lg_3_a_backup_of_a_server_has_its_events_and_profiles() {
    let folder = served_original();
    let backup = line(folder.run(&format!("store backup {STORE} saved")));
    assert_eq!(backup["entries"], 2);
    line(folder.run("store restore saved again/shop"));
    let server = Server::start_on(&folder, "again", "original");
    assert_eq!(server.events("user-d"), 4);
    assert_eq!(server.profile("user-d")["properties"], json!({"a": 1}));
    assert_eq!(server.members("user-d").as_array().unwrap().len(), 3);
    // The project goes on.
    server.import(&[page_view("user-d")]);
    assert_eq!(server.events("user-b"), 5);
    // It still knows which events it has.
    server.import(&[page_view("user-b")]);
    assert_eq!(server.events("user-b"), 5);
    server.stop();
    let compared = line(folder.run(&format!("store compare {STORE} again/shop")));
    assert_eq!(compared["same"], true);
}

#[test]
fn lg_3_a_repair_of_a_server_keeps_its_events_and_profiles() {
    let folder = served_original();
    let repaired = line(folder.run(&format!("store repair {STORE}")));
    assert_eq!(
        (&repaired["lost"], &repaired["entries"]),
        (&Value::Null, &json!(2))
    );

    // These bytes are only in the log: the IDs of a claim, each after its length and 2.
    let ids = b"\x08user-b\x08user-c";
    let file = folder.path(&format!("{STORE}/store.redb"));
    let mut bytes = std::fs::read(&file).unwrap();
    let windows = bytes.windows(ids.len()).enumerate();
    let places: Vec<_> = windows
        .filter(|(_, window)| window == ids)
        .map(|(place, _)| place)
        .collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place + 1] ^= 1;
    }
    std::fs::write(&file, bytes).unwrap();

    let repaired = line(folder.run(&format!("store repair {STORE}")));
    assert_eq!(repaired["lost"]["sequence"], 1);
    assert_eq!(repaired["tables_damaged"], json!([]));
    assert!(folder.path(&format!("{STORE}/store.redb.damaged")).exists());
    let server = Server::start(&folder, "original");
    assert_eq!(
        server.members("user-c"),
        json!(["user-c"]),
        "its claim is lost"
    );
    assert_eq!((server.events("user-b"), server.events("user-c")), (2, 2));
    assert_eq!(server.profile("user-b")["properties"], json!({"a": 1}));
    assert_eq!(server.profile("user-c")["properties"], json!({"a": 2}));
    server.stop();
}

#[test]
fn the_store_of_a_running_server_is_in_use() {
    let folder = Folder::new();
    let server = Server::start(&folder, "original");
    server.import(&[merge("user-b", "user-c")]);
    for command in ["info", "log", "repair"] {
        let done = folder.run(&format!("store {command} {STORE}"));
        done.code(1).says("the store is in use");
    }
    let retract = format!("store retract {STORE} 1 --who ada --why no");
    folder.run(&retract).code(1).says("the store is in use");
    assert_eq!(server.members("user-c"), json!(["user-b", "user-c"]));
    server.stop();
    line(folder.run(&format!("store info {STORE}")));
}

#[test]
fn the_store_of_a_killed_server_is_recovered() {
    let folder = Folder::new();
    let server = Server::start(&folder, "original");
    server.import(&[merge("user-b", "user-c")]);
    server.kill();
    assert_eq!(
        line(folder.run(&format!("store info {STORE}")))["entries"],
        1
    );
}

#[test]
fn a_store_of_the_command_line_can_be_served() {
    let folder = Folder::new();
    for engine in ["simplified", "original"] {
        let data = format!("of-{engine}");
        let claims = format!("{}\n{}\n", log_in("phone", "ben"), merge("ben", "eve"));
        let ingest = format!("ingest {data}/shop --engine {engine}");
        folder.pipe(claims, &ingest).ok();
        let server = Server::start_on(&folder, &data, engine);
        let members = match engine {
            "simplified" => json!(["ben", "$device:phone"]),
            _ => json!(["ben", "eve"]),
        };
        assert_eq!(server.members("ben"), members, "{engine}");
        server.import(&[page_view("ben")]);
        assert_eq!(server.events("ben"), 1);
        server.stop();
        let info = line(folder.run(&format!("store info {data}/shop")));
        assert_eq!(info["engine"], engine);
    }
}

#[test]
fn the_mappings_of_a_server_are_those_of_its_store() {
    let folder = Folder::new();
    for engine in ["simplified", "original"] {
        let data = format!("data-{engine}");
        let server = Server::start_on(&folder, &data, engine);
        server.import(&[
            log_in("phone", "ben"),
            event(
                "Sign Up",
                json!({ "distinct_id": "ben", "$device_id": "tab,let", "$user_id": "ben" }),
            ),
            log_in("phone", "eve"),
            page_view("nobody"),
        ]);
        if engine == "original" {
            server.import(&[merge("ben", "eve"), merge("\"eve\"", "eve")]);
        }
        let (ndjson, csv) = match engine {
            "simplified" => (
                r#"{"distinct_id":"$device:phone","resolved_distinct_id":"ben"}
{"distinct_id":"$device:tab,let","resolved_distinct_id":"ben"}
"#,
                "$device:phone,ben\n\"$device:tab,let\",ben\n",
            ),
            _ => (
                r#"{"distinct_id":"eve","resolved_distinct_id":"ben"}
{"distinct_id":"\"eve\"","resolved_distinct_id":"ben"}
"#,
                "eve,ben\n\"\"\"eve\"\"\",ben\n",
            ),
        };
        let csv = format!("distinct_id,resolved_distinct_id\n{csv}");
        assert_eq!(server.request("GET /v1/mappings", ""), ndjson);
        assert_eq!(server.request("GET /v1/mappings?format=csv", ""), csv);
        server.stop();
        let mappings = format!("mappings --store {data}/shop");
        assert_eq!(folder.run(&mappings).ok(), ndjson);
        assert_eq!(folder.run(&format!("{mappings} --format csv")).ok(), csv);
    }
}

#[test]
fn errors_name_the_stores_of_a_data_folder_and_the_file_that_is_none() {
    let folder = Folder::new();
    folder.run("ingest data/shop --engine simplified -q").ok();
    folder.run("ingest data/app --engine simplified -q").ok();
    for command in ["store info data", "clusters --store data"] {
        folder.run(command).code(1).says(
            "there is no store in data, but it has the projects of a server: name one of data/app, data/shop",
        );
    }
    folder.run("store info data/app").ok();
    folder.write("data/shop/store.redb", "not a store");
    let serve = "serve --data data --engine simplified --token shop --secret secret-of-shop --listen 127.0.0.1:0";
    folder
        .run(serve)
        .code(1)
        .says("cannot open project \"shop\", whose store is data/shop/store.redb")
        .says("the file is not an idmerge store");
}
