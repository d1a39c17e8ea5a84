//! A snapshot that is written while claims go on, beside other snapshots and after one that was abandoned.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use idmerge_core::{Claim, Id, IdentityResolver};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::redb::{ReadableTable, TableDefinition};
use idmerge_store::{Durable, Options, Scratch, StateCopy, in_memory};

use crate::support::disk::Disk;
use crate::support::{Engine, snapshot_of};

/// A snapshot of so many claims has seven pieces.
const CLAIMS: usize = 8_000;

fn open(disk: &Disk) -> Durable<Simplified> {
    Durable::open_backend(disk.clone(), Simplified::empty, Options::default()).unwrap()
}

fn link(store: &mut Durable<Simplified>, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let [device, user] = ["d", "u"].map(|kind| format!("{kind}{number:0>200}"));
        let [device, user] = [&device, &user].map(|id| Id::new(id).unwrap());
        store.apply(Claim::Link { device, user }).unwrap();
    }
    store.commit().unwrap();
}

fn copy(store: &Durable<Simplified>) -> StateCopy<Simplified> {
    store.copy_state(in_memory()).unwrap().unwrap()
}

/// Begins to write a snapshot.
fn leave_off(copy: StateCopy<Simplified>) {
    let calls = Cell::new(0);
    let is_written = copy.write(&|| calls.replace(calls.get() + 1) < 3).unwrap();
    assert!(!is_written);
}

/// How many pieces there are after each entry.
fn pieces(store: &Durable<Simplified>) -> BTreeMap<u64, usize> {
    const PIECES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("pieces");
    let read = store.begin_read().unwrap();
    let mut pieces = BTreeMap::new();
    for piece in read.open_table(PIECES).unwrap().iter().unwrap() {
        let (sequence, _) = piece.unwrap().0.value();
        *pieces.entry(sequence).or_default() += 1;
    }
    pieces
}

/// A store with [`CLAIMS`] claims.
fn store_on(disk: &Disk) -> Durable<Simplified> {
    let mut store = open(disk);
    link(&mut store, 0..CLAIMS);
    store
}

#[test]
fn the_next_snapshot_removes_the_pieces_of_one_that_was_left_off() {
    let disk = Disk::default();
    let mut store = store_on(&disk);
    leave_off(copy(&store));
    let claims = CLAIMS as u64;
    assert!(pieces(&store)[&claims] >= 4);
    link(&mut store, CLAIMS..CLAIMS + 1);
    assert!(copy(&store).write(&|| true).unwrap());
    assert_eq!(pieces(&store).into_keys().collect::<Vec<_>>(), [claims + 1]);
    store.close().unwrap();
    let store = open(&disk);
    assert_eq!(store.opened().snapshot, claims + 1);
}

#[test]
fn the_removal_of_pieces_ends_too_when_it_is_no_longer_wanted() {
    let disk = Disk::default();
    let mut store = store_on(&disk);
    leave_off(copy(&store));
    link(&mut store, CLAIMS..CLAIMS + 1);
    let before = pieces(&store)[&(CLAIMS as u64)];
    assert!(!copy(&store).write(&|| false).unwrap());
    assert_eq!(pieces(&store)[&(CLAIMS as u64)], before);
}

#[test]
fn a_crash_between_two_transactions_of_a_snapshot_does_no_harm() {
    let disk = Disk::default();
    let mut store = store_on(&disk);
    leave_off(copy(&store));
    link(&mut store, CLAIMS..CLAIMS + 1);
    let state = snapshot_of(&store);
    let after_crash = RefCell::new(Vec::new());
    let is_written = copy(&store).write(&|| {
        after_crash.borrow_mut().push(disk.after_reboot(|_| 0));
        true
    });
    assert!(is_written.unwrap());
    let after_crash = after_crash.into_inner();
    assert!(after_crash.len() >= 8, "{}", after_crash.len());
    for disk in after_crash {
        let store = open(&disk);
        assert!(store.opened().damaged.is_empty());
        assert!(snapshot_of(&store) == state);
        let sequence = CLAIMS as u64 + 1;
        // The crash may have been after the transaction that makes the snapshot.
        if let Some(copy) = store.copy_state(in_memory()).unwrap() {
            assert!(copy.write(&|| true).unwrap());
            assert_eq!(pieces(&store).into_keys().collect::<Vec<_>>(), [sequence]);
        }
        store.close().unwrap();
        let store = open(&disk);
        assert_eq!(
            (store.opened().snapshot, store.opened().applied),
            (sequence, 0)
        );
        assert!(snapshot_of(&store) == state);
    }
}

#[test]
fn two_snapshots_at_once_are_both_whole() {
    let disk = Disk::default();
    let mut store = store_on(&disk);
    let first = copy(&store);
    link(&mut store, CLAIMS..CLAIMS + 1);
    let second = copy(&store);
    thread::scope(|threads| {
        let second = Cell::new(Some(second));
        let calls = Cell::new(0);
        let is_written = first.write(&|| {
            calls.set(calls.get() + 1);
            // Some pieces of the first one are written.
            if calls.get() == 4
                && let Some(second) = second.take()
            {
                let second = threads.spawn(move || second.write(&|| true).unwrap());
                for _ in 0..10_000 {
                    if second.is_finished() {
                        break;
                    }
                    thread::yield_now();
                }
            }
            true
        });
        assert!(is_written.unwrap());
    });
    store.close().unwrap();
    let store = open(&disk);
    let opened = store.opened();
    assert!(opened.damaged.is_empty(), "{opened:?}");
    assert_eq!(opened.snapshot, CLAIMS as u64 + 1);
    let kept: Vec<usize> = pieces(&store).into_values().collect();
    assert!(kept.iter().all(|count| *count == kept[0]), "{kept:?}");
}

/// Memory that counts how often it is written.
struct Counted {
    bytes: Cursor<Vec<u8>>,
    writes: Arc<AtomicUsize>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_state_is_copied_in_large_parts() {
    let disk = Disk::default();
    let mut store = Durable::open_backend(disk, Original::empty, Options::default()).unwrap();
    for number in 0..CLAIMS {
        let [first, second] = ["A", "B"].map(|kind| format!("{kind}{number}"));
        let [first, second] = [&first, &second].map(|id| Id::new(id).unwrap());
        store.apply(Claim::Merge { first, second }).unwrap();
    }
    store.commit().unwrap();
    let writes = Arc::new(AtomicUsize::new(0));
    let scratch: Box<dyn Scratch> = Box::new(Counted {
        bytes: Cursor::default(),
        writes: writes.clone(),
    });
    let copy = store.copy_state(scratch).unwrap().unwrap();
    let writes = writes.load(Ordering::Relaxed);
    assert!(writes < CLAIMS / 100, "{writes}");
    assert!(copy.write(&|| true).unwrap());
}
