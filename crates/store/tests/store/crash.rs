//! Crashes at a sync: writes that were not synced are lost, whole or in part. Opened again, the store
//! has a prefix of the claims it was given, with every claim that it had acknowledged.
//!
//! `IDMERGE_CRASH_POINTS=all` in the environment tries every sync; without it, some are tried.

use idmerge_core::{DistinctId, Id, IdentityResolver as _};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Durable, Options, Sharing, StoreError};

use crate::support::disk::{Disk, Files};
use crate::support::workload::{Numbers, OwnedClaim, claims};
use crate::support::{Engine, snapshot_of};

const CLAIMS: usize = 400;
const IDS: u64 = 60;

/// So few frames that the journal is often full.
const JOURNAL_BYTES: usize = 5 * 4_096;

fn options(sharing: Sharing) -> Options {
    Options {
        journal_bytes: JOURNAL_BYTES,
        journal_after: 2,
        sharing,
        // A small number, so that runs are written and merged during the test.
        unindexed_max: 5,
        // So that each snapshot has an image.
        image_from_bytes: 0,
        threads: 2,
        ..Options::default()
    }
}

fn open<E: Engine>(files: &Files, sharing: Sharing) -> Result<Durable<E>, StoreError> {
    files.open(options(sharing))
}

/// Applies claims from this one on, commits after every few, and sometimes takes a snapshot. Returns
/// how many claims were acknowledged before the disk failed.
fn work<E: Engine>(files: &Files, sharing: Sharing, claims: &[OwnedClaim], from: usize) -> usize {
    let mut acknowledged = from;
    let mut groups = Numbers::new(from as u64);
    let mut run = || -> Result<(), StoreError> {
        let mut store = open::<E>(files, sharing)?;
        while acknowledged < claims.len() {
            let group = (1 + groups.place(8)).min(claims.len() - acknowledged);
            for claim in &claims[acknowledged..acknowledged + group] {
                store.apply_caused(claim.as_claim(), idmerge_store::Cause::default())?;
            }
            store.commit()?;
            acknowledged += group;
            match groups.below(10) {
                0 => {
                    store.snapshot()?;
                    store.image()?;
                }
                1 | 2 => store.index()?,
                _ => {}
            }
        }
        store.close()
    };
    // The disk may be dead, as the test intends.
    let _died = run().is_err();
    acknowledged
}

/// The state after each number of claims.
fn states<E: Engine>(claims: &[OwnedClaim]) -> Vec<Vec<u8>> {
    let mut engine = E::empty();
    let mut states = vec![snapshot_of(&engine)];
    for claim in claims {
        engine.apply(claim.as_claim()).unwrap();
        states.push(snapshot_of(&engine));
    }
    states
}

/// The number of syncs between two tested crashes, and the number of reboots after each.
#[allow(
    clippy::disallowed_methods,
    reason = "a test program has no other way to take an option"
)]
fn effort() -> (usize, u64) {
    match std::env::var("IDMERGE_CRASH_POINTS").as_deref() {
        Ok("all") => (1, 10),
        _ => (17, 3),
    }
}

fn dies_everywhere<E: Engine>(sharing: Sharing) {
    dies_everywhere_on::<E>(sharing, Files::on);
}

fn dies_everywhere_on<E: Engine>(sharing: Sharing, files: fn(Disk) -> Files) {
    let claims = claims::<E>(1, CLAIMS, IDS);
    let states = states::<E>(&claims);
    let healthy = files(Disk::default());
    assert_eq!(work::<E>(&healthy, sharing, &claims, 0), claims.len());
    let syncs = healthy.store.syncs();
    assert!(syncs > 100, "{syncs}");

    let made = files(Disk::default());
    let opened = open::<E>(&made, sharing).unwrap();
    // Before these syncs there is no store. In a folder the file gets its name only afterwards.
    let first = made.store.syncs();
    drop(opened);
    let (step, reboots) = effort();
    let mut crashes = 0;
    for sync in (first..syncs).step_by(step) {
        let disk = files(Disk::that_dies_at(sync));
        let acknowledged = work::<E>(&disk, sharing, &claims, 0);
        for reboot in 0..reboots {
            let mut numbers = Numbers::new(reboot << 32 | sync as u64);
            let found = disk.after_reboot(|choices| numbers.place(choices));
            let what = format!("{sharing:?}, sync {sync}, reboot {reboot}");
            let store = open::<E>(&found, sharing)
                .unwrap_or_else(|error| panic!("{what}: {error}: {error:?}"));
            let state = snapshot_of(&store);
            // Many states occur twice, since repeats change nothing: the first is the strictest.
            let at_least = states[acknowledged..].iter().position(|s| *s == state);
            let prefix = at_least.unwrap_or_else(|| {
                panic!("{what}: not the state after {acknowledged} claims, nor a later one")
            });
            store.close().unwrap();

            // The store continues from there to the same last state.
            let from = acknowledged + prefix;
            assert_eq!(work::<E>(&found, sharing, &claims, from), claims.len());
            let store = open::<E>(&found, sharing).unwrap();
            assert_eq!(&snapshot_of(&store), states.last().unwrap(), "{what}");
            crashes += 1;
        }
    }
    println!("{crashes} crashes");
}

/// Applies claims, retractions and detachments in turn, the same ones every time. Returns the number of the last
/// acknowledged entry.
fn withdraw<E: Engine>(files: &Files, claims: &[OwnedClaim]) -> u64 {
    let mut acknowledged = 0;
    let mut numbers = Numbers::new(7);
    let mut run = || -> Result<(), StoreError> {
        let mut store = open::<E>(files, Sharing::Readers)?;
        acknowledged = store.committed();
        for claim in claims {
            store.apply_caused(claim.as_claim(), idmerge_store::Cause::default())?;
            acknowledged = store.commit()?;
            match numbers.below(8) {
                0 => {
                    store.snapshot()?;
                    store.image()?;
                }
                1 => store.index()?,
                2 | 3 => {
                    let sequence = 1 + numbers.below(acknowledged);
                    let cause = idmerge_store::Cause::default();
                    match store.retract(sequence, "a test", "a crash", cause) {
                        Ok(_) => acknowledged = store.committed(),
                        Err(StoreError::NotRetractable { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                4 => {
                    let [user, device] = claim.ids().map(|id| Id::new(id).unwrap());
                    let ids = [DistinctId::plain(user), DistinctId::device(device)];
                    let id = ids[numbers.place(2)];
                    let cause = idmerge_store::Cause::default();
                    match store.detach(id, "a test", "a crash", cause) {
                        Ok(_) => acknowledged = store.committed(),
                        Err(StoreError::NotNamed { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                _ => {}
            }
        }
        store.close()
    };
    // The disk may be dead, as the test intends.
    let _died = run().is_err();
    acknowledged
}

fn retractions_survive<E: Engine>() {
    let claims = claims::<E>(3, 60, 15);
    let healthy = Files::on(Disk::default());
    let last = withdraw::<E>(&healthy, &claims);
    let store = open::<E>(&healthy, Sharing::Readers).unwrap();
    assert_eq!(store.committed(), last);
    let history = store.history().unwrap();
    let (step, reboots) = effort();
    let mut crashes = 0;
    for sync in (10..healthy.store.syncs()).step_by(step) {
        let disk = Files::on(Disk::that_dies_at(sync));
        let acknowledged = withdraw::<E>(&disk, &claims);
        for reboot in 0..reboots {
            let mut numbers = Numbers::new(reboot << 32 | sync as u64);
            let found = disk.after_reboot(|choices| numbers.place(choices));
            let what = format!("sync {sync}, reboot {reboot}");
            let store = open::<E>(&found, Sharing::Readers)
                .unwrap_or_else(|error| panic!("{what}: {error}: {error:?}"));
            let committed = store.committed();
            assert!(
                committed >= acknowledged,
                "{what}: {committed} of {acknowledged}"
            );
            let expected = history.as_of(committed).unwrap();
            assert_eq!(snapshot_of(&store), snapshot_of(&expected), "{what}");
            crashes += 1;
        }
    }
    assert!(crashes > 30, "{crashes}");
    println!("{crashes} crashes");
}

#[test]
fn retractions_of_simplified_survive_a_crash_at_any_sync() {
    retractions_survive::<Simplified>();
}

#[test]
fn retractions_of_original_survive_a_crash_at_any_sync() {
    retractions_survive::<Original>();
}

/// Acknowledged claims are safe only because they are synced: without working syncs the tests above
/// would fail.
#[test]
fn a_disk_that_lies_about_syncs_loses_acknowledged_claims() {
    let claims = claims::<Simplified>(1, CLAIMS, IDS);
    let disk = Files::on(Disk::that_lies());
    let acknowledged = work::<Simplified>(&disk, Sharing::Readers, &claims, 0);
    assert_eq!(acknowledged, claims.len());
    let found = disk.after_reboot(|_| 0);
    let store = open::<Simplified>(&found, Sharing::Readers).unwrap();
    assert_eq!(store.committed(), 0);
}

#[test]
fn simplified_survives_a_crash_at_any_sync() {
    dies_everywhere::<Simplified>(Sharing::Readers);
}

#[test]
fn simplified_survives_a_crash_at_any_sync_with_one_sync_a_commit() {
    dies_everywhere::<Simplified>(Sharing::Nobody);
}

#[test]
fn original_survives_a_crash_at_any_sync() {
    dies_everywhere::<Original>(Sharing::Readers);
}

#[test]
fn original_survives_a_crash_at_any_sync_with_one_sync_a_commit() {
    dies_everywhere::<Original>(Sharing::Nobody);
}

#[test]
fn a_store_without_a_journal_survives_a_crash_at_any_sync() {
    dies_everywhere_on::<Simplified>(Sharing::Readers, Files::alone_on);
    dies_everywhere_on::<Original>(Sharing::Nobody, Files::alone_on);
}

/// Replaying the journal is cut off, and then the disk fails again and again: no acknowledged claim is lost.
fn an_opening_that_is_cut_off_loses_nothing<E: Engine>(sharing: Sharing) {
    let claims = claims::<E>(2, 60, IDS);
    let states = states::<E>(&claims);
    let files = Files::on(Disk::default());
    let mut store = open::<E>(&files, sharing).unwrap();
    for (number, claim) in claims.iter().enumerate() {
        store.apply(claim.as_claim()).unwrap();
        store.commit().unwrap();
        // The process ends here. Writes that were not synced are lost.
        let found = files.after_reboot(|_| 0);
        let mut deaths = 0;
        loop {
            let again = found.after_reboot(|_| 0);
            again.store.dies_after(deaths);
            let opened = open::<E>(&again, sharing);
            let is_open = opened.is_ok();
            drop(opened);
            for reboot in 0..2 {
                let mut numbers = Numbers::new(reboot << 32 | deaths as u64);
                let rebooted = again.after_reboot(|choices| numbers.place(choices));
                let store = open::<E>(&rebooted, sharing).unwrap();
                let what = format!("{sharing:?}, claim {number}, sync {deaths}");
                assert_eq!(snapshot_of(&store), states[number + 1], "{what}");
            }
            if is_open {
                break;
            }
            deaths += 1;
        }
    }
}

#[test]
fn an_opening_of_simplified_that_is_cut_off_loses_nothing() {
    an_opening_that_is_cut_off_loses_nothing::<Simplified>(Sharing::Readers);
    an_opening_that_is_cut_off_loses_nothing::<Simplified>(Sharing::Nobody);
}

#[test]
fn an_opening_of_original_that_is_cut_off_loses_nothing() {
    an_opening_that_is_cut_off_loses_nothing::<Original>(Sharing::Readers);
}
