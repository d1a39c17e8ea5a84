//! What is done with a batch that was taken from the queue before the project began to stop.

use super::*;
use crate::inner::Inner;
use crate::open::state::WriterState;
use crate::workers::Next;
use crate::write::commit::Committer;
use crate::write::prepare::prepare;
use crate::write::queue::{Job, Queue};

fn committer() -> (Arc<Inner>, Committer) {
    let (settings, options) = (Settings::of(Model::Simplified), Options::default());
    let mut open = on(&Disk::default(), &settings);
    let store = open.open().unwrap();
    let state = WriterState::read(store, &settings, &options).unwrap();
    let clock = Box::new(TestClock::default());
    let inner = Arc::new(Inner::new(
        state.shared.clone(),
        settings,
        options,
        clock,
        Arc::new(Mutex::new(open)),
    ));
    let workers = Workers::new(0, 0).unwrap();
    let maintenance = workers.task(Work::Maintain, || Next::Wait);
    (inner.clone(), Committer::new(inner, state, maintenance))
}

fn job(inner: &Inner, answers: &Answers) -> Job {
    let answers = answers.clone();
    Job {
        batch: prepare(
            batch(0),
            &inner.settings,
            &inner.options,
            &idmerge_store::ErasedIds::default(),
            &mut |_| Ok(()),
        )
        .unwrap(),
        callback: Box::new(move |answer| answers.lock().push(answer)),
        erasures: 0,
        refused: None,
    }
}

#[test]
fn a_batch_is_not_begun_by_a_project_that_refuses_and_not_finished_by_one_that_gives_up() {
    let go_on: fn(&Queue) = |_| ();
    for (stop, is_begun, is_written, is_refused) in [
        (go_on, false, true, false),
        (Queue::refuse, false, false, true),
        (Queue::refuse, true, true, false),
        (Queue::abandon, false, false, true),
        // It is refused when it is put back.
        (Queue::abandon, true, false, false),
    ] {
        let (inner, mut committer) = committer();
        let mut job = job(&inner, &Answers::default());
        // The bytes are known once a batch is begun.
        job.batch.profile_bytes = is_begun.then_some(0);
        stop(&inner.queue);
        let mut jobs = [job];
        committer.write(&mut jobs).unwrap();
        let [job] = jobs;
        let closed = matches!(job.refused, Some(ProjectError::Closed));
        assert_eq!((closed, job.refused.is_some()), (is_refused, is_refused));
        let figures = inner.figures();
        assert_eq!(figures.events_total, u64::from(is_written));
        assert_eq!(figures.updates, u64::from(is_written));
    }
}

#[test]
fn a_batch_that_is_put_back_is_refused_if_the_project_gives_up() {
    for (stop, is_refused) in [(Queue::refuse as fn(&Queue), false), (Queue::abandon, true)] {
        let (inner, _) = committer();
        let answers = Answers::default();
        let job = job(&inner, &answers);
        let queue = &inner.queue;
        queue.reserve(job.batch.queue_bytes).unwrap().fill(job);
        let jobs = queue.take(usize::MAX);
        stop(queue);
        queue.put_back(jobs);
        let answers = answers.lock();
        match is_refused {
            true => assert!(matches!(&**answers, [Err(ProjectError::Closed)])),
            false => assert!(answers.is_empty()),
        }
        assert_eq!(queue.size().0, usize::from(!is_refused));
        assert_eq!(queue.has_jobs(), !is_refused);
    }
}
