//! AR-4: a model that weighs an event reads in an export what was sent, also if it was sent by an export.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use idmerge_engines::{Model, Settings};
use idmerge_events::JsonEvent;
use idmerge_project::{Batch, ExportQuery, Options, Project, Record, Sender};

/// The IDs of the claim that Original reads from an event.
fn claimed(json: &str) -> Option<Vec<String>> {
    let event = JsonEvent::parse(json.as_bytes()).unwrap();
    let reading = Settings::of(Model::Original).read(&event.event()).unwrap();
    let ids = reading.claim?.ids();
    Some(ids.iter().map(ToString::to_string).collect())
}

#[test]
fn in_5_ar_4_an_ignored_identity_event_is_exported_with_the_id_before_identity() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Simplified);
    let project = Project::open(folder.path(), settings, Options::default()).unwrap();
    let sent = [
        r#"{"event":"$create_alias","properties":{"distinct_id":"V","$distinct_id_before_identity":"A","alias":"B","$user_id":"U"}}"#,
        r#"{"event":"$create_alias","properties":{"distinct_id":"A","alias":"B","$user_id":"U"}}"#,
    ];
    for json in sent {
        let mut batch = Batch::new("/import", 1);
        let record = Record::Event {
            time_ms: Some(1),
            insert_id: None,
            sender: Sender::Credential,
            layout: None,
        };
        batch.push(json, record);
        project.submit_and_wait(batch).unwrap();
    }
    let mut exported = 0;
    project
        .export(&ExportQuery::default(), &mut |event| {
            let json = str::from_utf8(event.json).unwrap();
            // IN-5: the ID before identity is the own one.
            assert_eq!(claimed(json).unwrap(), ["A", "B"], "{json}");
            exported += 1;
            Ok(true)
        })
        .unwrap();
    assert_eq!(exported, 2);
}
