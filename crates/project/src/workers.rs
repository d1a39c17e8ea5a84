//! [`Workers`]: the threads that write and maintain projects.
//!
//! A project has two [tasks](Task): one that writes, and one that maintains. A task does its work in
//! turns: a turn of the writer is one commit. A task that has more to do goes to the end of the line, so
//! that tasks take turns, and no project waits for all the work of another one.

#[cfg(test)]
mod ending;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Threads that write and maintain projects. Clones share the threads, which end with the last clone.
///
/// Every project of a process can use the same ones
/// ([`Options::workers`](crate::Options::workers)): the number of threads then does not grow with the
/// number of projects.
#[derive(Clone)]
pub struct Workers(Arc<Threads>);

struct Threads {
    lanes: [Arc<Lane>; 2],
    threads: Vec<JoinHandle<()>>,
}

/// The two kinds of work. Maintenance has threads of its own: a turn of it can take seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Write,
    Maintain,
}

impl Workers {
    /// Starts threads in proportion to the cores of the machine.
    ///
    /// A thread that commits mostly waits for the disk. So there are two threads for each core that
    /// write, and one for every two cores that maintains.
    ///
    /// # Errors
    ///
    /// If the system starts no thread.
    pub fn for_cores() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, Into::into);
        let [writers, maintainers] = threads_for(cores);
        Self::new(writers, maintainers)
    }

    /// Starts this many threads that write, and this many that maintain.
    ///
    /// # Errors
    ///
    /// If the system starts no thread.
    pub fn new(writers: usize, maintainers: usize) -> io::Result<Self> {
        // Made first, so that an error ends the threads that were started.
        let mut started = Threads {
            lanes: [Arc::default(), Arc::default()],
            threads: Vec::new(),
        };
        for (work, name, threads) in [
            (Work::Write, "writer", writers),
            (Work::Maintain, "maintenance", maintainers),
        ] {
            for _ in 0..threads {
                let lane = started.lanes[work as usize].clone();
                let thread = thread::Builder::new().name(name.to_owned());
                let thread = thread.spawn(move || while lane.turn(Wait::ForTask) {})?;
                started.threads.push(thread);
            }
        }
        Ok(Self(Arc::new(started)))
    }

    /// A task of this kind. It waits until it is woken.
    pub(crate) fn task(
        &self,
        work: Work,
        turn: impl FnMut() -> Next + Send + 'static,
    ) -> Arc<Task> {
        Arc::new(Task {
            lane: self.0.lanes[work as usize].clone(),
            status: Mutex::new(Status::Idle),
            changed: Condvar::new(),
            turn: Mutex::new(Some(Box::new(turn))),
        })
    }

    /// Without threads: gives the next task of this kind its turn, on the calling thread. `false`: no
    /// task is ready.
    #[cfg(test)]
    pub(crate) fn turn(&self, work: Work) -> bool {
        self.0.lanes[work as usize].turn(Wait::Never)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for lane in &self.lanes {
            lane.line.lock().is_ended = true;
            lane.changed.notify_all();
        }
        for thread in self.threads.drain(..) {
            // An answer that drops the last project runs on one of these threads.
            if thread.thread().id() != thread::current().id() {
                // A turn that panics is caught.
                drop(thread.join());
            }
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers")
            .field("threads", &self.0.threads.len())
            .finish_non_exhaustive()
    }
}

/// What a task does after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It waits until it is woken.
    Wait,
    /// It has more to do.
    Again,
    /// As `Wait`, but not longer than this.
    After(Duration),
}

/// Work that is done in turns. Two threads never work on one task at a time.
pub(crate) struct Task {
    lane: Arc<Lane>,
    status: Mutex<Status>,
    changed: Condvar,
    /// `None` once the task has ended.
    turn: Mutex<Option<Box<dyn FnMut() -> Next + Send>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Idle,
    /// In the line.
    Ready,
    Running {
        by: ThreadId,
        /// Whether the task was woken during its turn, which may have been too late for that turn.
        is_woken: bool,
    },
    Ended,
}

impl Task {
    /// Makes the task ready for another turn.
    pub(crate) fn wake(self: &Arc<Self>) {
        let mut status = self.status.lock();
        match &mut *status {
            Status::Idle => {
                *status = Status::Ready;
                drop(status);
                self.lane.push(self.clone());
            }
            Status::Running { is_woken, .. } => *is_woken = true,
            Status::Ready | Status::Ended => {}
        }
    }

    /// Ends the task: there are no more turns. Waits for the end of a turn, unless this is called in it.
    pub(crate) fn end(&self) {
        let mut status = self.status.lock();
        loop {
            match *status {
                Status::Running { by, .. } if by != thread::current().id() => {
                    self.changed.wait(&mut status);
                }
                Status::Running { .. } => {
                    *status = Status::Ended;
                    return;
                }
                _ => break,
            }
        }
        *status = Status::Ended;
        drop(status);
        // It owns what it works on.
        let turn = self.turn.lock().take();
        drop(turn);
    }

    fn take_turn(self: &Arc<Self>) {
        {
            let mut status = self.status.lock();
            if *status != Status::Ready {
                return;
            }
            *status = Status::Running {
                by: thread::current().id(),
                is_woken: false,
            };
        }
        let next = {
            let mut turn = self.turn.lock();
            let next = turn.as_mut().map_or(Next::Wait, |turn| {
                // A panic must not end the thread, which works for other projects too.
                catch_unwind(AssertUnwindSafe(turn)).unwrap_or(Next::Wait)
            });
            if *self.status.lock() == Status::Ended {
                *turn = None;
            }
            next
        };
        let mut status = self.status.lock();
        if let Status::Running { is_woken, .. } = *status {
            let is_ready = is_woken || next == Next::Again;
            *status = if is_ready {
                Status::Ready
            } else {
                Status::Idle
            };
            drop(status);
            self.changed.notify_all();
            match next {
                // This thread takes the next task of the line, so no other one need wake up.
                _ if is_ready => self.lane.line.lock().ready.push_back(self.clone()),
                Next::After(time) => self.lane.push_later(self.clone(), time),
                _ => {}
            }
        }
    }
}

/// The tasks of one kind that are ready, in the order of their next turns.
#[derive(Default)]
struct Lane {
    line: Mutex<Line>,
    changed: Condvar,
}

#[derive(Default)]
struct Line {
    ready: VecDeque<Arc<Task>>,
    /// Tasks that are woken at a time. There are few: those of projects whose disk has failed.
    later: Vec<(Instant, Arc<Task>)>,
    is_ended: bool,
}

/// Whether a thread without a task waits for one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    ForTask,
    #[cfg_attr(not(test), allow(dead_code, reason = "for tests without threads"))]
    Never,
}

impl Lane {
    fn push(&self, task: Arc<Task>) {
        self.line.lock().ready.push_back(task);
        self.changed.notify_one();
    }

    fn push_later(&self, task: Arc<Task>, time: Duration) {
        self.line.lock().later.push((now() + time, task));
        // The time may be earlier than the one that all threads wait for.
        self.changed.notify_one();
    }

    /// Gives the next task its turn. `false`: there is none, or the threads must end.
    fn turn(&self, wait: Wait) -> bool {
        let Some(task) = self.next(wait) else {
            return false;
        };
        task.take_turn();
        true
    }

    fn next(&self, wait: Wait) -> Option<Arc<Task>> {
        let mut line = self.line.lock();
        loop {
            if line.is_ended {
                return None;
            }
            if let Some(task) = line.ready.pop_front() {
                return Some(task);
            }
            let first = line.later.iter().map(|(time, _)| *time).min();
            match first {
                Some(first) if first <= now() || wait == Wait::Never => {
                    let due = line.later.extract_if(.., |(time, _)| *time <= first);
                    let due: Vec<_> = due.map(|(_, task)| task).collect();
                    drop(line);
                    due.iter().for_each(Task::wake);
                    line = self.line.lock();
                }
                None if wait == Wait::Never => return None,
                Some(first) => drop(self.changed.wait_until(&mut line, first)),
                None => self.changed.wait(&mut line),
            }
        }
    }
}

fn threads_for(cores: usize) -> [usize; 2] {
    [2 * cores, cores.div_ceil(2)]
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time until a task is woken; no answer depends on it"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn tasks_take_turns() {
        let workers = Workers::new(0, 0).unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let task = |name: char, turns: usize| {
            let order = order.clone();
            let mut left = turns;
            workers.task(Work::Write, move || {
                order.lock().push(name);
                left -= 1;
                if left > 0 { Next::Again } else { Next::Wait }
            })
        };
        let tasks = [task('a', 4), task('b', 1), task('c', 2)];
        tasks.iter().for_each(Task::wake);
        // Waking a task that is ready gives it no second turn.
        tasks[1].wake();
        assert!(!workers.turn(Work::Maintain));
        while workers.turn(Work::Write) {}
        assert_eq!(order.lock().iter().collect::<String>(), "abcacaa");
    }

    #[test]
    fn a_task_has_one_turn_at_a_time_and_misses_no_call() {
        let workers = Workers::new(4, 0).unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = mpsc::channel();
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (calls, sender) = (calls.clone(), sender.clone());
                let is_busy = AtomicBool::new(false);
                workers.task(Work::Write, move || {
                    assert!(!is_busy.swap(true, Ordering::SeqCst));
                    // Whatever was called for before this line is done in this turn.
                    let done = calls.swap(0, Ordering::SeqCst);
                    assert!(is_busy.swap(false, Ordering::SeqCst));
                    sender.send(done).unwrap();
                    Next::Wait
                })
            })
            .collect();
        let wanted = 3 * 2_000;
        thread::scope(|scope| {
            for task in &tasks {
                let calls = &calls;
                scope.spawn(move || {
                    for _ in 0..2_000 {
                        calls.fetch_add(1, Ordering::SeqCst);
                        task.wake();
                    }
                });
            }
        });
        let mut done = 0;
        while done < wanted {
            done += receiver.recv().unwrap();
        }
        assert_eq!(done, wanted);
    }

    #[test]
    fn a_panic_in_a_turn_ends_neither_the_thread_nor_the_task() {
        let workers = Workers::new(1, 0).unwrap();
        let (sender, receiver) = mpsc::channel();
        let mut turns = 0;
        let task = workers.task(Work::Write, move || {
            turns += 1;
            sender.send(turns).unwrap();
            assert_ne!(turns, 1, "the panic of this test");
            Next::Wait
        });
        task.wake();
        assert_eq!(receiver.recv(), Ok(1));
        task.wake();
        assert_eq!(receiver.recv(), Ok(2));
    }

    #[test]
    fn a_task_can_end_in_its_own_turn_and_with_it_the_threads() {
        let workers = Arc::new(Mutex::new(Some(Workers::new(2, 1).unwrap())));
        let task: Arc<Mutex<Option<Arc<Task>>>> = Arc::default();
        let (sender, receiver) = mpsc::channel::<()>();
        let (its_workers, itself) = (workers.clone(), task.clone());
        let made = workers.lock().as_ref().unwrap().task(Work::Write, move || {
            let _dropped_at_the_end = &sender;
            itself.lock().take().unwrap().end();
            drop(its_workers.lock().take());
            Next::Again
        });
        *task.lock() = Some(made.clone());
        made.wake();
        // The turn is dropped with its sender, so nothing that the task owned is left.
        assert!(receiver.recv().is_err());
        made.wake();
        assert!(workers.lock().is_none());
    }

    #[test]
    fn a_task_is_woken_after_its_time() {
        let workers = Workers::new(1, 0).unwrap();
        let (sender, receiver) = mpsc::channel();
        let mut turns = 0;
        let task = workers.task(Work::Write, move || {
            turns += 1;
            sender.send(turns).unwrap();
            if turns == 3 {
                Next::Wait
            } else {
                Next::After(Duration::from_millis(1))
            }
        });
        task.wake();
        assert_eq!(receiver.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_task_is_not_woken_before_its_time() {
        let workers = Workers::new(1, 0).unwrap();
        let (sender, receiver) = mpsc::channel();
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = turns.clone();
        let late = workers.task(Work::Write, move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Next::After(Duration::from_secs(3_600))
        });
        let other = workers.task(Work::Write, move || {
            sender.send(()).unwrap();
            Next::Wait
        });
        late.wake();
        for _ in 0..100 {
            other.wake();
            receiver.recv().unwrap();
        }
        assert_eq!(turns.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_threads_are_in_proportion_to_the_cores() {
        assert_eq!([1, 3, 8].map(threads_for), [[2, 1], [6, 2], [16, 4]]);
        let cores = thread::available_parallelism().unwrap().get();
        let threads: usize = threads_for(cores).iter().sum();
        let workers = Workers::for_cores().unwrap();
        assert_eq!(
            format!("{workers:?}"),
            format!("Workers {{ threads: {threads}, .. }}")
        );
    }
}
