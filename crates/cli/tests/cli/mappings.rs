//! `mappings`: a table of the IDs that are not their own canonical ID.
//!
//! The truth is a plain engine that is asked about each ID of the events, one by one.

use std::collections::BTreeMap;

use idmerge_core::Resolve;
use idmerge_engines::{Model, Settings};
use idmerge_events::JsonEvent;

use crate::run::Folder;

/// IDs that CSV must quote, or that look as if it must.
const HARD_IDS: &[&str] = &[
    "Lovelace, Ada",
    "\"quoted\"",
    "a \"quote\" inside",
    "two\nlines",
    "carriage\r\nreturn",
    " spaces ",
    "tab\there",
    "=1+1",
    "#comment",
    "007",
    "émile 🍔",
    "back\\slash",
    "'single'",
    "a;b|c",
];

/// Events in which each of these IDs has a device, in Simplified, and an alias, in Original.
fn hard_events() -> String {
    let mut events = String::new();
    for (number, id) in HARD_IDS.iter().enumerate() {
        for properties in [
            serde_json::json!({"$user_id": id, "$device_id": format!("{id}{number}")}),
            serde_json::json!({"$user_id": id, "$device_id": format!("second {number}")}),
        ] {
            events += &serde_json::json!({"event": "A", "properties": properties}).to_string();
            events.push('\n');
        }
        let properties = serde_json::json!({"$distinct_ids": [id, format!("{number}{id}")]});
        events += &serde_json::json!({"event": "$merge", "properties": properties}).to_string();
        events.push('\n');
        let properties =
            serde_json::json!({"distinct_id": id, "alias": format!("{id} too {number}")});
        events +=
            &serde_json::json!({"event": "$create_alias", "properties": properties}).to_string();
        events.push('\n');
    }
    events
}

/// What each ID of the events resolves to, if it is not itself.
fn truth(model: Model, events: &str) -> BTreeMap<String, String> {
    let settings = Settings::of(model);
    let mut engine = settings.engine();
    let mut ids = Vec::new();
    for line in events.lines() {
        let event = JsonEvent::parse(line.as_bytes()).unwrap();
        let event = event.event();
        let reading = settings.read(&event).unwrap();
        if let Some(claim) = reading.claim {
            engine.apply(claim).unwrap();
            ids.extend(claim.ids().map(|id| id.to_buf()));
        }
        ids.extend(reading.distinct_id.map(|id| id.to_buf()));
    }
    let rows = ids.iter().map(|id| {
        let id = id.as_id();
        (id.to_string(), engine.resolve(id).to_string())
    });
    rows.filter(|(id, canonical)| id != canonical).collect()
}

/// The records of CSV, by RFC 4180.
fn records(csv: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = csv.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    assert!(!quoted && record.is_empty() && field.is_empty(), "{csv}");
    records
}

fn ndjson_rows(ndjson: &str) -> Vec<(String, String)> {
    let row = |line: &str| {
        let row: BTreeMap<String, String> = serde_json::from_str(line).unwrap();
        assert_eq!(row.len(), 2, "{line}");
        (
            row["distinct_id"].clone(),
            row["resolved_distinct_id"].clone(),
        )
    };
    ndjson.lines().map(row).collect()
}

#[track_caller]
fn check(folder: &Folder, model: Model, events: &str) {
    folder.write("in", events);
    let truth = truth(model, events);
    assert!(!truth.is_empty());
    let mappings = format!("mappings in -q --engine {model}");
    let ndjson = folder.run(&mappings).ok();
    let rows = ndjson_rows(&ndjson);
    assert_eq!(rows.len(), truth.len());
    assert_eq!(rows.iter().cloned().collect::<BTreeMap<_, _>>(), truth);

    let csv = folder.run(&format!("{mappings} --format csv")).ok();
    let mut records = records(&csv);
    assert_eq!(records.remove(0), ["distinct_id", "resolved_distinct_id"]);
    let of_csv = records.into_iter().map(|record| {
        let [id, canonical] = record.try_into().unwrap();
        (id, canonical)
    });
    assert_eq!(of_csv.collect::<Vec<_>>(), rows);

    // The same rows in the same order: again, from a store, and compressed.
    assert_eq!(folder.run(&mappings).ok(), ndjson);
    #[cfg(feature = "store")]
    {
        let store = format!("people-{model}-{}", events.len());
        folder
            .run(&format!("ingest {store} in -q --engine {model}"))
            .ok();
        let by_store = folder.run(&format!("mappings --store {store}"));
        assert_eq!(by_store.ok(), ndjson);
    }
    folder
        .run(&format!("{mappings} --format csv -o out.csv.gz"))
        .ok();
    let file = std::fs::File::open(folder.path("out.csv.gz")).unwrap();
    let unpacked = std::io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap();
    assert_eq!(unpacked, csv);
}

#[test]
fn ids_that_csv_must_quote_are_quoted() {
    let folder = Folder::new();
    for model in Model::ALL {
        check(&folder, model, &hard_events());
    }
}

#[test]
fn each_id_that_is_not_its_own_canonical_id_has_a_row() {
    let folder = Folder::new();
    for (model, workloads) in [
        (Model::Simplified, ["web-login", "shared-device"]),
        (Model::Original, ["identify", "cap"]),
    ] {
        for workload in workloads {
            let generate = format!("generate -q --workload {workload} --events 3000 -o made");
            folder.run(&generate).ok();
            check(&folder, model, &folder.read("made"));
        }
    }
}

#[test]
fn a_store_without_clusters_has_no_row() {
    let folder = Folder::with(&[("in", &crate::run::event("a"))]);
    let args = "mappings in -q --engine simplified";
    assert_eq!(folder.run(args).ok(), "");
    assert_eq!(
        folder.run(&format!("{args} --format csv")).ok(),
        "distinct_id,resolved_distinct_id\n"
    );
}

#[test]
fn the_example_of_the_help_is_true() {
    let link = r#"{"event":"A","properties":{"$device_id":"D1","$user_id":"U1"}}"#;
    let folder = Folder::with(&[("events.ndjson", link)]);
    let help = folder.run("mappings --help").ok();
    let example = help.split_once("idmerge mappings events").unwrap().1;
    let mut lines = example.lines();
    let args = format!("mappings events{}", lines.next().unwrap());
    let shown: Vec<_> = lines.take(2).map(str::trim).collect();
    let rows = folder.run(&args).ok();
    assert_eq!(rows.lines().collect::<Vec<_>>(), shown);
}
