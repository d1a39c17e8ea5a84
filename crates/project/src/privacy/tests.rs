//! What becomes of batches and queries during an erasure. The turns of the writer are given by hand.

use std::sync::Arc;
use std::thread;

use idmerge_engines::{Model, Settings};
use idmerge_store::LastSync;
use parking_lot::Mutex;

use super::pause::Phase;
use super::task::{PrivacyTask, TaskStatus};
use crate::error::ProjectError;
use crate::open::clock::SystemClock;
use crate::open::store::InFolder;
use crate::options::Options;
use crate::project::Project;
use crate::workers::{Work, Workers};
use crate::write::batch::{Answer, Batch, Record};

type Answers = Arc<Mutex<Vec<Result<Answer, ProjectError>>>>;

struct Tested {
    project: Project,
    workers: Workers,
    _folder: tempfile::TempDir,
}

impl Tested {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::of(Model::Simplified);
        let workers = Workers::new(0, 0).unwrap();
        let options = Options {
            workers: Some(workers.clone()),
            // Each update is carried out in a commit of its own.
            max_commit_members: 1,
            max_commit_profile_bytes: 1,
            ..Options::default()
        };
        let open = Box::new(InFolder {
            folder: folder.path().to_owned(),
            settings: settings.clone(),
            cache_bytes: 1 << 20,
            last_sync: LastSync::default(),
        });
        let clock = Box::new(SystemClock::new());
        let project = Project::open_at(open, settings, options, clock).unwrap();
        Self {
            project,
            workers,
            _folder: folder,
        }
    }

    fn submit(&self, batch: Batch) -> Answers {
        let answers = Answers::default();
        let kept = answers.clone();
        let submitted = self
            .project
            .submit(batch, move |answer| kept.lock().push(answer));
        submitted.unwrap();
        answers
    }

    /// Runs `work` on another thread, and gives the writer turns until it has ended.
    fn while_writing<T: Send>(&self, work: impl FnOnce(&Project) -> T + Send) -> T {
        thread::scope(|scope| {
            let working = scope.spawn(|| work(&self.project));
            while !working.is_finished() {
                self.workers.turn(Work::Write);
                thread::yield_now();
            }
            working.join().unwrap()
        })
    }

    /// Requests that an ID is erased, as a task with its name.
    fn request(&self, id: &str) {
        let task = PrivacyTask::deletion_of(id);
        self.while_writing(|project| project.add_privacy_task(task))
            .unwrap();
    }
}

fn updates(count: usize) -> Batch {
    let mut batch = Batch::new("/engage", 1);
    for _ in 0..count {
        let update = r#"{"$distinct_id":"ben","$add":{"seen":1}}"#;
        batch.push(update, Record::Update);
    }
    batch
}

fn one_event() -> Batch {
    let mut batch = Batch::new("/track", 1);
    let event = r#"{"event":"A","properties":{"distinct_id":"ben"}}"#;
    batch.push(event, Record::event(Some(1), None));
    batch
}

#[test]
fn e_6_a_batch_that_is_begun_is_written_and_one_that_waits_is_refused() {
    let tested = Tested::open();
    tested.request("ada");
    let begun = tested.submit(updates(5));
    assert!(tested.workers.turn(Work::Write));
    assert!(begun.lock().is_empty());
    let waits = tested.submit(one_event());
    thread::scope(|scope| {
        let project = &tested.project;
        let erasing = scope.spawn(|| project.erase_waiting(1, [1; 32]));
        while project.inner.pause.phase() != Phase::Wanted {
            thread::yield_now();
        }
        // Queries go on until the store is closed.
        assert!(matches!(project.check(), Err(ProjectError::Erasing)));
        assert_eq!(project.last_event().unwrap(), 0);
        while !erasing.is_finished() {
            tested.workers.turn(Work::Write);
            thread::yield_now();
        }
        erasing.join().unwrap().unwrap().unwrap();
    });
    assert!(matches!(&begun.lock()[..], [Ok(_)]));
    assert!(matches!(&waits.lock()[..], [Err(ProjectError::Erasing)]));
    let profile = tested.project.profile("ben").unwrap().unwrap();
    assert_eq!(profile.json, r#"{"seen":5}"#);
    assert_eq!(tested.project.last_event().unwrap(), 0);
}

/// The names of the vendor's documentation, which clients compare with.
#[test]
fn a_status_has_the_name_that_the_vendor_gives_it() {
    let names = TaskStatus::ALL.map(TaskStatus::name);
    let wanted = ["PENDING", "STARTED", "SUCCESS", "FAILURE", "REVOKED"];
    assert_eq!(names, wanted);
}

#[test]
fn e_6_a_deletion_that_is_started_cannot_be_cancelled_and_waits_for_a_query() {
    let tested = Tested::open();
    tested.request("ada");
    // A query that reads from the store.
    let reading = tested.project.inner.state().unwrap();
    thread::scope(|scope| {
        let project = &tested.project;
        let erasing = scope.spawn(|| project.erase_waiting(1, [1; 32]));
        let status = || project.privacy_task("ada").unwrap().status;
        while status() != TaskStatus::Started {
            tested.workers.turn(Work::Write);
            thread::yield_now();
        }
        let cancelled = project.cancel_privacy_task("ada").unwrap();
        assert_eq!(cancelled, Some(TaskStatus::Started));
        assert!(!erasing.is_finished());
        drop(reading);
        while !erasing.is_finished() {
            tested.workers.turn(Work::Write);
            thread::yield_now();
        }
        erasing.join().unwrap().unwrap().unwrap();
        assert_eq!(status(), TaskStatus::Success);
    });
}

/// A client whose batch was checked before the erasure, and gets into the queue after it.
#[test]
fn e_2_a_batch_that_comes_late_into_the_queue_is_checked_again() {
    let tested = Tested::open();
    tested.request("ben");
    let answers = Answers::default();
    let kept = answers.clone();
    let prepared = (tested.project).prepare(one_event(), move |answer| kept.lock().push(answer));
    let (reservation, job) = prepared.unwrap();
    let erased = tested.while_writing(|project| project.erase_waiting(1, [1; 32]));
    assert_eq!(erased.unwrap().unwrap().ids_erased, 1);
    reservation.fill(job);
    tested.project.inner.wake_writer();
    while tested.workers.turn(Work::Write) {}
    assert!(matches!(&answers.lock()[..], [Err(ProjectError::Erasing)]));
    assert_eq!(tested.project.last_event().unwrap(), 0);
    // Sent again, it is refused.
    let again = tested.submit(one_event());
    while tested.workers.turn(Work::Write) {}
    let answers = again.lock();
    let [Ok(answer)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert!(!answer.records[0].is_stored());
    assert_eq!(tested.project.last_event().unwrap(), 0);
}
