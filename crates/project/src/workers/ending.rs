//! Ending a task waits for its turn, and dropping [`Workers`] ends their threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use super::*;

/// Calls `end` on a thread of its own while a turn of a task runs, and checks that it waits for the turn.
fn waits_for_a_turn(workers: Workers, end: impl FnOnce(&Task, Workers) + Send) {
    let (started, is_started) = mpsc::channel();
    let (go, goes) = mpsc::channel();
    let is_done = Arc::new(AtomicBool::new(false));
    let done = is_done.clone();
    let task = workers.task(Work::Write, move || {
        started.send(()).unwrap();
        goes.recv().unwrap();
        done.store(true, Ordering::SeqCst);
        Next::Wait
    });
    task.wake();
    is_started.recv().unwrap();
    thread::scope(|scope| {
        let (begins, has_begun) = mpsc::channel();
        let (task, is_done) = (&task, &is_done);
        scope.spawn(move || {
            begins.send(()).unwrap();
            end(task, workers);
            assert!(is_done.load(Ordering::SeqCst));
        });
        has_begun.recv().unwrap();
        // It has the time to return too early.
        for _ in 0..1_000 {
            thread::yield_now();
        }
        go.send(()).unwrap();
    });
}

#[test]
fn the_end_of_a_task_waits_for_its_turn() {
    let workers = Workers::new(1, 0).unwrap();
    waits_for_a_turn(workers, |task, _workers| task.end());
}

#[test]
fn the_threads_end_after_their_turns_and_are_waited_for() {
    let workers = Workers::new(2, 1).unwrap();
    let lanes = workers.0.lanes.each_ref().map(Arc::downgrade);
    waits_for_a_turn(workers, |_, workers| drop(workers));
    // Each thread had a share of its lane.
    assert!(lanes.iter().all(|lane| lane.strong_count() == 0));
}
