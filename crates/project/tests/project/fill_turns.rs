//! Merges that fill profiles from large ones (`profile_merge = "fill"`): their work is bounded by commit,
//! others go first, and the result is that of the same merges one by one.

use std::path::Path;
use std::sync::{Arc, mpsc};

use crate::batches::{Answered, event, together, updates};
use idmerge_engines::{Model, Settings};
use idmerge_project::{
    Answer, Batch, ClaimAnswer, Options, ProfileMerge, Project, ProjectError, Record, RecordAnswer,
    Sender,
};

const PROFILE_BYTES: usize = 40_000;

/// A project whose commits read two profiles of [`PROFILE_BYTES`], and in which 20 of them may wait.
fn open(folder: &Path, model: Model) -> Arc<Project> {
    let options = Options {
        profile_merge: ProfileMerge::Fill,
        max_commit_profile_bytes: 2 * PROFILE_BYTES + 5_000,
        max_waiting_profile_bytes: 20 * (PROFILE_BYTES + 1_000),
        ..Options::default()
    };
    Arc::new(Project::open(folder, Settings::of(model), options).unwrap())
}

/// A project without such limits.
fn open_unlimited(folder: &Path, model: Model) -> Arc<Project> {
    let options = Options {
        profile_merge: ProfileMerge::Fill,
        ..Options::default()
    };
    Arc::new(Project::open(folder, Settings::of(model), options).unwrap())
}

/// Gives an ID a profile of this length with properties of its own.
fn create(project: &Project, id: &str, bytes: usize) {
    let values: Vec<String> = (0..bytes / 202)
        .map(|at| format!("\"{at:0>199}\""))
        .collect();
    let name = id.trim_start_matches("$device:");
    let json = format!(
        r#"{{"$distinct_id":"{id}","$set":{{"only {name}":[{}],"name":"{name}"}}}}"#,
        values.join(",")
    );
    let answer = project.submit_and_wait(updates([&json])).unwrap();
    assert!(answer.records[0].is_stored());
}

fn link(batch: &mut Batch, model: Model, device: &str, user: &str) {
    let record = Record::Event {
        time_ms: Some(1),
        insert_id: Some(device.into()),
        sender: Sender::Credential,
        layout: None,
    };
    let json = match model {
        Model::Simplified => format!(
            r#"{{"event":"A","properties":{{"$device_id":"{device}","$user_id":"{user}"}}}}"#
        ),
        _ => format!(
            r#"{{"event":"$merge","properties":{{"$distinct_ids":["{user}","{device}"]}}}}"#
        ),
    };
    batch.push(&json, record);
}

fn device(model: Model, number: usize) -> String {
    match model {
        Model::Simplified => format!("$device:D{number}"),
        _ => format!("D{number}"),
    }
}

/// Merges five users with a device each, in one batch.
fn merges(model: Model) -> Batch {
    let mut batch = Batch::new("/import", 1);
    for number in 0..5 {
        link(
            &mut batch,
            model,
            &format!("D{number}"),
            &format!("U{number}"),
        );
    }
    batch
}

/// The visible and hidden profiles, and the users, as a reader sees them.
fn shown(project: &Project, model: Model) -> Vec<String> {
    let page = project.profiles(None, 100).unwrap();
    let profiles = page.profiles.iter();
    let mut shown: Vec<String> = profiles
        .map(|profile| format!("{} {}", profile.distinct_id, profile.json))
        .collect();
    for number in 0..5 {
        let identity = project.identity(&device(model, number)).unwrap();
        shown.push(format!("{} {:?}", identity.canonical, identity.members));
    }
    shown
}

fn fill(project: &Project, model: Model) {
    for number in 0..5 {
        create(project, &format!("U{number}"), PROFILE_BYTES);
        create(project, &device(model, number), PROFILE_BYTES);
    }
}

#[test]
fn a_batch_whose_merges_read_large_profiles_takes_several_commits_and_others_go_first() {
    for model in [Model::Original, Model::Simplified] {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let project = open(folders[0].path(), model);
        fill(&project, model);
        let small = r#"{"$distinct_id":"V","$set":{"n":1}}"#.to_owned();
        let answers = together(
            &project,
            vec![merges(model), event(1), updates([&small]), event(2)],
        );
        let order: Vec<_> = answers
            .iter()
            .map(|(number, commits, _)| (*number, *commits))
            .collect();
        // Each of five commits reads the profiles of one merge; the others are in one before.
        assert_eq!(order, [(1, 1), (2, 1), (3, 1), (0, 6)], "{model:?}");
        let merged = answers[3].2.as_ref().unwrap();
        assert_eq!(
            merged.records,
            [const { RecordAnswer::Stored(ClaimAnswer::Merged) }; 5]
        );
        // The same as one by one, without limits.
        let other = open_unlimited(folders[1].path(), model);
        fill(&other, model);
        for number in 0..5 {
            let mut batch = Batch::new("/import", 1);
            link(
                &mut batch,
                model,
                &format!("D{number}"),
                &format!("U{number}"),
            );
            other.submit_and_wait(batch).unwrap();
        }
        other.submit_and_wait(updates([&small])).unwrap();
        assert_eq!(shown(&project, model), shown(&other, model));
        assert_eq!(project.figures().events, other.figures().events + 2);
        assert_eq!(project.figures().merges, other.figures().merges);
        // Sent again, all of it is known.
        let again = project.submit_and_wait(merges(model)).unwrap();
        assert_eq!(again.records, [const { RecordAnswer::Repeated }; 5]);
    }
}

#[test]
fn many_merges_of_one_user_read_its_profile_once_in_a_commit_and_updates_follow_them() {
    let model = Model::Original;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let project = open(folders[0].path(), model);
    let other = open_unlimited(folders[1].path(), model);
    let mut batches = Vec::new();
    for project in [&project, &other] {
        create(project, "U0", 200);
        let mut batch = Batch::new("/import", 1);
        for number in 0..5 {
            create(project, &device(model, number), PROFILE_BYTES);
            link(&mut batch, model, &format!("D{number}"), "U0");
        }
        // It finds the filled profile, and goes before nothing of the batch.
        let update = r#"{"$distinct_id":"D4","$set":{"name":"new","only D3":0}}"#;
        batch.push(update, Record::Update);
        batches.push(batch);
    }
    let answers = together(&project, vec![batches.remove(0), event(1)]);
    let order: Vec<_> = answers.iter().map(|(number, ..)| *number).collect();
    assert_eq!(order, [1, 0]);
    assert!(answers[1].1 > 3, "{} commits", answers[1].1);
    other.submit_and_wait(batches.remove(0)).unwrap();
    assert_eq!(shown(&project, model), shown(&other, model));
    let profile = project.profile("U0").unwrap().unwrap();
    assert!(profile.json.contains(r#""name":"new""#) && profile.json.contains(r#""only D3":0"#));
}

#[test]
fn small_merges_of_many_batches_share_the_room_of_a_commit() {
    let model = Model::Original;
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path(), model);
    let mut batches = Vec::new();
    let count = 200;
    for number in 0..count {
        create(&project, &format!("D{number}"), 1_000);
        let mut batch = Batch::new("/track", 1);
        link(
            &mut batch,
            model,
            &format!("D{number}"),
            &format!("U{number}"),
        );
        batches.push(batch);
    }
    let answers = together(&project, batches);
    let commits = answers.last().unwrap().1;
    // 200 profiles of about 1 KB, and 85 KB for a commit.
    assert!((2..=4).contains(&commits), "{commits} commits");
    assert_eq!(project.figures().merges, count);
}

#[test]
fn merges_that_read_too_much_are_refused_as_a_whole_and_a_project_that_closes_finishes_the_others()
{
    let model = Model::Original;
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path(), model);
    fill(&project, model);
    let mut batch = merges(model);
    for number in 5..16 {
        create(&project, &format!("D{number}"), PROFILE_BYTES);
        link(&mut batch, model, &format!("D{number}"), "U0");
    }
    let events = project.figures().events;
    let error = project.submit_and_wait(batch).unwrap_err();
    assert!(matches!(error, ProjectError::TooMuchWork { .. }), "{error}");
    assert_eq!(project.figures().events, events);
    assert_eq!(project.identity("D0").unwrap().canonical, "D0");
    // Fewer at once are taken, and written before the project is closed.
    let (sender, receiver) = mpsc::channel();
    let done = move |answer: Answered| sender.send(answer).unwrap();
    project.submit(merges(model), done).unwrap();
    project.close().unwrap();
    assert!(receiver.recv().unwrap().is_ok());
    let profile = project.profile("D4").unwrap().unwrap();
    assert_eq!(profile.distinct_id, "U4");
    assert!(profile.json.contains("only D4") && profile.json.contains("only U4"));
}

#[test]
fn a_chain_of_merges_copies_a_profile_a_bounded_number_of_times_in_a_commit() {
    let model = Model::Original;
    let count = 12;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let project = open(folders[0].path(), model);
    let other = open_unlimited(folders[1].path(), model);
    let mut chains = Vec::new();
    for project in [&project, &other] {
        // U0 is the oldest.
        let mut users = Batch::new("/import", 1);
        for number in 0..count {
            let (device, user) = (format!("D{number}"), format!("U{number}"));
            link(&mut users, model, &device, &user);
        }
        project.submit_and_wait(users).unwrap();
        create(project, &format!("U{}", count - 1), PROFILE_BYTES);
        // An older user becomes canonical with each merge, so it gets the profile that the one before got.
        let mut chain = Batch::new("/import", 1);
        for number in (1..count).rev() {
            let (user, older) = (format!("U{number}"), format!("U{}", number - 1));
            link(&mut chain, model, &user, &older);
        }
        chains.push(chain);
    }
    let answers = together(&project, vec![chains.remove(0), event(1)]);
    let order: Vec<_> = answers.iter().map(|(number, ..)| *number).collect();
    assert_eq!(order, [1, 0]);
    // 11 copies of 40 KB, three in a commit, after the commit with the event.
    assert_eq!(answers[1].1, 5);
    let merged = &answers[1].2.as_ref().unwrap().records;
    assert_eq!(
        merged[..],
        [const { RecordAnswer::Stored(ClaimAnswer::Merged) }; 11]
    );
    let Answer { records, .. } = other.submit_and_wait(chains.remove(0)).unwrap();
    assert_eq!(&records, merged);
    assert_eq!(shown(&project, model), shown(&other, model));
    let profile = project.profile("D11").unwrap().unwrap();
    assert_eq!(profile.distinct_id, "U0");
    assert!(profile.json.contains("only U11"));
}
