//! Projects that share the threads that write and maintain them.
//!
//! A program of its own, because it counts the threads of its process.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests, and a process reads about itself in a file"
)]

use std::sync::{Arc, mpsc};

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, Options, Project, ProjectError, Record, RecordAnswer, Workers};

fn open(folder: &std::path::Path, options: &Options) -> Project {
    Project::open(folder, Settings::of(Model::Simplified), options.clone()).unwrap()
}

fn one(id: &str) -> Batch {
    let mut batch = Batch::new("/track", 1);
    let json = format!(r#"{{"event":"A","properties":{{"$user_id":"U1","$device_id":"{id}"}}}}"#);
    batch.push(&json, Record::event(Some(1), Some(id)));
    batch
}

/// How many threads this process has.
fn threads() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.unwrap().trim().parse().unwrap()
}

/// One test, so that no other one starts threads meanwhile.
#[test]
fn projects_share_threads() {
    let folder = tempfile::tempdir().unwrap();
    let before = threads();
    let options = Options {
        index_events: 3,
        snapshot_entries: 4,
        workers: Some(Workers::new(3, 2).unwrap()),
        ..Options::default()
    };
    let projects: Vec<_> = (0..100)
        .map(|number| open(&folder.path().join(number.to_string()), &options))
        .collect();
    assert_eq!(threads(), before + 5);

    // Every project works, also while all others do.
    let (sender, receiver) = mpsc::channel();
    for event in 0..6 {
        for project in &projects {
            let sender = sender.clone();
            let answer = move |answer: Result<idmerge_project::Answer, ProjectError>| {
                sender.send(answer.unwrap().records.remove(0)).unwrap();
            };
            project.submit(one(&format!("D{event}")), answer).unwrap();
        }
    }
    drop(sender);
    assert_eq!(receiver.iter().filter(RecordAnswer::is_stored).count(), 600);
    for project in &projects {
        assert_eq!(project.identity("U1").unwrap().members.len(), 7);
        project.close().unwrap();
        let error = project.submit_and_wait(one("D")).unwrap_err();
        assert!(matches!(error, ProjectError::Closed), "{error}");
    }
    drop(projects);
    assert_eq!(threads(), before + 5);
    drop(options);
    assert_eq!(threads(), before);

    // A project without shared threads has two of its own.
    let project = open(&folder.path().join("0"), &Options::default());
    assert_eq!(threads(), before + 2);
    assert_eq!(project.figures().events_total, 6);

    an_answer_can_drop_its_project(project);
    assert_eq!(one_project(&folder.path().join("0")), 7);
}

/// The answer comes on a thread of the project.
fn an_answer_can_drop_its_project(project: Project) {
    let project = Arc::new(project);
    let (sender, receiver) = mpsc::channel();
    let last = project.clone();
    let (gave_up, given_up) = mpsc::channel();
    let answer = move |answer: Result<idmerge_project::Answer, ProjectError>| {
        given_up.recv().unwrap();
        drop(last);
        sender.send(answer.is_ok()).unwrap();
    };
    project.submit(one("D6"), answer).unwrap();
    drop(project);
    gave_up.send(()).unwrap();
    assert!(receiver.recv().unwrap());
}

/// The number of events of a project that was dropped on another thread a moment ago.
fn one_project(folder: &std::path::Path) -> u64 {
    loop {
        match Project::open(folder, Settings::of(Model::Simplified), Options::default()) {
            Ok(project) => return project.figures().events_total,
            Err(ProjectError::Store(idmerge_store::StoreError::InUse)) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}
