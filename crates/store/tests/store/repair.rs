//! Backups can be restored, and a repair keeps the longest intact prefix of a damaged store.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use idmerge_core::{Claim, Id, IdentityResolver};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::redb::{ReadableTableMetadata, TableDefinition, WriteTransaction};
use idmerge_store::{
    Cause, Digest, Durable, Options, Runs, StoreError, clear_revised, first_difference, repair,
    restore,
};

use crate::support::workload::{Numbers, claims};
use crate::support::{Engine, snapshot_of};

const FILE: &str = "store.redb";

fn options() -> Options {
    Options {
        unindexed_max: 50,
        ..Options::default()
    }
}

fn open(folder: &Path) -> Result<Durable<Original>, StoreError> {
    Durable::open(folder, Original::empty, options())
}

/// A store of many blocks, with an index, snapshots after 1,200 and 2,400 of 3,000 claims, and a
/// retraction.
fn fill(folder: &Path) -> Durable<Original> {
    let mut store = open(folder).unwrap();
    for (group, number) in claims::<Original>(1, 3000, 800).chunks(300).zip(1..) {
        for claim in group {
            store.apply(claim.as_claim()).unwrap();
        }
        store.commit().unwrap();
        if number % 4 == 0 {
            store.snapshot().unwrap();
            store.index().unwrap();
        }
    }
    store
        .retract(1000, "ada", "a test", Cause::default())
        .unwrap();
    store
}

#[test]
fn a_backup_taken_between_commits_can_be_restored() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = fill(&folder.path().join("store"));
    let backup = folder.path().join("backup");
    let last = store.history().unwrap().backup(&backup).unwrap();
    assert_eq!(last, store.committed());
    let digest = Digest::of(&store).unwrap();
    let [first, second] = ["X", "Y"].map(|text| Id::new(text).unwrap());
    store.apply(Claim::Merge { first, second }).unwrap();
    store.commit().unwrap();

    let restored = folder.path().join("restored");
    restore(&backup, &restored).unwrap();
    let restored_store = open(&restored).unwrap();
    assert_eq!(restored_store.committed(), last);
    assert_eq!(restored_store.opened().damaged.len(), 0);
    assert!(restored_store.opened().snapshot > 0, "with its snapshots");
    assert_eq!(Digest::of(&restored_store).unwrap(), digest);

    // The first entry at which the two differ.
    let (ours, theirs) = (store.history().unwrap(), restored_store.history().unwrap());
    assert_eq!(first_difference(&ours, &ours).unwrap(), None);
    assert_eq!(first_difference(&ours, &theirs).unwrap(), Some(last + 1));
    assert_eq!(ours.digest(last).unwrap(), theirs.digest(last).unwrap());

    let again = store.history().unwrap().backup(&backup);
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
    let over = restore(&backup, &restored);
    assert!(matches!(over, Err(StoreError::Exists { .. })), "{over:?}");
}

#[test]
fn a_file_that_is_not_a_backup_is_not_restored() {
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    fs::write(&backup, b"something else".repeat(500)).unwrap();
    let restored = folder.path().join("restored");
    assert!(restore(&backup, &restored).is_err());
    assert!(!restored.exists(), "a restore that fails leaves nothing");
    assert!(restore(folder.path().join("nothing"), &restored).is_err());
}

#[test]
fn an_undamaged_store_is_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let last = fill(folder.path()).committed();
    let before = fs::read(folder.path().join(FILE)).unwrap();
    let repaired = repair(folder.path()).unwrap();
    assert_eq!((repaired.kept, repaired.damage), (last, None));
    assert_eq!(repaired.damaged_file, None);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let after = fs::read(folder.path().join(FILE)).unwrap();
    assert_eq!(before.len(), after.len());
    assert_eq!(open(folder.path()).unwrap().committed(), last);
}

#[test]
fn the_longest_intact_prefix_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = fill(folder.path());
    let last = store.committed();
    store.close().unwrap();
    let bytes = fs::read(folder.path().join(FILE)).unwrap();
    let healthy = open(folder.path()).unwrap();
    let history = healthy.history().unwrap();
    let used = bytes.iter().rposition(|&byte| byte != 0).unwrap();

    let (mut lost, mut whole, mut unopened) = (0, 0, 0);
    for seed in 0..60 {
        let mut numbers = Numbers::new(seed);
        let mut damaged = bytes.clone();
        damaged[numbers.place(used)] ^= 1 << numbers.below(8);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), &damaged).unwrap();
        let repaired = match repair(folder.path()) {
            Ok(repaired) => repaired,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                unopened += 1;
                continue;
            }
        };
        let store = open(folder.path()).unwrap();
        assert_eq!(store.committed(), repaired.kept, "damage {seed}");
        let was = history.digest(repaired.kept).unwrap();
        assert_eq!(Digest::of(&store).unwrap(), was, "damage {seed}");
        match repaired.damage {
            Some((sequence, _)) => {
                assert_eq!(sequence, repaired.kept + 1);
                assert!(repaired.kept + repaired.readable_after < last);
                lost += 1;
            }
            None => {
                assert_eq!(repaired.kept, last);
                whole += 1;
            }
        }
        if let Some(file) = &repaired.damaged_file {
            // The database may have repaired its own structures in the file.
            assert_eq!(fs::metadata(file).unwrap().len(), damaged.len() as u64);
        }
        store.close().unwrap();
        let again = repair(folder.path()).unwrap();
        assert_eq!(
            (again.kept, again.damage),
            (repaired.kept, None),
            "damage {seed}"
        );
    }
    assert!(lost > 2 && whole > 2, "{lost} {whole} {unopened}");
}

#[test]
fn a_page_that_the_database_cannot_read_ends_the_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let store = fill(folder.path());
    let last = store.committed();
    store.close().unwrap();
    let bytes = fs::read(folder.path().join(FILE)).unwrap();
    let healthy = open(folder.path()).unwrap();
    let history = healthy.history().unwrap();
    let mut kept = BTreeSet::new();
    // The first byte of a page says what is in it.
    for at in (4096..bytes.len()).step_by(4096) {
        if !matches!(bytes[at], 1 | 2) {
            continue;
        }
        let mut damaged = bytes.clone();
        damaged[at] = 7;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), &damaged).unwrap();
        let Ok(repaired) = repair(folder.path()) else {
            continue;
        };
        assert!(repaired.kept <= last, "page at {at}");
        if let Some((sequence, _)) = repaired.damage {
            assert_eq!(sequence, repaired.kept + 1, "page at {at}");
            kept.insert(repaired.kept);
        }
        let store = open(folder.path()).unwrap();
        assert_eq!(store.committed(), repaired.kept, "page at {at}");
        let was = history.digest(repaired.kept).unwrap();
        assert_eq!(Digest::of(&store).unwrap(), was, "page at {at}");
    }
    // The log begins with a page of its own, and has others that end between blocks.
    assert!(kept.contains(&0) && kept.len() > 4, "{kept:?}");
}

#[test]
fn a_loaded_state_that_is_damaged_ends_the_prefix_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut elsewhere = Simplified::empty();
    let link = |device, user| Claim::Link {
        device: Id::new(device).unwrap(),
        user: Id::new(user).unwrap(),
    };
    let device = "a device with a name that is not elsewhere";
    elsewhere.apply(link(device, "U1")).unwrap();
    let mut store = Durable::open(folder.path(), Simplified::empty, options()).unwrap();
    store.apply(link("D1", "U1")).unwrap();
    store.read_snapshot(&mut &*snapshot_of(&elsewhere)).unwrap();
    for later in ["D2", "D3", "D4"] {
        store.apply(link(later, "U1")).unwrap();
    }
    store.commit().unwrap();
    store.close().unwrap();
    damage(folder.path(), device.as_bytes());
    let repaired = repair(folder.path()).unwrap();
    assert_eq!((repaired.kept, repaired.readable_after), (1, 3));
    assert_eq!(repaired.damage.unwrap().0, 2);
    let store = Durable::open(folder.path(), Simplified::empty, options()).unwrap();
    assert_eq!(store.committed(), 1);
}

const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
const HEADS: TableDefinition<'_, u64, (u64, i64, i64)> = TableDefinition::new("heads");
const PROFILES: TableDefinition<'_, &str, &str> = TableDefinition::new("profiles");
const GROUPS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("groups");
const RUNS: Runs = Runs::new("runs", "run pages");

/// Writes tables of the types that a server uses.
fn write_service_tables(store: &Durable<Original>) {
    let write = |write: &WriteTransaction| -> Result<(), Box<dyn std::error::Error>> {
        for number in 0..50 {
            let mut blocks = write.open_table(BLOCKS)?;
            blocks.insert(number, &*vec![b'e'; 1_000_000])?;
            write
                .open_table(HEADS)?
                .insert(number, (number + 1, -1, i64::MAX))?;
        }
        write.open_table(PROFILES)?.insert("$device:D1", "{}")?;
        let mut groups = write.open_table(GROUPS)?;
        groups.insert(("company", "acme"), "{}")?;
        Ok(RUNS.add(write, vec![(7, 8)], 9)?)
    };
    let write = |transaction: &WriteTransaction| {
        write(transaction).unwrap();
        Ok::<_, StoreError>(())
    };
    store.commit_with(write).unwrap();
}

fn assert_service_tables(store: &Durable<Original>) {
    let read = store.begin_read().unwrap();
    let blocks = read.open_table(BLOCKS).unwrap();
    assert_eq!(blocks.len().unwrap(), 50);
    let block = blocks.get(49).unwrap().unwrap();
    assert!(block.value().len() == 1_000_000 && block.value().iter().all(|&byte| byte == b'e'));
    let heads = read.open_table(HEADS).unwrap();
    let head = heads.get(3).unwrap().unwrap().value();
    assert_eq!(head, (4, -1, i64::MAX));
    let profiles = read.open_table(PROFILES).unwrap();
    assert_eq!(profiles.get("$device:D1").unwrap().unwrap().value(), "{}");
    let groups = read.open_table(GROUPS).unwrap();
    assert!(groups.get(("company", "acme")).unwrap().is_some());
    assert_eq!(RUNS.until(&read).unwrap(), 9);
    let mut found = Vec::new();
    let runs = RUNS.open(&read).unwrap();
    runs.find(7, &mut |value| found.push(value)).unwrap();
    assert_eq!(found, [8]);
}

#[test]
fn a_backup_has_the_tables_of_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("store")).unwrap();
    write_service_tables(&store);
    let backup = folder.path().join("backup");
    store.history().unwrap().backup(&backup).unwrap();
    let restored = folder.path().join("restored");
    restore(&backup, &restored).unwrap();
    let restored = open(&restored).unwrap();
    assert_service_tables(&restored);
    assert!(!restored.opened().is_revised);
}

#[test]
fn a_repair_keeps_the_tables_of_a_service_and_tells_it_that_entries_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = open(folder.path()).unwrap();
    let [first, second] = ["first of the merge", "second"].map(|text| Id::new(text).unwrap());
    store.apply(Claim::Merge { first, second }).unwrap();
    write_service_tables(&store);
    store.close().unwrap();
    damage(folder.path(), b"first of the merge");
    let repaired = repair(folder.path()).unwrap();
    assert_eq!((repaired.kept, repaired.tables), (0, vec![]));
    let store = open(folder.path()).unwrap();
    assert!(store.opened().is_revised);
    assert_service_tables(&store);

    // The service says that its tables fit again.
    store.commit_with(clear_revised).unwrap();
    store.close().unwrap();
    assert!(!open(folder.path()).unwrap().opened().is_revised);
}

/// Changes every place of the file that has these bytes.
fn damage(folder: &Path, bytes: &[u8]) {
    let file = folder.join(FILE);
    let mut content = fs::read(&file).unwrap();
    let windows = content.windows(bytes.len()).enumerate();
    let places: Vec<usize> = windows
        .filter(|(_, window)| *window == bytes)
        .map(|(place, _)| place)
        .collect();
    assert!(!places.is_empty());
    for place in places {
        content[place] ^= 1;
    }
    fs::write(&file, content).unwrap();
}

#[test]
fn a_retraction_tells_a_service_that_the_log_was_revised() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).close().unwrap();
    assert!(open(folder.path()).unwrap().opened().is_revised);
}

#[test]
fn a_file_with_a_table_that_cannot_be_copied_is_not_repaired_or_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let table = TableDefinition::<u64, u64>::new("mine");
    let write = |write: &WriteTransaction| {
        write.open_table(table).map_err(StoreError::from)?;
        Ok::<_, StoreError>(())
    };
    store.commit_with(write).unwrap();
    let backup = folder.path().join("backup");
    let error = store.history().unwrap().backup(&backup).unwrap_err();
    assert!(matches!(error, StoreError::OtherTables { .. }), "{error:?}");
    assert!(!backup.exists());
    store.close().unwrap();
    let error = repair(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::OtherTables { .. }), "{error:?}");
}
