//! What a store remembers of the inputs and events that it has taken (AR-2, AR-3).

use std::path::Path;

use idmerge_core::{Claim, Id};
use idmerge_simplified::{Settings, Simplified};
use idmerge_store::{
    Cause, Durable, Intake, LazyRuns, Options, Sharing, StoreError, TakenInput, repair, restore,
};

fn open(folder: &Path) -> Durable<Simplified> {
    let options = Options {
        sharing: Sharing::Nobody,
        ..Options::default()
    };
    Durable::open(folder, || Simplified::new(Settings::default()), options).unwrap()
}

fn intake(store: &Durable<Simplified>) -> Intake {
    Intake::open(&store.begin_read().unwrap()).unwrap()
}

fn input(number: u64, bytes: u64) -> TakenInput {
    TakenInput {
        number,
        bytes,
        hash: [u8::try_from(number).unwrap(); 32],
        head: number << 40,
        records: bytes / 7,
        events: bytes / 9,
        again: number % 2,
        again_after: number % 2 * 300,
    }
}

/// Takes the events of this range, and returns how many of them were taken before.
fn take(store: &Durable<Simplified>, intake: &mut Intake, events: std::ops::Range<u128>) -> usize {
    let read = store.begin_read().unwrap();
    let mut runs = LazyRuns::new(&read);
    let spread = |n: u128| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let mut repeated = 0;
    for n in events {
        let time_ms = i64::try_from(n).unwrap();
        repeated += usize::from(intake.is_repeated(spread(n), time_ms, &mut runs).unwrap());
    }
    repeated
}

fn commit(store: &Durable<Simplified>, intake: &mut Intake) {
    store
        .commit_with::<StoreError>(|write| intake.write(write))
        .unwrap();
}

fn link(store: &mut Durable<Simplified>, device: &str) {
    let claim = Claim::Link {
        device: Id::new(device).unwrap(),
        user: Id::new("user").unwrap(),
    };
    store.apply_caused(claim, Cause::default()).unwrap();
}

#[test]
fn ar_2_ar_3_what_was_taken_is_there_after_a_restart_a_backup_and_a_repair_of_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    {
        let store = open(&at("s"));
        let mut intake = intake(&store);
        assert_eq!((intake.next_number(), intake.has_changes()), (1, false));
        intake.set_input(input(1, 10));
        intake.set_input(input(2, 20));
        intake.set_input(input(1, 30));
        assert!(intake.has_changes());
        assert_eq!(take(&store, &mut intake, 0..1_000), 0);
        assert!(!intake.is_commit_due());
        commit(&store, &mut intake);
        assert!(!intake.has_changes());
        // More than one run of the index.
        for start in (1_000..141_000).step_by(70_000) {
            assert_eq!(take(&store, &mut intake, start..start + 70_000), 0);
            assert!(intake.has_changes() && intake.is_commit_due());
            commit(&store, &mut intake);
        }
        store.merge_runs(Intake::runs()).unwrap();
        let history = store.history().unwrap();
        history.backup(at("saved")).unwrap();
        // What is not committed is lost.
        intake.set_input(input(3, 5));
        take(&store, &mut intake, 400_000..400_001);
    }
    restore(at("saved"), at("restored")).unwrap();
    assert_eq!(repair(at("restored")).unwrap().damaged_file, None);
    for name in ["s", "restored"] {
        let store = open(&at(name));
        let mut intake = intake(&store);
        let mut inputs = intake.inputs().to_vec();
        inputs.sort_by_key(|input| input.number);
        assert_eq!(inputs, [input(1, 30), input(2, 20)], "{name}");
        assert_eq!(intake.next_number(), 3);
        assert_eq!(take(&store, &mut intake, 0..141_000), 141_000, "{name}");
        assert_eq!(take(&store, &mut intake, 400_000..400_010), 0, "{name}");
        intake.finish_again();
        commit(&store, &mut intake);
        let mut inputs = intake.inputs().iter();
        assert!(inputs.all(|input| (input.again, input.again_after) == (0, 0)));
    }
}

/// Changes the bytes of the file that begin with these.
fn damage(folder: &Path, bytes: &[u8]) {
    let file = folder.join("store.redb");
    let mut content = std::fs::read(&file).unwrap();
    let windows = content.windows(bytes.len()).enumerate();
    let places: Vec<_> = windows
        .filter(|(_, it)| *it == bytes)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty());
    for at in places {
        content[at] ^= 1;
    }
    std::fs::write(file, content).unwrap();
}

#[test]
fn ar_3_a_repair_that_loses_entries_forgets_what_was_taken() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    {
        let mut store = open(folder);
        let mut intake = intake(&store);
        link(&mut store, "a device that will be lost");
        intake.set_input(input(1, 10));
        take(&store, &mut intake, 0..10);
        commit(&store, &mut intake);
    }
    damage(folder, b"device that will be lost");
    let repaired = repair(folder).unwrap();
    assert_eq!(repaired.kept, 0);
    let store = open(folder);
    let mut intake = intake(&store);
    assert_eq!(intake.inputs(), []);
    assert_eq!(take(&store, &mut intake, 0..10), 0);
}

#[test]
fn ar_3_damage_of_what_was_taken_is_an_error_and_a_repair_keeps_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    {
        let mut store = open(folder);
        let mut intake = intake(&store);
        link(&mut store, "device");
        intake.set_input(input(7, 10));
        commit(&store, &mut intake);
    }
    damage(folder, &[7; 32]);
    {
        let store = open(folder);
        let damaged = Intake::open(&store.begin_read().unwrap()).unwrap_err();
        assert!(matches!(damaged, StoreError::DamagedIntake), "{damaged}");
        assert!(
            damaged.to_string().contains("repair the store"),
            "{damaged}"
        );
    }
    let repaired = repair(folder).unwrap();
    assert_eq!((repaired.kept, repaired.damage), (1, None));
    assert!(
        repaired.tables[0].0.contains("taken"),
        "{:?}",
        repaired.tables
    );
    let store = open(folder);
    assert_eq!(store.sequence(), 1);
    assert_eq!(intake(&store).inputs(), []);
}

#[test]
fn ar_2_few_events_make_no_run_however_many_commits_they_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut intake = intake(&store);
    for start in (0..300).step_by(3) {
        assert_eq!(take(&store, &mut intake, start..start + 3), 0);
        commit(&store, &mut intake);
    }
    assert_eq!(take(&store, &mut intake, 0..300), 300);
    let is_merged = store.merger().merge(Intake::runs()).unwrap();
    assert!(!is_merged, "there are many runs");
}

#[test]
fn a_commit_is_due_after_half_of_the_events_that_the_filter_of_a_run_is_made_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut intake = intake(&store);
    take(&store, &mut intake, 0..65_535);
    assert!(!intake.is_commit_due());
    take(&store, &mut intake, 65_535..65_536);
    assert!(intake.is_commit_due());
    commit(&store, &mut intake);
    assert!(!intake.is_commit_due());
}
