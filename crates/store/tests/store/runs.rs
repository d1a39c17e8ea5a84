//! An index in sorted runs has every pair that was added, in any order of additions and merges.

use std::collections::BTreeMap;

use idmerge_simplified::Simplified;
use idmerge_store::{Durable, Options, Runs, StoreError};

use crate::support::Engine;
use crate::support::disk::Disk;
use crate::support::workload::Numbers;

const RUNS: Runs = Runs::new("test", "test pages");

fn open(disk: &Disk) -> Durable<Simplified> {
    Durable::open_backend(disk.clone(), Simplified::empty, Options::default()).unwrap()
}

fn add(store: &Durable<Simplified>, pairs: &[(u64, u64)], until: u64) {
    let add = |write: &_| Ok(RUNS.add(write, pairs.to_vec(), until)?);
    store.commit_with::<StoreError>(add).unwrap();
}

fn find(store: &Durable<Simplified>, key: u64) -> Vec<u64> {
    let runs = RUNS.open(&store.begin_read().unwrap()).unwrap();
    let mut found = Vec::new();
    runs.find(key, &mut |value| found.push(value)).unwrap();
    found.sort_unstable();
    found
}

#[test]
fn every_added_pair_is_found_before_and_after_merging() {
    let disk = Disk::default();
    let mut store = open(&disk);
    let mut model: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut numbers = Numbers::new(1);
    let mut value = 0;
    for round in 1..=100 {
        // From no pair to several pages of pairs, with keys that fill more than one page.
        let mut pairs = Vec::new();
        for _ in 0..numbers.below(60) * numbers.below(60) {
            let key = match numbers.below(3) {
                0 => numbers.below(3),
                1 => u64::MAX - numbers.below(3),
                _ => numbers.below(u64::MAX),
            };
            value += 1;
            pairs.push((key, value));
            model.entry(key).or_default().push(value);
        }
        add(&store, &pairs, round);
        if round % 7 == 0 {
            store.merge_runs(&RUNS).unwrap();
        }
        if round % 20 == 0 {
            store.close().unwrap();
            store = open(&disk);
            for key in [3, 1 << 40, u64::MAX - 3] {
                assert_eq!(find(&store, key), [0; 0]);
            }
            let some = model.iter().step_by(97).chain(model.iter().take(3));
            for (key, values) in some.chain(model.iter().rev().take(3)) {
                assert_eq!(find(&store, *key), *values, "round {round}, key {key}");
            }
        }
        let read = store.begin_read().unwrap();
        assert_eq!(RUNS.until(&read).unwrap(), round);
    }
    let runs = format!("{:?}", RUNS.open(&store.begin_read().unwrap()).unwrap());
    let runs: String = runs.chars().filter(char::is_ascii_digit).collect();
    assert!(
        runs.parse::<u32>().unwrap() < 20,
        "100 runs were merged to {runs}"
    );
}

#[test]
fn a_crash_during_a_merge_does_no_harm() {
    for sync in 0..40 {
        // Eight runs, and a disk that fails during their merge.
        let healthy = Disk::default();
        let fill = |disk: &Disk| {
            let store = open(disk);
            let mut numbers = Numbers::new(2);
            for run in 0..8 {
                let pairs: Vec<_> = (0..3000).map(|_| (numbers.below(500), run)).collect();
                add(&store, &pairs, run);
            }
            store
        };
        let store = fill(&healthy);
        let expected: Vec<_> = (0..500).map(|key| find(&store, key)).collect();
        let filled = healthy.syncs();
        store.merge_runs(&RUNS).unwrap();
        if filled + sync >= healthy.syncs() {
            assert!(sync > 3, "the merge was synced");
            return;
        }

        let disk = Disk::that_dies_at(filled + sync);
        let store = fill(&disk);
        assert!(store.merge_runs(&RUNS).is_err());
        drop(store);
        let mut numbers = Numbers::new(sync as u64);
        let found = disk.after_reboot(|choices| numbers.place(choices));
        let store = open(&found);
        for _ in 0..2 {
            let again: Vec<_> = (0..500).map(|key| find(&store, key)).collect();
            assert_eq!(again, expected, "sync {sync}");
            store.merge_runs(&RUNS).unwrap();
        }
    }
    unreachable!("a merge of a few pages has few syncs");
}

#[test]
fn a_service_commits_with_the_log_or_not_at_all() {
    let disk = Disk::default();
    let store = open(&disk);
    let failed = store.commit_with(|write| {
        RUNS.add(write, vec![(1, 1)], 1)?;
        Err(StoreError::Uncommitted)
    });
    assert!(matches!(failed, Err(StoreError::Uncommitted)));
    assert_eq!(find(&store, 1), [0; 0]);
    add(&store, &[(1, 2)], 1);
    assert_eq!(find(&store, 1), [2]);
}
