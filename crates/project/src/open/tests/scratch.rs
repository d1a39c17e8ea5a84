//! A snapshot whose temporary file fails is left for later. The project goes on meanwhile.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use idmerge_store::{Scratch, StoreError};

use super::*;
use crate::open::store::MakeScratch;

/// What a temporary file cannot do.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// It has room for this many bytes.
    Room(usize),
    Rewind,
    Read,
}

/// What is wrong with all temporary files.
type Shared = Arc<Mutex<Option<Wrong>>>;

struct File {
    content: Cursor<Vec<u8>>,
    wrong: Shared,
}

impl File {
    fn check(&self, fails: impl FnOnce(Wrong) -> bool) -> io::Result<()> {
        match *self.wrong.lock() {
            Some(wrong) if fails(wrong) => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.content.get_ref().len() + bytes.len();
        self.check(|wrong| matches!(wrong, Wrong::Room(room) if room < end))?;
        self.content.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.content.flush()
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.check(|wrong| matches!(wrong, Wrong::Rewind))?;
        self.content.seek(to)
    }
}

impl Read for File {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.check(|wrong| matches!(wrong, Wrong::Read))?;
        self.content.read(to)
    }
}

/// A store on a good disk, beside which temporary files fail.
struct Beside {
    open: Box<dyn OpenStore>,
    wrong: Shared,
}

impl OpenStore for Beside {
    fn open(&mut self) -> Result<Durable<idmerge_engines::Engine>, StoreError> {
        self.open.open()
    }

    fn scratch(&self) -> MakeScratch {
        let wrong = self.wrong.clone();
        Arc::new(move || -> Box<dyn Scratch> {
            Box::new(File {
                content: Cursor::default(),
                wrong: wrong.clone(),
            })
        })
    }
}

fn link(number: usize) -> Batch {
    let json = format!(
        r#"{{"event":"A","properties":{{"$device_id":"D{number}","$user_id":"U{number}"}}}}"#
    );
    let mut batch = Batch::new("/import", 1);
    batch.push(&json, Record::event(Some(1), None));
    batch
}

/// A project that makes a snapshot after each claim.
fn open(wrong: &Shared) -> Tested {
    let settings = Settings::of(Model::Simplified);
    let disk = Disk::default();
    let open = Box::new(Beside {
        open: on(&disk, &settings),
        wrong: wrong.clone(),
    });
    let workers = Workers::new(0, 0).unwrap();
    let options = Options {
        snapshot_entries: 1,
        workers: Some(workers.clone()),
        ..Options::default()
    };
    let clock = TestClock::default();
    let project = Project::open_at(open, settings, options, Box::new(clock.clone())).unwrap();
    let reports: Arc<Mutex<Vec<Health>>> = Arc::default();
    let kept = reports.clone();
    project.watch(move |health| kept.lock().push(health.clone()));
    Tested {
        project,
        workers,
        clock,
        disk,
        reports,
    }
}

impl Tested {
    /// Takes a claim, and does all the maintenance that is due.
    fn claim(&mut self, number: usize) {
        self.write(link(number)).unwrap();
        self.maintain();
    }

    fn maintain(&self) {
        self.project.maintenance.wake();
        while self.workers.turn(Work::Maintain) {}
        self.project.check().unwrap();
    }

    fn since_snapshot(&self) -> u64 {
        let state = self.project.inner.state().unwrap();
        let store = state.store.read();
        store.since_snapshot().unwrap()
    }

    fn pass(&self, seconds: u64) {
        *self.clock.0.lock() += Duration::from_secs(seconds);
        self.maintain();
    }
}

#[test]
fn claims_go_on_while_a_snapshot_finds_no_room_and_it_is_made_later() {
    for wrong in [Wrong::Room(0), Wrong::Room(10), Wrong::Rewind, Wrong::Read] {
        let shared = Shared::default();
        let mut tested = open(&shared);
        tested.claim(0);
        assert_eq!(tested.since_snapshot(), 0, "{wrong:?}");

        *shared.lock() = Some(wrong);
        tested.claim(1);
        tested.claim(2);
        tested.pass(59);
        let failures = |tested: &Tested| tested.project.figures().maintenance_failures;
        // It is not copied again for each claim.
        assert_eq!(failures(&tested), 1, "{wrong:?}");
        tested.pass(1);
        assert_eq!(failures(&tested), 2, "{wrong:?}");
        tested.claim(3);
        assert_eq!(tested.since_snapshot(), 3, "{wrong:?}");
        let reports = tested.reports.lock().clone();
        let [Health::MaintenanceFailed { reason }] = &reports[..] else {
            panic!("{wrong:?}: {reports:?}");
        };
        assert!(
            reason.contains("the temporary file for a snapshot"),
            "{reason}"
        );

        *shared.lock() = None;
        tested.pass(59);
        assert_eq!(tested.since_snapshot(), 3, "{wrong:?}");
        tested.pass(1);
        assert_eq!(tested.since_snapshot(), 0, "{wrong:?}");
        // The next failure is another one.
        *shared.lock() = Some(wrong);
        tested.claim(4);
        assert_eq!(failures(&tested), 3, "{wrong:?}");
        assert_eq!(tested.reports.lock().len(), 2, "{wrong:?}");
        assert_eq!(tested.project.figures().recoveries, 0, "{wrong:?}");
        assert_eq!(tested.project.changes(0, 10).unwrap().len(), 5, "{wrong:?}");
    }
}
