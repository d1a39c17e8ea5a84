//! `ProfileMerge::Fill`: the profile that remains takes the properties that it lacks from the other one.
//!
//! The right answers are worked out by hand: a map of properties for each user, joined at each merge.

use std::path::Path;

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, Options, ProfileMerge, Project, Record, RecordAnswer, Sender};
use idmerge_store::{Cause, Durable};

fn open(folder: &Path, model: Model, profile_merge: ProfileMerge) -> Project {
    let options = Options {
        profile_merge,
        ..Options::default()
    };
    Project::open(folder, Settings::of(model), options).unwrap()
}

fn submit(project: &Project, json: &str, record: Record) {
    let mut batch = Batch::new("/import", 1);
    batch.push(json, record);
    let answer = project.submit_and_wait(batch).unwrap();
    assert!(answer.records.iter().all(RecordAnswer::is_stored), "{json}");
}

fn set(project: &Project, id: &str, properties: &str) {
    let json = format!(r#"{{"$distinct_id":"{id}","$set":{properties}}}"#);
    submit(project, &json, Record::Update);
}

/// One user from now on: in Simplified the first ID is the device's.
fn join(project: &Project, model: Model, first: &str, second: &str) {
    let record = Record::Event {
        time_ms: Some(1),
        insert_id: None,
        sender: Sender::Credential,
        layout: None,
    };
    let json = match model {
        Model::Simplified => format!(
            r#"{{"event":"A","properties":{{"$device_id":"{}","$user_id":"{second}"}}}}"#,
            first.trim_start_matches("$device:")
        ),
        _ => format!(
            r#"{{"event":"$merge","properties":{{"$distinct_ids":["{second}","{first}"]}}}}"#
        ),
    };
    submit(project, &json, record);
}

#[track_caller]
fn has(project: &Project, id: &str, under: &str, properties: &str) {
    let profile = project.profile(id).unwrap().unwrap();
    assert_eq!((&*profile.distinct_id, &*profile.json), (under, properties));
}

fn retract(folder: &Path, model: Model, sequence: u64) {
    let settings = Settings::of(model);
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

/// The ID of a visitor, as each model spells it.
fn visitor(model: Model, name: &str) -> String {
    match model {
        Model::Simplified => format!("$device:{name}"),
        _ => name.to_owned(),
    }
}

const BOTH: [Model; 2] = [Model::Simplified, Model::Original];

#[test]
fn p_2_p_3_the_profile_that_remains_takes_what_it_lacks() {
    for model in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let project = open(folder.path(), model, ProfileMerge::Fill);
        let [first, second, third] = ["D1", "D2", "D3"].map(|name| visitor(model, name));
        set(&project, "U", r#"{"plan":"free"}"#);
        set(&project, &first, r#"{"plan":"none","city":"Oslo"}"#);
        set(&project, &second, r#"{"city":"Rome","utm":"ad"}"#);
        join(&project, model, &first, "U");
        has(&project, &first, "U", r#"{"plan":"free","city":"Oslo"}"#);
        join(&project, model, &second, "U");
        has(
            &project,
            "U",
            "U",
            r#"{"plan":"free","city":"Oslo","utm":"ad"}"#,
        );
        // A user without a profile takes all of it.
        set(&project, &third, r#"{"x":1}"#);
        join(&project, model, &third, "V");
        has(&project, "V", "V", r#"{"x":1}"#);
        assert_eq!(project.profiles(None, 10).unwrap().total, 2);
    }
}

#[test]
fn what_was_taken_goes_back_when_the_merge_is_withdrawn() {
    for model in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let project = open(folder, model, ProfileMerge::Fill);
        let [first, second] = ["D1", "D2"].map(|name| visitor(model, name));
        set(&project, "U", r#"{"plan":"free"}"#);
        set(&project, &first, r#"{"city":"Oslo","utm":"ad","seen":1}"#);
        set(&project, &second, r#"{"x":2}"#);
        join(&project, model, &first, "U");
        join(&project, model, &second, "U");
        // The user has said so: it is the user's own from now on.
        set(&project, "U", r#"{"utm":"mail"}"#);
        let all = r#"{"plan":"free","city":"Oslo","utm":"mail","seen":1,"x":2}"#;
        has(&project, &second, "U", all);
        drop(project);

        retract(folder, model, 1);
        let project = open(folder, model, ProfileMerge::Fill);
        has(
            &project,
            &first,
            &first,
            r#"{"city":"Oslo","utm":"ad","seen":1}"#,
        );
        has(&project, "U", "U", r#"{"plan":"free","utm":"mail","x":2}"#);
        has(
            &project,
            &second,
            "U",
            r#"{"plan":"free","utm":"mail","x":2}"#,
        );
        set(&project, "U", r#"{"y":3}"#);
        drop(project);

        // Withdrawing the retraction fills the profile again.
        retract(folder, model, 3);
        let project = open(folder, model, ProfileMerge::Fill);
        let again = r#"{"plan":"free","utm":"mail","x":2,"y":3,"city":"Oslo","seen":1}"#;
        has(&project, &first, "U", again);
        assert_eq!(project.profiles(None, 10).unwrap().total, 1);
    }
}

#[test]
fn a_user_who_had_only_properties_of_a_visitor_has_none_after_the_withdrawal() {
    for model in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let project = open(folder, model, ProfileMerge::Fill);
        let first = visitor(model, "D1");
        set(&project, &first, r#"{"x":1}"#);
        join(&project, model, &first, "U");
        has(&project, "U", "U", r#"{"x":1}"#);
        drop(project);
        retract(folder, model, 1);
        let project = open(folder, model, ProfileMerge::Vendor);
        assert_eq!(project.profile("U").unwrap(), None);
        has(&project, &first, &first, r#"{"x":1}"#);
    }
}

#[test]
fn only_later_merges_follow_another_choice() {
    for model in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let [first, second] = ["D1", "D2"].map(|name| visitor(model, name));
        let project = open(folder, model, ProfileMerge::Vendor);
        set(&project, "U", r#"{"plan":"free"}"#);
        set(&project, &first, r#"{"a":1}"#);
        set(&project, &second, r#"{"b":1}"#);
        join(&project, model, &first, "U");
        has(&project, "U", "U", r#"{"plan":"free"}"#);
        drop(project);
        let project = open(folder, model, ProfileMerge::Fill);
        has(&project, "U", "U", r#"{"plan":"free"}"#);
        join(&project, model, &second, "U");
        has(&project, "U", "U", r#"{"plan":"free","b":1}"#);
        drop(project);
        let project = open(folder, model, ProfileMerge::Vendor);
        has(&project, "U", "U", r#"{"plan":"free","b":1}"#);
    }
}
