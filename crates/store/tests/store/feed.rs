//! The feed of changes from any position: right, and with work in proportion to the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use idmerge_core::{Claim, ClaimKind, DistinctId, Id, IdentityResolver};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Change, Durable, History, Options};

use crate::support::Engine;
use crate::support::counted::Counted;
use crate::support::disk::Disk;
use crate::support::workload::{Numbers, OwnedClaim, claims};

/// A change: its entry, the ID, and its canonical IDs before and after.
type Changed = (u64, String, String, String);

fn feed<R: IdentityResolver>(history: &History<R>, since: u64) -> Vec<Changed> {
    let mut feed = Vec::new();
    let each = &mut |change: Change| {
        let [id, from, to] = [&change.id, &change.from, &change.to].map(ToString::to_string);
        feed.push((change.sequence, id, from, to));
        Ok(true)
    };
    history.changes_since(since, each).unwrap();
    feed
}

/// A store with claims, withdrawals and snapshots.
fn store_of<E: Engine>(seed: u64, claims: &[OwnedClaim]) -> Durable<E> {
    let mut numbers = Numbers::new(seed);
    let mut store = Durable::open_backend(Disk::default(), E::empty, Options::default()).unwrap();
    for claim in claims {
        store.apply(claim.as_claim()).unwrap();
        store.commit().unwrap();
        match numbers.below(40) {
            0..3 => store.snapshot().unwrap(),
            // Half of the stores have no withdrawals.
            3..5 if seed.is_multiple_of(2) => {
                let sequence = 1 + numbers.below(store.committed());
                // Claims of the other model cannot be withdrawn.
                let _result = store.retract(sequence, "ada", "a test", Cause::default());
            }
            _ => {}
        }
    }
    store
}

/// The canonical ID of each ID, in a plain engine that got the entries up to one that count there.
fn mapping<E: Engine>(
    history: &History<E>,
    until: u64,
    claims: &[OwnedClaim],
) -> BTreeMap<String, String> {
    let engine = history.as_of(until).unwrap();
    let ids = claims.iter().flat_map(|claim| claim.as_claim().ids());
    // In Original an ID with the mark is the same ID (O-1), and has no change of its own.
    let ids = ids.filter(|id| engine.rule_book().has_device_namespace() || !id.is_device());
    ids.map(|id| (id.to_string(), engine.resolve(id).to_string()))
        .collect()
}

fn every_position_gives_the_changes_after_it<E: Engine>() {
    for seed in 0..8 {
        let claims = claims::<E>(seed, 150, 14 + seed);
        let store = store_of::<E>(seed, &claims);
        let history = store.history().unwrap();
        let mut wanted = BTreeSet::new();
        let mut before = mapping(&history, 0, &claims);
        for sequence in 1..=history.last() {
            let after = mapping(&history, sequence, &claims);
            for (id, to) in &after {
                if before[id] != *to {
                    wanted.insert((sequence, id.clone(), before[id].clone(), to.clone()));
                }
            }
            before = after;
        }
        for since in 0..=history.last() {
            let feed = feed(&history, since);
            let is_in_order = feed.is_sorted_by_key(|change| change.0);
            assert!(is_in_order, "seed {seed}, since {since}");
            let count = feed.len();
            let feed: BTreeSet<_> = feed.into_iter().collect();
            assert_eq!(feed.len(), count, "seed {seed}, since {since}: twice");
            let wanted: BTreeSet<_> = wanted.iter().filter(|it| it.0 > since).cloned().collect();
            assert_eq!(feed, wanted, "seed {seed}, since {since}");
        }
    }
}

#[test]
fn every_position_of_simplified_gives_the_changes_after_it() {
    every_position_gives_the_changes_after_it::<Simplified>();
}

#[test]
fn every_position_of_original_gives_the_changes_after_it() {
    every_position_gives_the_changes_after_it::<Original>();
}

/// How many claims engines get for the changes after the last but `after` entries of a long log.
fn applied_for_the_last<R>(kind: ClaimKind, after: u64) -> u64
where
    R: IdentityResolver + Default + 'static,
{
    const USERS: u64 = 2_000;
    let applied = Arc::new(AtomicU64::new(0));
    let counted = applied.clone();
    let fresh = move || Counted::new(R::default(), &counted);
    let mut store = Durable::open_backend(Disk::default(), fresh, Options::default()).unwrap();
    for user in 0..USERS {
        for device in ["phone", "laptop", "tablet"] {
            let ids = [format!("{device} of {user}"), format!("user {user}")];
            let ids = ids.each_ref().map(|text| Id::new(text).unwrap());
            store.apply(Claim::new(kind, ids)).unwrap();
        }
    }
    let last = store.commit().unwrap();
    assert_eq!(last, 3 * USERS);
    applied.store(0, Ordering::Relaxed);
    let feed = feed(&store.history().unwrap(), last - after);
    assert_eq!(feed.len() as u64, after);
    applied.load(Ordering::Relaxed)
}

#[test]
fn the_end_of_a_long_log_takes_work_in_proportion_to_the_answer() {
    let simplified = |after| applied_for_the_last::<Simplified>(ClaimKind::Link, after);
    assert_eq!([simplified(0), simplified(30)], [0, 0]);
    // Each claim at most four times: the users before the claims twice, and each claim twice.
    let original = |after| applied_for_the_last::<Original>(ClaimKind::Merge, after);
    assert_eq!(original(0), 0);
    let claims = original(30);
    assert!(claims <= 4 * 30, "{claims}");
}

/// A user whose cluster does not change is not listed, however many IDs it has.
#[test]
fn a_link_to_a_user_with_many_devices_takes_no_fold() {
    let applied = Arc::new(AtomicU64::new(0));
    let counted = applied.clone();
    let fresh = move || Counted::new(Simplified::default(), &counted);
    let mut store = Durable::open_backend(Disk::default(), fresh, Options::default()).unwrap();
    let user = Id::new("hub").unwrap();
    for number in 0..5_000 {
        let device = format!("D{number}");
        let device = Id::new(&device).unwrap();
        store.apply(Claim::Link { device, user }).unwrap();
    }
    store.commit().unwrap();
    applied.store(0, Ordering::Relaxed);
    let feed = feed(&store.history().unwrap(), 4_990);
    let devices: Vec<_> = feed.iter().map(|change| change.1.as_str()).collect();
    let wanted: Vec<_> = (4_990..5_000)
        .map(|number| DistinctId::device(Id::new(&format!("D{number}")).unwrap()).to_string())
        .collect();
    assert_eq!(devices, wanted);
    assert_eq!(applied.load(Ordering::Relaxed), 0);
}
