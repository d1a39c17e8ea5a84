//! A retraction that waits takes room in the queue as its text does.

use std::thread;

use idmerge_engines::{Model, Settings};
use idmerge_project::{Batch, Options, Project, ProjectError, Record, RetractionTarget, Workers};

#[test]
fn a_retraction_that_waits_counts_with_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let settings = || Settings::of(Model::Simplified);
    {
        let project = Project::open(folder.path(), settings(), Options::default()).unwrap();
        let mut batch = Batch::new("/import", 1);
        let json = r#"{"event":"A","properties":{"$user_id":"U","$device_id":"D"}}"#;
        batch.push(json, Record::event(Some(1), None));
        project.submit_and_wait(batch).unwrap();
        project.close().unwrap();
    }
    let options = Options {
        // Without threads, everything waits.
        workers: Some(Workers::new(0, 0).unwrap()),
        ..Options::default()
    };
    let project = Project::open(folder.path(), settings(), options).unwrap();
    let (who, why) = ("ada".repeat(100), "a shared tablet".repeat(50));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| project.retract(RetractionTarget::Entry(1), &who, &why));
        while project.figures().queue_batches == 0 {
            thread::yield_now();
        }
        let figures = project.figures();
        assert_eq!((figures.queue_batches, figures.queue_bytes), (1, 300 + 750));
        project.refuse_waiting();
        let refused = waiting.join().unwrap();
        assert!(matches!(refused, Err(ProjectError::Closed)), "{refused:?}");
    });
    assert_eq!(project.figures().queue_bytes, 0);
}
