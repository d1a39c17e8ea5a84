//! Updates with many members: the queue counts the memory that they take, a commit carries out a bounded
//! number of them, and others go first.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};

use crate::batches::{Answered, event, together, updates};
use idmerge_engines::{Model, Settings};
use idmerge_profiles::{Limits, Profile, Update};
use idmerge_project::{Batch, Options, Project, ProjectError, Record, RecordAnswer};
use proptest::prelude::*;

fn open(folder: &tempfile::TempDir, options: Options) -> Arc<Project> {
    Arc::new(Project::open(folder.path(), Settings::of(Model::Original), options).unwrap())
}

/// Sets some properties, and removes as many others.
fn churn(id: &str, names: usize, value: usize) -> String {
    let all = |each: fn(usize, usize) -> String| {
        let all: Vec<String> = (0..names).map(|at| each(at, value)).collect();
        all.join(",")
    };
    let unset = all(|at, _| format!(r#""x{at:x}""#));
    let set = all(|at, value| format!(r#""{at:x}":{value}"#));
    format!(r#"{{"$distinct_id":"{id}","$unset":[{unset}],"$set":{{{set}}}}}"#)
}

/// Keeps the writer busy until the sender is dropped.
fn block_writer(project: &Project) -> mpsc::Sender<()> {
    let (unblock, blocked) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    let block = move |_: Answered| {
        started.send(()).unwrap();
        let _unblocked = blocked.recv();
    };
    project.submit(Batch::new("/track", 1), block).unwrap();
    has_started.recv().unwrap();
    unblock
}

#[test]
fn many_changes_of_one_small_profile_take_several_commits_and_others_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        max_commit_members: 640,
        ..Options::default()
    };
    let project = open(&folder, options);
    // 62 members each: 10 updates have room in a commit.
    let many: Vec<String> = (0..35).map(|value| churn("U", 30, value)).collect();
    let small = r#"{"$distinct_id":"W","$add":{"n":1}}"#.to_owned();
    let too_large_for_a_turn = churn("X", 700, 1);
    let batches = vec![
        updates(&many),
        event(0),
        updates([&small]),
        updates([&too_large_for_a_turn]),
        updates([&small]),
    ];
    let answers = together(&project, batches);
    let order: Vec<_> = answers
        .iter()
        .map(|(number, at, _)| (*number, *at))
        .collect();
    assert_eq!(order, [(1, 1), (2, 1), (4, 1), (0, 5), (3, 6)]);
    for (number, _, answer) in &answers {
        let answer = answer.as_ref().unwrap();
        assert!(
            answer.records.iter().all(RecordAnswer::is_stored),
            "{number}"
        );
    }
    let json = project.profile("U").unwrap().unwrap().json;
    assert!(json.ends_with(r#""1d":34}"#), "{json}");
    assert_eq!(project.figures().updates, 35 + 3);
    let figures = project.figures();
    assert_eq!((figures.queue_batches, figures.queue_bytes), (0, 0));
}

#[test]
fn the_queue_counts_the_memory_of_parsed_updates() {
    let folder = tempfile::tempdir().unwrap();
    let one = |id: &str| updates([&churn(id, 2_000, 1)]);
    let text_bytes = one("U").text.len();
    let memory = Update::parse(&churn("U", 2_000, 1), &Limits::DOCUMENTED).unwrap();
    let bytes = text_bytes + memory.memory_bytes();
    assert!(bytes > 8 * text_bytes, "{bytes} for {text_bytes}");
    let options = Options {
        max_queue_bytes: 3 * bytes,
        ..Options::default()
    };
    let project = open(&folder, options);
    let unblock = block_writer(&project);
    let (sender, answers) = mpsc::channel();
    let submit = |batch| {
        let sender = sender.clone();
        project.submit(batch, move |answer| sender.send(answer).unwrap())
    };
    submit(one("U")).unwrap();
    submit(one("V")).unwrap();
    assert_eq!(project.figures().queue_bytes, 2 * bytes);
    // A quarter of the queue is for small batches.
    let error = submit(one("W")).unwrap_err();
    assert!(matches!(error, ProjectError::Full), "{error}");
    assert_eq!(project.figures().queue_bytes, 2 * bytes);
    submit(event(0)).unwrap();
    let small = r#"{"$distinct_id":"W","$add":{"n":1}}"#.to_owned();
    submit(updates([&small])).unwrap();
    drop(unblock);
    for _ in 0..4 {
        answers.recv().unwrap().unwrap();
    }
    submit(one("W")).unwrap();
    answers.recv().unwrap().unwrap();
    assert_eq!(project.figures().queue_bytes, 0);
}

#[test]
fn updates_that_take_too_much_memory_are_refused_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let json = churn("U", 300, 1);
    let update = Update::parse(&json, &Limits::DOCUMENTED).unwrap();
    let options = Options {
        max_update_bytes: 3 * update.memory_bytes(),
        ..Options::default()
    };
    let project = open(&folder, options);
    let mut batch = event(0);
    for _ in 0..4 {
        batch.push(&json, Record::Update);
    }
    let error = project.submit_and_wait(batch).unwrap_err();
    let ProjectError::TooManyUpdates { max_bytes } = error else {
        panic!("{error}");
    };
    assert_eq!(max_bytes, 3 * update.memory_bytes());
    let figures = project.figures();
    assert_eq!((figures.events, figures.updates), (0, 0));
    assert_eq!((figures.queue_batches, figures.queue_bytes), (0, 0));
    project.submit_and_wait(updates(&vec![json; 3])).unwrap();
    assert_eq!(project.figures().updates, 3);
}

fn any_update() -> impl Strategy<Value = (usize, String)> {
    let name = || prop::sample::select(&["a", "b", "c", "d"][..]);
    let list = |names: Vec<&str>| format!("{names:?}");
    let operation = prop_oneof![
        prop::collection::vec(name(), 0..4)
            .prop_map(move |names| format!(r#""$unset":{}"#, list(names))),
        (name(), 0..9).prop_map(|(name, value)| format!(r#""$set":{{"{name}":{value}}}"#)),
        (name(), 0..9).prop_map(|(name, value)| format!(r#""$append":{{"{name}":{value}}}"#)),
        // These fail for lists.
        (name(), 0..9).prop_map(|(name, by)| format!(r#""$add":{{"{name}":{by},"n":1}}"#)),
        Just(r#""$delete":"""#.to_owned()),
    ];
    (0..3_usize, operation)
        .prop_map(|(id, operation)| (id, format!(r#"{{"$distinct_id":"U{id}",{operation}}}"#)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn updates_in_several_commits_give_what_they_give_one_by_one(
        batches in prop::collection::vec(prop::collection::vec(any_update(), 1..12), 1..6),
        max_commit_members in 1..20_usize,
        max_commit_profile_bytes in prop_oneof![Just(4_usize << 20), 640..2_000_usize],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { max_commit_members, max_commit_profile_bytes, ..Options::default() };
        let project = open(&folder, options);
        let sent = batches.iter().map(|batch| updates(batch.iter().map(|(_, json)| json)));
        let mut answers = together(&project, sent.collect());
        answers.sort_by_key(|(number, ..)| *number);

        let mut profiles: HashMap<usize, Option<Profile>> = HashMap::new();
        for (batch, (_, _, answer)) in batches.iter().zip(answers) {
            let answers = answer.unwrap().records;
            for ((id, json), answer) in batch.iter().zip(answers) {
                let update = Update::parse(json, &Limits::DOCUMENTED).unwrap();
                let wanted = update.apply(profiles.entry(*id).or_default(), &Limits::DOCUMENTED);
                prop_assert_eq!(answer.is_stored(), wanted.is_ok(), "{}: {:?}", json, answer);
            }
        }
        for id in 0..3 {
            let stored = project.profile(&format!("U{id}")).unwrap().map(|profile| profile.json);
            let wanted = profiles.remove(&id).flatten().map(|profile| profile.to_json());
            prop_assert_eq!(stored, wanted, "U{}", id);
        }
    }
}
