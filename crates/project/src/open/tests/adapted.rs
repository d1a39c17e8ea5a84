//! After a retraction the profiles are adapted in commits of bounded size.

use idmerge_profiles::ProfileMerge;

use super::*;

const PROFILE_BYTES: usize = 10_000;
const IDS: [&str; 5] = ["A", "B", "C", "D", "E"];

fn send(project: &Project, json: &str, record: Record) {
    let mut batch = Batch::new("/import", 7);
    batch.push(json, record);
    project.submit_and_wait(batch).unwrap();
}

/// Withdraws the claims that have joined five users with large profiles. Returns how many commits that took, and
/// the profiles.
fn retract_within(max_commit_profile_bytes: usize) -> (u64, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        profile_merge: ProfileMerge::Fill,
        max_commit_profile_bytes,
        ..Options::default()
    };
    let settings = Settings::of(Model::Original);
    let project = Project::open(folder.path(), settings, options).unwrap();
    for id in IDS {
        let values: Vec<String> = (0..PROFILE_BYTES / 102)
            .map(|at| format!("\"{at:0>99}\""))
            .collect();
        let values = values.join(",");
        let json = format!(r#"{{"$distinct_id":"{id}","$set":{{"only {id}":[{values}]}}}}"#);
        send(&project, &json, Record::Update);
    }
    for id in &IDS[1..] {
        let json = format!(
            r#"{{"event":"$merge","properties":{{"$distinct_ids":["{}","{id}"]}}}}"#,
            IDS[0]
        );
        let record = Record::Event {
            time_ms: Some(1),
            insert_id: None,
            sender: Sender::Credential,
            layout: None,
        };
        send(&project, &json, record);
    }
    let commits = || {
        let state = project.inner.state().unwrap();
        let store = state.store.read();
        store.synced_commits()
    };
    let before = commits();
    let target = RetractionTarget::Named(IDS[0].to_owned());
    project.retract(target, "ada", "a test").unwrap();
    let profiles = IDS.map(|id| project.profile(id).unwrap().unwrap().json);
    (commits() - before, profiles.to_vec())
}

#[test]
fn the_profiles_that_a_retraction_moves_are_adapted_in_bounded_commits() {
    // The entry of the log, and all profiles together.
    let (commits, profiles) = retract_within(4 << 20);
    assert_eq!(commits, 2);
    for (id, json) in IDS.iter().zip(&profiles) {
        assert!(
            json.starts_with(&format!(r#"{{"only {id}":["#)),
            "{json:.40}"
        );
        assert!(json.len() < PROFILE_BYTES + 100);
    }
    // The profile of all properties has 50 KB, and each of the other four has 10.
    let (commits, same) = retract_within(2 * PROFILE_BYTES);
    assert!(same == profiles);
    assert_eq!(commits, 5);
    let (commits, same) = retract_within(1);
    assert!(same == profiles);
    assert_eq!(commits, 7);
}
