//! Maintenance that nobody waits for is not begun while a project is closing.

use std::sync::atomic::Ordering;

use super::*;
use crate::workers::Next;
use crate::write::maintenance::Maintenance;

#[test]
fn a_project_that_is_closing_begins_no_snapshot() {
    let settings = Settings::of(Model::Original);
    let workers = Workers::new(0, 0).unwrap();
    let options = Options {
        workers: Some(workers.clone()),
        snapshot_entries: 1,
        ..Options::default()
    };
    let open = on(&Disk::default(), &settings);
    let clock = Box::new(TestClock::default());
    let project = Project::open_at(open, settings, options, clock).unwrap();
    let answers = Answers::default();
    let answered = answers.clone();
    let taken = project.submit(batch(0), move |answer| answered.lock().push(answer));
    taken.unwrap();
    while workers.turn(Work::Write) {}
    assert!(answers.lock()[0].is_ok(), "{answers:?}");
    let since_snapshot = || {
        let state = project.inner.state().unwrap();
        state.store.read().since_snapshot().unwrap()
    };
    assert_eq!(since_snapshot(), 1);
    let mut maintenance = Maintenance::new(project.inner.clone());
    let is_closing = &project.inner.is_closing;
    for (closing, wanted) in [(true, 1), (false, 0)] {
        is_closing.store(closing, Ordering::Relaxed);
        assert_eq!(maintenance.turn(), Next::Wait);
        assert_eq!(since_snapshot(), wanted);
    }
}
