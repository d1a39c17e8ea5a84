//! Claims go on while a snapshot is written, however slow the disk is.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::Instant;

use idmerge_core::Resolve;
use idmerge_store::StorageBackend;

use super::*;

/// What a slow sync waits for. It returns `false` if it has waited for too long.
type Wait = Box<dyn Fn() -> bool + Send + Sync>;

/// A disk on which each sync of one thread takes as long as [`Wait`] does.
#[derive(Clone)]
struct Slow {
    disk: Disk,
    thread: Arc<OnceLock<ThreadId>>,
    wait: Arc<OnceLock<Wait>>,
    /// The syncs of the thread, and those that waited in vain.
    syncs: Arc<[AtomicUsize; 2]>,
}

impl std::fmt::Debug for Slow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slow")
    }
}

impl StorageBackend for Slow {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.thread.get() == Some(&thread::current().id()) {
            self.syncs[0].fetch_add(1, Ordering::SeqCst);
            if !self.wait.get().is_none_or(|wait| wait()) {
                self.syncs[1].fetch_add(1, Ordering::SeqCst);
            }
        }
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)
    }
}

/// Links a device with a user. The IDs are long, so that a few thousand are a snapshot of several pieces.
fn link(number: usize) -> String {
    format!(
        r#"{{"event":"A","properties":{{"$device_id":"d{number:0>200}","$user_id":"u{number:0>200}"}}}}"#
    )
}

fn links(numbers: std::ops::Range<usize>) -> Batch {
    let mut batch = Batch::new("/import", 1);
    for number in numbers {
        batch.push(&link(number), Record::event(Some(1), None));
    }
    batch
}

/// How many claims the snapshot has.
const CLAIMS: usize = 8_000;

/// How long a sync waits for a claim. The database itself lets no thread begin to read during some syncs, so one may
/// wait in vain.
const PATIENCE: Duration = Duration::from_secs(3);

impl Slow {
    /// A project without threads of its own, which makes a snapshot after [`CLAIMS`].
    fn open(&self) -> (Project, Workers) {
        let settings = Settings::of(Model::Simplified);
        let open = {
            let (slow, settings) = (self.clone(), settings.clone());
            move || {
                let options = idmerge_store::Options {
                    sharing: Sharing::Nobody,
                    ..idmerge_store::Options::default()
                };
                let settings = settings.clone();
                Durable::open_backend(slow.clone(), move || settings.engine(), options)
            }
        };
        let workers = Workers::new(0, 0).unwrap();
        let options = Options {
            workers: Some(workers.clone()),
            snapshot_entries: CLAIMS as u64,
            ..Options::default()
        };
        let clock = Box::new(TestClock::default());
        let project = Project::open_at(Box::new(open), settings, options, clock).unwrap();
        (project, workers)
    }

    fn syncs(&self) -> usize {
        self.syncs[0].load(Ordering::SeqCst)
    }
}

/// Writes a batch on this thread.
fn write(project: &Project, workers: &Workers, batch: Batch) {
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = answered.clone();
    let answer = move |answer: Result<Answer, ProjectError>| {
        answer.unwrap();
        counted.fetch_add(1, Ordering::SeqCst);
    };
    project.submit(batch, answer).unwrap();
    while answered.load(Ordering::SeqCst) == 0 {
        workers.turn(Work::Write);
    }
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "a test of threads, which must end"
)]
fn claims_are_answered_while_a_slow_disk_writes_a_snapshot() {
    let slow = Slow {
        disk: Disk::default(),
        thread: Arc::default(),
        wait: Arc::default(),
        syncs: Arc::default(),
    };
    let (project, workers) = slow.open();
    write(&project, &workers, links(0..CLAIMS));

    let state = project.inner.state().unwrap();
    let clustered = move || state.store.read().clustered_ids();
    let before = clustered();
    // A sync of the snapshot ends once a claim was applied after the one before it had ended. If no batch was answered
    // since then, the writer waits for the database with its claim.
    let answered = Arc::new(AtomicUsize::new(0));
    let last_seen = Arc::new(Mutex::new((before, None)));
    let (seen, counted) = (last_seen.clone(), answered.clone());
    let wait = move || {
        let mut seen = seen.lock();
        let late = Instant::now() + PATIENCE;
        let is_waiting = || seen.1 == Some(counted.load(Ordering::SeqCst));
        while clustered() == seen.0 && !is_waiting() && Instant::now() < late {
            thread::yield_now();
        }
        let has_waited_enough = clustered() > seen.0 || is_waiting();
        *seen = (clustered(), Some(counted.load(Ordering::SeqCst)));
        has_waited_enough
    };
    assert!(slow.wait.set(Box::new(wait)).is_ok());
    thread::scope(|threads| {
        let maintained = threads.spawn(|| {
            slow.thread.set(thread::current().id()).unwrap();
            project.maintenance.wake();
            assert!(workers.turn(Work::Maintain));
        });
        while !maintained.is_finished() {
            let next = CLAIMS + answered.load(Ordering::SeqCst);
            // The snapshot is of the state before these.
            if slow.syncs() > 0 {
                write(&project, &workers, links(next..next + 1));
                answered.fetch_add(1, Ordering::SeqCst);
            }
        }
        maintained.join().unwrap();
    });
    let (syncs, in_vain) = (slow.syncs(), slow.syncs[1].load(Ordering::SeqCst));
    assert!(in_vain < syncs, "claims were applied during no sync");
    assert!(syncs >= 4, "{syncs}");
    let answered = answered.load(Ordering::SeqCst);
    // Some were answered before the last sync.
    assert!(last_seen.lock().1 > Some(0));
    let state = project.inner.state().unwrap();
    let store = state.store.read();
    assert_eq!(store.clustered_ids(), before + 2 * answered);
    // There is a snapshot of the first claims.
    assert_eq!(store.since_snapshot().unwrap(), answered as u64);
}
