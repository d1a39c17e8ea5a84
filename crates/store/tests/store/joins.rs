//! The work for claims that join what a withdrawal set apart: a claim that joins a part with something
//! else may not cost a fold each time, however many there are (LG-1).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use idmerge_core::{Claim, ClaimKind, Id, IdentityResolver, Resolve};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Digest, Durable, Options};

use crate::support::counted::Counted;
use crate::support::disk::Disk;

/// How many pairs of IDs there are, and how many claims join one of them with what was set apart.
const JOINS: u64 = 300;

fn open<R: IdentityResolver + Default + 'static>(
    disk: &Disk,
    applied: &Arc<AtomicU64>,
) -> Durable<Counted<R>> {
    let applied = applied.clone();
    let fresh = move || Counted::new(R::default(), &applied);
    let options = Options {
        unindexed_max: 1,
        ..Options::default()
    };
    Durable::open_backend(disk.clone(), fresh, options).unwrap()
}

/// The claims by their IDs: pairs before the withdrawal of the first one, and joins after it.
fn pairs_and_joins() -> (Vec<[String; 2]>, Vec<[String; 2]>) {
    let pair = |user: String, number: u64| [format!("D{number}"), user];
    let others = (1..=JOINS).map(|number| pair(format!("U{number}"), number));
    let pairs = [pair("U".into(), 0)].into_iter().chain(others).collect();
    let joins = (1..=JOINS).map(|number| pair("U".into(), number)).collect();
    (pairs, joins)
}

fn claim(kind: ClaimKind, [first, second]: &[String; 2]) -> Claim<'_> {
    Claim::new(kind, [first, second].map(|text| Id::new(text).unwrap()))
}

fn clusters(engine: &dyn Resolve) -> Vec<String> {
    let clusters = engine.clusters();
    clusters.map(|cluster| format!("{cluster:?}")).collect()
}

/// `is_indexed`: whether the entries are in the index by the time that a claim joins them, as in a server.
fn joins_take_a_constant_number_of_folds<R>(kind: ClaimKind, is_indexed: bool)
where
    R: IdentityResolver + Default + 'static,
{
    let (pairs, joins) = pairs_and_joins();
    let disk = Disk::default();
    let applied = Arc::new(AtomicU64::new(0));
    let mut store = open::<R>(&disk, &applied);
    for ids in &pairs {
        store.apply(claim(kind, ids)).unwrap();
    }
    store.retract(1, "ada", "a test", Cause::default()).unwrap();
    let mut truth = R::default();
    for ids in &pairs[1..] {
        truth.apply(claim(kind, ids)).unwrap();
    }
    for ids in &joins {
        let expected = format!("{:?}", truth.apply(claim(kind, ids)).unwrap());
        let answer = format!("{:?}", store.apply(claim(kind, ids)).unwrap());
        assert_eq!(answer, expected, "{ids:?}");
        if is_indexed {
            store.commit().unwrap();
            store.index().unwrap();
        }
    }
    // Each claim once, and at most two folds of the whole log.
    let entries = store.commit().unwrap();
    let most = 3 * entries;
    let folded = applied.swap(0, Ordering::Relaxed);
    assert!(folded <= most, "{folded} claims for {entries} entries");
    // There is one engine again, so the order is right too (S-10, O-17).
    assert_eq!(clusters(&store), clusters(&truth));
    store.close().unwrap();

    let store = open::<R>(&disk, &applied);
    let folded = applied.load(Ordering::Relaxed);
    assert!(folded <= most, "opening: {folded} for {entries} entries");
    assert_eq!(clusters(&store), clusters(&truth));
    assert_eq!(Digest::of(&store).unwrap(), Digest::of(&truth).unwrap());
}

#[test]
fn lg_1_claims_that_join_a_part_take_work_in_proportion_in_simplified() {
    joins_take_a_constant_number_of_folds::<Simplified>(ClaimKind::Link, false);
    joins_take_a_constant_number_of_folds::<Simplified>(ClaimKind::Link, true);
}

#[test]
fn lg_1_claims_that_join_a_part_take_work_in_proportion_in_original() {
    joins_take_a_constant_number_of_folds::<Original>(ClaimKind::Merge, false);
    joins_take_a_constant_number_of_folds::<Original>(ClaimKind::Merge, true);
}

/// A user can have any number of devices. A withdrawal asks about each of them, so it must not list all of
/// them each time.
#[test]
fn lg_1_a_withdrawal_does_not_list_a_user_again_for_each_of_its_devices() {
    const DEVICES: u64 = 1_000;
    let listed = Arc::new(AtomicU64::new(0));
    let counted = listed.clone();
    let fresh = move || {
        let applied = Arc::default();
        Counted::new(Simplified::default(), &applied).counting_members(&counted)
    };
    let mut store = Durable::open_backend(Disk::default(), fresh, Options::default()).unwrap();
    for number in 0..DEVICES {
        let ids = [format!("D{number}"), "U".to_owned()];
        store.apply(claim(ClaimKind::Link, &ids)).unwrap();
    }
    for entry in 1..4 {
        store
            .retract(entry, "ada", "a test", Cause::default())
            .unwrap();
        // A device that the main engine does not know joins the part.
        let ids = [format!("E{entry}"), "U".to_owned()];
        store.apply(claim(ClaimKind::Link, &ids)).unwrap();
    }
    let listed = listed.load(Ordering::Relaxed);
    assert!(listed <= 10 * DEVICES, "{listed} members");
    let ids = usize::try_from(DEVICES).unwrap() + 1;
    assert_eq!(store.clustered_ids(), ids);
}
