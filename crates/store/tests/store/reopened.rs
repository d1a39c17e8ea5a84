//! A store that was closed and opened again goes on as if it had stayed open.

use idmerge_core::{Claim, IdentityResolver, Outcome};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Durable, Entry, Options};

use crate::support::disk::Disk;
use crate::support::workload::{Numbers, OwnedClaim, claims};
use crate::support::{Engine, snapshot_of};

const SEEDS: std::ops::Range<u64> = 0..30;

fn open<E: Engine>(disk: &Disk) -> Durable<E> {
    open_on::<E>(1, disk)
}

fn open_on<E: Engine>(threads: usize, disk: &Disk) -> Durable<E> {
    let options = Options {
        threads,
        ..Options::default()
    };
    Durable::open_backend(disk.clone(), E::empty, options).unwrap()
}

/// Applies a claim in one of the ways that there are.
fn apply<E: Engine>(store: &mut Durable<E>, claim: Claim<'_>, in_a_batch: bool) {
    if in_a_batch {
        let mut answers = 0;
        let count = &mut |_: Outcome<'_>| answers += 1;
        let causes = [Cause::default()];
        store.apply_batch_caused(&[claim], &causes, count).unwrap();
        assert_eq!(answers, 1);
    } else {
        store.apply_caused(claim, Cause::default()).unwrap();
    }
}

fn log<E: Engine>(store: &Durable<E>) -> Vec<String> {
    let mut log = Vec::new();
    let each = &mut |entry: Entry<'_>| {
        log.push(format!("{} {:?}", entry.sequence, entry.what));
        Ok(true)
    };
    store.history().unwrap().entries(1, each).unwrap();
    log
}

/// Gives the claims to a store that stays open and to one that is opened again every now and then,
/// sometimes with a snapshot. Returns the log, which both have.
fn log_of_both<E: Engine>(seed: u64, claims: &[OwnedClaim], in_a_batch: bool) -> Vec<String> {
    let mut numbers = Numbers::new(seed);
    let mut stays = open::<E>(&Disk::default());
    let disk = Disk::default();
    let mut again = open::<E>(&disk);
    for claim in claims {
        for store in [&mut stays, &mut again] {
            apply(store, claim.as_claim(), in_a_batch);
            store.commit().unwrap();
        }
        assert_eq!(again.sequence(), stays.sequence(), "{claim:?}, seed {seed}");
        if numbers.below(3) == 0 {
            if numbers.below(2) == 0 {
                again.snapshot().unwrap();
            }
            again.close().unwrap();
            again = open_on::<E>(1 + numbers.place(2), &disk);
        }
    }
    let log = log(&stays);
    assert_eq!(self::log(&again), log, "seed {seed}");
    log
}

/// Compares the logs of random claims. Returns how many entries have a claim that had an entry before.
fn repeats_in_logs<E: Engine>() -> usize {
    let mut repeats = 0;
    for seed in SEEDS {
        let claims = claims::<E>(seed, 60, 4);
        for in_a_batch in [false, true] {
            let log = log_of_both::<E>(seed, &claims, in_a_batch);
            let claim_of = |entry: &String| {
                let (_, claim) = entry.split_once(' ').unwrap();
                claim.split_once("outcome").unwrap().0.to_owned()
            };
            let mut claims: Vec<_> = log.iter().map(claim_of).collect();
            claims.sort_unstable();
            claims.dedup();
            repeats += log.len() - claims.len();
        }
    }
    repeats
}

#[test]
fn lg_1_a_store_of_original_logs_the_same_entries_however_often_it_is_opened() {
    // Without repeats that need an entry the test says little.
    assert!(repeats_in_logs::<Original>() > 100);
}

#[test]
fn lg_1_a_store_of_simplified_logs_the_same_entries_however_often_it_is_opened() {
    repeats_in_logs::<Simplified>();
}

/// More claims than are applied together while a store is opened, so that its log is applied in several batches.
const MANY: usize = 3_000;

/// A log of many claims, one of which was withdrawn between two others, opens to the state that an engine has which was
/// given all claims but that one.
fn opens_to_the_state_of_many_claims<E: Engine>() {
    let withdrawn = OwnedClaim::joining::<E>("user-1", "withdrawn");
    let mut claims = claims::<E>(7, MANY, 1_000);
    claims.insert(MANY / 2, withdrawn.clone());
    let disk = Disk::default();
    let mut store = open::<E>(&disk);
    let (mut engine, mut at) = (E::empty(), 0);
    for (number, claim) in claims.iter().enumerate() {
        store.apply(claim.as_claim()).unwrap();
        if number == MANY / 2 {
            at = store.sequence();
        } else {
            engine.apply(claim.as_claim()).unwrap();
        }
        if number == MANY * 3 / 4 {
            store
                .retract(at, "ada", "a test", Cause::default())
                .unwrap();
        }
    }
    store.commit().unwrap();
    let entries = log(&store);
    assert!(entries.len() > 2_000, "{}", entries.len());
    store.close().unwrap();

    let mut stays = open::<E>(&Disk::default());
    for claim in &claims {
        stays.apply(claim.as_claim()).unwrap();
    }
    let before_of_stays = stays.sequence();
    let others = || claims.iter().filter(|claim| claim.ids() != withdrawn.ids());
    for claim in others() {
        stays.apply(claim.as_claim()).unwrap();
    }
    let repeats = stays.sequence() - before_of_stays;
    for threads in [1, 2] {
        let mut again = open_on::<E>(threads, &disk);
        assert_eq!(again.opened().applied, entries.len() as u64);
        assert_eq!(again.sequence(), entries.len() as u64);
        assert!(snapshot_of(&again) == snapshot_of(&engine));
        // It knows which claims have an entry. What is not committed is lost.
        for claim in others() {
            again.apply(claim.as_claim()).unwrap();
        }
        assert_eq!(again.sequence() - entries.len() as u64, repeats);
        again.close().unwrap();
    }
}

#[test]
fn a_log_of_many_claims_opens_to_their_state_in_simplified() {
    opens_to_the_state_of_many_claims::<Simplified>();
}

#[test]
fn a_log_of_many_claims_opens_to_their_state_in_original() {
    opens_to_the_state_of_many_claims::<Original>();
}
