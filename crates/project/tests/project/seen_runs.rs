//! The index of duplicates (AR-2) is written in runs, so that opening a project reads little.

use std::path::Path;

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, ClaimAnswer, Options, Project, Record, RecordAnswer, Sender};
use idmerge_store::Durable;
use idmerge_store::redb::{ReadableTable, TableDefinition, TableError};

const EVENTS: usize = 6;

fn submit(project: &Project, sender: Sender) -> Vec<RecordAnswer> {
    let mut batch = Batch::new("/import", 7);
    for number in 0..EVENTS {
        let record = Record::Event {
            time_ms: Some(1),
            insert_id: Some(format!("I{number}").into()),
            sender,
            layout: None,
        };
        batch.push(r#"{"event":"A","properties":{"$device_id":"D"}}"#, record);
    }
    project.submit_and_wait(batch).unwrap().records
}

/// The rows of the index that are in no run, and the number of runs.
fn rows(folder: &Path) -> (usize, usize) {
    let settings = Settings::of(Model::Simplified);
    let options = idmerge_store::Options {
        settings: settings.to_string(),
        ..idmerge_store::Options::default()
    };
    let store = Durable::open(folder, move || settings.engine(), options).unwrap();
    let read = store.begin_read().unwrap();
    let recent = TableDefinition::<u64, &[u8]>::new("seen_recent");
    let runs = TableDefinition::<u64, &[u8]>::new("seen_runs");
    let count = |table| match read.open_table(table) {
        // It is removed with its last row.
        Err(TableError::TableDoesNotExist(_)) => 0,
        table => table.unwrap().iter().unwrap().count(),
    };
    (count(recent), count(runs))
}

#[test]
fn ar_2_what_is_known_of_events_that_are_sent_again_is_also_written_in_runs() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        index_events: 2 * EVENTS as u64,
        ..Options::default()
    };
    let settings = Settings::of(Model::Simplified);
    let project = Project::open(folder.path(), settings, options).unwrap();
    let stored = RecordAnswer::Stored(ClaimAnswer::None);
    assert_eq!(submit(&project, Sender::Anybody), vec![stored; EVENTS]);
    // No event is stored, but each is known to have come with a credential.
    let again = submit(&project, Sender::Credential);
    assert_eq!(again, [const { RecordAnswer::Repeated }; EVENTS]);
    drop(project);
    assert_eq!(rows(folder.path()), (0, 1));
}
