//! Stores of format version 1, whose log lacks some repeats of claims.

use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, Resolve};
use idmerge_original::Original;
use idmerge_store::redb::{Database, TableDefinition};
use idmerge_store::{Cause, Digest, Durable, Opened, Options, Reader};

use crate::support::Engine;

/// The log, as version 1 wrote it: identify U/ANON, identify V/ANON (rejected), merge a/b, merge b/c,
/// link D/U, a retraction of entry 1, merge c/d. It has no entry for merge a/c and merge d/a.
const LOG: &str = "\
    a48854eb482a97170700000001000355005c7f0e7c6a524b269fb86c5a9f0f4c1e51000356005c7f0e7c6a524b\
    269fb86c5a9f0f4c1e03550300036103620300036203632000034403550e000103616461066120746573740300\
    03630364";

/// The snapshot after entry 6.
const PIECE: &str = "\
    da09403293b6751d020000000000000045fde9ed642ba8049617abf8b992a723210679d0bac95fd70dc6819062\
    2f31ef49444d455247454f01003800000005015600012435633766306537632d366135322d346232362d396662\
    382d36633561396630663463316500000161010001620100016301000000000074c77b91b598898e";

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap();
    let pairs = hex.as_bytes().as_chunks::<2>().0.iter();
    pairs
        .map(|[high, low]| u8::try_from(digit(*high) << 4 | digit(*low)).unwrap())
        .collect()
}

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

fn merge<'a>(first: &'a str, second: &'a str) -> Claim<'a> {
    Claim::Merge {
        first: id(first),
        second: id(second),
    }
}

/// A folder with the store, with its snapshot or without.
fn folder(has_snapshot: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::create(folder.path().join("store.redb")).unwrap();
    let write = database.begin_write().unwrap();
    macro_rules! insert {
        ($name:literal, $key:ty, $value:ty, $rows:expr) => {{
            let table: TableDefinition<'_, $key, $value> = TableDefinition::new($name);
            let mut table = write.open_table(table).unwrap();
            for (key, value) in $rows {
                table.insert(key, value).unwrap();
            }
        }};
    }
    let about = [
        ("format", &[1, 0][..]),
        ("revised", b""),
        ("rule book", b"original"),
        ("settings", b""),
    ];
    insert!("about", &str, &[u8], about);
    insert!("log", u64, &[u8], [(1, &*bytes(LOG))]);
    let snapshots = has_snapshot.then_some((6, (false, 1))).into_iter();
    insert!("snapshots", u64, (bool, u32), snapshots);
    let piece = bytes(PIECE);
    let pieces = has_snapshot.then_some(((6, 0), &*piece)).into_iter();
    insert!("pieces", (u64, u32), &[u8], pieces);
    write.commit().unwrap();
    database.close().unwrap();
    folder
}

fn open(folder: &tempfile::TempDir) -> Durable<Original> {
    Durable::open(folder.path(), Original::empty, Options::default()).unwrap()
}

fn has_snapshot(opened: &Opened) -> bool {
    assert!(opened.damaged.is_empty());
    opened.snapshot > 0
}

/// The state that version 1 had.
fn state() -> Original {
    let mut engine = Original::empty();
    let anon = id("5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e");
    let identified = id("V");
    engine.apply(Claim::Identify { identified, anon }).unwrap();
    for (first, second) in [("a", "b"), ("b", "c"), ("c", "d")] {
        engine.apply(merge(first, second)).unwrap();
    }
    engine
}

#[test]
fn a_store_of_version_1_is_read_and_upgraded() {
    for with_snapshot in [true, false] {
        let folder = folder(with_snapshot);
        let digest = Digest::of(&state()).unwrap();
        let reader = Reader::open(folder.path(), Original::empty, &Options::default()).unwrap();
        assert_eq!(reader.digest().unwrap(), digest);
        assert_eq!(reader.opened().incomplete_until, u64::MAX);
        assert_eq!(has_snapshot(reader.opened()), with_snapshot);
        drop(reader);

        let mut store = open(&folder);
        assert_eq!(store.opened().incomplete_until, 7);
        assert_eq!(has_snapshot(store.opened()), with_snapshot);
        assert_eq!(Digest::of(&store).unwrap(), digest);
        // What the log has is not logged again; what it lacks is, when it comes again.
        for (first, second) in [("a", "b"), ("b", "c"), ("c", "d")] {
            store.apply(merge(first, second)).unwrap();
        }
        assert_eq!(store.commit().unwrap(), 7);
        store.apply(merge("a", "c")).unwrap();
        store.apply(merge("d", "a")).unwrap();
        assert_eq!(store.commit().unwrap(), 9);
        store.snapshot().unwrap();
        store.close().unwrap();

        // Now a withdrawal is exact.
        let mut store = open(&folder);
        assert_eq!(store.opened().incomplete_until, 7);
        assert_eq!(store.opened().snapshot, 9);
        store.apply(merge("a", "c")).unwrap();
        assert_eq!(store.commit().unwrap(), 9);
        store.retract(3, "ada", "a test", Cause::default()).unwrap();
        let [a, d] = ["a", "d"].map(|text| DistinctId::plain(id(text)));
        assert_eq!(store.resolve(a), store.resolve(d));
    }
}

#[test]
fn a_store_of_a_later_version_is_not_opened() {
    let folder = folder(true);
    let database = Database::open(folder.path().join("store.redb")).unwrap();
    let about: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");
    let write = database.begin_write().unwrap();
    {
        let mut about = write.open_table(about).unwrap();
        about.insert("format", &[6, 0][..]).unwrap();
    }
    write.commit().unwrap();
    drop(database);
    let error = Durable::open(folder.path(), Original::empty, Options::default()).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("opens versions up to 5"), "{error}");
}
