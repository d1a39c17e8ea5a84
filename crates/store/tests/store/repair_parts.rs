//! A repair says exactly which parts of a store are damaged, and keeps all others.

use std::fs;
use std::path::Path;

use idmerge_core::{Claim, Id, IdentityResolver};
use idmerge_simplified::Simplified;
use idmerge_store::redb::{self, ReadableTable, TableDefinition, WriteTransaction};
use idmerge_store::{
    Digest, Durable, Intake, Options, Repair, StoreError, TakenInput, repair, restore,
};

use crate::support::disk::Disk;
use crate::support::{Engine, snapshot_of};

const FILE: &str = "store.redb";

// The tables of a store and of what it has taken, as in docs/store.md.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
const PIECES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("pieces");
const INDEX: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("named pages");
const TAKEN: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("taken inputs");

fn open(folder: &Path) -> Durable<Simplified> {
    let options = Options {
        unindexed_max: 50,
        ..Options::default()
    };
    Durable::open(folder, Simplified::empty, options).unwrap()
}

fn apply(store: &mut Durable<Simplified>, number: u64) {
    let device = format!("{number:0200}");
    let user = format!("user {}", number % 50);
    let link = Claim::Link {
        device: Id::new(&device).unwrap(),
        user: Id::new(&user).unwrap(),
    };
    store.apply(link).unwrap();
}

/// A store of 1,000 claims in many blocks, with an index, a snapshot after 500, and one input taken.
fn fill(folder: &Path) -> Durable<Simplified> {
    let mut store = open(folder);
    let mut intake = Intake::open(&store.begin_read().unwrap()).unwrap();
    intake.set_input(TakenInput {
        number: 1,
        bytes: 10,
        hash: [7; 32],
        head: 9,
        records: 1,
        events: 1,
        again: 0,
        again_after: 0,
    });
    store
        .commit_with::<StoreError>(|write| intake.write(write))
        .unwrap();
    for number in 1..=1_000 {
        apply(&mut store, number);
        if number == 500 {
            store.commit().unwrap();
            store.snapshot().unwrap();
        }
    }
    store.commit().unwrap();
    store.index().unwrap();
    store
}

/// The numbers of the first entries of all blocks.
fn blocks(store: &Durable<Simplified>) -> Vec<u64> {
    let log = store.begin_read().unwrap().open_table(LOG).unwrap();
    let rows = log.range(0..).unwrap();
    rows.map(|row| row.unwrap().0.value()).collect()
}

fn write(store: &Durable<Simplified>, write: impl FnOnce(&WriteTransaction)) {
    let write = |transaction: &WriteTransaction| {
        write(transaction);
        Ok::<_, StoreError>(())
    };
    store.commit_with(write).unwrap();
}

/// Changes a bit of the last byte of each row with such a key.
fn damage<K: redb::Key + 'static>(
    write: &WriteTransaction,
    table: TableDefinition<'_, K, &'static [u8]>,
    is_damaged: impl Fn(K::SelfType<'_>) -> bool,
) {
    let mut table = write.open_table(table).unwrap();
    let mut changed = Vec::new();
    for row in table.iter().unwrap() {
        let (key, row) = row.unwrap();
        if is_damaged(key.value()) {
            let mut row = row.value().to_vec();
            *row.last_mut().unwrap() ^= 1;
            changed.push((K::as_bytes(&key.value()).as_ref().to_vec(), row));
        }
    }
    assert!(!changed.is_empty());
    for (key, row) in changed {
        table.insert(K::from_bytes(&key), &*row).unwrap();
    }
}

fn taken(store: &Durable<Simplified>) -> usize {
    let intake = Intake::open(&store.begin_read().unwrap()).unwrap();
    intake.inputs().len()
}

/// Repairs a store that has these blocks damaged and these missing. Returns the report and the blocks
/// of the whole store.
fn repaired(
    folder: &Path,
    damaged: &[usize],
    missing: &[usize],
) -> (Repair, Vec<u64>, Vec<Digest>) {
    let store = fill(folder);
    let blocks = blocks(&store);
    assert!(blocks.len() > 8, "{}", blocks.len());
    let history = store.history().unwrap();
    let before = blocks
        .iter()
        .map(|first| history.digest(first - 1).unwrap());
    let before: Vec<_> = before.collect();
    drop(history);
    write(&store, |write| {
        for at in damaged {
            damage(write, LOG, |first| first == blocks[*at]);
        }
        let mut log = write.open_table(LOG).unwrap();
        for at in missing {
            log.remove(blocks[*at]).unwrap();
        }
    });
    store.close().unwrap();
    (repair(folder).unwrap(), blocks, before)
}

#[test]
fn the_entries_before_and_after_damaged_and_missing_blocks_are_counted() {
    for (damaged, missing) in [
        (&[3][..], &[][..]),
        (&[], &[3]),
        (&[2, 5], &[]),
        (&[2], &[4]),
        (&[], &[2, 3]),
        (&[0], &[]),
        (&[], &[0]),
        (&[7], &[0, 1, 2]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (repaired, blocks, before) = repaired(folder.path(), damaged, missing);
        let lost: Vec<usize> = [damaged, missing].concat();
        let first = *lost.iter().min().unwrap();
        let kept = blocks[first] - 1;
        let length = |at: usize| blocks.get(at + 1).unwrap_or(&1_001) - blocks[at];
        let after = (first..blocks.len()).filter(|at| !lost.contains(at));
        let readable_after: u64 = after.map(length).sum();
        let case = format!("damaged {damaged:?}, missing {missing:?}");
        assert_eq!(repaired.kept, kept, "{case}");
        assert_eq!(repaired.damage.unwrap().0, kept + 1, "{case}");
        assert_eq!(repaired.readable_after, readable_after, "{case}");
        assert_eq!(
            (repaired.snapshots, repaired.index),
            (vec![], false),
            "{case}"
        );

        let store = open(folder.path());
        assert_eq!(store.committed(), kept, "{case}");
        assert!(store.opened().snapshot <= kept && store.opened().damaged.is_empty());
        assert!(store.opened().is_revised);
        assert_eq!(Digest::of(&store).unwrap(), before[first], "{case}");
        assert_eq!(taken(&store), 0, "the input is taken again");
    }
}

#[test]
fn a_snapshot_an_index_or_an_input_that_is_damaged_is_left_out_and_the_rest_is_kept() {
    type Damage = fn(&WriteTransaction);
    let cases: [(Damage, Vec<u64>, bool, usize, usize); 3] = [
        (
            |write| damage(write, PIECES, |_| true),
            vec![500],
            false,
            0,
            1,
        ),
        (|write| damage(write, INDEX, |_| true), vec![], true, 0, 1),
        (|write| damage(write, TAKEN, |_| true), vec![], false, 1, 0),
    ];
    for (damage, snapshots, index, tables, inputs) in cases {
        let folder = tempfile::tempdir().unwrap();
        let store = fill(folder.path());
        let state = snapshot_of(&store);
        write(&store, damage);
        store.close().unwrap();

        let repaired = repair(folder.path()).unwrap();
        assert_eq!((repaired.kept, &repaired.damage), (1_000, &None));
        assert_eq!((&repaired.snapshots, repaired.index), (&snapshots, index));
        assert_eq!(repaired.tables.len(), tables);
        assert_eq!(repaired.readable_after, 0);
        assert!(repaired.damaged_file.is_some());

        let store = open(folder.path());
        assert!(snapshot_of(&store) == state);
        assert!(!store.opened().is_revised, "no entry is lost");
        assert_eq!(
            store.opened().snapshot,
            if snapshots.is_empty() { 500 } else { 0 }
        );
        assert_eq!(taken(&store), inputs);
        store.close().unwrap();
        assert_eq!(repair(folder.path()).unwrap().damaged_file, None);
    }
}

#[test]
fn a_loaded_state_after_a_damaged_block_does_not_move_the_damage() {
    let folder = tempfile::tempdir().unwrap();
    let mut elsewhere = Simplified::empty();
    let [device, user] = ["D", "U"].map(|text| Id::new(text).unwrap());
    elsewhere.apply(Claim::Link { device, user }).unwrap();
    let mut store = fill(folder.path());
    store.read_snapshot(&mut &*snapshot_of(&elsewhere)).unwrap();
    for number in 1..=5 {
        apply(&mut store, number);
    }
    store.commit().unwrap();
    let last = store.committed();
    let blocks = blocks(&store);
    write(&store, |write| {
        damage(write, LOG, |first| first == blocks[2]);
        damage(write, PIECES, |(sequence, _)| sequence > 1_000);
    });
    store.close().unwrap();
    let repaired = repair(folder.path()).unwrap();
    assert_eq!(repaired.kept, blocks[2] - 1);
    assert_eq!(repaired.damage.unwrap().0, blocks[2]);
    assert_eq!(repaired.readable_after, last + 1 - blocks[3]);
    assert_eq!(open(folder.path()).committed(), blocks[2] - 1);
}

#[test]
fn each_damaged_file_keeps_a_name_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).close().unwrap();
    let names = ["damaged", "damaged-2", "damaged-3", "damaged-4"];
    for name in names {
        let store = open(folder.path());
        store.index().unwrap();
        write(&store, |write| damage(write, INDEX, |_| true));
        store.close().unwrap();
        let repaired = repair(folder.path()).unwrap();
        let wanted = folder.path().join(format!("{FILE}.{name}"));
        assert_eq!(repaired.damaged_file.as_ref(), Some(&wanted));
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        names.len() + 1
    );
}

#[test]
fn a_store_of_a_later_version_is_neither_repaired_nor_restored() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let store = fill(&at("later"));
    write(&store, |write| {
        let mut about = write.open_table(ABOUT).unwrap();
        about.insert("format", &99_u16.to_le_bytes()[..]).unwrap();
        damage(write, INDEX, |_| true);
    });
    store.close().unwrap();
    // The file of a store is a whole backup too.
    fs::copy(at("later").join(FILE), at("saved")).unwrap();
    for error in [
        repair(at("later")).unwrap_err(),
        restore(at("saved"), at("restored")).unwrap_err(),
    ] {
        assert!(
            matches!(error, StoreError::UnsupportedVersion { found: 99, .. }),
            "{error:?}"
        );
    }
    assert!(!at("restored").exists());
    assert_eq!(fs::read_dir(at("later")).unwrap().count(), 1);
}

#[test]
fn a_backup_of_a_table_that_the_disk_cannot_read_fails() {
    const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
    let disk = Disk::default();
    let options = Options {
        cache_bytes: 0,
        ..Options::default()
    };
    let store = Durable::open_backend(disk.clone(), Simplified::empty, options).unwrap();
    write(&store, |write| {
        let mut events = write.open_table(EVENTS).unwrap();
        for number in 0..20_u64 {
            let mut event = format!("event number {number:03}").into_bytes();
            event.resize(20_000, b'.');
            events.insert(number, &*event).unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let history = store.history().unwrap();
    history.backup(folder.path().join("whole")).unwrap();
    disk.cannot_read(b"event number 007");
    let backup = history.backup(folder.path().join("saved"));
    assert!(matches!(backup, Err(StoreError::Io(_))), "{backup:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
