//! The room of a commit, and who may wait, by hand.

use std::sync::Arc;

use idmerge_engines::{Model, Settings};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::project::Project;
use crate::workers::{Work, Workers};
use crate::write::batch::{Answer, Batch, Record};

fn options() -> Options {
    Options {
        max_commit_profile_bytes: 6_400,
        max_commit_members: 640,
        max_waiting_profile_bytes: 10_000,
        ..Options::default()
    }
}

fn load(bytes: usize, members: usize) -> Load {
    Load { bytes, members }
}

#[test]
fn a_batch_is_small_up_to_a_64th_of_both_limits() {
    let turn = Turn::new(&options(), &[]);
    for (bytes, members, is_small) in [
        (0, 0, true),
        (100, 10, true),
        (101, 10, false),
        (100, 11, false),
        (101, 0, false),
        (0, 11, false),
        (100_000, 1_000, false),
    ] {
        assert_eq!(
            turn.is_small(load(bytes, members)),
            is_small,
            "{bytes} {members}"
        );
    }
}

#[test]
fn large_batches_may_wait_up_to_the_limit_and_small_ones_always() {
    let mut turn = Turn::new(&options(), &[]);
    turn.admit(6_000).unwrap();
    turn.admit(4_000).unwrap();
    let Err(ProjectError::TooMuchWork {
        bytes,
        waiting_bytes,
        max_bytes,
    }) = turn.admit(101)
    else {
        unreachable!("there is no room for 101 bytes more");
    };
    assert_eq!((bytes, waiting_bytes, max_bytes), (101, 10_000, 10_000));
    // A small batch is admitted, and counts.
    turn.admit(100).unwrap();
    assert_eq!(turn.waiting_bytes, 10_100);
    // One that is too large by itself never is.
    assert!(Turn::new(&options(), &[]).admit(10_001).is_err());
    Turn::new(&options(), &[]).admit(10_000).unwrap();
    assert!(turn.admit(usize::MAX).is_err());
}

#[test]
fn a_commit_reads_profiles_up_to_its_limit_and_a_larger_one_alone() {
    let mut turn = Turn::new(&options(), &[]);
    let mut room = turn.room(load(9_000, 0));
    assert!(room.has_any());
    assert!(room.take_profile(6_000));
    assert!(!room.take_profile(401));
    assert!(room.has_any());
    assert!(room.take_profile(400));
    assert!(!room.has_any());
    assert!(!room.take_profile(1));
    // An unread profile takes no room.
    assert!(room.take_profile(0));
    // Small batches have room of their own.
    let mut small = turn.room(load(100, 0));
    assert!(small.has_any());
    assert!(small.take_profile(100));
    assert!(!turn.room(load(9_000, 0)).has_any());

    let mut turn = Turn::new(&options(), &[]);
    let mut room = turn.room(load(9_000, 0));
    assert!(room.take_profile(9_000));
    assert!(!room.has_any());
    assert!(!room.take_profile(1));
}

#[test]
fn a_commit_carries_out_members_up_to_its_limit_and_nothing_after_what_has_no_room() {
    let mut turn = Turn::new(&options(), &[]);
    let mut room = turn.room(load(0, 5_000));
    assert!(room.take_update(600));
    assert!(room.take_update(30));
    assert!(room.has_any());
    assert!(!room.take_update(11));
    // Updates of one profile stay in order, so a shorter one waits too.
    assert!(!room.take_update(1));
    assert!(!room.has_any());

    let mut turn = Turn::new(&options(), &[]);
    let mut room = turn.room(load(0, 5_000));
    assert!(room.take_update(600));
    assert!(room.take_update(40));
    assert!(!room.has_any());

    let mut turn = Turn::new(&options(), &[]);
    let mut room = turn.room(load(0, 5_000));
    assert!(room.take_update(5_000));
    assert!(!room.take_update(1));
}

type Answered = (&'static str, Result<Answer, ProjectError>);

/// A project without threads of its own, and the answers in their order.
struct Tested {
    project: Project,
    workers: Workers,
    answers: Arc<Mutex<Vec<Answered>>>,
    _folder: TempDir,
}

impl Tested {
    fn open(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workers = Workers::new(0, 0).unwrap();
        let options = Options {
            workers: Some(workers.clone()),
            ..options
        };
        let settings = Settings::of(Model::Simplified);
        Self {
            project: Project::open(folder.path(), settings, options).unwrap(),
            workers,
            answers: Arc::default(),
            _folder: folder,
        }
    }

    fn submit(&self, name: &'static str, updates: &[String]) {
        let mut batch = Batch::new("/engage", 1);
        for update in updates {
            batch.push(update, Record::Update);
        }
        let answers = self.answers.clone();
        let answered = move |answer| answers.lock().push((name, answer));
        self.project.submit(batch, answered).unwrap();
    }

    /// The batches that the next commit answers, and whether they were carried out.
    fn turn(&self) -> Vec<(&'static str, bool)> {
        self.workers.turn(Work::Write);
        let answers = std::mem::take(&mut *self.answers.lock());
        let answers = answers.iter();
        answers
            .map(|(name, answer)| (*name, answer.is_ok()))
            .collect()
    }
}

/// An update with this many values, and a few members more.
fn list(id: &str, property: &str, values: usize) -> String {
    let values = vec!["1"; values].join(",");
    format!(r#"{{"$distinct_id":"{id}","$set":{{"{property}":[{values}]}}}}"#)
}

#[test]
fn a_batch_whose_rest_is_small_does_not_wait_with_the_large_ones() {
    let tested = Tested::open(Options {
        max_commit_members: 6_400,
        ..Options::default()
    });
    // The second update has no room in the first commit, and is small enough to be a small batch.
    tested.submit("large", &[list("A", "a", 6_303), list("B", "b", 96)]);
    assert_eq!(tested.turn(), []);
    tested.submit("small", &[list("C", "c", 1)]);
    assert_eq!(tested.turn(), [("large", true), ("small", true)]);
}

#[test]
fn a_profile_with_an_update_left_still_waits_to_be_read() {
    const PROFILE_BYTES: usize = 40_000;
    let tested = Tested::open(Options {
        max_commit_profile_bytes: 64_000,
        max_commit_members: 6_400,
        max_waiting_profile_bytes: PROFILE_BYTES * 3 / 2,
        ..Options::default()
    });
    for id in ["P", "Q"] {
        let values = vec![format!("\"{:0>197}\"", id); PROFILE_BYTES / 200].join(",");
        let update = format!(r#"{{"$distinct_id":"{id}","$set":{{"values":[{values}]}}}}"#);
        tested.submit("new", &[update]);
        assert_eq!(tested.turn(), [("new", true)]);
    }
    // Both change one profile, and only one of them has room in a commit.
    tested.submit("twice", &[list("P", "a", 6_303), list("P", "b", 6_303)]);
    assert_eq!(tested.turn(), []);
    // The other profile is too much besides the one that is read again.
    tested.submit("other", &[list("Q", "a", 1)]);
    assert_eq!(tested.turn(), [("other", false)]);
    assert_eq!(tested.turn(), [("twice", true)]);
    tested.submit("later", &[list("Q", "a", 1)]);
    assert_eq!(tested.turn(), [("later", true)]);
}
