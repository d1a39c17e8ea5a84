//! Small commits in the journal: what is written, who sees it, and when it goes to the database.

use idmerge_core::{Claim, Id, IdentityResolver as _};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::redb::{Database, ReadTransaction, ReadableDatabase as _, TableDefinition};
use idmerge_store::{
    Cause, Durable, Entry, History, Options, Reader, Sharing, StorageBackend, StoreError,
    in_memory, set_long_rows,
};

use crate::support::disk::{Disk, Files};
use crate::support::journal::{self, JOURNAL};
use crate::support::workload::{OwnedClaim, claims};
use crate::support::{Engine, snapshot_of};

const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");

fn options() -> Options {
    Options {
        journal_after: 0,
        sharing: Sharing::Nobody,
        ..Options::default()
    }
}

fn open<E: Engine>(files: &Files) -> Durable<E> {
    files.open(options()).unwrap()
}

/// A store with a journal, in which the last claims are. The last claim is not committed.
fn with_journal<E: Engine>(files: &Files, claims: &[OwnedClaim]) -> Durable<E> {
    let mut store = open::<E>(files);
    let (last, committed) = claims.split_last().unwrap();
    for claim in committed {
        store.apply(claim.as_claim()).unwrap();
        store.commit().unwrap();
    }
    store.apply(last.as_claim()).unwrap();
    store
}

/// The state of an engine with these claims.
fn state<E: Engine>(claims: &[OwnedClaim]) -> Vec<u8> {
    let mut engine = E::empty();
    for claim in claims {
        engine.apply(claim.as_claim()).unwrap();
    }
    snapshot_of(&engine)
}

fn last_of<R: idmerge_core::IdentityResolver>(history: &History<R>) -> u64 {
    let mut last = 0;
    let each = &mut |entry: Entry<'_>| {
        assert_eq!(entry.sequence, last + 1);
        last = entry.sequence;
        Ok(true)
    };
    history.entries(1, each).unwrap();
    assert_eq!(history.last(), last);
    last
}

/// Claims each of which gets an entry.
fn new_claims<E: Engine>(count: usize) -> Vec<OwnedClaim> {
    let claim = |number| OwnedClaim::joining::<E>(&format!("user-{number}"), &format!("D{number}"));
    (0..count).map(claim).collect()
}

#[test]
fn a_small_commit_writes_the_journal_alone_and_syncs_once() {
    let files = Files::on(Disk::default());
    let mut store = open::<Simplified>(&files);
    let claims = new_claims::<Simplified>(100);
    store.apply(claims[0].as_claim()).unwrap();
    // This makes the journal.
    store.commit().unwrap();
    assert_eq!(files.journal.bytes().len(), options().journal_bytes);
    let (before, commits) = (files.store.bytes(), store.synced_commits());
    let syncs = files.store.syncs();
    for claim in &claims[1..] {
        store.apply(claim.as_claim()).unwrap();
        store.commit().unwrap();
    }
    assert_eq!(store.committed(), 100);
    assert_eq!(files.store.syncs() - syncs, 99);
    assert_eq!(store.synced_commits() - commits, 99);
    assert!(files.store.bytes() == before);
    // A process that ends leaves it to the next one, which removes the journal.
    let found = files.after_reboot(|_| 0);
    let again = open::<Simplified>(&found);
    assert_eq!(snapshot_of(&again), state::<Simplified>(&claims));
    assert_eq!(again.committed(), 100);
    assert!(found.journal.bytes().is_empty());
    again.close().unwrap();
    // And without one, there is nothing left to lose.
    let again = Durable::open_backend(found.store, Simplified::empty, options()).unwrap();
    assert_eq!(again.committed(), 100);
}

/// Each question sees what is committed, and nothing else, and is followed by more commits.
fn every_question_sees_what_is_committed<E: Engine>() {
    type Ask<E> = fn(&mut Durable<E>) -> u64;
    let asks: [(&str, Ask<E>); 6] = [
        ("history", |store| last_of(&store.history().unwrap())),
        ("digest", |store| {
            let last = store.committed();
            let history = store.history().unwrap();
            history.digest(last).unwrap();
            last
        }),
        ("backup", |store| {
            let folder = tempfile::tempdir().unwrap();
            let (file, to) = (folder.path().join("backup"), folder.path().join("restored"));
            store.history().unwrap().backup(&file).unwrap();
            idmerge_store::restore(&file, &to).unwrap();
            let restored = Durable::open(&to, E::empty, options()).unwrap();
            restored.committed()
        }),
        ("index", |store| {
            store.index().unwrap();
            last_of(&store.history().unwrap())
        }),
        ("begin_read", |store| {
            let read = store.begin_read().unwrap();
            let log: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
            let rows = read.open_table(log).unwrap();
            let rows = rows.range::<u64>(..).unwrap();
            let counts = rows.map(|row| {
                let (_, row) = row.unwrap();
                let count = row.value()[8..12].try_into().unwrap();
                u64::from(u32::from_le_bytes(count))
            });
            counts.sum()
        }),
        ("reading the service's rows in a commit", |store| {
            let last = store.committed();
            store.commit_with(|_| Ok::<_, StoreError>(())).unwrap();
            assert_eq!(last_of(&store.history().unwrap()), last + 1);
            last
        }),
    ];
    let claims = new_claims::<E>(40);
    for (name, ask) in asks {
        let files = Files::on(Disk::default());
        let mut store = with_journal::<E>(&files, &claims[..20]);
        assert_eq!(ask(&mut store), 19, "{name}");
        // It goes on in the journal.
        for claim in &claims[20..] {
            store.apply(claim.as_claim()).unwrap();
            store.commit().unwrap();
        }
        let store = open::<E>(&files.after_reboot(|_| 0));
        assert_eq!(snapshot_of(&store), state::<E>(&claims), "{name}");
    }
}

#[test]
fn every_question_sees_what_is_committed_in_simplified() {
    every_question_sees_what_is_committed::<Simplified>();
}

#[test]
fn every_question_sees_what_is_committed_in_original() {
    every_question_sees_what_is_committed::<Original>();
}

/// What is not committed does not become durable because something is read or the store is closed.
#[test]
fn uncommitted_claims_stay_uncommitted() {
    let claims = new_claims::<Original>(300);
    let asks: [fn(Durable<Original>) -> Durable<Original>; 4] = [
        |store| {
            drop(store.begin_read().unwrap());
            store
        },
        |store| {
            store.index().unwrap();
            store
        },
        |store| store,
        // The uncommitted claims fill several blocks.
        |mut store| {
            for claim in new_claims::<Original>(3_000) {
                store.apply(claim.as_claim()).unwrap();
            }
            drop(store.begin_read().unwrap());
            store
        },
    ];
    for (number, ask) in asks.into_iter().enumerate() {
        for is_closed in [false, true] {
            let files = Files::on(Disk::default());
            let store = ask(with_journal::<Original>(&files, &claims));
            assert_eq!(store.committed(), 299, "{number}");
            let found = if is_closed {
                store.close().unwrap();
                files
            } else {
                let found = files.after_reboot(|_| 0);
                drop(store);
                found
            };
            let store = open::<Original>(&found);
            assert_eq!(store.committed(), 299, "{number} {is_closed}");
            let wanted = state::<Original>(&claims[..299]);
            assert_eq!(snapshot_of(&store), wanted, "{number} {is_closed}");
        }
    }
}

/// Snapshots, copies and withdrawals between small commits, with random claims and openings.
fn work_between_small_commits<E: Engine>() {
    let claims = claims::<E>(5, 300, 60);
    let mut files = Files::on(Disk::default());
    let mut store = open::<E>(&files);
    for (number, claim) in claims.iter().enumerate() {
        store.apply(claim.as_claim()).unwrap();
        store.commit().unwrap();
        match number % 29 {
            7 => store.snapshot().unwrap(),
            11 => {
                if let Some(copy) = store.copy_state(in_memory()).unwrap() {
                    copy.write(&|| true).unwrap();
                }
            }
            13 => {
                let retraction =
                    store.retract(store.committed(), "ada", "a test", Cause::default());
                match retraction {
                    Ok(done) => {
                        let undo = store.retract(done.sequence, "ada", "undone", Cause::default());
                        undo.unwrap();
                    }
                    Err(StoreError::NotRetractable { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            17 => {
                files = files.after_reboot(|_| 0);
                store = open::<E>(&files);
            }
            19 => {
                store.close().unwrap();
                store = open::<E>(&files);
            }
            _ => {}
        }
        let wanted = state::<E>(&claims[..=number]);
        assert_eq!(snapshot_of(&store), wanted, "{number}");
    }
    let history = store.history().unwrap();
    assert_eq!(last_of(&history), store.committed());
    let last = history.as_of(store.committed()).unwrap();
    assert_eq!(snapshot_of(&last), state::<E>(&claims));
}

#[test]
fn work_between_small_commits_of_simplified() {
    work_between_small_commits::<Simplified>();
}

#[test]
fn work_between_small_commits_of_original() {
    work_between_small_commits::<Original>();
}

fn format_of(read: &ReadTransaction) -> (u8, bool) {
    let about = read.open_table(ABOUT).unwrap();
    let format = about.get("format").unwrap().unwrap().value()[0];
    (format, about.get("journal").unwrap().is_some())
}

/// Versions that do not know the journal refuse a store with one. A closed store has none.
#[test]
fn a_store_with_a_journal_is_of_version_5_until_it_is_closed() {
    let claims = new_claims::<Simplified>(3);
    for (service, version) in [(false, 2), (true, 3)] {
        let files = Files::on(Disk::default());
        let store = with_journal::<Simplified>(&files, &claims);
        if service {
            store.commit_with(set_long_rows).unwrap();
        }
        assert_eq!(format_of(&store.begin_read().unwrap()), (5, true));
        let read = store.begin_read().unwrap();
        assert_eq!(idmerge_store::has_long_rows(&read).unwrap(), service);
        drop(read);
        // So is a copy of it.
        let folder = tempfile::tempdir().unwrap();
        let backup = folder.path().join("backup");
        store.history().unwrap().backup(&backup).unwrap();
        let copy = Database::open(&backup).unwrap();
        let read = copy.begin_read().unwrap();
        assert_eq!(format_of(&read), (version, false));
        store.close().unwrap();
        let store = open::<Simplified>(&files);
        assert_eq!(format_of(&store.begin_read().unwrap()), (version, false));
    }
}

#[test]
fn a_journal_is_a_file_of_its_owner_while_the_store_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let claims = new_claims::<Simplified>(30);
    let apply = |after, bytes| {
        let options = Options {
            journal_after: after,
            journal_bytes: bytes,
            ..options()
        };
        let mut store = Durable::open(path, Simplified::empty, options).unwrap();
        for claim in &claims {
            store.apply(claim.as_claim()).unwrap();
            store.commit().unwrap();
        }
        store
    };
    drop(apply(0, 1 << 20));
    assert_eq!(journal::names(path), ["store.redb"]);
    std::fs::remove_dir_all(path).unwrap();
    let store = apply(29, 1 << 16);
    assert_eq!(journal::names(path), ["store.redb", JOURNAL]);
    let of_journal = std::fs::metadata(path.join(JOURNAL)).unwrap();
    assert_eq!(of_journal.len(), 1 << 16);
    #[cfg(unix)]
    assert_eq!(mode_of(&path.join(JOURNAL)), 0o600);
    idmerge_store::discard(path).unwrap();
    assert_eq!(journal::names(path), [""; 0]);
    // Another process makes a store there before this one has closed it.
    let other = apply(29, 1 << 16);
    drop(store);
    assert_eq!(journal::names(path), ["store.redb", JOURNAL]);
    drop(other);
    std::fs::remove_dir_all(path).unwrap();
    // There is none before it pays, and none that is not wanted.
    for (after, bytes) in [(30, 1 << 20), (0, 0), (0, 4_095)] {
        let store = apply(after, bytes);
        assert_eq!(journal::names(path), ["store.redb"]);
        store.close().unwrap();
        std::fs::remove_dir_all(path).unwrap();
    }
}

#[cfg(unix)]
fn mode_of(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Another user may read the store, if its owner has said so.
#[cfg(unix)]
#[test]
fn a_journal_has_the_mode_of_its_store() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let open = || Durable::open(folder.path(), Simplified::empty, options()).unwrap();
    drop(open());
    let file = folder.path().join("store.redb");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let mut store = open();
    for claim in &new_claims::<Simplified>(2) {
        store.apply(claim.as_claim()).unwrap();
        store.commit().unwrap();
    }
    assert_eq!(mode_of(&folder.path().join(JOURNAL)), 0o640);
}

/// A file that cannot be made longer.
#[derive(Debug)]
struct Full;

impl StorageBackend for Full {
    fn len(&self) -> std::io::Result<u64> {
        Ok(0)
    }
    fn read(&self, _: u64, _: &mut [u8]) -> std::io::Result<()> {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
    fn set_len(&self, _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }
    fn write(&self, _: u64, _: &[u8]) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn without_room_for_a_journal_commits_go_to_the_database() {
    let disk = Disk::default();
    let mut store =
        Durable::open_backends(disk.clone(), Full, Simplified::empty, options()).unwrap();
    let claims = new_claims::<Simplified>(10);
    for claim in &claims {
        store.apply(claim.as_claim()).unwrap();
        store.commit().unwrap();
    }
    let found = disk.after_reboot(|_| 0);
    let store = Durable::open_backend(found, Simplified::empty, options()).unwrap();
    assert_eq!(snapshot_of(&store), state::<Simplified>(&claims));
    assert_eq!(format_of(&store.begin_read().unwrap()), (2, false));
}

/// Commits of all sizes: in one frame, in several blocks, and too large for a frame or for what is left of the journal.
#[test]
fn commits_of_every_size_are_there_after_a_crash() {
    let claims = new_claims::<Original>(9_000);
    let files = Files::on(Disk::default());
    let options = Options {
        journal_bytes: 8 * 4_096,
        ..options()
    };
    let mut store = files.open::<Original>(options).unwrap();
    let mut done = 0;
    for size in (0..).map(|round| [1, 700, 3, 3_000, 1, 1, 400][round % 7]) {
        let until = claims.len().min(done + size);
        for claim in &claims[done..until] {
            store.apply(claim.as_claim()).unwrap();
        }
        store.commit().unwrap();
        done = until;
        let found = open::<Original>(&files.after_reboot(|_| 0));
        assert_eq!(found.committed(), done as u64);
        assert_eq!(snapshot_of(&found), snapshot_of(&store));
        if done == claims.len() {
            break;
        }
    }
}

fn a_reader_sees_what_is_committed<E: Engine>() {
    let folder = tempfile::tempdir().unwrap();
    let claims = new_claims::<E>(700);
    let writing = Options {
        sharing: Sharing::Readers,
        journal_bytes: 64 * 4_096,
        ..options()
    };
    let mut store = Durable::open(folder.path(), E::empty, writing.clone()).unwrap();
    let mut reader = Reader::open(folder.path(), E::empty, &writing).unwrap();
    for (number, claim) in claims.iter().enumerate() {
        store.apply(claim.as_claim()).unwrap();
        // It is not committed.
        assert_eq!(reader.refresh().unwrap(), number as u64);
        store.commit().unwrap();
        if number % 50 == 10 {
            store.snapshot().unwrap();
        }
        let committed = number as u64 + 1;
        assert_eq!(reader.refresh().unwrap(), committed);
        if number % 40 != 0 {
            continue;
        }
        assert!(
            snapshot_of_reader(&reader) == snapshot_of(&store),
            "{number}"
        );
        let another = Reader::open(folder.path(), E::empty, &writing).unwrap();
        assert_eq!(another.last(), committed);
        let history = reader.history().unwrap();
        assert_eq!(last_of(&history), committed);
        let digest = history.digest(committed).unwrap();
        assert_eq!(digest, idmerge_store::Digest::of(&store).unwrap());
        assert_eq!(reader.digest().unwrap(), digest);
        let backup = folder.path().join(format!("backup-{number}"));
        assert_eq!(history.backup(&backup).unwrap(), committed);
        let restored = folder.path().join(format!("restored-{number}"));
        idmerge_store::restore(&backup, &restored).unwrap();
        let restored = Durable::open(&restored, E::empty, options()).unwrap();
        assert_eq!(snapshot_of(&restored), snapshot_of(&store));
    }
    // What was opened before stays as it was.
    let history = reader.history().unwrap();
    store.close().unwrap();
    assert_eq!(last_of(&history), 700);
    assert_eq!(reader.refresh().unwrap(), 700);
}

fn snapshot_of_reader<E: Engine>(reader: &Reader<E>) -> Vec<u8> {
    let history = reader.history().unwrap();
    snapshot_of(&history.as_of(reader.last()).unwrap())
}

#[test]
fn a_reader_of_simplified_sees_what_is_committed() {
    a_reader_sees_what_is_committed::<Simplified>();
}

#[test]
fn a_reader_of_original_sees_what_is_committed() {
    a_reader_sees_what_is_committed::<Original>();
}

/// A reader refreshes all the time while frames are written, and written over after a checkpoint.
#[test]
fn a_reader_never_sees_less_than_what_was_committed_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let writing = Options {
        sharing: Sharing::Readers,
        journal_bytes: 3 * 4_096,
        ..options()
    };
    let mut store = Durable::open(path, Simplified::empty, writing.clone()).unwrap();
    let acknowledged = std::sync::atomic::AtomicU64::new(0);
    let claims = new_claims::<Simplified>(3_000);
    let done = claims.len() as u64;
    std::thread::scope(|threads| {
        let reading = threads.spawn(|| {
            let mut reader = Reader::open(path, Simplified::empty, &writing).unwrap();
            let mut refreshes = 0;
            loop {
                let before = acknowledged.load(std::sync::atomic::Ordering::SeqCst);
                let last = reader.refresh().unwrap();
                assert!(last >= before, "{last} of {before}");
                refreshes += 1;
                if last == done {
                    return refreshes;
                }
            }
        });
        for claim in &claims {
            store.apply(claim.as_claim()).unwrap();
            let committed = store.commit().unwrap();
            acknowledged.store(committed, std::sync::atomic::Ordering::SeqCst);
        }
        assert!(reading.join().unwrap() > 10);
    });
}

/// Other threads read while one commits.
#[test]
fn threads_that_read_see_each_commit() {
    let files = Files::on(Disk::default());
    let mut store = open::<Simplified>(&files);
    for number in 0..300_u64 {
        let texts = [format!("D{number}"), format!("U{number}")];
        let [device, user] = texts.each_ref().map(|text| Id::new(text).unwrap());
        store.apply(Claim::Link { device, user }).unwrap();
        let store = &store;
        std::thread::scope(|threads| {
            let reading = threads.spawn(move || {
                let before = store.committed();
                let last = store.history().unwrap().last();
                assert!(last >= before, "{last} of {before}");
            });
            assert_eq!(store.commit().unwrap(), number + 1);
            assert_eq!(store.history().unwrap().last(), number + 1);
            reading.join().unwrap();
        });
    }
}

/// The next opening tells the service that the log was revised, so a withdrawal goes to the database.
#[test]
fn a_withdrawal_after_small_commits_is_noted_in_the_database() {
    let files = Files::on(Disk::default());
    let mut store = with_journal::<Original>(&files, &new_claims::<Original>(5));
    store.commit().unwrap();
    store.retract(3, "ada", "a test", Cause::default()).unwrap();
    let found = open::<Original>(&files.after_reboot(|_| 0));
    assert!(found.opened().is_revised);
    assert_eq!(found.committed(), 6);
}

#[test]
fn what_is_in_the_journal_is_indexed() {
    let files = Files::on(Disk::default());
    let options = Options {
        unindexed_max: 1,
        ..options()
    };
    let mut store = files.open::<Original>(options).unwrap();
    for claim in new_claims::<Original>(5) {
        store.apply(claim.as_claim()).unwrap();
        store.commit().unwrap();
    }
    store.index().unwrap();
    let named: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("named");
    let read = store.begin_read().unwrap();
    let rows = read.open_table(named).unwrap();
    let rows = rows.range::<u64>(..).unwrap();
    // The last entry of a run comes after the checksum.
    let last = rows.map(|row| row.unwrap().1.value()[8]).max();
    assert_eq!(last, Some(5));
}
