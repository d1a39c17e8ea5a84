//! An image is a cache of a snapshot: with it a store opens as without it, and one that is damaged, forged, or of
//! another snapshot does no harm.

use std::cell::Cell;
use std::collections::BTreeMap;

use idmerge_core::{Claim, DistinctId, Id, IdentityResolver};
use idmerge_disk::row;
use idmerge_legacy::Legacy;
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::redb::TableDefinition;
use idmerge_store::{
    Cause, Durable, ErasedEvents, Erasure, Options, Reader, StoreError, erase, in_memory, restore,
};

use crate::support::disk::Disk;
use crate::support::traces::traces;
use crate::support::workload::{Numbers, OwnedClaim, claims};
use crate::support::{Engine, snapshot_of};

const PIECES: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("pieces");
/// The bit that tells the number of an image from that of its snapshot.
const IMAGE: u64 = 1 << 63;

/// Rows of the table of pieces, by key.
type Rows = BTreeMap<(u64, u32), Vec<u8>>;

fn options() -> Options {
    Options {
        image_from_bytes: 0,
        threads: 2,
        ..Options::default()
    }
}

fn open<E: Engine>(disk: &Disk) -> Durable<E> {
    Durable::open_backend(disk.clone(), E::empty, options()).unwrap()
}

fn apply<E: Engine>(store: &mut Durable<E>, claims: &[OwnedClaim]) -> Vec<String> {
    let outcome = |claim: &OwnedClaim| format!("{:?}", store.apply(claim.as_claim()).unwrap());
    let outcomes = claims.iter().map(outcome).collect();
    store.commit().unwrap();
    outcomes
}

/// A store with a snapshot of these claims and its image.
fn with_image<E: Engine>(claims: &[OwnedClaim]) -> Disk {
    let disk = Disk::default();
    let mut store = open::<E>(&disk);
    apply(&mut store, claims);
    store.snapshot().unwrap();
    assert!(store.image().unwrap());
    store.close().unwrap();
    disk
}

/// The pieces of images in a store.
fn image<E: Engine>(store: &Durable<E>) -> Rows {
    let read = store.begin_read().unwrap();
    let pieces = read.open_table(PIECES).unwrap();
    let rows = pieces.range((IMAGE, 0)..).unwrap().map(|row| {
        let (key, row) = row.unwrap();
        (key.value(), row.value().to_vec())
    });
    rows.collect()
}

/// The same store with other pieces of images.
fn changed<E: Engine>(disk: &Disk, rows: &Rows) -> Disk {
    let disk = Disk::with_bytes(disk.bytes());
    let store = open::<E>(&disk);
    let before = image(&store);
    let written = store.commit_with::<StoreError>(|write| {
        let mut pieces = write.open_table(PIECES)?;
        for key in before.keys() {
            pieces.remove(key)?;
        }
        for (key, row) in rows {
            pieces.insert(key, &**row)?;
        }
        Ok(())
    });
    written.unwrap();
    store.close().unwrap();
    disk
}

/// A row with a right checksum.
fn sealed(key: (u64, u32), content: &[u8]) -> Vec<u8> {
    let mut row = row::start();
    row.extend(content);
    row::seal(row::place_of(key), row)
}

fn opens_as_without_one<E: Engine>() {
    let all = claims::<E>(3, 3_000, 700);
    let (first, later) = all.split_at(2_000);
    let disk = with_image::<E>(first);
    let without = changed::<E>(&disk, &Rows::new());
    let [mut store, mut plain] = [&disk, &without].map(open::<E>);
    assert!(store.opened().is_from_image && !plain.opened().is_from_image);
    assert_eq!(store.opened().snapshot, plain.opened().snapshot);
    assert_eq!(snapshot_of(&store), snapshot_of(&plain));
    assert_eq!(apply(&mut store, later), apply(&mut plain, later));
    assert_eq!(snapshot_of(&store), snapshot_of(&plain));
    // The same claims get an entry.
    assert_eq!(store.sequence(), plain.sequence());
    let mut engine = E::empty();
    for claim in &all {
        engine.apply(claim.as_claim()).unwrap();
    }
    assert_eq!(snapshot_of(&store), snapshot_of(&engine));
    store.close().unwrap();
    // What came after the image is applied to it.
    let store = open::<E>(&disk);
    assert!(store.opened().is_from_image && store.opened().applied > 0);
    assert_eq!(snapshot_of(&store), snapshot_of(&engine));
}

#[test]
fn a_store_of_simplified_opens_from_an_image_as_without_one() {
    opens_as_without_one::<Simplified>();
}

#[test]
fn a_store_of_original_opens_from_an_image_as_without_one() {
    opens_as_without_one::<Original>();
}

/// Changes the image, with wrong checksums and with right ones.
fn changes_do_no_harm<E: Engine>() {
    let claims = claims::<E>(4, 2_000, 600);
    let disk = with_image::<E>(&claims);
    let store = open::<E>(&disk);
    let (rows, state) = (image(&store), snapshot_of(&store));
    store.close().unwrap();
    assert!(rows.len() >= 5, "{:?}", rows.keys());
    // The state is right, and comes from the snapshot.
    let is_refused = |what: &str, rows: &Rows| {
        let store = open::<E>(&changed::<E>(&disk, rows));
        assert!(!store.opened().is_from_image, "{what}");
        assert!(store.opened().damaged.is_empty(), "{what}");
        assert_eq!(snapshot_of(&store), state, "{what}");
    };
    let mut numbers = Numbers::new(1);
    for (key, row) in &rows {
        let mut without = rows.clone();
        without.remove(key);
        is_refused(&format!("without {key:?}"), &without);
        for _ in 0..4 {
            let mut flipped = rows.clone();
            let at = numbers.place(row.len());
            flipped.get_mut(key).unwrap()[at] ^= 1 << numbers.below(8);
            is_refused(&format!("a flipped bit of {key:?}"), &flipped);
        }
        let mut cut = rows.clone();
        cut.get_mut(key).unwrap().truncate(numbers.place(row.len()));
        is_refused(&format!("{key:?} is cut off"), &cut);
        let content = &row[row::CHECKSUM_BYTES..];
        for content in [&content[..content.len() - 1], &[content, &[0]].concat()] {
            let mut forged = rows.clone();
            forged.insert(*key, sealed(*key, content));
            is_refused(&format!("{key:?} has another length"), &forged);
        }
        // With a right checksum the state may be another one, as in a forged snapshot. Nothing panics.
        for _ in 0..6 {
            let mut content = content.to_vec();
            let at = numbers.place(content.len());
            content[at] = u8::try_from(numbers.below(256)).unwrap();
            let mut forged = rows.clone();
            forged.insert(*key, sealed(*key, &content));
            let mut store = open::<E>(&changed::<E>(&disk, &forged));
            apply(&mut store, &claims[..200]);
            snapshot_of(&store);
        }
    }
}

#[test]
fn an_image_of_simplified_that_is_changed_does_no_harm() {
    changes_do_no_harm::<Simplified>();
}

#[test]
fn an_image_of_original_that_is_changed_does_no_harm() {
    changes_do_no_harm::<Original>();
}

#[test]
fn an_image_of_another_snapshot_is_not_used() {
    // Links of other devices, so that both stores have entries of the same numbers.
    let disks = ["a", "b"].map(|kind| {
        let disk = Disk::default();
        let mut store = open::<Simplified>(&disk);
        link(&mut store, kind, 0..50);
        store.snapshot().unwrap();
        assert!(store.image().unwrap());
        store.close().unwrap();
        disk
    });
    let [rows, others] = [&disks[0], &disks[1]].map(|disk| image(&open::<Simplified>(disk)));
    assert!(rows.keys().eq(others.keys()));
    let swapped = changed::<Simplified>(&disks[0], &others);
    let [right, store] = [&disks[0], &swapped].map(open::<Simplified>);
    assert!(right.opened().is_from_image && !store.opened().is_from_image);
    assert_eq!(snapshot_of(&right), snapshot_of(&store));
    drop(store);

    // An old image under the number of a later snapshot.
    let mut store = right;
    link(&mut store, "a", 50..60);
    store.snapshot().unwrap();
    store.close().unwrap();
    let old = rows.into_iter().map(|((number, piece), row)| {
        let key = (number + 10, piece);
        (key, sealed(key, &row[row::CHECKSUM_BYTES..]))
    });
    let store = open::<Simplified>(&changed::<Simplified>(&disks[0], &old.collect()));
    assert_eq!(
        (store.opened().snapshot, store.opened().is_from_image),
        (60, false)
    );
}

fn link(store: &mut Durable<Simplified>, kind: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let [device, user] = ["device", "user"].map(|what| format!("{what}-{kind}-{number}"));
        let [device, user] = [&device, &user].map(|id| Id::new(id).unwrap());
        store.apply(Claim::Link { device, user }).unwrap();
    }
    store.commit().unwrap();
}

/// The numbers in the table of pieces.
fn numbers(store: &Durable<Simplified>) -> Vec<u64> {
    let read = store.begin_read().unwrap();
    let pieces = read.open_table(PIECES).unwrap();
    let numbers = pieces
        .range((0, 0)..)
        .unwrap()
        .map(|row| row.unwrap().0.value().0);
    let mut numbers: Vec<_> = numbers.collect();
    numbers.dedup();
    numbers
}

#[test]
fn there_is_one_image_and_it_is_of_the_last_snapshot() {
    let disk = Disk::default();
    let mut store = open::<Simplified>(&disk);
    assert!(!store.image().unwrap(), "there is no snapshot");
    for round in 0..4 {
        link(&mut store, "a", 10 * round..10 * (round + 1));
        let snapshot = store.committed();
        match round % 2 {
            0 => {
                store.snapshot().unwrap();
                // It is not of the last snapshot any more, and not used.
                assert!(!numbers(&store).contains(&(IMAGE | snapshot)));
                assert!(store.image().unwrap());
            }
            _ => assert!(
                store
                    .copy_state(in_memory())
                    .unwrap()
                    .unwrap()
                    .write(&|| true)
                    .unwrap()
            ),
        }
        let images: Vec<_> = numbers(&store)
            .into_iter()
            .filter(|it| it & IMAGE != 0)
            .collect();
        assert_eq!(images, [IMAGE | snapshot]);
        assert!(store.image().unwrap());
    }
    let state = snapshot_of(&store);
    store.close().unwrap();
    let store = open::<Simplified>(&disk);
    assert!(store.opened().is_from_image);
    assert_eq!(snapshot_of(&store), state);
}

#[test]
fn an_image_that_is_left_off_is_none_and_is_removed() {
    let disk = Disk::default();
    let mut store = open::<Simplified>(&disk);
    link(&mut store, "a", 0..40_000);
    store.snapshot().unwrap();
    let mut calls = 0_u64;
    loop {
        let left = Cell::new(calls);
        let may_go_on = || left.replace(left.get().saturating_sub(1)) > 0;
        let is_written = store.image_while(&may_go_on).unwrap();
        let found = open::<Simplified>(&disk.after_reboot(|_| 0));
        assert_eq!(
            found.opened().is_from_image,
            is_written,
            "after {calls} calls"
        );
        assert_eq!(found.opened().snapshot, store.committed());
        if is_written {
            break;
        }
        calls += 1;
    }
    assert!(calls > 6, "{calls}");
    // What is left of one is removed before the next snapshot, also by a version that knows no images.
    link(&mut store, "b", 0..1);
    assert!(
        store
            .copy_state(in_memory())
            .unwrap()
            .unwrap()
            .write(&|| false)
            .is_ok()
    );
    store.snapshot().unwrap();
    assert!(!store.image_while(&|| false).unwrap());
    store.image().unwrap();
    assert_eq!(
        numbers(&store),
        [
            store.committed() - 1,
            store.committed(),
            IMAGE | store.committed()
        ]
    );
}

#[test]
fn what_was_left_of_an_image_is_no_part_of_the_next_one_of_the_same_snapshot() {
    let disk = Disk::default();
    let mut store = open::<Simplified>(&disk);
    link(&mut store, "a", 0..10);
    store.snapshot().unwrap();
    // As another version with other parts may leave it.
    let left = (IMAGE | store.committed(), 200 << 24);
    let written = store.commit_with::<StoreError>(|write| {
        let row = sealed(left, b"left");
        write.open_table(PIECES)?.insert(left, &*row)?;
        Ok(())
    });
    written.unwrap();
    assert!(store.image().unwrap());
    let rows = image(&store);
    assert!(rows.len() > 3 && !rows.contains_key(&left), "{rows:?}");
}

#[test]
fn a_small_snapshot_and_an_engine_without_images_have_none() {
    let disk = Disk::default();
    let small = Options {
        image_from_bytes: 1 << 20,
        ..options()
    };
    let mut store = Durable::open_backend(disk.clone(), Simplified::empty, small).unwrap();
    link(&mut store, "a", 0..10);
    store.snapshot().unwrap();
    assert!(!store.image().unwrap());
    assert!(image(&store).is_empty());
    drop(store);

    let legacy = Disk::default();
    let mut store = Durable::open_backend(legacy.clone(), Legacy::default, options()).unwrap();
    let [distinct_id, alias] = ["U", "A"].map(|text| Id::new(text).unwrap());
    store.apply(Claim::Alias { distinct_id, alias }).unwrap();
    store.commit().unwrap();
    store.snapshot().unwrap();
    assert!(!store.image().unwrap());
    drop(store);
    let store = Durable::open_backend(legacy, Legacy::default, options()).unwrap();
    assert_eq!(
        (store.opened().snapshot, store.opened().is_from_image),
        (1, false)
    );
}

#[test]
fn readers_open_from_an_image_and_backups_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let [path, other] = ["store", "other"].map(|name| folder.path().join(name));
    let mut store = Durable::open(&path, Simplified::empty, options()).unwrap();
    link(&mut store, "a", 0..20);
    store.snapshot().unwrap();
    store.image().unwrap();
    let reader = Reader::open(&path, Simplified::empty, &options()).unwrap();
    assert!(reader.opened().is_from_image);
    // A retraction changes the state, and not that of the snapshot.
    store
        .retract(3, "a test", "to see it", Cause::default())
        .unwrap();
    let state = snapshot_of(&store);
    store.close().unwrap();
    let store = Durable::open(&path, Simplified::empty, options()).unwrap();
    assert!(store.opened().is_from_image);
    assert_eq!(snapshot_of(&store), state);
    let file = folder.path().join("backup");
    store.history().unwrap().backup(&file).unwrap();
    restore(&file, &other).unwrap();
    let restored = Durable::open(&other, Simplified::empty, options()).unwrap();
    assert_eq!(
        (restored.opened().snapshot, restored.opened().is_from_image),
        (20, false)
    );
    assert_eq!(snapshot_of(&restored), state);
    assert!(restored.image().unwrap());
}

#[test]
fn an_erased_id_is_in_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut store = Durable::open(path, Simplified::empty, options()).unwrap();
    link(&mut store, "a", 0..50);
    store.snapshot().unwrap();
    store.image().unwrap();
    store.close().unwrap();
    let texts = ["device-a-7", "user-a-7"];
    // The test can fail: the image has the text.
    let image_bytes: Vec<u8> = image(&Durable::open(path, Simplified::empty, options()).unwrap())
        .into_values()
        .flatten()
        .collect();
    for text in texts {
        assert!(
            image_bytes
                .windows(text.len())
                .any(|bytes| bytes == text.as_bytes())
        );
    }
    let erasure = Erasure {
        ids: vec![DistinctId::plain(Id::new("user-a-7").unwrap()).to_buf()],
        until_ms: None,
        events: ErasedEvents::Erased,
        key: [7; 32],
        dry_run: false,
    };
    erase(path, Simplified::empty, &options(), &erasure, None, &|_| {
        true
    })
    .unwrap();
    assert_eq!(traces(path, &texts), Vec::<String>::new());
    let store = Durable::open(path, Simplified::empty, options()).unwrap();
    assert!(store.opened().is_from_image);
    assert_eq!(store.sequence(), 50);
}
