//! A project knows after a restart what it knew before, whatever the indexes have of it.

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, ClaimAnswer, Options, Project, Record, RecordAnswer};
use idmerge_store::Durable;
use tempfile::TempDir;

fn open(folder: &TempDir) -> Project {
    let options = Options {
        index_events: 3,
        snapshot_entries: 4,
        ..Options::default()
    };
    Project::open(folder.path(), Settings::of(Model::Simplified), options).unwrap()
}

fn send(project: &Project, events: std::ops::Range<u64>) -> Vec<RecordAnswer> {
    let mut batch = Batch::new("/track", 7);
    for event in events {
        let json =
            format!(r#"{{"event":"A","properties":{{"$user_id":"U","$device_id":"D{event}"}}}}"#);
        let insert_id = format!("I{event}");
        batch.push(&json, Record::event(Some(1), Some(&insert_id)));
    }
    project.submit_and_wait(batch).unwrap().records
}

#[test]
fn ar_2_every_event_is_known_after_a_restart() {
    const STORED: RecordAnswer = RecordAnswer::Stored(ClaimAnswer::Merged);
    for first in 1..8 {
        for second in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            let project = open(&folder);
            // The commit of three events or more writes the index.
            let both = first + second;
            assert!(
                send(&project, 0..first)
                    .iter()
                    .all(|answer| *answer == STORED)
            );
            assert_eq!(send(&project, first..both).len() as u64, second);
            drop(project);
            let project = open(&folder);
            let again = send(&project, 0..both);
            assert!(again.iter().all(|answer| *answer == RecordAnswer::Repeated));
            assert_eq!(project.figures().events_total, both);
            let timeline = project.user_events("U", None, 100).unwrap();
            let numbers: Vec<_> = timeline
                .events
                .iter()
                .rev()
                .map(|event| event.number)
                .collect();
            assert_eq!(numbers, (1..=both).collect::<Vec<_>>());
        }
    }
}

/// How many entries of the log the last snapshot does not have.
fn since_snapshot(folder: &TempDir) -> u64 {
    let settings = Settings::of(Model::Simplified);
    let options = idmerge_store::Options {
        settings: settings.to_string(),
        ..idmerge_store::Options::default()
    };
    let store = Durable::open(folder.path(), move || settings.engine(), options).unwrap();
    store.since_snapshot().unwrap()
}

#[test]
fn a_snapshot_is_made_after_as_many_entries_as_the_option_says() {
    let folder = tempfile::tempdir().unwrap();
    send(&open(&folder), 0..3);
    assert_eq!(since_snapshot(&folder), 3);
    for event in 3..40 {
        let project = open(&folder);
        send(&project, event..event + 1);
    }
    assert!(since_snapshot(&folder) < 40);
}
