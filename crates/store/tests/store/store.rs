//! A store in a folder: opening it, committing, snapshots and errors.

use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, Outcome, Resolve, RuleBook};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Durable, Options, Reader, Sharing, StoreError};
use tempfile::TempDir;

use crate::support::disk::Disk;
use crate::support::workload::claims;
use crate::support::{Engine, snapshot_of};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open<E: Engine>(folder: &TempDir) -> Result<Durable<E>, StoreError> {
    Durable::open(folder.path(), E::empty, Options::default())
}

fn link<'a>(device: &'a str, user: &'a str) -> Claim<'a> {
    let [device, user] = [device, user].map(|text| Id::new(text).unwrap());
    Claim::Link { device, user }
}

fn device(text: &str) -> DistinctId<'_> {
    DistinctId::device(Id::new(text).unwrap())
}

#[test]
fn committed_claims_are_kept_and_uncommitted_ones_are_lost() {
    let folder = folder();
    let mut store = open::<Simplified>(&folder).unwrap();
    assert_eq!(store.apply(link("D1", "U1")).unwrap(), Outcome::Merged);
    assert_eq!((store.sequence(), store.committed()), (1, 0));
    assert_eq!(store.commit().unwrap(), 1);
    store.apply(link("D2", "U1")).unwrap();
    assert_eq!(store.resolve(device("D2")), *"U1", "visible at once");
    assert!(matches!(store.snapshot(), Err(StoreError::Uncommitted)));
    drop(store);

    let store = open::<Simplified>(&folder).unwrap();
    assert_eq!((store.sequence(), store.committed()), (1, 1));
    assert_eq!(store.resolve(device("D1")), *"U1");
    assert_eq!(store.resolve(device("D2")), device("D2"));
}

#[test]
fn repeats_have_no_entry_even_after_reopening() {
    let folder = folder();
    let given = [link("D1", "U1"), link("D1", "U2"), link("D1", "U1")];
    for round in 0..3 {
        let mut store = open::<Simplified>(&folder).unwrap();
        for claim in given {
            store.apply(claim).unwrap();
        }
        assert_eq!(store.commit().unwrap(), 2, "round {round}");
        store.snapshot().unwrap();
        assert_eq!(store.since_snapshot().unwrap(), 0);
    }
}

#[test]
fn there_is_one_writer_at_a_time_and_any_number_of_readers() {
    let folder = folder();
    let mut writer = open::<Simplified>(&folder).unwrap();
    assert!(matches!(
        open::<Simplified>(&folder),
        Err(StoreError::InUse)
    ));

    writer.apply(link("D1", "U1")).unwrap();
    writer.commit().unwrap();
    let options = Options::default();
    let mut reader = Reader::open(folder.path(), Simplified::empty, &options).unwrap();
    assert_eq!(reader.resolve(device("D1")), *"U1");
    writer.apply(link("D2", "U1")).unwrap();
    assert_eq!(reader.refresh().unwrap(), 1, "not committed yet");
    writer.commit().unwrap();
    assert_eq!(reader.resolve(device("D2")), device("D2"));
    assert_eq!(reader.refresh().unwrap(), 2);
    assert_eq!(reader.last(), 2);
    assert_eq!(reader.resolve(device("D2")), *"U1");
    let as_of_1 = reader.history().unwrap().as_of(1);
    assert_eq!(as_of_1.unwrap().resolve(device("D2")), device("D2"));

    drop(writer);
    assert!(open::<Simplified>(&folder).is_ok());
}

#[test]
fn a_store_that_is_not_shared_has_no_readers() {
    let folder = folder();
    let alone = Options {
        sharing: Sharing::Nobody,
        ..Options::default()
    };
    let writer = Durable::open(folder.path(), Simplified::empty, alone.clone()).unwrap();
    let reader = Reader::open(folder.path(), Simplified::empty, &alone);
    assert!(matches!(reader, Err(StoreError::InUse)));
    assert!(matches!(
        open::<Simplified>(&folder),
        Err(StoreError::InUse)
    ));
    drop(writer);
    assert!(Reader::open(folder.path(), Simplified::empty, &alone).is_ok());
}

#[test]
fn a_crash_while_a_store_is_made_does_not_prevent_making_it_later() {
    for left in [&b"anything"[..], &[0; 5000]] {
        let folder = folder();
        std::fs::write(folder.path().join("store.redb.unfinished"), left).unwrap();
        let mut store = open::<Simplified>(&folder).unwrap();
        store.apply(link("D1", "U1")).unwrap();
        assert_eq!(store.commit().unwrap(), 1);
        let names = std::fs::read_dir(folder.path()).unwrap();
        let names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
        assert_eq!(names, ["store.redb"]);
    }
}

#[test]
fn reading_a_store_that_does_not_exist_is_an_error() {
    let folder = folder();
    let reader = Reader::open(folder.path(), Simplified::empty, &Options::default());
    assert!(matches!(reader, Err(StoreError::Io(_))));
}

#[test]
fn another_engine_or_other_settings_do_not_open_the_store() {
    let folder = folder();
    drop(open::<Simplified>(&folder).unwrap());
    let error = open::<Original>(&folder).unwrap_err();
    let StoreError::OtherRuleBook { found, expected } = error else {
        unreachable!("{error:?}");
    };
    assert_eq!(
        (found, expected),
        (RuleBook::Simplified, RuleBook::Original)
    );

    let settings = Options {
        settings: "max_id_bytes 20".to_owned(),
        ..Options::default()
    };
    let error = Durable::open(folder.path(), Simplified::empty, settings).unwrap_err();
    assert!(matches!(error, StoreError::OtherSettings { .. }));
    assert!(error.to_string().contains("max_id_bytes 20"), "{error}");
}

#[test]
fn an_engine_with_other_rules_than_its_settings_say_is_detected() {
    let disk = Disk::default();
    let engine = |max_cluster_ids| {
        move || {
            Original::new(idmerge_original::Settings {
                max_cluster_ids,
                ..idmerge_original::Settings::default()
            })
        }
    };
    let mut store = Durable::open_backend(disk.clone(), engine(3), Options::default()).unwrap();
    let mut merge = |first: &str, second: &str| {
        let [first, second] = [first, second].map(|text| Id::new(text).unwrap());
        store.apply(Claim::Merge { first, second }).unwrap();
    };
    let others = |number| [format!("C{number}"), format!("D{number}")];
    // The second one is in none of the first claims that are applied together, and other ones follow it.
    for ([first, second], number) in (0..2_000).map(others).zip(1..) {
        merge(&first, &second);
        if number == 1_500 {
            merge("A", "B");
            merge("B", "C");
        }
    }
    store.commit().unwrap();
    store.close().unwrap();
    for threads in [1, 2] {
        let options = Options {
            threads,
            ..Options::default()
        };
        let error = Durable::open_backend(disk.clone(), engine(2), options).unwrap_err();
        let StoreError::Diverged {
            sequence: 1_502,
            logged,
            now,
        } = &error
        else {
            panic!("{error:?}");
        };
        assert_eq!(logged, "Merged");
        assert!(now.contains("ManyIds"), "{now}");
    }
}

#[test]
fn opening_begins_with_the_latest_snapshot() {
    let disk = Disk::default();
    let claims = claims::<Original>(5, 1000, 200);
    let mut store =
        Durable::open_backend(disk.clone(), Original::empty, Options::default()).unwrap();
    let mut snapshots = Vec::new();
    for group in claims.chunks(100) {
        for claim in group {
            store.apply(claim.as_claim()).unwrap();
        }
        store.commit().unwrap();
        if snapshots.len() < 5 {
            store.snapshot().unwrap();
            snapshots.push(store.committed());
        }
    }
    let (state, last) = (snapshot_of(&store), store.committed());
    store.close().unwrap();
    let store = Durable::open_backend(disk, Original::empty, Options::default()).unwrap();
    assert_eq!(store.opened().snapshot, snapshots[4]);
    assert_eq!(store.opened().applied, last - snapshots[4]);
    assert_eq!(snapshot_of(&store), state);
}

#[test]
fn a_loaded_state_is_an_entry_and_survives_reopening() {
    let mut elsewhere = Simplified::empty();
    elsewhere.apply(link("D1", "U1")).unwrap();
    let bytes = snapshot_of(&elsewhere);

    let disk = Disk::default();
    let open = || Durable::open_backend(disk.clone(), Simplified::empty, Options::default());
    let mut store = open().unwrap();
    store.apply(link("D1", "U2")).unwrap();
    store.read_snapshot(&mut &*bytes).unwrap();
    assert_eq!((store.sequence(), store.committed()), (2, 2));
    assert_eq!(store.resolve(device("D1")), *"U1");
    for user in 0..5 {
        let device = format!("D{user}");
        store.apply(link(&device, "U3")).unwrap();
        store.commit().unwrap();
        store.snapshot().unwrap();
    }
    let state = snapshot_of(&store);
    store.close().unwrap();
    let store = open().unwrap();
    assert_eq!(snapshot_of(&store), state);
    let history = store.history().unwrap();
    let at = |sequence| history.as_of(sequence).unwrap();
    assert_eq!(at(1).resolve(device("D1")), *"U2");
    assert_eq!(snapshot_of(&at(2)), bytes);
}

#[test]
fn a_snapshot_of_many_pieces_is_read_back() {
    let folder = folder();
    let mut store = open::<Simplified>(&folder).unwrap();
    for number in 0..60_000 {
        let device = format!("a device with a long name, number {number}");
        store.apply(link(&device, "U1")).unwrap();
    }
    store.commit().unwrap();
    store.snapshot().unwrap();
    let state = snapshot_of(&store);
    assert!(state.len() > 1 << 20, "{} bytes", state.len());
    store.close().unwrap();
    let store = open::<Simplified>(&folder).unwrap();
    assert_eq!(
        (store.opened().snapshot, store.opened().applied),
        (60_000, 0)
    );
    assert_eq!(snapshot_of(&store), state);
}

#[test]
#[cfg(unix)]
fn a_folder_that_may_not_be_written_is_an_error() {
    let error = Durable::open("/dev/null/store", Simplified::empty, Options::default());
    assert!(matches!(error, Err(StoreError::Io(_))));
}

#[test]
fn a_failing_disk_is_an_error_of_commit_only() {
    let healthy = Disk::default();
    let opened = Durable::open_backend(healthy.clone(), Simplified::empty, Options::default());
    let disk = Disk::that_dies_at(healthy.syncs());
    drop(opened.unwrap());
    let mut store = Durable::open_backend(disk, Simplified::empty, Options::default()).unwrap();
    store.apply(link("D1", "U1")).unwrap();
    assert!(store.commit().is_err());
    assert!(
        store.commit().is_err(),
        "it does not say that it is safe now"
    );
    assert_eq!(store.resolve(device("D1")), *"U1");
    store.apply(link("D2", "U1")).unwrap();
}
