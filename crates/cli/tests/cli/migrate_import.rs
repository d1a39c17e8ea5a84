//! What `migrate` writes, imported strictly: no record fails, and a second import adds nothing.

use std::fs;

use serde_json::{Value, json};

use crate::migrate::{odd_export, values};
use crate::run::Folder;
use crate::server_store::Server;

const LIVE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../conformance/vectors/live.toml"
);

/// All files of a migration, in the order of their names.
fn files(folder: &Folder, name: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder.path(name)).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Imports the links, and then the events. The status is 200 and every record is imported, or this fails.
fn import(server: &Server, folder: &Folder) -> usize {
    let mut all = 0;
    for name in ["new/links.ndjson", "new/events.ndjson"] {
        let records = values(&folder.read(name));
        for some in records.chunks(2_000) {
            let body = Value::from(some.to_vec()).to_string();
            let answer = server.request("POST /import?strict=1", &body);
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["num_records_imported"], some.len());
            all += some.len();
        }
    }
    all
}

fn sorted_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Migrates twice, with equal bytes, and imports twice, without doubles. The server has the people that the
/// migration says.
fn migrate_and_import(events: &str, to: &str, options: &str) {
    let folder = Folder::with(&[("in", events)]);
    let migrate = format!("migrate in --from original --to {to} -o new {options}");
    folder.run(&migrate).ok();
    let first = files(&folder, "new");
    assert_eq!(first.len(), 9);
    folder.run(&migrate).ok();
    assert_eq!(files(&folder, "new"), first);

    let server = Server::start(&folder, to);
    let stored = || {
        let all = "GET /api/2.0/export?from_date=1971-01-01&to_date=2100-01-01";
        server.request(all, "")
    };
    let imported = import(&server, &folder);
    let export = stored();
    assert_eq!(export.lines().count(), imported);
    import(&server, &folder);
    assert_eq!(stored(), export);
    let mappings = server.request("GET /v1/mappings?format=csv", "");
    assert_eq!(
        sorted_lines(&mappings),
        sorted_lines(&folder.read("new/mapping.csv"))
    );
    server.stop();
}

#[test]
fn m_22_an_odd_export_twice_to_simplified() {
    migrate_and_import(&odd_export(), "simplified", "");
}

#[test]
fn m_22_an_odd_export_twice_to_original() {
    migrate_and_import(&odd_export(), "original", "");
}

/// A scenario of `live.toml`, as lines.
fn scenario(case: &toml::Value) -> String {
    let steps = case["steps"].as_array().unwrap().iter();
    let lines = (0..).zip(steps).map(|(at, step)| {
        let mut event: Value = match step.get("event") {
            Some(event) => serde_json::from_str(event.as_str().unwrap()).unwrap(),
            None => {
                let ids = step["claim"]["identify"].as_array().unwrap();
                let [user, anon] = [&ids[0], &ids[1]].map(|id| id.as_str().unwrap());
                json!({"event": "$identify", "properties": {"$identified_id": user, "$anon_id": anon}})
            }
        };
        let properties = &mut event["properties"];
        if properties.get("time").is_none() {
            properties["time"] = json!(1_700_000_000 + at);
        }
        properties["$insert_id"] = json!(format!("line-{at}"));
        format!("{event}\n")
    });
    lines.collect()
}

#[test]
fn m_21_the_live_scenarios_are_imported_strictly() {
    let vectors: toml::Value = toml::from_str(&fs::read_to_string(LIVE).unwrap()).unwrap();
    let cases = vectors["case"].as_array().unwrap().iter();
    let scenarios: Vec<_> = cases
        .filter(|case| case["rule_book"].as_str() == Some("original"))
        .map(scenario)
        .collect();
    assert_eq!(scenarios.len(), 15);
    for events in &scenarios {
        for rules in ["beyond-limits", "as-was"] {
            migrate_and_import(events, "simplified", &format!("--source-rules {rules}"));
        }
    }
}
