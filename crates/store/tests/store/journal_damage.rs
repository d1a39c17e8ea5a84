//! A journal that is damaged, cut off, missing, of another store, or that has people who were erased.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use idmerge_core::{DistinctIdBuf, IdentityResolver as _};
use idmerge_original::Original;
use idmerge_store::redb::{Database, ReadableTable as _, TableDefinition};
use idmerge_store::{
    About, Durable, ErasedEvents, Erasure, Options, Reader, StoreError, begin_erasure, erase,
    finish_erasure, repair, restore,
};

use crate::support::journal::{JOURNAL, as_if_killed, names};
use crate::support::workload::OwnedClaim;
use crate::support::{Engine, snapshot_of};

const PAGE: usize = 4_096;
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

fn options() -> Options {
    Options {
        journal_after: 0,
        journal_bytes: 16 * PAGE,
        ..Options::default()
    }
}

fn open(folder: &Path) -> Result<Durable<Original>, StoreError> {
    Durable::open(folder, Original::empty, options())
}

fn claim(number: usize) -> OwnedClaim {
    OwnedClaim::joining::<Original>(&format!("user-{number}"), &format!("phone-{number}"))
}

fn apply(store: &mut Durable<Original>, numbers: std::ops::Range<usize>) {
    for number in numbers {
        store.apply(claim(number).as_claim()).unwrap();
        store.commit().unwrap();
    }
}

/// The state after so many claims.
fn state(claims: usize) -> Vec<u8> {
    let mut engine = Original::empty();
    for number in 0..claims {
        engine.apply(claim(number).as_claim()).unwrap();
    }
    snapshot_of(&engine)
}

/// A store in a folder that was killed: the first entry is in the database, and the entries 2 to 6 are in the journal,
/// one in each page.
fn killed() -> tempfile::TempDir {
    let (folder, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut store = open(folder.path()).unwrap();
    apply(&mut store, 0..6);
    as_if_killed(folder.path(), killed.path());
    assert_eq!(names(killed.path()), ["store.redb", JOURNAL]);
    killed
}

fn change_journal(folder: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(folder.join(JOURNAL)).unwrap();
    assert_eq!(bytes.len(), options().journal_bytes);
    change(&mut bytes);
    fs::write(folder.join(JOURNAL), bytes).unwrap();
}

/// The store cannot be opened, and the error names this entry. A repair keeps the entries before it.
fn is_damaged_at(folder: &Path, damaged: u64) {
    for _ in 0..2 {
        match open(folder) {
            Err(StoreError::DamagedLog { sequence, .. }) => assert_eq!(sequence, damaged),
            opened => panic!("{opened:?}"),
        }
    }
    let repaired = repair(folder).unwrap();
    assert_eq!(repaired.kept, damaged - 1);
    assert_eq!(repaired.damage.unwrap().0, damaged);
    let store = open(folder).unwrap();
    assert!(store.opened().is_revised);
    let kept = usize::try_from(damaged - 1).unwrap();
    assert_eq!(snapshot_of(&store), state(kept));
    store.close().unwrap();
    assert_eq!(repair(folder).unwrap().damage, None);
}

#[test]
fn a_store_that_was_killed_opens_with_its_journal() {
    for openings in 1..3 {
        let folder = killed();
        for _ in 0..openings {
            let store = open(folder.path()).unwrap();
            assert_eq!(snapshot_of(&store), state(6));
            assert_eq!(names(folder.path()), ["store.redb"]);
        }
    }
    let folder = killed();
    assert_eq!(repair(folder.path()).unwrap().damage, None);
    assert_eq!(snapshot_of(&open(folder.path()).unwrap()), state(6));
}

#[test]
fn a_frame_that_is_damaged_before_another_one_is_damage() {
    for page in 0..4 {
        for at in [0, 8, 27, 40, 60] {
            let folder = killed();
            change_journal(folder.path(), |bytes| bytes[page * PAGE + at] ^= 1);
            is_damaged_at(folder.path(), page as u64 + 2);
            let aside = ["store.redb", "store.redb.damaged"].map(str::to_owned);
            let aside = [&aside[..], &["store.redb.damaged.journal".to_owned()]].concat();
            assert_eq!(names(folder.path()), aside);
        }
    }
}

/// The last frame may be one that was written in part and never acknowledged.
#[test]
fn the_last_frame_counts_if_it_is_whole() {
    for at in [0, 8, 27, 40, 60] {
        let folder = killed();
        change_journal(folder.path(), |bytes| bytes[4 * PAGE + at] ^= 1);
        let mut store = open(folder.path()).unwrap();
        assert_eq!(snapshot_of(&store), state(5));
        apply(&mut store, 5..7);
        store.close().unwrap();
        assert_eq!(snapshot_of(&open(folder.path()).unwrap()), state(7));
    }
}

#[test]
fn a_journal_that_is_missing_or_cut_off_is_damage() {
    let folder = killed();
    fs::remove_file(folder.path().join(JOURNAL)).unwrap();
    is_damaged_at(folder.path(), 2);
    for (pages, damaged) in [(0, 2), (1, 3), (3, 5), (15, 7)] {
        let folder = killed();
        change_journal(folder.path(), |bytes| bytes.truncate(pages * PAGE));
        is_damaged_at(folder.path(), damaged);
    }
}

#[test]
fn a_frame_in_another_place_is_none() {
    let folder = killed();
    change_journal(folder.path(), |bytes| {
        let second = bytes[PAGE..2 * PAGE].to_vec();
        bytes[5 * PAGE..6 * PAGE].copy_from_slice(&second);
    });
    assert_eq!(snapshot_of(&open(folder.path()).unwrap()), state(6));
}

/// Damage in the database and a journal: what is in the journal is not kept, because it depends on what is lost.
#[test]
fn a_damaged_database_with_a_journal_is_repaired_as_one_without() {
    let folder = killed();
    let database = Database::open(folder.path().join("store.redb")).unwrap();
    let write = database.begin_write().unwrap();
    write
        .open_table(LOG)
        .unwrap()
        .insert(1, &[0; 40][..])
        .unwrap();
    write.commit().unwrap();
    drop(database);
    assert!(matches!(
        open(folder.path()),
        Err(StoreError::DamagedLog { sequence: 1, .. })
    ));
    let repaired = repair(folder.path()).unwrap();
    assert_eq!((repaired.kept, repaired.readable_after), (0, 5));
    assert_eq!(open(folder.path()).unwrap().committed(), 0);
}

/// A file is not written before it is known to be whole, so a page that the database cannot read costs no more than without
/// a journal.
#[test]
fn a_page_that_the_database_cannot_read_is_repaired_beside_a_journal() {
    let (folder, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut store = open(folder.path()).unwrap();
    for number in 0..4_000 {
        store.apply(claim(number).as_claim()).unwrap();
    }
    store.commit().unwrap();
    apply(&mut store, 4_000..4_006);
    let read = store.begin_read().unwrap();
    let log = read.open_table(LOG).unwrap();
    let last_block = log.last().unwrap().unwrap().0.value();
    apply(&mut store, 4_006..4_010);
    as_if_killed(folder.path(), killed.path());
    // This closes the database again, which otherwise looks at all of it when it is opened next.
    About::of_folder(killed.path()).unwrap();
    let bytes = fs::read(killed.path().join("store.redb")).unwrap();
    let mut kept = BTreeSet::new();
    // The first byte of a page says what is in it.
    for at in (PAGE..bytes.len()).step_by(PAGE) {
        if !matches!(bytes[at], 1 | 2) {
            continue;
        }
        let damaged = tempfile::tempdir().unwrap();
        as_if_killed(killed.path(), damaged.path());
        let mut bytes = bytes.clone();
        bytes[at] = 7;
        fs::write(damaged.path().join("store.redb"), bytes).unwrap();
        let Ok(repaired) = repair(damaged.path()) else {
            continue;
        };
        let store = open(damaged.path()).unwrap();
        assert_eq!(store.committed(), repaired.kept, "page at {at}");
        let whole = usize::try_from(repaired.kept).unwrap();
        assert_eq!(snapshot_of(&store), state(whole), "page at {at}");
        if let Some((sequence, _)) = repaired.damage {
            assert_eq!(sequence, repaired.kept + 1, "page at {at}");
            assert_eq!(repaired.readable_after, 4, "page at {at}");
        } else {
            assert_eq!(repaired.kept, 4_010, "page at {at}");
        }
        kept.insert(repaired.kept);
    }
    let before_last = last_block - 1;
    assert!(kept.contains(&0) && kept.contains(&before_last), "{kept:?}");
    assert!(kept.contains(&4_010) && kept.len() > 4, "{kept:?}");
}

/// A journal of a store that was in the folder before does no harm, and is removed.
#[test]
fn a_journal_beside_another_store_counts_for_nothing() {
    let before = killed();
    let made = tempfile::tempdir().unwrap();
    let (backup, restored) = (made.path().join("backup"), made.path().join("restored"));
    let mut store = open(&made.path().join("store")).unwrap();
    apply(&mut store, 0..3);
    store.history().unwrap().backup(&backup).unwrap();
    fs::create_dir(&restored).unwrap();
    fs::copy(before.path().join(JOURNAL), restored.join(JOURNAL)).unwrap();
    restore(&backup, &restored).unwrap();
    assert_eq!(names(&restored), ["store.redb"]);
    // It was put there later.
    fs::copy(before.path().join(JOURNAL), restored.join(JOURNAL)).unwrap();
    let reader = Reader::open(&restored, Original::empty, &options()).unwrap();
    assert_eq!(reader.last(), 3);
    drop(reader);
    let mut again = open(&restored).unwrap();
    assert_eq!(names(&restored), ["store.redb"]);
    assert_eq!(snapshot_of(&again), state(3));
    apply(&mut again, 3..9);
    // The journal of this store, but of an earlier epoch.
    let old = fs::read(restored.join(JOURNAL)).unwrap();
    again.snapshot().unwrap();
    apply(&mut again, 9..10);
    let killed = made.path().join("killed");
    as_if_killed(&restored, &killed);
    fs::write(killed.join(JOURNAL), old).unwrap();
    assert_eq!(snapshot_of(&open(&killed).unwrap()), state(9));
}

#[test]
fn the_file_of_a_store_without_its_journal_is_no_backup() {
    let folder = killed();
    let to = folder.path().join("restored");
    let error = restore(folder.path().join("store.redb"), &to).unwrap_err();
    assert!(matches!(error, StoreError::BrokenBackup { .. }), "{error}");
    assert!(!to.exists());
}

fn has(folder: &Path, text: &str) -> Vec<String> {
    let has = |name: &String| {
        let bytes = fs::read(folder.join(name)).unwrap();
        bytes.windows(text.len()).any(|it| it == text.as_bytes())
    };
    names(folder).into_iter().filter(has).collect()
}

fn erasure() -> Erasure {
    Erasure {
        ids: vec!["user-4".parse::<DistinctIdBuf>().unwrap()],
        until_ms: None,
        events: ErasedEvents::Erased,
        key: [3; 32],
        dry_run: false,
    }
}

#[test]
fn e_5_an_erasure_leaves_nothing_of_an_id_in_the_journal() {
    let folder = killed();
    assert_eq!(has(folder.path(), "user-4"), [JOURNAL]);
    let options = options();
    let receipt = erase(
        folder.path(),
        Original::empty,
        &options,
        &erasure(),
        None,
        &|_| true,
    );
    let receipt = receipt.unwrap();
    assert_eq!((receipt.entries_rewritten, receipt.last_entry), (1, 6));
    assert_eq!(receipt.older_files, [""; 0]);
    assert_eq!(has(folder.path(), "user-4"), [""; 0]);
    assert_eq!(has(folder.path(), "user-3"), ["store.redb"]);
}

/// The process that has the store open erases, as a server does.
#[test]
fn e_5_an_erasure_of_an_open_store_leaves_nothing_of_an_id_in_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).unwrap();
    apply(&mut store, 0..6);
    assert!(has(folder.path(), "user-4").contains(&JOURNAL.to_owned()));
    let receipt = begin_erasure(&store, folder.path(), &erasure(), None, &|_| true).unwrap();
    assert_eq!((receipt.entries_rewritten, receipt.last_entry), (1, 6));
    let journal = fs::read(folder.path().join(JOURNAL)).unwrap();
    drop(store);
    // As if the process had not been able to remove it.
    fs::write(folder.path().join(JOURNAL), journal).unwrap();
    assert_eq!(finish_erasure(folder.path()).unwrap(), [""; 0]);
    assert_eq!(has(folder.path(), "user-4"), [""; 0]);
    let store = open(folder.path()).unwrap();
    assert_eq!(store.committed(), 6);
}
