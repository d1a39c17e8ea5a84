//! What a retraction would do, asked before it is made, and other questions that change nothing.

use std::fs;

use idmerge_core::{DistinctId, IdentityResolver, Resolve};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Durable, Options, Reader, Retraction, StoreError, Target, check_room};

use crate::support::Engine;
use crate::support::disk::Disk;
use crate::support::workload::{Numbers, claims};

/// What a retraction says, with its changes in the order of the IDs.
fn said(result: Result<Retraction, StoreError>) -> Result<(u64, bool, u64, Vec<String>), String> {
    let retraction = result.map_err(|error| error.to_string())?;
    let mut changes: Vec<_> = retraction
        .changes()
        .iter()
        .map(|change| format!("{} {} {}", change.id, change.from, change.to))
        .collect();
    changes.sort_unstable();
    let Retraction {
        sequence,
        is_new,
        claims,
        ..
    } = retraction;
    Ok((sequence, is_new, claims, changes))
}

fn a_preview_says_what_the_retraction_does<E: Engine>() {
    let mut changed = 0;
    for seed in 0..12 {
        let mut numbers = Numbers::new(seed);
        let options = Options::default();
        let mut store = Durable::open_backend(Disk::default(), E::empty, options).unwrap();
        for claim in claims::<E>(seed, 60, 8) {
            store.apply(claim.as_claim()).unwrap();
        }
        store.commit().unwrap();
        for _ in 0..20 {
            // Also the entries of earlier retractions.
            let target = Target::Entry(1 + numbers.below(store.committed()));
            let history = store.history().unwrap();
            let preview = said(history.preview(target, u64::MAX));
            // A claim that counts is connected with itself at least.
            if matches!(preview, Ok((_, true, 1.., _))) {
                let Err(StoreError::TooManyConnected { connected, max: 0 }) =
                    history.preview(target, 0)
                else {
                    panic!("seed {seed}, {target}");
                };
                assert_eq!(said(history.preview(target, connected)), preview);
                let error = history.preview(target, connected - 1).unwrap_err();
                assert!(matches!(error, StoreError::TooManyConnected { .. }));
            }
            let done = said(store.withdraw(target, "ada", "a test", Cause::default()));
            assert_eq!(preview, done, "seed {seed}, {target}");
            changed += done.map_or(0, |done| done.3.len());
        }
    }
    assert!(changed > 20, "{changed}");
}

#[test]
fn a_preview_says_what_the_retraction_does_in_simplified() {
    a_preview_says_what_the_retraction_does::<Simplified>();
}

#[test]
fn a_preview_says_what_the_retraction_does_in_original() {
    a_preview_says_what_the_retraction_does::<Original>();
}

#[test]
fn a_target_is_named_in_words() {
    let id = DistinctId::try_from("$device:D").unwrap();
    assert_eq!(Target::Entry(7).to_string(), "entry 7");
    let named = Target::Named(id).to_string();
    assert_eq!(named, "the claims that name $device:D");
}

#[test]
fn a_reader_has_the_members_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Durable::open(folder.path(), Simplified::empty, Options::default());
    let mut store = open().unwrap();
    for claim in claims::<Simplified>(3, 100, 12) {
        store.apply(claim.as_claim()).unwrap();
    }
    store.commit().unwrap();
    let reader = Reader::open(folder.path(), Simplified::empty, &Options::default()).unwrap();
    let clusters: Vec<_> = store.clusters().collect();
    assert!(clusters.len() > 2);
    for cluster in clusters {
        for member in &cluster.members {
            assert_eq!(reader.cluster_len(*member), cluster.members.len());
            let members = reader.members_after(*member, None, 100);
            assert_eq!(members.as_ref(), Some(&cluster.members));
        }
    }
    let nobody = DistinctId::try_from("nobody").unwrap();
    assert_eq!(reader.cluster_len(nobody), store.cluster_len(nobody));
    assert_eq!(reader.members_after(nobody, None, 1), None);
}

#[test]
fn room_is_asked_for_in_the_folder_and_no_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    for bytes in [0, 1, 1 << 16, (1 << 16) + 1, 1 << 20] {
        check_room(folder.path(), bytes).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    check_room(folder.path().join("missing"), 1).unwrap_err();
    // The file cannot be made or removed: something else has its name.
    fs::create_dir(folder.path().join("store.redb.room")).unwrap();
    check_room(folder.path(), 1).unwrap_err();
}

#[test]
fn each_commit_that_came_to_the_disk_is_counted() {
    let mut store =
        Durable::open_backend(Disk::default(), Simplified::empty, Options::default()).unwrap();
    for claim in claims::<Simplified>(1, 5, 9) {
        let before = store.synced_commits();
        store.apply(claim.as_claim()).unwrap();
        assert_eq!(store.synced_commits(), before);
        store.commit().unwrap();
        assert!(store.synced_commits() > before);
    }
}
