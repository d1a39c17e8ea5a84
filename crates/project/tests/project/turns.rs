//! Updates of large profiles: their work is bounded by commit, others go first, and too much of it is
//! refused as a whole.

use std::path::Path;
use std::sync::{Arc, mpsc};

use crate::batches::{Answered, event, together, updates};
use idmerge_engines::{Model, Settings};
use idmerge_project::{
    Batch, ClaimAnswer, Options, Project, ProjectError, Record, RecordAnswer, Sender,
};

const PROFILE_BYTES: usize = 40_000;

/// A project whose commits read one profile of [`PROFILE_BYTES`], and in which five of them may wait.
fn open(folder: &Path) -> Arc<Project> {
    let options = Options {
        max_commit_profile_bytes: PROFILE_BYTES + 5_000,
        max_waiting_profile_bytes: 5 * (PROFILE_BYTES + 1_000),
        ..Options::default()
    };
    Arc::new(Project::open(folder, Settings::of(Model::Original), options).unwrap())
}

fn update(id: usize, operation: &str) -> String {
    format!(r#"{{"$distinct_id":"U{id}",{operation}}}"#)
}

/// Creates the profiles of the users `U0` to `U(count - 1)`.
fn create(project: &Project, count: usize) {
    for id in 0..count {
        let values: Vec<String> = (0..PROFILE_BYTES / 202)
            .map(|at| format!("\"{at:0>199}\""))
            .collect();
        let json = update(
            id,
            &format!(r#""$set":{{"a":[{}],"n":0}}"#, values.join(",")),
        );
        project.submit_and_wait(updates([&json])).unwrap();
    }
}

fn number(project: &Project, id: usize) -> u64 {
    let json = project.profile(&format!("U{id}")).unwrap().unwrap().json;
    let (_, number) = json.split_once("\"n\":").unwrap();
    number.trim_end_matches('}').parse().unwrap()
}

#[test]
fn a_batch_that_reads_large_profiles_takes_several_commits_and_others_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    create(&project, 5);
    project
        .submit_and_wait(updates([&update(9, r#""$set":{"n":0}"#)]))
        .unwrap();
    // Each profile of the batch is named three times, in turns.
    let add: Vec<String> = (0..15)
        .map(|at| update(at % 5, r#""$add":{"n":1}"#))
        .collect();
    let mut fails = add.clone();
    fails.push(update(3, r#""$add":{"a":1}"#));
    fails.push(update(4, r#""$union":{"a":["b"]}"#));
    let small = update(9, r#""$add":{"n":1}"#);
    let answers = together(
        &project,
        vec![updates(&fails), event(1), updates([&small]), event(2)],
    );

    let order: Vec<_> = answers
        .iter()
        .map(|(number, commits, _)| (*number, *commits))
        .collect();
    // One commit for each large profile. The others are in one before, and do not wait for any of them.
    assert_eq!(order, [(1, 1), (2, 1), (3, 1), (0, 6)]);
    let answer = answers[3].2.as_ref().unwrap();
    let refused = |answer: &RecordAnswer| matches!(answer, RecordAnswer::Refused(_));
    let are_refused: Vec<usize> = (0..17).filter(|at| refused(&answer.records[*at])).collect();
    assert_eq!(are_refused, [15]);
    assert_eq!(
        [0, 1, 2, 3, 4, 9].map(|id| number(&project, id)),
        [3, 3, 3, 3, 3, 1]
    );
    assert_eq!(project.figures().updates, 5 + 1 + 16 + 1);
    assert_eq!(project.figures().refused["update"], 1);
    assert_eq!(project.figures().queue_batches, 0);

    // A batch that waits for its turn is written before the project is closed.
    let (sender, receiver) = mpsc::channel();
    let done = move |answer: Answered| sender.send(answer).unwrap();
    project.submit(updates(&add), done).unwrap();
    project.close().unwrap();
    assert!(receiver.recv().unwrap().is_ok());
    assert_eq!([0, 4].map(|id| number(&project, id)), [6, 6]);
}

#[test]
fn updates_of_one_profile_by_many_batches_read_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    create(&project, 1);
    let add = update(0, r#""$add":{"n":1}"#);
    let answers = together(&project, (0..5).map(|_| updates([&add])).collect());
    assert!(
        answers.iter().all(|(_, commits, _)| *commits == 1),
        "{answers:?}"
    );
    assert_eq!(number(&project, 0), 5);
}

#[test]
fn too_much_work_is_refused_as_a_whole_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    create(&project, 8);
    let add = |ids: std::ops::Range<usize>| -> Vec<String> {
        ids.map(|id| update(id, r#""$add":{"n":1}"#)).collect()
    };
    // Six profiles are too many at once.
    let error = project.submit_and_wait(updates(&add(0..6))).unwrap_err();
    let ProjectError::TooMuchWork {
        bytes,
        waiting_bytes,
        max_bytes,
    } = error
    else {
        panic!("{error}");
    };
    assert!(
        bytes > 6 * (PROFILE_BYTES - 1_000) && bytes < 6 * (PROFILE_BYTES + 1_000),
        "{bytes}"
    );
    assert_eq!((waiting_bytes, max_bytes), (0, 5 * (PROFILE_BYTES + 1_000)));
    assert_eq!(number(&project, 0), 0);
    // So are three and three. Events and small updates are taken all the same.
    let small = update(9, r#""$set":{"n":1}"#);
    let batches = vec![
        updates(&add(0..3)),
        updates(&add(3..6)),
        event(1),
        updates([&small]),
    ];
    let mut answers = together(&project, batches);
    answers.sort_by_key(|(number, ..)| *number);
    let taken: Vec<bool> = answers.iter().map(|(.., answer)| answer.is_ok()).collect();
    assert_eq!(taken, [true, false, true, true]);
    let numbers = [0, 1, 2, 3, 4, 5].map(|id| number(&project, id));
    assert_eq!(numbers, [1, 1, 1, 0, 0, 0]);
    // Later there is room.
    project.submit_and_wait(updates(&add(3..6))).unwrap();
    assert_eq!([3, 4, 5].map(|id| number(&project, id)), [1, 1, 1]);
    // Nothing of a batch is taken if its updates are refused, no event either.
    let mut both = event(7);
    for update in add(0..6) {
        both.push(&update, Record::Update);
    }
    let events = project.figures().events;
    let error = project.submit_and_wait(both).unwrap_err();
    assert!(matches!(error, ProjectError::TooMuchWork { .. }), "{error}");
    assert_eq!(project.figures().events, events);
}

#[test]
fn a_merge_between_two_parts_of_a_batch_moves_the_later_updates_too() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    create(&project, 3);
    let add: Vec<String> = (0..3).map(|id| update(id, r#""$add":{"n":1}"#)).collect();
    let mut merge = Batch::new("/import", 1);
    let record = Record::Event {
        time_ms: Some(1),
        insert_id: None,
        sender: Sender::Credential,
        layout: None,
    };
    merge.push(
        r#"{"event":"$merge","properties":{"$distinct_ids":["W","U2"]}}"#,
        record,
    );
    let answers = together(&project, vec![updates(&add), merge]);
    let merged = answers[0].2.as_ref().unwrap();
    assert_eq!(merged.records, [RecordAnswer::Stored(ClaimAnswer::Merged)]);
    let profile = project.profile("U2").unwrap().unwrap();
    assert_eq!(profile.distinct_id, "W");
    assert_eq!([0, 1, 2].map(|id| number(&project, id)), [1, 1, 1]);
    assert_eq!(project.profiles(None, 10).unwrap().total, 3);
}
