//! What the answers of a project say: which record was stored, which property is wrong, and which IDs
//! belong together.

use std::sync::Arc;

use idmerge_engines::{Model, Settings};
use idmerge_events::MappingFormat;
use idmerge_project::{Batch, Options, Project, Record, RecordAnswer};

#[test]
fn an_answer_says_what_was_stored_and_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Simplified);
    let project = Project::open(folder.path(), settings, Options::default()).unwrap();
    let mut batch = Batch::new("/track", 1);
    let log_in = r#"{"event":"Log In","properties":{"$user_id":"U1","$device_id":"D1"}}"#;
    for _ in 0..2 {
        batch.push(log_in, Record::event(Some(1), Some("i")));
    }
    for update in [
        r#"{"$set":{"a":1}}"#,
        r#"{"$distinct_id":"U1","$add":"x"}"#,
        r#"{"$distinct_id":"U1","$add":{"a":"x"}}"#,
    ] {
        batch.push(update, Record::Update);
    }
    let records = project.submit_and_wait(batch).unwrap().records;
    let stored: Vec<_> = records.iter().map(RecordAnswer::is_stored).collect();
    // The second event is there too: it is the first one.
    assert_eq!(stored, [true, true, false, false, false]);
    let property = |answer: &RecordAnswer| match answer {
        RecordAnswer::Refused(error) => error.property(),
        answer => panic!("{answer:?}"),
    };
    let wrong: Vec<_> = records[2..].iter().map(property).collect();
    assert_eq!(wrong, [Some("$distinct_id"), Some("$add"), Some("$add")]);

    let mut rows = Vec::new();
    let format = MappingFormat::Ndjson;
    project
        .write_mappings_while(format, &mut rows, Arc::new(|| true))
        .unwrap();
    assert_eq!(
        String::from_utf8(rows).unwrap(),
        "{\"distinct_id\":\"$device:D1\",\"resolved_distinct_id\":\"U1\"}\n"
    );
}
