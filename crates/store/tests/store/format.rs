//! The bytes on disk: if this test fails, the format has changed and needs a new version.

use idmerge_core::{Claim, Id};
use idmerge_original::Original;
use idmerge_store::redb::TableDefinition;
use idmerge_store::{Cause, Durable, Options, Runs, StoreError};

use crate::support::Engine;
use crate::support::disk::Disk;

const RUNS: Runs = Runs::new("runs", "run pages");

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

/// A store with entries of all kinds, a snapshot, an index and an index of a service.
fn store() -> Durable<Original> {
    let options = Options {
        settings: "some settings".to_owned(),
        unindexed_max: 4,
        ..Options::default()
    };
    let mut store = Durable::open_backend(Disk::default(), Original::empty, options).unwrap();
    let anon = "5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e";
    let claims = [
        Claim::Identify {
            identified: id("U1"),
            anon: id(anon),
        },
        Claim::Identify {
            identified: id("U1"),
            anon: id("U2"),
        },
        Claim::Alias {
            distinct_id: id("U1"),
            alias: id("U3"),
        },
        Claim::Merge {
            first: id("U1"),
            second: id("U4"),
        },
        Claim::Merge {
            first: id("U1"),
            second: id("U1"),
        },
        Claim::Link {
            device: id("D1"),
            user: id("U1"),
        },
    ];
    let mut time_ms = 1_700_000_000_000;
    for (claim, source) in claims
        .into_iter()
        .zip([Some("web"), None].into_iter().cycle())
    {
        time_ms += 300;
        let cause = Cause {
            insert_id: source,
            time_ms: Some(time_ms),
            source,
        };
        store.apply_caused(claim, cause).unwrap();
    }
    store
        .retract(4, "ada", "a shared tablet", Cause::default())
        .unwrap();
    store.snapshot().unwrap();
    store.index().unwrap();
    for run in 0..8 {
        let pairs = (0..1500).map(|key| (key * 3 + run, run)).collect();
        store
            .commit_with::<StoreError>(|write| Ok(RUNS.add(write, pairs, run)?))
            .unwrap();
    }
    store.merge_runs(&RUNS).unwrap();
    store
        .commit_with::<StoreError>(|write| Ok(RUNS.add(write, vec![(1, 2)], 9)?))
        .unwrap();
    store
}

#[test]
fn the_bytes_of_every_table_are_those_of_format_version_2() {
    let store = store();
    let read = store.begin_read().unwrap();
    let mut found = Vec::new();
    macro_rules! hash {
        ($name:literal, $key:ty, $value:ty) => {{
            let table: TableDefinition<'_, $key, $value> = TableDefinition::new($name);
            let mut rows = String::new();
            for row in read.open_table(table).unwrap().range::<$key>(..).unwrap() {
                let (key, value) = row.unwrap();
                rows += &format!("{:?} {:?}\n", key.value(), value.value());
            }
            let hash = blake3::hash(rows.as_bytes()).to_hex();
            found.push(($name, hash[..16].to_owned()));
        }};
    }
    hash!("about", &str, &[u8]);
    hash!("log", u64, &[u8]);
    hash!("snapshots", u64, (bool, u32));
    hash!("pieces", (u64, u32), &[u8]);
    hash!("named", u64, &[u8]);
    hash!("named pages", (u64, u32), &[u8]);
    hash!("runs", u64, &[u8]);
    hash!("run pages", (u64, u32), &[u8]);
    let expected = [
        // With the row `revised`, because an entry is withdrawn.
        ("about", "3039bd7df49799e9"),
        ("log", "14e913ab150bee16"),
        ("snapshots", "82bffbc957c6ee95"),
        ("pieces", "d07918df8ecce765"),
        ("named", "e426d36753bf5aa7"),
        ("named pages", "a4ed6b3fc382b687"),
        ("runs", "af9042320f2a10fd"),
        ("run pages", "b8512b3f42d13965"),
    ];
    let expected = expected.map(|(name, hash)| (name, hash.to_owned()));
    assert_eq!(found, expected);
}
