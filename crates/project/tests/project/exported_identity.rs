//! AR-4: a model that weighs an event reads in an export what was sent, also if it was sent by an export.

use idmerge_engines::{Model, Settings};
use idmerge_events::JsonEvent;
use idmerge_project::{Batch, ExportQuery, Options, Project, Record, RecordAnswer, Sender};

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

#[test]
fn ar_4_an_id_that_is_empty_or_null_is_absent_in_an_export_too() {
    for absent in [r#""""#, "null"] {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::of(Model::Simplified);
        let project = Project::open(folder.path(), settings, Options::default()).unwrap();
        // W-5: an export has the reserved ID that `distinct_id` implies.
        let sent = format!(
            r#"{{"event":"A","properties":{{"time":1,"distinct_id":"$device:D","$user_id":{absent},"$device_id":{absent},"$insert_id":"i"}}}}"#
        );
        let exported = format!(
            r#"{{"event":"A","properties":{{"time":1,"distinct_id":"$device:D","$user_id":{absent},"$device_id":"D","$insert_id":"i","mp_processing_time_ms":7}}}}"#
        );
        let mut answers = Vec::new();
        for (json, sender) in [(sent, Sender::Anybody), (exported, Sender::Credential)] {
            let mut batch = Batch::new("/import", 1);
            let record = Record::Event {
                time_ms: Some(1_000),
                insert_id: Some("i".into()),
                sender,
                layout: None,
            };
            batch.push(&json, record);
            answers.extend(project.submit_and_wait(batch).unwrap().records);
        }
        assert!(answers[0].is_stored(), "{answers:?}");
        assert_eq!(answers[1], RecordAnswer::Repeated, "{absent}");
    }
}
