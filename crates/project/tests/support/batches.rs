//! Batches, and a way to have the writer take several together.

#![allow(dead_code, reason = "each test target uses a part of it")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests; the lint sees only test functions"
)]

use std::sync::{Arc, mpsc};

use idmerge_project::{Answer, Batch, Project, ProjectError, Record};

pub(crate) type Answered = Result<Answer, ProjectError>;

pub(crate) fn updates<'u>(updates: impl IntoIterator<Item = &'u String>) -> Batch {
    let mut batch = Batch::new("/engage", 1);
    for update in updates {
        batch.push(update, Record::Update);
    }
    batch
}

/// An event of a user without claims.
pub(crate) fn event(id: usize) -> Batch {
    let mut batch = Batch::new("/track", 1);
    let json = format!(r#"{{"event":"A","properties":{{"distinct_id":"V{id}"}}}}"#);
    batch.push(&json, Record::event(Some(1), None));
    batch
}

/// Submits batches while the writer waits, so that it takes them together. Returns their answers in the
/// order in which they came, each with the number of its batch, and how many commits there were.
pub(crate) fn together(project: &Arc<Project>, batches: Vec<Batch>) -> Vec<(usize, u64, Answered)> {
    let (sender, receiver) = mpsc::channel();
    let count = batches.len();
    let shared = project.clone();
    // The writer calls this between two commits.
    let submit_all = move |_: Answered| {
        for (number, batch) in batches.into_iter().enumerate() {
            let (sender, project) = (sender.clone(), shared.clone());
            let answered = move |answer: Answered| {
                let commits = project.figures().commits;
                sender.send((number, commits, answer)).unwrap();
            };
            shared.submit(batch, answered).unwrap();
        }
    };
    let commits = project.figures().commits;
    project.submit(Batch::new("/track", 1), submit_all).unwrap();
    let answers = (0..count).map(|_| receiver.recv().unwrap());
    answers
        .map(|(number, at, answer)| (number, at - commits, answer))
        .collect()
}
