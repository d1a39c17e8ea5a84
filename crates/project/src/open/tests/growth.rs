//! A disk whose file can be changed and read, and that has no room for a longer one; and commits that are
//! there although something after them failed.

use std::io;

use idmerge_store::StorageBackend;

use super::*;

/// A disk with a file of at most this many bytes.
#[derive(Clone, Debug)]
struct Bounded {
    disk: Disk,
    max_bytes: Arc<Mutex<u64>>,
}

impl StorageBackend for Bounded {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > *self.max_bytes.lock() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)
    }
}

/// An event with this many bytes that do not compress.
fn large(bytes: usize) -> Batch {
    let mut state = 7_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + u8::try_from(state % 64).unwrap())
    };
    let text: String = (0..bytes).map(|_| next()).filter(|c| *c != '\\').collect();
    let mut batch = Batch::new("/import", 1);
    let json = format!(r#"{{"event":"A","properties":{{"$user_id":"U","x":"{text}"}}}}"#);
    batch.push(&json, Record::event(Some(1), None));
    batch
}

#[test]
fn a_project_recovers_once_there_is_room_for_twice_what_failed() {
    let settings = Settings::of(Model::Simplified);
    let bounded = Bounded {
        disk: Disk::default(),
        max_bytes: Arc::new(Mutex::new(u64::MAX)),
    };
    let (on, of) = (bounded.clone(), settings.clone());
    let open = move || {
        let settings = of.clone();
        let options = idmerge_store::Options {
            sharing: Sharing::Nobody,
            ..idmerge_store::Options::default()
        };
        Durable::open_backend(on.clone(), move || settings.engine(), options)
    };
    let mut tested = Tested::open_with(Box::new(open), settings, &bounded.disk);
    tested.write(batch(0)).unwrap();
    let now = bounded.disk.len().unwrap();
    *bounded.max_bytes.lock() = 2 * now;
    tested.write(large(4 << 20)).unwrap_err();
    // Small batches would fit, but not the one that failed.
    assert_eq!(tested.run_for(Duration::from_secs(60)), None);
    tested.project.check().unwrap_err();

    *bounded.max_bytes.lock() = u64::MAX;
    tested.run_for(Duration::from_secs(10)).unwrap();
    tested.write(large(4 << 20)).unwrap();
    assert_eq!(tested.shown().0.len(), 2);
    // What was written to see that there is room is gone.
    assert!(bounded.disk.len().unwrap() < now + (24 << 20));
}

#[test]
fn a_batch_that_is_on_the_disk_although_something_failed_has_the_number_of_its_entry() {
    let mut late = 0;
    for fault in FAULTS {
        for operations in 0..24 {
            let mut tested = Tested::open(Model::Original, &Disk::default());
            for number in [0, 1, 2] {
                tested.write(batch(number)).unwrap();
            }
            tested.disk.break_after(0, Fault::OnceStored);
            tested.write(batch(3)).unwrap_err();
            tested.run_for(Duration::from_secs(10)).unwrap();
            // After a recovery, a commit makes the file shorter.
            tested.disk.break_after(operations, fault);
            let Ok(answer) = tested.write(batch(3)) else {
                continue;
            };
            assert_eq!(answer.sequence, 4, "{fault:?} {operations}");
            late += usize::from(tested.project.check().is_err());
        }
    }
    assert!(late > 0, "no commit failed after it was on the disk");
}
