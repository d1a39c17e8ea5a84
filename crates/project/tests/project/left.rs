//! A retraction and a backup of a caller who has left end, and change nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use idmerge_engines::{Model, Settings};
use idmerge_project::{
    Batch, MayGoOn, Options, Project, ProjectError, Record, RetractionTarget, Sender,
};

/// A project in which each of 5,000 users has a device, and the folder of its data.
fn filled() -> (Project, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::of(Model::Simplified);
    let project = Project::open(folder.path(), settings, Options::default()).unwrap();
    let mut batch = Batch::new("/import", 7);
    for user in 0..5_000 {
        let json = format!(
            r#"{{"event":"A","properties":{{"$device_id":"D{user}","$user_id":"U{user}"}}}}"#
        );
        let event = Record::Event {
            time_ms: None,
            insert_id: None,
            sender: Sender::Credential,
            layout: None,
        };
        batch.push(&json, event);
    }
    project.submit_and_wait(batch).unwrap();
    (project, folder)
}

/// A caller who leaves when it is asked for this time whether to go on, and how often it was asked.
fn leaves_at(time: u64) -> (MayGoOn, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let counted = asked.clone();
    let may_go_on = move || counted.fetch_add(1, Ordering::SeqCst) + 1 < time;
    (Arc::new(may_go_on), asked)
}

#[test]
fn a_retraction_whose_caller_has_left_changes_nothing() {
    let (project, _folder) = filled();
    let target = || RetractionTarget::Entry(7);
    let (stays, asked) = leaves_at(u64::MAX);
    let preview = project.preview_retraction_while(&target(), stays).unwrap();
    assert!(preview.is_new);
    // The last time is the writer's question, just before the retraction begins.
    let last = asked.load(Ordering::SeqCst) + 1;
    for time in 1..=last {
        let (leaves, asked) = leaves_at(time);
        let left = project.retract_while(target(), "ada", "a test", leaves);
        assert!(matches!(left, Err(ProjectError::Cancelled)), "{left:?}");
        // Code that passes the error on may ask again, for the reason.
        assert!(asked.load(Ordering::SeqCst) <= time + 2);
        assert_eq!(project.history().unwrap().last(), 5_000);
    }
    let (stays, asked) = leaves_at(u64::MAX);
    let retracted = project.retract_while(target(), "ada", "a test", stays);
    assert_eq!(retracted.unwrap().sequence, 5_001);
    assert_eq!(asked.load(Ordering::SeqCst), last);
}

#[test]
fn a_backup_whose_caller_has_left_ends() {
    let (project, folder) = filled();
    let (stays, asked) = leaves_at(u64::MAX);
    let whole = tempfile::tempfile().unwrap();
    project.backup_while(whole, stays).unwrap();
    let all = asked.load(Ordering::SeqCst);
    assert!(all > 20, "{all}");
    for time in [1, 2, 3, all / 3, all / 2, all - 1] {
        let (leaves, _) = leaves_at(time);
        let left = project.backup_while(tempfile::tempfile().unwrap(), leaves);
        assert!(matches!(left, Err(ProjectError::Cancelled)), "{time}");
    }
    // Claims are taken, and the next backup is whole.
    let mut batch = Batch::new("/track", 7);
    batch.push(
        r#"{"event":"A","properties":{"distinct_id":"V"}}"#,
        Record::event(Some(1), None),
    );
    project.submit_and_wait(batch).unwrap();
    assert_eq!(
        project.backup(tempfile::tempfile().unwrap()).unwrap(),
        5_000
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
