//! A sync fails once, and the store is opened again in the same process.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use idmerge_core::{Claim, Id, IdentityResolver as _};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Durable, LastSync, Options, Sharing, StorageBackend};

use crate::support::Engine;
use crate::support::disk::Disk;

/// A disk whose next syncs can be told to fail, and then making its file shorter fails too. As on Linux, what a failed
/// sync was to write is seen by whoever reads.
#[derive(Clone, Debug, Default)]
struct Failing {
    disk: Disk,
    /// How many of them fail.
    failures: Arc<AtomicUsize>,
    /// How many syncs fail from the next one on that comes after the file was made longer.
    failures_to_grow: Arc<AtomicUsize>,
    /// The lengths that the file was given.
    lengths: Arc<Mutex<Vec<u64>>>,
    /// Whether writes fail after the first sync that fails, and whether they do so now.
    breaks: Arc<AtomicBool>,
    is_broken: Arc<AtomicBool>,
}

impl Failing {
    /// Fails if it is told to, once less.
    fn fail(&self) -> io::Result<()> {
        let fewer = |failures: usize| failures.checked_sub(1);
        let failures = &self.failures;
        match failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer) {
            Ok(_) => Err(io::Error::other("the disk failed")),
            Err(_) => Ok(()),
        }
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let before = self.disk.len()?;
        let grows = len > before;
        if len < before {
            self.fail()?;
        }
        self.disk.set_len(len)?;
        self.lengths.lock().unwrap().push(len);
        if grows {
            let failures = self.failures_to_grow.swap(0, Ordering::SeqCst);
            self.failures.fetch_add(failures, Ordering::SeqCst);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if let Err(error) = self.fail() {
            let breaks = self.breaks.load(Ordering::SeqCst);
            self.is_broken.fetch_or(breaks, Ordering::SeqCst);
            return Err(error);
        }
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk cannot write"));
        }
        self.disk.write(offset, data)
    }
}

fn open<E: Engine>(disk: impl StorageBackend, last_sync: &LastSync) -> Durable<E> {
    let options = Options {
        sharing: Sharing::Nobody,
        last_sync: last_sync.clone(),
        ..Options::default()
    };
    Durable::open_backend(disk, E::empty, options).unwrap()
}

/// Applies two claims. Each engine weighs one of them and logs both.
fn apply<E: Engine>(store: &mut Durable<E>, number: u32) {
    let texts = [format!("D{number}"), format!("U{number}")];
    let [device, user] = texts.each_ref().map(|text| Id::new(text).unwrap());
    store.apply(Claim::Link { device, user }).unwrap();
    let (first, second) = (device, user);
    store.apply(Claim::Merge { first, second }).unwrap();
}

/// A store with two committed entries, and two more whose sync failed. So many syncs fail in a row.
fn after_failed_syncs<E: Engine>(failures: usize) -> (Failing, LastSync) {
    let (disk, last_sync) = (Failing::default(), LastSync::default());
    let mut store = open::<E>(disk.clone(), &last_sync);
    apply(&mut store, 1);
    assert_eq!(store.commit().unwrap(), 2);
    apply(&mut store, 2);
    disk.failures.store(failures, Ordering::SeqCst);
    store.commit().unwrap_err();
    drop(store);
    assert_eq!(disk.failures.load(Ordering::SeqCst), 0);
    (disk, last_sync)
}

fn a_commit_whose_sync_failed_is_not_there<E: Engine>() {
    // Its head was put back at once, so another process does not see it either.
    let (disk, last_sync) = after_failed_syncs::<E>(1);
    let mut other = open::<E>(disk.clone(), &LastSync::default());
    assert_eq!(other.committed(), 2);
    apply(&mut other, 3);
    apply(&mut other, 4);
    assert_eq!(other.commit().unwrap(), 6);
    other.close().unwrap();
    // What another process has committed meanwhile stays.
    assert_eq!(open::<E>(disk, &last_sync).committed(), 6);

    // If that sync failed too, another process believes what it reads, as after a crash.
    let (disk, last_sync) = after_failed_syncs::<E>(2);
    let mut store = open::<E>(disk.clone(), &last_sync);
    assert_eq!(store.committed(), 2);
    apply(&mut store, 3);
    apply(&mut store, 4);
    assert_eq!(store.commit().unwrap(), 6);
    let after = disk.disk.after_reboot(|_| 0);
    assert_eq!(open::<E>(after, &LastSync::default()).committed(), 6);
}

/// A process that ends after a sync that failed leaves a file that the next one can build on, although some of what
/// it reads there is not on the disk.
#[test]
fn a_process_that_ends_after_a_failed_sync_leaves_what_is_on_the_disk() {
    let (disk, _) = after_failed_syncs::<Original>(1);
    // The head is on the disk again, and nothing of the commit.
    let rebooted = disk.disk.after_reboot(|_| 0);
    assert_eq!(
        open::<Original>(rebooted, &LastSync::default()).committed(),
        2
    );
}

#[test]
fn a_commit_whose_sync_failed_is_not_there_in_simplified() {
    a_commit_whose_sync_failed_is_not_there::<Simplified>();
}

#[test]
fn a_commit_whose_sync_failed_is_not_there_in_original() {
    a_commit_whose_sync_failed_is_not_there::<Original>();
}

/// A store whose file grew in a commit whose sync failed, and the length of the file before. This many calls fail in
/// a row.
fn after_failed_growth(failures: usize) -> (Failing, LastSync, u64) {
    let (disk, last_sync) = (Failing::default(), LastSync::default());
    let mut store = open::<Original>(disk.clone(), &last_sync);
    apply(&mut store, 1);
    assert_eq!(store.commit().unwrap(), 2);
    let bytes = disk.len().unwrap();
    disk.failures_to_grow.store(failures, Ordering::SeqCst);
    let mut number = 1;
    loop {
        number += 1;
        assert!(number < 1_000, "the file does not grow");
        for number in number * 1_000..(number + 1) * 1_000 {
            apply(&mut store, number);
        }
        if store.commit().is_err() {
            break;
        }
    }
    drop(store);
    (disk, last_sync, bytes)
}

/// What was added to a file may not be on the disk if its sync failed, and the next sync does not write it.
#[test]
fn a_file_that_could_not_grow_has_its_length_of_before() {
    // The file cannot be made shorter at once, so that is done at the next opening.
    let (disk, last_sync, bytes) = after_failed_growth(2);
    assert!(disk.len().unwrap() > bytes);
    disk.lengths.lock().unwrap().clear();
    let store = open::<Original>(disk.clone(), &last_sync);
    assert!(store.committed() >= 2);
    assert_eq!(disk.lengths.lock().unwrap().first(), Some(&bytes));
}

/// Another process would write the longer length into the head, and after a crash the file could not be opened.
#[test]
fn a_file_that_could_not_grow_has_its_length_of_before_in_another_process() {
    let (disk, _, bytes) = after_failed_growth(1);
    assert!(disk.lengths.lock().unwrap().iter().any(|it| *it > bytes));
    assert_eq!(disk.len().unwrap(), bytes);
    let other = open::<Original>(disk, &LastSync::default());
    assert!(other.committed() >= 2);
    other.history().unwrap().digest(other.committed()).unwrap();
}

#[test]
fn a_file_that_another_process_made_longer_keeps_its_length() {
    let (disk, last_sync) = after_failed_syncs::<Original>(1);
    let bytes = disk.len().unwrap();
    let mut other = open::<Original>(disk.clone(), &LastSync::default());
    let mut number = 0;
    while disk.len().unwrap() <= bytes {
        assert!(number < 1_000_000, "the file does not grow");
        for _ in 0..1_000 {
            number += 1;
            apply(&mut other, 10 + number);
        }
        other.commit().unwrap();
    }
    let committed = other.committed();
    drop(other);
    assert!(disk.len().unwrap() > bytes);
    let store = open::<Original>(disk, &last_sync);
    assert_eq!(store.committed(), committed);
    store.history().unwrap().digest(committed).unwrap();
}

/// The two files of a store. Syncs of the journal can be told to fail.
#[derive(Clone, Debug, Default)]
struct WithJournal {
    store: Failing,
    journal: Failing,
}

impl WithJournal {
    fn open(&self, last_sync: &LastSync) -> Durable<Simplified> {
        let options = Options {
            sharing: Sharing::Nobody,
            journal_after: 0,
            last_sync: last_sync.clone(),
            ..Options::default()
        };
        let (store, journal) = (self.store.clone(), self.journal.clone());
        Durable::open_backends(store, journal, Simplified::empty, options).unwrap()
    }

    /// The files as a reboot finds them that lost what was not synced.
    fn after_reboot(&self) -> Self {
        let of = |disk: &Failing| Failing {
            disk: disk.disk.after_reboot(|_| 0),
            ..Failing::default()
        };
        Self {
            store: of(&self.store),
            journal: of(&self.journal),
        }
    }

    /// A store with four entries, the last two in the journal, and two more whose sync failed. So many syncs of the
    /// journal fail in a row, and nobody can write it any more if it `breaks`.
    fn after_failed_frames(
        failures: usize,
        breaks: bool,
        last_sync: &LastSync,
    ) -> (Self, Durable<Simplified>) {
        let files = Self::default();
        let mut store = files.open(last_sync);
        for (number, entries) in [(1, 2), (2, 4)] {
            apply(&mut store, number);
            assert_eq!(store.commit().unwrap(), entries);
        }
        apply(&mut store, 3);
        let commits = store.synced_commits();
        files.journal.failures.store(failures, Ordering::SeqCst);
        files.journal.breaks.store(breaks, Ordering::SeqCst);
        store.commit().unwrap_err();
        assert_eq!(files.journal.failures.load(Ordering::SeqCst), 0);
        // The commit is not on the disk.
        assert_eq!(store.synced_commits(), commits);
        assert_eq!(store.committed(), 4);
        (files, store)
    }
}

#[test]
fn a_frame_whose_sync_failed_is_not_there() {
    // It is taken back at once, or that fails too, and the next opening in this process knows of it.
    for (failures, breaks) in [(1, false), (2, false), (1, true)] {
        for store_fails in [false, true] {
            let last_sync = LastSync::default();
            let (files, store) = WithJournal::after_failed_frames(failures, breaks, &last_sync);
            if store_fails {
                // The journal cannot be written into the database either.
                files.store.failures.store(100, Ordering::SeqCst);
            }
            drop(store);
            files.store.failures.store(0, Ordering::SeqCst);
            files.journal.is_broken.store(false, Ordering::SeqCst);
            let mut store = files.open(&last_sync);
            let what = format!("{failures} {breaks} {store_fails}");
            assert_eq!(store.committed(), 4, "{what}");
            // Other claims come in its place.
            for number in 4..7 {
                apply(&mut store, number);
                store.commit().unwrap();
            }
            let after = files.after_reboot();
            assert_eq!(after.open(&LastSync::default()).committed(), 10);
        }
        // Another process does not see a frame that was taken back.
        let (files, store) =
            WithJournal::after_failed_frames(failures, breaks, &LastSync::default());
        files.store.failures.store(100, Ordering::SeqCst);
        drop(store);
        files.store.failures.store(0, Ordering::SeqCst);
        if !breaks {
            assert_eq!(files.open(&LastSync::default()).committed(), 4);
        }
    }
}

#[test]
fn a_commit_whose_sync_failed_can_be_tried_again() {
    for (failures, breaks) in [(1, false), (2, false), (1, true)] {
        let (files, mut store) =
            WithJournal::after_failed_frames(failures, breaks, &LastSync::default());
        assert_eq!(store.commit().unwrap(), 6);
        let after = files.after_reboot();
        assert_eq!(after.open(&LastSync::default()).committed(), 6);
        // A disk whose sync has failed once gets no journal again in this opening.
        apply(&mut store, 4);
        assert_eq!(store.commit().unwrap(), 8);
        assert_eq!(files.journal.disk.len().unwrap(), 0);
        let after = files.after_reboot();
        assert_eq!(after.open(&LastSync::default()).committed(), 8);
    }
}

/// The head of the database may have the new epoch or not, so nothing is written to the journal any more.
#[test]
fn nothing_goes_to_the_journal_after_a_checkpoint_that_failed() {
    let files = WithJournal::default();
    let last_sync = LastSync::default();
    let mut store = files.open(&last_sync);
    for number in 1..3 {
        apply(&mut store, number);
        store.commit().unwrap();
    }
    files.store.failures.store(2, Ordering::SeqCst);
    store.begin_read().unwrap_err();
    let journal = files.journal.disk.bytes();
    apply(&mut store, 3);
    store.commit().unwrap_err();
    assert!(files.journal.disk.bytes() == journal);
    drop(store);
    files.store.failures.store(0, Ordering::SeqCst);
    let store = files.open(&last_sync);
    assert_eq!(store.committed(), 4);
}
