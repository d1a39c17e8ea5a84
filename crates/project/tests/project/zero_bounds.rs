//! A bound of 0 does not keep a commit from ending.

use idmerge_engines::{Model, Settings};
use idmerge_project::{
    Batch, Options, ProfileMerge, Project, Record, RecordAnswer, RetractionTarget, Sender,
};

fn send(project: &Project, json: &str, record: Record) {
    let mut batch = Batch::new("/import", 1);
    batch.push(json, record);
    let answer = project.submit_and_wait(batch).unwrap();
    assert!(answer.records.iter().all(RecordAnswer::is_stored), "{json}");
}

fn merge(project: &Project, first: &str, second: &str) {
    let record = Record::Event {
        time_ms: Some(1),
        insert_id: None,
        sender: Sender::Credential,
        layout: None,
    };
    let json =
        format!(r#"{{"event":"$merge","properties":{{"$distinct_ids":["{first}","{second}"]}}}}"#);
    send(project, &json, record);
}

#[test]
fn a_bound_of_zero_ends_updates_merges_and_retractions() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        max_commit_bytes: 0,
        max_commit_profile_bytes: 0,
        max_commit_members: 0,
        profile_merge: ProfileMerge::Fill,
        snapshot_entries: 0,
        index_events: 0,
        ..Options::default()
    };
    let project = Project::open(folder.path(), Settings::of(Model::Original), options).unwrap();
    for (id, name) in [("A", "a"), ("B", "b"), ("C", "c")] {
        let json = format!(r#"{{"$distinct_id":"{id}","$set":{{"{name}":1}}}}"#);
        send(&project, &json, Record::Update);
    }
    merge(&project, "A", "B");
    merge(&project, "A", "C");
    let json = |id: &str| project.profile(id).unwrap().unwrap().json;
    assert_eq!(json("B"), r#"{"a":1,"b":1,"c":1}"#);
    let target = RetractionTarget::Entry(1);
    project.retract(target, "ada", "a test").unwrap();
    assert_eq!(json("B"), r#"{"b":1}"#);
    assert_eq!(json("C"), r#"{"a":1,"c":1}"#);
    project.close().unwrap();
}
