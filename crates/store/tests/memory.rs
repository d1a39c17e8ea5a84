//! What a store keeps in memory for a distinct claim, beyond its engine (LG-1). `docs/store.md` has the
//! figures that this test prints.
//!
//! A program of its own, because it counts allocations.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

use allocation_counter::measure;
use idmerge_core::{Claim, ClaimKind, Id, IdentityResolver};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Durable, Options, Sharing};

/// Before and after the tables grow, which is when they are fullest and emptiest.
const CLAIMS: [u32; 4] = [11_000, 14_000, 15_000, 22_000];

const COMMIT_CLAIMS: u32 = 2_000;

/// A kind of claim, a user and a device, by number.
type Said = (ClaimKind, u32, u32);

fn with_claim<T>((kind, user, device): Said, apply: impl FnOnce(Claim<'_>) -> T) -> T {
    let user = format!("user-{user}");
    let device = format!("{device:08x}-0000-4000-8000-000000000000");
    let [user, device] = [&user, &device].map(|text| Id::new(text).unwrap());
    let ids = if kind == ClaimKind::Link {
        [device, user]
    } else {
        [user, device]
    };
    apply(Claim::new(kind, ids))
}

/// The bytes that are allocated once this is done.
fn bytes_of<T>(make: impl FnOnce() -> T) -> i64 {
    let mut made = None;
    let info = measure(|| made = Some(make()));
    drop(made);
    info.bytes_current
}

fn store_of<R: IdentityResolver + Default + 'static>(
    claims: u32,
    said: fn(u32) -> Said,
    journal_bytes: usize,
) -> (tempfile::TempDir, Durable<R>) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        sharing: Sharing::Nobody,
        cache_bytes: 0,
        journal_bytes,
        ..Options::default()
    };
    let mut store = Durable::open(folder.path(), R::default, options).unwrap();
    for number in 0..claims {
        with_claim(said(number), |claim| store.apply(claim).map(drop)).unwrap();
        if number % COMMIT_CLAIMS == 0 {
            store.commit().unwrap();
        }
    }
    store.commit().unwrap();
    (folder, store)
}

fn engine_of<R: IdentityResolver + Default>(claims: u32, said: fn(u32) -> Said) -> R {
    let mut engine = R::default();
    for number in 0..claims {
        with_claim(said(number), |claim| engine.apply(claim).map(drop)).unwrap();
    }
    engine
}

/// The fewest and the most bytes per claim.
fn bytes_per_claim<R: IdentityResolver + Default + 'static>(said: fn(u32) -> Said) -> [i64; 2] {
    let per_claim = CLAIMS.map(|claims| {
        let store = bytes_of(|| store_of::<R>(claims, said, 0));
        let empty = bytes_of(|| store_of::<R>(0, said, 0));
        let engine = bytes_of(|| engine_of::<R>(claims, said));
        (store - empty - engine) / i64::from(claims)
    });
    let fewest = per_claim.iter().min().unwrap();
    [*fewest, *per_claim.iter().max().unwrap()]
}

#[track_caller]
fn within(what: &str, at_most: i64, [fewest, most]: [i64; 2]) {
    println!("{what}: {fewest} to {most} bytes");
    assert!(most <= at_most, "{what}: {most} bytes");
}

#[test]
fn lg_1_the_memory_of_a_distinct_claim_is_bounded() {
    let accepted = bytes_per_claim::<Simplified>(|number| (ClaimKind::Link, number / 4, number));
    within("Simplified, an accepted link", 2, accepted);
    let rejected = bytes_per_claim::<Simplified>(|number| (ClaimKind::Link, number, number / 64));
    within("Simplified, a rejected link", 44, rejected);
    let four = bytes_per_claim::<Original>(|number| (ClaimKind::Identify, number / 4, number));
    within("Original, four devices per user", 80, four);
    let one = bytes_per_claim::<Original>(|number| (ClaimKind::Identify, number, number));
    within("Original, one device per user", 130, one);
    let merges = bytes_per_claim::<Original>(|number| (ClaimKind::Merge, number / 4, number));
    within("Original, merges", 80, merges);
    // Each device is of two users, so each component has several identified IDs.
    let shared = bytes_per_claim::<Original>(|number| (ClaimKind::Identify, number, number / 2));
    within("Original, two users per device", 200, shared);
}

/// The entries that are in the journal, and the last frame. The number of claims does not matter.
#[test]
fn the_memory_of_a_journal_is_bounded() {
    let link = |number| (ClaimKind::Link, number / 4, number);
    let journal_bytes = Options::default().journal_bytes;
    let memory = (1..=12).map(|commits| {
        let claims = (30 + commits) * COMMIT_CLAIMS;
        let [with, without] = [journal_bytes, 0]
            .map(|bytes| bytes_of(|| store_of::<Simplified>(claims, link, bytes)));
        with - without
    });
    let most = memory.max().unwrap();
    println!("A journal: {most} bytes");
    let journal_bytes = i64::try_from(journal_bytes).unwrap();
    // Not every commit is the first one after a checkpoint.
    assert!(most > journal_bytes / 2, "{most} bytes");
    assert!(most <= journal_bytes * 3 / 2, "{most} bytes");
}
