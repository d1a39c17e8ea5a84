//! Backups that are made while the store is used, that lose their end, and that several threads restore
//! at once; and stores that several threads make at once.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::workload::{Numbers, claims};
use crate::support::{Engine, snapshot_of};
use idmerge_core::{Claim, Id, IdentityResolver};
use idmerge_simplified::Simplified;
use idmerge_store::redb::{self, TableDefinition};
use idmerge_store::{Durable, Options, Sharing, StoreError, restore};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(folder: &Path) -> Result<Durable<Simplified>, StoreError> {
    Durable::open(folder, Simplified::empty, Options::default())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A table as a service has it.
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

/// A store of 2,000 claims in `folder/people`, and its backup `folder/saved`. Returns the state.
fn backed_up(folder: &Path) -> Vec<u8> {
    let mut store = open(&folder.join("people")).unwrap();
    for (number, claim) in claims::<Simplified>(7, 2_000, 700).iter().enumerate() {
        store.apply(claim.as_claim()).unwrap();
        if number % 500 == 499 {
            let text = [number.to_le_bytes()[0]; 3_000];
            let write = |write: &redb::WriteTransaction| {
                let mut table = write.open_table(EVENTS).unwrap();
                table.insert(number as u64, &text[..]).unwrap();
                Ok::<_, StoreError>(())
            };
            store.commit_with(write).unwrap();
        }
    }
    store.snapshot().unwrap();
    store
        .history()
        .unwrap()
        .backup(folder.join("saved"))
        .unwrap();
    snapshot_of(&store)
}

#[test]
fn a_backup_without_its_end_is_refused() {
    let folder = folder();
    backed_up(folder.path());
    let whole = fs::read(folder.path().join("saved")).unwrap();
    let part = folder.path().join("part");
    let restored = folder.path().join("restored");
    let mut numbers = Numbers::new(1);
    let pages = (0..whole.len()).step_by(4096);
    let anywhere = (0..100).map(|_| numbers.place(whole.len()));
    for length in pages.chain(anywhere).chain([1, whole.len() - 1]) {
        fs::write(&part, &whole[..length]).unwrap();
        let error = restore(&part, &restored).expect_err(&format!("{length} bytes"));
        assert!(
            matches!(
                error,
                StoreError::BrokenBackup { .. } | StoreError::NotAStore
            ),
            "{length} bytes: {error:?}"
        );
        assert!(!restored.exists(), "{length} bytes");
    }
}

#[test]
fn a_backup_with_a_changed_byte_is_refused_or_makes_no_difference() {
    let folder = folder();
    let state = backed_up(folder.path());
    let whole = fs::read(folder.path().join("saved")).unwrap();
    let (part, restored) = (folder.path().join("part"), folder.path().join("restored"));
    let mut numbers = Numbers::new(2);
    let mut refused = 0;
    for _ in 0..100 {
        let mut changed = whole.clone();
        let place = numbers.place(whole.len());
        changed[place] ^= 1 << numbers.below(8);
        fs::write(&part, changed).unwrap();
        match restore(&part, &restored) {
            Err(_) => {
                refused += 1;
                assert!(!restored.exists(), "byte {place}");
            }
            Ok(()) => {
                let store = open(&restored).unwrap();
                assert!(snapshot_of(&store) == state, "byte {place}");
                drop(store);
                fs::remove_dir_all(&restored).unwrap();
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn a_backup_that_is_still_being_made_is_refused() {
    // The mark of a backup is in its first commit; a kill before the last one leaves it unfinished.
    let folder = folder();
    let store = open(&folder.path().join("people")).unwrap();
    let saved = folder.path().join("saved");
    store.history().unwrap().backup(&saved).unwrap();
    let database = redb::Database::open(&saved).unwrap();
    let write = database.begin_write().unwrap();
    let about: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
    let mut table = write.open_table(about).unwrap();
    table.insert("backup", &b"unfinished"[..]).unwrap();
    drop(table);
    write.commit().unwrap();
    drop(database);
    let error = restore(&saved, folder.path().join("restored")).unwrap_err();
    assert!(matches!(error, StoreError::BrokenBackup { .. }), "{error}");
}

/// Ends the other thread, also if this one panics.
struct Done<'d>(&'d AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_backup_is_of_one_moment_while_another_thread_commits() {
    let folder = folder();
    let mut store = open(&folder.path().join("people")).unwrap();
    let is_done = AtomicBool::new(false);
    // Commits do not need the store alone, but claims do: take the place of the lock of a service.
    let shared = std::sync::RwLock::new(&mut store);
    thread::scope(|scope| {
        let _done = Done(&is_done);
        scope.spawn(|| {
            for number in 1..100_000_u64 {
                if is_done.load(Ordering::SeqCst) {
                    break;
                }
                let device = format!("D{number}");
                let [device, user] = [&*device, "U"].map(|text| Id::new(text).unwrap());
                shared
                    .write()
                    .unwrap()
                    .apply(Claim::Link { device, user })
                    .unwrap();
                let write = |write: &redb::WriteTransaction| {
                    let mut table = write.open_table(EVENTS).unwrap();
                    table.insert(number, &b"event"[..]).unwrap();
                    Ok::<_, StoreError>(())
                };
                shared.read().unwrap().commit_with(write).unwrap();
            }
        });
        for round in 0..15 {
            let saved = folder.path().join(format!("saved {round}"));
            let history = shared.read().unwrap().history().unwrap();
            let last = history.backup(&saved).unwrap();
            let restored = folder.path().join(format!("restored {round}"));
            restore(&saved, &restored).unwrap();
            let copy = open(&restored).unwrap();
            assert_eq!(copy.committed(), last, "round {round}");
            let read = copy.begin_read().unwrap();
            let events = read
                .open_table(EVENTS)
                .map(|table| redb::ReadableTableMetadata::len(&table).unwrap());
            assert_eq!(events.unwrap_or(0), last, "round {round}");
        }
    });
}

#[test]
fn of_threads_that_make_a_store_at_once_one_has_it_and_the_others_are_told() {
    for sharing in [Sharing::Readers, Sharing::Nobody] {
        for round in 0..25 {
            let folder = folder();
            let people = folder.path().join("people");
            let barrier = Barrier::new(4);
            let make = || {
                let options = Options {
                    sharing,
                    ..Options::default()
                };
                barrier.wait();
                let opened = Durable::open(&people, Simplified::empty, options);
                // Keep the store open until all have tried.
                barrier.wait();
                opened.map(|mut store| {
                    let [device, user] = ["D", "U"].map(|text| Id::new(text).unwrap());
                    store.apply(Claim::Link { device, user }).unwrap();
                    store.commit().unwrap();
                })
            };
            let results: Vec<_> = thread::scope(|scope| {
                let threads = [(); 4].map(|()| scope.spawn(make));
                threads.map(|thread| thread.join().unwrap()).into()
            });
            let winners = results.iter().filter(|result| result.is_ok()).count();
            assert_eq!(winners, 1, "round {round}: {results:?}");
            for result in results {
                assert!(
                    matches!(result, Ok(()) | Err(StoreError::InUse)),
                    "{result:?}"
                );
            }
            assert_eq!(names(&people), ["store.redb"]);
            assert_eq!(open(&people).unwrap().committed(), 1);
        }
    }
}

#[test]
fn of_threads_that_restore_at_once_one_does_and_the_others_are_told() {
    let folder = folder();
    let state = backed_up(folder.path());
    for round in 0..20 {
        let restored = folder.path().join(format!("restored {round}"));
        let barrier = Barrier::new(4);
        let restore = || {
            barrier.wait();
            restore(folder.path().join("saved"), &restored)
        };
        let results: Vec<_> = thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(restore));
            threads.map(|thread| thread.join().unwrap()).into()
        });
        let winners = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(winners, 1, "round {round}: {results:?}");
        for result in &results {
            assert!(
                matches!(
                    result,
                    Ok(()) | Err(StoreError::InUse | StoreError::Exists { .. })
                ),
                "{results:?}"
            );
        }
        assert_eq!(names(&restored), ["store.redb"]);
        assert!(snapshot_of(&open(&restored).unwrap()) == state);
    }
}

#[test]
fn of_threads_that_back_up_to_one_file_one_does_and_the_others_are_told() {
    let folder = folder();
    let state = backed_up(folder.path());
    let store = open(&folder.path().join("people")).unwrap();
    for round in 0..10 {
        let barrier = Barrier::new(3);
        let to = folder.path().join(format!("again {round}"));
        let results: Vec<_> = thread::scope(|scope| {
            let threads = [(); 3].map(|()| {
                scope.spawn(|| {
                    barrier.wait();
                    store.history().unwrap().backup(&to)
                })
            });
            threads.map(|thread| thread.join().unwrap()).into()
        });
        let winners = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(winners, 1, "round {round}: {results:?}");
        let restored = folder.path().join(format!("restored {round}"));
        restore(&to, &restored).unwrap();
        assert!(snapshot_of(&open(&restored).unwrap()) == state);
    }
    let left = names(folder.path());
    assert!(
        !left.iter().any(|name| name.contains("unfinished")),
        "{left:?}"
    );
}

#[test]
fn a_folder_with_something_else_in_it_is_not_restored_into() {
    let folder = folder();
    backed_up(folder.path());
    let saved = folder.path().join("saved");
    // The folder of all data of a server, instead of that of a project.
    let data = folder.path().join("data");
    fs::create_dir_all(data.join("shop")).unwrap();
    let error = restore(&saved, &data).unwrap_err();
    assert!(matches!(error, StoreError::NotEmpty { .. }), "{error}");
    assert_eq!(names(&data), ["shop"]);
    // What a damaged store left is no obstacle.
    let shop = data.join("shop");
    for name in ["store.redb.damaged", "store.redb.unfinished", "backup.sock"] {
        fs::write(shop.join(name), "left").unwrap();
    }
    restore(&saved, &shop).unwrap();
    assert_eq!(
        names(&shop),
        ["backup.sock", "store.redb", "store.redb.damaged"]
    );
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_a_store_or_a_backup() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder();
    backed_up(folder.path());
    let at = |name: &str| folder.path().join(name);
    restore(at("saved"), at("restored")).unwrap();
    for (name, mode) in [
        ("people", 0o700),
        ("people/store.redb", 0o600),
        ("saved", 0o600),
        ("restored", 0o700),
        ("restored/store.redb", 0o600),
    ] {
        let found = fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}: {found:o}");
    }
}
