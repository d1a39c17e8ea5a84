//! Crashes at a sync during an erasure (E-5): the old file is not touched, and the new one is whole before it can get the
//! name of the store.
//!
//! `IDMERGE_CRASH_POINTS=all` in the environment tries every sync; without it, some are tried.

use crate::support;
use idmerge_core::{DistinctIdBuf, IdentityResolver, Resolve};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{
    Durable, ErasedEvents, Erasure, ErasureReceipt, Options, StoreError, erase_into,
};

use crate::support::disk::Disk;
use crate::support::workload::{Numbers, claims};
use crate::support::{Engine, snapshot_of};

const REBOOTS: u64 = 20;

fn options() -> Options {
    Options {
        // So that several runs are written.
        unindexed_max: 20,
        ..Options::default()
    }
}

fn open<E: Engine>(disk: &Disk) -> Durable<E> {
    Durable::open_backend(disk.clone(), E::empty, options()).unwrap()
}

/// A store with claims. Returns it with an ID that is to be erased.
fn store<E: Engine>() -> (Durable<E>, Disk, Erasure) {
    let disk = Disk::default();
    let mut store = open::<E>(&disk);
    let claims = claims::<E>(3, 300, 40);
    for claim in &claims {
        store.apply(claim.as_claim()).unwrap();
    }
    store.commit().unwrap();
    store.snapshot().unwrap();
    // In Simplified a device is named with its prefix, so one of the two is in no cluster.
    let ids = claims[7]
        .ids()
        .map(|id| id.parse::<DistinctIdBuf>().unwrap());
    let is_known = |id: &DistinctIdBuf| store.is_clustered(id.as_id());
    let erasure = Erasure {
        ids: ids.into_iter().find(is_known).into_iter().collect(),
        until_ms: None,
        events: ErasedEvents::Erased,
        key: [9; 32],
        dry_run: false,
    };
    (store, disk, erasure)
}

fn erase_to<E: Engine>(
    old: &Durable<E>,
    to: &Disk,
    erasure: &Erasure,
) -> Result<ErasureReceipt, StoreError> {
    erase_into(
        old,
        to.clone(),
        E::empty,
        &options(),
        erasure,
        None,
        &|_| true,
    )
}

/// The state, how many entries are erased, and how many IDs are refused.
fn what_is_in<E: Engine>(store: &Durable<E>) -> (Vec<u8>, usize, usize) {
    let entries = support::logs::log_of(store);
    let erased = entries.iter().filter(|entry| entry.erased).count();
    (snapshot_of(store), erased, store.erased().len())
}

fn is_whole_at_every_sync<E: Engine>() {
    let (old, old_disk, erasure) = store::<E>();
    let (before, syncs_before) = (old_disk.bytes(), old_disk.syncs());
    let healthy = Disk::default();
    let receipt = erase_to(&old, &healthy, &erasure).unwrap();
    let syncs = healthy.syncs();
    assert!(receipt.entries_rewritten > 0 && syncs > 10, "{syncs}");
    let wanted = what_is_in(&open::<E>(&healthy.after_reboot(|_| 2)));
    assert_eq!(wanted.1 as u64, receipt.entries_rewritten);
    assert_eq!(wanted.2 as u64, receipt.ids_erased);
    assert!(wanted.0 != snapshot_of(&old));

    // The rename comes next: whatever the disk has done with what was not synced, the new file is whole.
    for reboot in 0..REBOOTS {
        let mut numbers = Numbers::new(reboot);
        let found = healthy.after_reboot(|choices| match reboot {
            0 => 0,
            _ => numbers.place(choices),
        });
        assert!(what_is_in(&open::<E>(&found)) == wanted, "reboot {reboot}");
    }
    // If the disk fails before, there is no rename.
    let step = match std::env::var("IDMERGE_CRASH_POINTS").as_deref() {
        Ok("all") => 1,
        _ => 3,
    };
    for sync in (0..syncs).step_by(step) {
        let failed = erase_to(&old, &Disk::that_dies_at(sync), &erasure);
        assert!(failed.is_err(), "sync {sync} of {syncs}");
    }
    // Nothing of this has written to the store.
    assert_eq!(old_disk.syncs(), syncs_before);
    assert!(old_disk.bytes() == before);
}

#[test]
fn e_5_a_crash_at_a_sync_leaves_the_store_of_before_or_after() {
    is_whole_at_every_sync::<Simplified>();
    is_whole_at_every_sync::<Original>();
}
