//! A part of the store that maintenance cannot read is reported, and the project goes on writing.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, Health, Options, Project, Record};
use idmerge_store::redb::{ReadableTable as _, TableDefinition, WriteTransaction};
use idmerge_store::{Durable, StoreError};

/// The pages of the index of events by user, as in docs/store.md.
const PAGES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("user_pages");

fn open(folder: &Path) -> Project {
    let options = Options {
        // Each commit writes a run of the index.
        index_events: 1,
        ..Options::default()
    };
    Project::open(folder, Settings::of(Model::Simplified), options).unwrap()
}

fn submit(project: &Project, number: u32) {
    let mut batch = Batch::new("/import", 1);
    let json = format!(r#"{{"event":"A","properties":{{"$user_id":"U{number}"}}}}"#);
    batch.push(&json, Record::event(Some(1), None));
    project.submit_and_wait(batch).unwrap();
}

/// Changes a bit of the last byte of each page.
fn damage(folder: &Path) {
    let settings = Settings::of(Model::Simplified);
    let options = idmerge_store::Options {
        settings: settings.to_string(),
        ..idmerge_store::Options::default()
    };
    let store = Durable::open(folder, move || settings.engine(), options).unwrap();
    let write = |write: &WriteTransaction| {
        let mut table = write.open_table(PAGES).unwrap();
        let rows: Vec<_> = table
            .iter()
            .unwrap()
            .map(|row| row.unwrap())
            .map(|(key, row)| (key.value(), row.value().to_vec()))
            .collect();
        assert!(!rows.is_empty());
        for (key, mut row) in rows {
            *row.last_mut().unwrap() ^= 1;
            table.insert(key, &*row).unwrap();
        }
        Ok::<_, StoreError>(())
    };
    store.commit_with(write).unwrap();
    store.close().unwrap();
}

#[test]
fn an_index_that_maintenance_cannot_read_does_not_stop_the_project() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    submit(&project, 0);
    project.close().unwrap();
    drop(project);
    damage(folder.path());

    let project = open(folder.path());
    let (sender, receiver) = mpsc::channel();
    project.watch(move |health| sender.send(health.clone()).unwrap());
    // Many runs are merged, with the damaged one.
    for number in 1..40 {
        submit(&project, number);
    }
    let reported = receiver.recv_timeout(Duration::from_secs(600)).unwrap();
    let Health::MaintenanceFailed { reason } = reported else {
        panic!("{reported:?}");
    };
    assert!(reason.contains("damaged"), "{reason}");
    project.check().unwrap();
    submit(&project, 40);
    let figures = project.figures();
    assert_eq!((figures.events_total, figures.failure), (41, None));
}
