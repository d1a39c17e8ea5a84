//! A project that stops answers the batches that wait, and finishes the commit that runs.

use std::sync::{Arc, mpsc};

use crate::batches::{Answered, event};
use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, Options, Project, ProjectError, Record};

/// The least bytes of a profile that has a text of its own, and more.
const PROFILE_BYTES: usize = 20_000;

/// A project in which each batch with an event, and each large profile, takes a commit of its own.
fn open(folder: &std::path::Path) -> Arc<Project> {
    let options = Options {
        max_commit_bytes: 1,
        max_commit_profile_bytes: PROFILE_BYTES + 1_000,
        ..Options::default()
    };
    Arc::new(Project::open(folder, Settings::of(Model::Original), options).unwrap())
}

fn updates(count: usize, operation: &str) -> Batch {
    let mut batch = Batch::new("/engage", 1);
    for id in 0..count {
        let json = format!(r#"{{"$distinct_id":"U{id}",{operation}}}"#);
        batch.push(&json, Record::Update);
    }
    batch
}

/// Submits batches, and stops between the commit of the first and the next. Returns the answers in the
/// order in which they came, each with the number of its batch.
fn stop_after_first(
    project: &Arc<Project>,
    batches: Vec<Batch>,
    stop: fn(&Project),
) -> Vec<(usize, Answered)> {
    let (sender, receiver) = mpsc::channel();
    let count = batches.len();
    let shared = project.clone();
    // The writer calls this between two commits.
    let first = move |_: Answered| {
        for (number, batch) in batches.into_iter().enumerate() {
            let (sender, project) = (sender.clone(), shared.clone());
            let answered = move |answer| {
                sender.send((number, answer)).unwrap();
                if number == 0 {
                    stop(&project);
                }
            };
            shared.submit(batch, answered).unwrap();
        }
    };
    project.submit(event(0), first).unwrap();
    (0..count).map(|_| receiver.recv().unwrap()).collect()
}

fn is_refused(answer: &Answered) -> bool {
    matches!(answer, Err(ProjectError::Closed))
}

#[test]
fn batches_that_are_not_begun_are_refused_and_none_is_half_there() {
    let folder = tempfile::tempdir().unwrap();
    let project = open(folder.path());
    let batches = (1..=200).map(event).collect();
    let answers = stop_after_first(&project, batches, Project::refuse_waiting);
    let commits = project.figures().commits;
    project.close().unwrap();
    let refused: Vec<bool> = answers.iter().map(|(_, it)| is_refused(it)).collect();
    assert!(!refused[0]);
    assert!(refused[1..].iter().all(|it| *it), "{refused:?}");
    // Of 201 batches two were written, each in a commit of its own.
    assert_eq!((commits, project.figures().events), (2, 2));
    assert_eq!(project.figures().queue_batches, 0);
    let late = project.submit_and_wait(event(0));
    assert!(is_refused(&late));
    drop(project);
    let project = open(folder.path());
    assert_eq!(project.figures().events_total, 2);
}

fn create(project: &Project) {
    let text = "x".repeat(200);
    let list = vec![format!("\"{text}\""); PROFILE_BYTES / 200];
    let list = format!(r#""$set":{{"a":[{}],"n":0}}"#, list.join(","));
    for id in 0..40 {
        let mut batch = Batch::new("/engage", 1);
        let json = format!(r#"{{"$distinct_id":"U{id}",{list}}}"#);
        batch.push(&json, Record::Update);
        project.submit_and_wait(batch).unwrap();
    }
}

fn added(project: &Project) -> usize {
    let profile = |id| project.profile(&format!("U{id}")).unwrap().unwrap().json;
    let is_added = |json: &String| json.contains("\"n\":1");
    (0..40).map(profile).filter(is_added).count()
}

#[test]
fn a_batch_that_is_begun_is_finished_unless_it_is_given_up() {
    for (stop, is_finished) in [
        (Project::refuse_waiting as fn(&Project), true),
        (Project::abandon_waiting, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let project = open(folder.path());
        create(&project);
        let (sender, receiver) = mpsc::channel();
        // The second one is answered in the middle of the first.
        let (large, small) = (updates(40, r#""$add":{"n":1}"#), event(1));
        let own = sender.clone();
        let answered = move |answer| own.send((1, answer)).unwrap();
        let shared = project.clone();
        let small_answered = move |answer| {
            stop(&shared);
            sender.send((0, answer)).unwrap();
        };
        let shared = project.clone();
        let both = move |_: Answered| {
            shared.submit(large, answered).unwrap();
            shared.submit(small, small_answered).unwrap();
        };
        project.submit(event(0), both).unwrap();
        let first = receiver.recv().unwrap();
        let second = receiver.recv().unwrap();
        let (small, large) = match first.0 {
            0 => (first.1, second.1),
            _ => (second.1, first.1),
        };
        assert!(small.is_ok());
        assert_eq!(large.is_ok(), is_finished);
        project.close().unwrap();
        let added = added(&project);
        match is_finished {
            true => assert_eq!(added, 40),
            false => assert!((1..40).contains(&added), "{added}"),
        }
        assert_eq!(project.figures().queue_batches, 0);
    }
}
