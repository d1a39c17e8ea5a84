//! The index of duplicates answers as a set does, and the work and the memory of an answer are bounded.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use allocation_counter::measure;
use idmerge_disk::{Dedup, DedupTables, LazyRuns, Runs};
use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, StorageBackend};
use twox_hash::XxHash3_64;

const TABLES: DedupTables = DedupTables::new(Runs::new("runs", "pages"), "recent", "filters");

/// Memory that counts the bytes that are read from it.
#[derive(Debug)]
struct Memory {
    memory: InMemoryBackend,
    read_bytes: Arc<AtomicU64>,
}

impl StorageBackend for Memory {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_bytes
            .fetch_add(out.len() as u64, Ordering::Relaxed);
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.memory.write(offset, data)
    }
}

/// A database without a cache, and how many bytes were read from it.
fn database() -> (Database, Arc<AtomicU64>) {
    let read_bytes = Arc::<AtomicU64>::default();
    let memory = Memory {
        memory: InMemoryBackend::new(),
        read_bytes: read_bytes.clone(),
    };
    let mut builder = Database::builder();
    builder.set_cache_size(0);
    (builder.create_with_backend(memory).unwrap(), read_bytes)
}

fn open(database: &Database) -> Dedup {
    Dedup::open(TABLES, &database.begin_read().unwrap()).unwrap()
}

fn fingerprint(number: u64) -> u128 {
    let half = |seed| XxHash3_64::oneshot_with_seed(seed, &number.to_le_bytes());
    u128::from(half(1)) << 64 | u128::from(half(2))
}

/// Adds events and writes a run with them.
fn add_run(database: &Database, dedup: &mut Dedup, events: impl Iterator<Item = (u64, i64)>) {
    for (number, time_ms) in events {
        dedup.add(fingerprint(number), time_ms);
    }
    let write = database.begin_write().unwrap();
    let last = dedup.last() + 1;
    dedup.write_run(&write, last).unwrap();
    write.commit().unwrap();
}

fn merge(database: &Database) {
    while TABLES.runs().merge(database, &|| {}).unwrap() {}
}

/// How many of these events were taken before.
fn stored(database: &Database, dedup: &Dedup, events: &[(u64, i64)]) -> usize {
    let read = database.begin_read().unwrap();
    let mut runs = LazyRuns::new(&read);
    let prints = |(number, time_ms): &(u64, i64)| Some((fingerprint(*number), *time_ms));
    let suspects = dedup.suspects(events.iter().map(prints));
    let mut is_stored = |(at, event): (usize, &(u64, i64))| {
        let variants = [fingerprint(event.0)];
        let first = dedup.first_of(&variants, suspects.of(at), &mut runs);
        first.unwrap().is_some()
    };
    events
        .iter()
        .enumerate()
        .filter(|it| is_stored(*it))
        .count()
}

#[test]
fn an_event_is_looked_up_in_the_one_run_that_may_have_it() {
    let (database, read_bytes) = database();
    let mut dedup = open(&database);
    let run = |run: u64| (1_500 * run..1_500 * (run + 1)).map(|number| (number, 5));
    for number in 0..63 {
        add_run(&database, &mut dedup, run(number));
        merge(&database);
    }
    // Seven runs of one addition, and seven of eight.
    let dedup = open(&database);
    let some: Vec<_> = (0..63).flat_map(|at| run(at).step_by(50)).collect();
    let before = read_bytes.load(Ordering::Relaxed);
    assert_eq!(stored(&database, &dedup, &some), some.len());
    let bytes = read_bytes.load(Ordering::Relaxed) - before;
    // A page of 16 KiB, and the rows of the tree above it.
    let most = 40 << 10;
    assert!(
        bytes / (some.len() as u64) < most,
        "{bytes} bytes for {}",
        some.len()
    );
    let others: Vec<_> = (0..1_000).map(|number| (1_000_000 + number, 5)).collect();
    let before = read_bytes.load(Ordering::Relaxed);
    assert_eq!(stored(&database, &dedup, &others), 0);
    // The filters answer alone, but for a few of them.
    let bytes = read_bytes.load(Ordering::Relaxed) - before;
    assert!(bytes < 1 << 20, "{bytes} bytes");
}

#[test]
fn the_memory_of_a_run_is_that_of_its_filter() {
    const FILTER_BYTES: u64 = 256 << 10;
    let (database, _) = database();
    let mut dedup = open(&database);
    for runs in 1..=70_u64 {
        add_run(&database, &mut dedup, std::iter::once((runs, 5)));
        if ![1, 3, 4, 12, 36, 64, 68, 70].contains(&runs) {
            continue;
        }
        let mut opened = None;
        let info = measure(|| opened = Some(open(&database)));
        drop(opened);
        let bytes = u64::try_from(info.bytes_current).unwrap();
        // A run has at least 131,072 events in a server, so this is 2 to 4 bytes for each.
        let most = FILTER_BYTES * 2 * runs + (64 << 10);
        assert!(bytes <= most, "{runs} runs: {bytes} bytes");
        if runs.is_multiple_of(64) {
            assert!(
                bytes <= FILTER_BYTES * runs + (64 << 10),
                "{runs} runs: {bytes} bytes"
            );
        }
    }
}

#[test]
fn a_run_without_a_filter_makes_every_run_be_searched() {
    let (database, _) = database();
    let mut dedup = open(&database);
    for run in 0..10 {
        add_run(
            &database,
            &mut dedup,
            (10 * run..10 * run + 10).map(|number| (number, 5)),
        );
    }
    let write = database.begin_write().unwrap();
    TABLES
        .runs()
        .add(&write, vec![(1, 1)], dedup.last())
        .unwrap();
    write.commit().unwrap();
    merge(&database);
    let all: Vec<_> = (0..110).map(|number| (number, 5)).collect();
    assert_eq!(stored(&database, &open(&database), &all), 100);
}

/// A step of a test.
#[derive(Clone, Debug)]
enum Step {
    /// Takes events: each a number and a time, from 0 for the first sender or 1 for the second.
    Take(Vec<(u64, i64, usize)>),
    Write,
    WriteRun,
    Merge,
    Open,
}

fn step() -> impl Strategy<Value = Step> {
    let events = prop::collection::vec((0..300_u64, 0..3_i64, 0..2_usize), 1..30);
    prop_oneof![
        6 => events.prop_map(Step::Take),
        2 => Just(Step::Write),
        3 => Just(Step::WriteRun),
        2 => Just(Step::Merge),
        1 => Just(Step::Open),
    ]
}

/// The fingerprint of an event by each of two senders. The time is part of it, as in a server.
fn variants(number: u64, time_ms: i64) -> [u128; 2] {
    let fields = fingerprint(number * 10 + u64::try_from(time_ms).unwrap());
    [fields ^ 1 << idmerge_disk::VARIANT_SHIFT, fields]
}

proptest! {
    // Each run has a filter of 256 KiB, which takes most of the time.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn an_event_is_known_by_its_best_sender(steps in prop::collection::vec(step(), 1..60)) {
        let (database, _) = database();
        let mut dedup = open(&database);
        let mut model = HashSet::new();
        let mut unwritten = Vec::new();
        for step in steps {
            let write = database.begin_write().unwrap();
            let last = dedup.last() + 1;
            match step {
                Step::Take(events) => {
                    let read = database.begin_read().unwrap();
                    let mut runs = LazyRuns::new(&read);
                    let prints = events.iter().map(|&(number, time_ms, _)| {
                        Some((variants(number, time_ms)[1], time_ms))
                    });
                    let suspects = dedup.suspects(prints);
                    for (at, &(number, time_ms, sender)) in events.iter().enumerate() {
                        let variants = variants(number, time_ms);
                        let found = dedup.first_of(&variants, suspects.of(at), &mut runs).unwrap();
                        let wanted = variants.iter().position(|variant| model.contains(variant));
                        prop_assert_eq!(found, wanted);
                        if found.is_none_or(|found| found > sender) {
                            dedup.add(variants[sender], time_ms);
                            model.insert(variants[sender]);
                            unwritten.push(variants[sender]);
                        }
                    }
                    continue;
                }
                Step::Write => dedup.write(&write, last).unwrap(),
                Step::WriteRun => dedup.write_run(&write, last).unwrap(),
                Step::Merge => {
                    drop(write);
                    merge(&database);
                    continue;
                }
                Step::Open => {
                    dedup = open(&database);
                    for event in unwritten.drain(..) {
                        model.remove(&event);
                    }
                    continue;
                }
            }
            write.commit().unwrap();
            unwritten.clear();
        }
    }
}
