//! A project whose log of claims was revised while it was closed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests; the lint sees only test functions"
)]

use std::path::Path;

use idmerge_engines::{Model, Overrides, Settings};
use idmerge_project::{Batch, Options, Project, Record, RecordAnswer, Sender};
use idmerge_store::{Cause, Durable};

fn settings() -> Settings {
    let overrides = Overrides {
        max_cluster_ids: Some(3),
        ..Overrides::default()
    };
    Settings::new(Model::Original, &overrides).unwrap()
}

fn open(folder: &Path) -> Project {
    Project::open(folder, settings(), Options::default()).unwrap()
}

fn submit(project: &Project, json: &str, record: Record) {
    let mut batch = Batch::new("/import", 7);
    batch.push(json, record);
    let answer = project.submit_and_wait(batch).unwrap();
    assert!(answer.records.iter().all(RecordAnswer::is_stored));
}

fn merge(project: &Project, first: &str, second: &str) {
    let merge = Record::Event {
        time_ms: Some(1),
        insert_id: None,
        sender: Sender::Credential,
        layout: None,
    };
    let json =
        format!(r#"{{"event":"$merge","properties":{{"$distinct_ids":["{first}","{second}"]}}}}"#);
    submit(project, &json, merge);
}

fn set(project: &Project, id: &str, value: u32) {
    let json = format!(r#"{{"$distinct_id":"{id}","$set":{{"a":{value}}}}}"#);
    submit(project, &json, Record::Update);
}

/// The canonical ID that a profile is under, and its JSON.
fn profile(project: &Project, id: &str) -> Option<(String, String)> {
    let profile = project.profile(id).unwrap()?;
    Some((profile.distinct_id, profile.json))
}

fn under(id: &str, value: u32) -> Option<(String, String)> {
    Some((id.to_owned(), format!(r#"{{"a":{value}}}"#)))
}

fn retract(folder: &Path, sequence: u64) {
    let settings = settings();
    let options = idmerge_store::Options {
        settings: settings.to_string(),
        ..idmerge_store::Options::default()
    };
    let mut store = Durable::open(folder, move || settings.engine(), options).unwrap();
    store
        .retract(sequence, "ada", "a shared tablet", Cause::default())
        .unwrap();
    store.close().unwrap();
}

#[test]
fn p_3_a_hidden_profile_is_shown_again_when_its_merge_is_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let project = open(folder);
    set(&project, "A", 1);
    set(&project, "B", 2);
    merge(&project, "A", "B");
    assert_eq!(profile(&project, "B"), under("A", 1));
    assert_eq!(project.profiles(None, 10).unwrap().total, 1);
    drop(project);

    retract(folder, 1);
    let project = open(folder);
    assert_eq!(profile(&project, "A"), under("A", 1));
    assert_eq!(profile(&project, "B"), under("B", 2));
    assert_eq!(project.profiles(None, 10).unwrap().total, 2);
    // Later updates count when the project is opened again.
    set(&project, "B", 3);
    drop(project);
    assert_eq!(profile(&open(folder), "B"), under("B", 3));

    // Withdrawing the retraction hides the profile again.
    retract(folder, 2);
    let project = open(folder);
    assert_eq!(profile(&project, "B"), under("A", 1));
    assert_eq!(project.profiles(None, 10).unwrap().total, 1);
    drop(project);
    retract(folder, 3);
    assert_eq!(profile(&open(folder), "B"), under("B", 3));
}

#[test]
fn clusters_near_the_cap_and_changes_are_those_of_the_revised_log() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let project = open(folder);
    merge(&project, "A", "B");
    merge(&project, "A", "C");
    assert_eq!(project.figures().clusters_near_cap, 1);
    drop(project);

    retract(folder, 2);
    let project = open(folder);
    assert_eq!(project.figures().clusters_near_cap, 0);
    assert_eq!(project.figures().sequence, 3);
    let changes = project.changes(2, 10).unwrap();
    let changes: Vec<_> = changes
        .iter()
        .map(|change| [&change.id, &change.from, &change.to].map(ToString::to_string))
        .collect();
    assert_eq!(changes, [["C", "A", "C"]]);
    merge(&project, "A", "D");
    assert_eq!(project.identity("D").unwrap().canonical, "A");
    assert_eq!(project.figures().sequence, 4);
}
