//! The files that backups leave: half a copy, the mark of a backup, and a file that is named without a
//! folder.
//!
//! A program of its own, because it starts itself again by the names of its tests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "stores and backups are files"
)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use idmerge_core::{Claim, Id, IdentityResolver as _};
use idmerge_simplified::Simplified;
use idmerge_store::redb::{Database, ReadableDatabase as _, TableDefinition, WriteTransaction};
use idmerge_store::{Durable, Options, StoreError, check_room, restore};

use support::Engine;
use support::disk::Disk;

/// The tables of a store and of a service, as in docs/store.md.
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

/// Applies and commits a claim, and writes events.
fn fill(store: &mut Durable<Simplified>) {
    let [device, user] = ["D", "U"].map(|text| Id::new(text).unwrap());
    store.apply(Claim::Link { device, user }).unwrap();
    let write = |write: &WriteTransaction| {
        let mut events = write.open_table(EVENTS).unwrap();
        for number in 0..20_u64 {
            let mut event = format!("event number {number:03}").into_bytes();
            event.resize(20_000, b'.');
            events.insert(number, &*event).unwrap();
        }
        Ok::<_, StoreError>(())
    };
    store.commit_with(write).unwrap();
}

fn new_store(folder: &Path) -> Durable<Simplified> {
    let mut store = Durable::open(folder, Simplified::empty, Options::default()).unwrap();
    fill(&mut store);
    store
}

/// What the store says about its file under the name of the mark of backups.
fn mark(file: &Path) -> Option<Vec<u8>> {
    let database = Database::open(file).unwrap();
    let about = database.begin_read().unwrap().open_table(ABOUT).unwrap();
    let mark = about.get("backup").unwrap();
    mark.map(|mark| mark.value().to_vec())
}

#[test]
fn half_a_copy_is_refused() {
    let disk = Disk::default();
    let options = Options {
        cache_bytes: 0,
        ..Options::default()
    };
    let mut store = Durable::open_backend(disk.clone(), Simplified::empty, options).unwrap();
    fill(&mut store);
    let folder = tempfile::tempdir().unwrap();
    let (half, restored) = (folder.path().join("half"), folder.path().join("restored"));
    let file = fs::File::options();
    let file = file.clone().read(true).write(true).create_new(true).clone();
    disk.cannot_read(b"event number 007");
    let copied = store
        .history()
        .unwrap()
        .backup_into(file.open(&half).unwrap());
    assert!(matches!(copied, Err(StoreError::Io(_))), "{copied:?}");
    // The log is there, and some events.
    assert!(fs::metadata(&half).unwrap().len() > 0);
    let error = restore(&half, &restored).unwrap_err();
    assert!(matches!(error, StoreError::BrokenBackup { .. }), "{error}");
    assert!(!restored.exists());
    // A folder that was there stays.
    fs::create_dir(&restored).unwrap();
    restore(&half, &restored).unwrap_err();
    assert!(restored.exists());
}

#[test]
fn the_mark_of_a_backup_is_in_the_backup_and_not_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let store = new_store(&at("people"));
    store.history().unwrap().backup(at("saved")).unwrap();
    store.close().unwrap();
    restore(at("saved"), at("restored")).unwrap();
    assert_eq!(mark(&at("people/store.redb")), None);
    assert_eq!(mark(&at("saved")), Some(b"whole".to_vec()));
    assert_eq!(mark(&at("restored/store.redb")), None);
}

/// Runs the test of this name again in another process, which has this folder as its working directory and
/// may write files of at most this many kibibytes. `None` in that process.
#[cfg(unix)]
fn in_a_process(test: &str, folder: &Path, max_file_kib: u32) -> Option<bool> {
    const IS_CHILD: &str = "IDMERGE_TEST_IS_CHILD";
    if std::env::var_os(IS_CHILD).is_some() {
        return None;
    }
    // A write beyond the limit is an error instead of a signal.
    let limited = format!(r#"trap '' XFSZ; ulimit -f {max_file_kib}; exec "$0" "$@""#);
    let ended = Command::new("bash")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(IS_CHILD, "yes")
        .current_dir(folder)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&ended.stdout);
    assert!(output.contains("1 passed"), "{output}");
    Some(ended.status.success())
}

#[cfg(unix)]
#[test]
fn a_backup_can_be_named_without_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let test = "a_backup_can_be_named_without_a_folder";
    if in_a_process(test, folder.path(), 100_000).is_some() {
        return;
    }
    let store = new_store(Path::new("people"));
    let last = store.history().unwrap().backup("saved").unwrap();
    restore("saved", "restored").unwrap();
    let restored = Durable::open("restored", Simplified::empty, Options::default()).unwrap();
    assert_eq!(restored.committed(), last);
}

#[test]
fn there_is_no_room_in_a_folder_that_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    check_room(folder.path(), 100_000).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    check_room(folder.path().join("other"), 1).unwrap_err();
}

#[cfg(unix)]
#[test]
fn room_is_what_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    if in_a_process("room_is_what_can_be_written", folder.path(), 200).is_some() {
        return;
    }
    let here = Path::new(".");
    for kib in [0, 1, 63, 64, 65, 200] {
        check_room(here, kib << 10).unwrap();
    }
    for kib in [201, 256, 1_000] {
        check_room(here, kib << 10).unwrap_err();
    }
    assert_eq!(fs::read_dir(here).unwrap().count(), 0);
}
