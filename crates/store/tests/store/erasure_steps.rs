//! Erasure: an erasure that is broken off at any step changes nothing, and its marks outlive what is done to a store.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use idmerge_core::{DistinctId, DistinctIdBuf, Id, IdentityResolver, Resolve};
use idmerge_original::Original;
use idmerge_store::redb::TableDefinition;
use idmerge_store::{
    Cause, Durable, ErasedEvents, Erasure, ErasureProgress, ErasureReceipt, Intake, LogEntry,
    Options, StoreError, TakenInput, What, erase, repair, restore,
};

use crate::support::logs::log_of;
use crate::support::traces::traces;
use crate::support::workload::claims;
use crate::support::{Engine, snapshot_of};

fn options() -> Options {
    Options {
        unindexed_max: 50,
        ..Options::default()
    }
}

fn open(folder: &Path) -> Durable<Original> {
    Durable::open(folder, Original::empty, options()).unwrap()
}

/// A store with claims, of which one is withdrawn by a person who names an ID.
fn store(folder: &Path) {
    let mut store = open(folder);
    for claim in claims::<Original>(5, 300, 40) {
        store.apply(claim.as_claim()).unwrap();
    }
    let cause = Cause {
        insert_id: Some("insert-id-of-user-7"),
        source: Some("web"),
        ..Cause::default()
    };
    let [first, second] = ["user-7", "user-3"].map(|it| Id::new(it).unwrap());
    let claim = idmerge_core::Claim::Merge { first, second };
    store.apply_caused(claim, cause).unwrap();
    store.commit().unwrap();
    let last = store.committed();
    let retracted = store.retract(
        last,
        "ada",
        "USER-7 said so, user-70 did not",
        Cause::default(),
    );
    retracted.unwrap();
    store.snapshot().unwrap();
    store.close().unwrap();
}

fn erasure(id: &str) -> Erasure {
    Erasure {
        ids: vec![id.parse::<DistinctIdBuf>().unwrap()],
        until_ms: None,
        events: ErasedEvents::Erased,
        key: [9; 32],
        dry_run: false,
    }
}

fn erase_while(
    folder: &Path,
    erasure: &Erasure,
    go_on: &dyn Fn(ErasureProgress) -> bool,
) -> Result<ErasureReceipt, StoreError> {
    erase(folder, Original::empty, &options(), erasure, None, go_on)
}

fn plain(id: &str) -> DistinctId<'_> {
    DistinctId::plain(Id::new(id).unwrap())
}

#[test]
fn e_5_an_erasure_that_is_broken_off_at_any_step_changes_nothing_and_the_next_one_finishes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    store(folder);
    let before = snapshot_of(&open(folder));
    let bytes = fs::read(folder.join("store.redb")).unwrap();
    let mut steps = 0_u64;
    let receipt = loop {
        let left = Cell::new(steps);
        let go_on = |_: ErasureProgress| left.replace(left.get().wrapping_sub(1)) != 0;
        match erase_while(folder, &erasure("user-7"), &go_on) {
            Err(StoreError::Cancelled) => {}
            erased => break erased.unwrap(),
        }
        assert_eq!(snapshot_of(&open(folder)), before);
        assert!(open(folder).erased().is_empty());
        let files: Vec<_> = fs::read_dir(folder).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
        steps += 1;
    };
    assert!(steps > 0 && receipt.entries_rewritten > 5);
    assert_ne!(fs::read(folder.join("store.redb")).unwrap(), bytes);
    assert_eq!(
        traces(folder, &["insert-id-of-user-7"]),
        Vec::<String>::new()
    );
    // What a killed erasure has left is written anew.
    fs::write(folder.join("store.redb.unfinished"), b"user-3").unwrap();
    let again = erase_while(folder, &erasure("user-7"), &|_| true).unwrap();
    assert_eq!((again.ids_erased, again.entries_rewritten), (1, 0));
    assert_eq!(again.digest_before, receipt.digest_after);
    assert_eq!(again.digest_after, receipt.digest_after);
}

#[test]
fn e_3_a_reason_that_names_an_erased_id_goes_and_another_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    // user-70 is another ID.
    erase_while(folder.path(), &erasure("user-70"), &|_| true).unwrap();
    let why = |log: &[LogEntry]| log.last().unwrap().why.clone().unwrap();
    assert_eq!(why(&log_of(&open(folder.path()))), "");
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    erase_while(folder.path(), &erasure("ser-7"), &|_| true).unwrap();
    let log = log_of(&open(folder.path()));
    assert_eq!(why(&log), "USER-7 said so, user-70 did not");
    erase_while(folder.path(), &erasure("user-7"), &|_| true).unwrap();
    let log = log_of(&open(folder.path()));
    assert_eq!(why(&log), "");
    assert_eq!(log.last().unwrap().who.as_deref(), Some("ada"));
}

#[test]
fn e_2_an_erased_id_is_refused_until_the_date_and_the_later_date_counts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    store(folder);
    for (until_ms, wanted) in [(Some(1_000), 1_000), (Some(500), 1_000), (None, i64::MAX)] {
        let erasure = Erasure {
            until_ms,
            ..erasure("user-7")
        };
        let receipt = erase_while(folder, &erasure, &|_| true).unwrap();
        assert_eq!(receipt.refused_until_ms, until_ms);
        let store = open(folder);
        let erased = store.erased();
        for id in [
            plain("user-7"),
            DistinctId::device(Id::new("user-7").unwrap()),
        ] {
            assert!(erased.refuses(id, wanted - 1) && !erased.refuses(id, wanted));
        }
        assert!(!erased.refuses(plain("user-70"), 0));
    }
}

#[test]
fn e_2_the_hashes_are_in_backups_and_repaired_stores_and_differ_by_store() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    store(&at("store"));
    let before = erase_while(&at("store"), &erasure("user-7"), &|_| true).unwrap();
    let erased = open(&at("store")).erased().len();
    assert_eq!(erased as u64, before.ids_erased);
    open(&at("store"))
        .history()
        .unwrap()
        .backup(at("backup"))
        .unwrap();
    restore(at("backup"), at("restored")).unwrap();
    let restored = open(&at("restored"));
    assert_eq!(restored.erased().len(), erased);
    assert!(restored.erased().refuses(plain("user-7"), 0));
    assert_eq!(snapshot_of(&restored), snapshot_of(&open(&at("store"))));
    drop(restored);

    // The index is damaged, so a repair writes the store anew.
    let damaged = open(&at("store"));
    const HEADS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("named");
    damaged
        .commit_with(|write| {
            write.open_table(HEADS)?.insert(0, &b"damaged"[..])?;
            Ok::<_, StoreError>(())
        })
        .unwrap();
    damaged.close().unwrap();
    assert!(repair(at("store")).unwrap().index);
    assert!(open(&at("store")).erased().refuses(plain("user-7"), 0));
    // The receipt names the file that the repair has put aside.
    let receipt = erase_while(&at("store"), &erasure("user-3"), &|_| true).unwrap();
    let damaged = at("store").join("store.redb.damaged");
    assert_eq!(receipt.older_files, [damaged.display().to_string()]);
}

#[test]
fn an_erasure_keeps_what_ingest_has_taken_and_refuses_tables_that_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    store(folder);
    let opened = open(folder);
    let mut intake = Intake::open(&opened.begin_read().unwrap()).unwrap();
    let input = TakenInput {
        number: 1,
        bytes: 10,
        hash: [3; 32],
        head: 4,
        records: 5,
        events: 5,
        again: 0,
        again_after: 0,
    };
    intake.set_input(input);
    opened.commit_with(|write| intake.write(write)).unwrap();
    opened.close().unwrap();
    erase_while(folder, &erasure("user-7"), &|_| true).unwrap();
    let opened = open(folder);
    let intake = Intake::open(&opened.begin_read().unwrap()).unwrap();
    assert_eq!(intake.inputs(), [input]);

    const OTHER: TableDefinition<'_, u64, u64> = TableDefinition::new("another table");
    opened
        .commit_with(|write| {
            write.open_table(OTHER)?.insert(1, 2)?;
            Ok::<_, StoreError>(())
        })
        .unwrap();
    opened.close().unwrap();
    let refused = erase_while(folder, &erasure("user-3"), &|_| true);
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("another table"), "{error}");
    assert!(!open(folder).erased().refuses(plain("user-3"), 0));
}

#[test]
fn a_store_with_a_loaded_state_is_not_erased_from() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    let mut opened = open(folder.path());
    let state = snapshot_of(&opened);
    opened.read_snapshot(&mut &state[..]).unwrap();
    opened.close().unwrap();
    let refused = erase_while(folder.path(), &erasure("user-7"), &|_| true);
    assert!(matches!(refused, Err(StoreError::NotFromClaims { .. })));
    assert!(open(folder.path()).is_clustered(plain("user-7")));
}

#[test]
fn an_entry_that_was_erased_cannot_be_withdrawn() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path());
    erase_while(folder.path(), &erasure("user-7"), &|_| true).unwrap();
    let mut opened = open(folder.path());
    let mut erased = Vec::new();
    let mut visit = |entry: idmerge_store::Entry<'_>| {
        if let What::Erased { .. } = entry.what {
            erased.push(entry.sequence);
        }
        Ok(true)
    };
    opened.history().unwrap().entries(1, &mut visit).unwrap();
    assert!(erased.len() > 5);
    let refused = opened.retract(erased[0], "ada", "why", Cause::default());
    assert!(matches!(refused, Err(StoreError::NotRetractable { .. })));
}
