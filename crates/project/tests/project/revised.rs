//! A project whose log of claims was revised while it was closed.

use std::path::Path;

use idmerge_core::DistinctId;
use idmerge_engines::{Engine, Model, Overrides, Settings};
use idmerge_project::{Options, Project, Record};
use idmerge_store::{Cause, Durable, Retraction, StoreError};

use crate::imported::{merge, submit};

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
    at_rest(folder, |store| {
        let cause = Cause::default();
        store.retract(sequence, "ada", "a shared tablet", cause)
    });
}

fn detach(folder: &Path, id: &str) {
    let id = DistinctId::try_from(id).unwrap();
    at_rest(folder, |store| {
        store.detach(id, "ada", "a shared tablet", Cause::default())
    });
}

/// Changes the store of a project that is closed.
fn at_rest(
    folder: &Path,
    change: impl FnOnce(&mut Durable<Engine>) -> Result<Retraction, StoreError>,
) {
    let settings = settings();
    let options = idmerge_store::Options {
        settings: settings.to_string(),
        ..idmerge_store::Options::default()
    };
    let mut store = Durable::open(folder, move || settings.engine(), options).unwrap();
    assert!(change(&mut store).unwrap().is_new);
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

#[test]
fn lg_1_profiles_fit_the_clusters_that_other_claims_hold_together() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let project = open(folder);
    set(&project, "A", 1);
    set(&project, "B", 2);
    for (first, second) in [("A", "B"), ("B", "C"), ("A", "C")] {
        merge(&project, first, second);
    }
    assert_eq!(profile(&project, "C"), under("A", 1));
    drop(project);

    // B is the oldest of those that the other two merges join (O-15).
    retract(folder, 1);
    let project = open(folder);
    for id in ["A", "B", "C"] {
        assert_eq!(project.identity(id).unwrap().canonical, "B");
        assert_eq!(profile(&project, id), under("B", 2));
    }
    drop(project);

    // LG-2: A stays with C.
    detach(folder, "B");
    let project = open(folder);
    assert_eq!(profile(&project, "C"), under("A", 1));
    assert_eq!(profile(&project, "B"), under("B", 2));
    assert_eq!(project.profiles(None, 10).unwrap().total, 2);
    // An event after the withdrawal is new evidence.
    merge(&project, "A", "B");
    assert_eq!(profile(&project, "B"), under("A", 1));
    drop(project);
    assert_eq!(profile(&open(folder), "B"), under("A", 1));
}

#[test]
fn p_3_a_deleted_profile_does_not_uncover_the_one_that_a_merge_has_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    set(&project, "a", 1);
    set(&project, "b", 2);
    merge(&project, "a", "b");
    merge(&project, "c", "d");
    assert_eq!(profile(&project, "b"), under("a", 1));
    submit(
        &project,
        r#"{"$distinct_id":"b","$delete":""}"#,
        Record::Update,
    );
    assert_eq!(profile(&project, "b"), None);
    drop(project);
    // Another claim is withdrawn, so the next opening looks at all profiles.
    retract(folder.path(), 2);

    let project = open(folder.path());
    assert_eq!(profile(&project, "a"), None);
    assert_eq!(profile(&project, "b"), None);
    assert_eq!(project.count_profiles().unwrap(), 0);
}
