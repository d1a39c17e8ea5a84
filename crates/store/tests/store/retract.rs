//! Withdrawing entries: the state becomes that of the log without them, whatever happened in between.

use std::collections::{BTreeMap, HashSet};

use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, Outcome, Resolve};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Change, Digest, Durable, Explanation, Options, StoreError, What};

use crate::support::disk::Disk;
use crate::support::workload::{Numbers, OwnedClaim, claims};
use crate::support::{Engine, snapshot_of};

fn options() -> Options {
    Options {
        // A small number, so that runs are written and merged during the test.
        unindexed_max: 5,
        ..Options::default()
    }
}

fn open<E: Engine>(disk: &Disk) -> Durable<E> {
    Durable::open_backend(disk.clone(), E::empty, options()).unwrap()
}

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

fn plain(text: &str) -> DistinctId<'_> {
    DistinctId::plain(id(text))
}

fn device(text: &str) -> DistinctId<'_> {
    DistinctId::device(id(text))
}

/// The state of the log without the withdrawn entries, folded by a plain engine.
fn model<E: Engine>(store: &Durable<E>, until: u64) -> E {
    let history = store.history().unwrap();
    let mut withdrawals = Vec::new();
    let each = &mut |entry: idmerge_store::Entry<'_>| {
        if let What::Retracted { retracted, .. } = entry.what {
            withdrawals.extend(retracted.iter().map(|of| (entry.sequence, of)));
        }
        Ok(entry.sequence < until)
    };
    history.entries(1, each).unwrap();
    withdrawals.retain(|(sequence, _)| *sequence <= until);
    // An entry counts if no entry that counts withdraws it.
    fn counts(sequence: u64, withdrawals: &[(u64, u64)]) -> bool {
        let mut by = withdrawals.iter().filter(|(_, of)| *of == sequence);
        by.all(|(by, _)| !counts(*by, withdrawals))
    }
    let mut engine = E::empty();
    let each = &mut |entry: idmerge_store::Entry<'_>| {
        if entry.sequence > until {
            return Ok(false);
        }
        if let What::Claim { claim, .. } = entry.what
            && counts(entry.sequence, &withdrawals)
        {
            engine.apply(claim).unwrap();
        }
        Ok(true)
    };
    history.entries(1, each).unwrap();
    engine
}

/// The canonical ID of each ID of the claims.
fn mapping(engine: &dyn IdentityResolver, claims: &[OwnedClaim]) -> BTreeMap<String, String> {
    let ids = claims.iter().flat_map(|claim| claim.ids().map(id));
    ids.flat_map(|id| [DistinctId::plain(id), DistinctId::device(id)])
        .map(|id| (id.to_string(), engine.resolve(id).to_string()))
        .collect()
}

/// The members of the cluster of each ID.
fn clusters(engine: &dyn IdentityResolver, claims: &[OwnedClaim]) -> BTreeMap<String, String> {
    let ids = claims.iter().flat_map(|claim| claim.ids().map(id));
    ids.flat_map(|id| [DistinctId::plain(id), DistinctId::device(id)])
        .map(|id| (id.to_string(), format!("{:?}", engine.cluster(id))))
        .collect()
}

fn any_entries_can_be_withdrawn<E: Engine>() {
    let (mut retractions, mut repeats) = (0, 0);
    let mut outcomes = HashSet::new();
    for seed in 0..10 {
        let mut numbers = Numbers::new(seed);
        let claims = claims::<E>(seed, 150, 12 + seed);
        let disk = Disk::default();
        let mut store = open::<E>(&disk);
        let mut digests = BTreeMap::new();
        let mut expected = E::empty();
        for (number, claim) in claims.iter().enumerate() {
            let answer = format!("{:?}", expected.apply(claim.as_claim()).unwrap());
            let outcome = format!("{:?}", store.apply(claim.as_claim()).unwrap());
            assert_eq!(outcome, answer, "seed {seed}: {claim:?}");
            store.commit().unwrap();
            let last = store.committed();
            match numbers.below(12) {
                0 => store.index().unwrap(),
                1 => store.snapshot().unwrap(),
                2 => {
                    store.close().unwrap();
                    store = open(&disk);
                }
                3..6 => {
                    let sequence = 1 + numbers.below(store.committed());
                    let before = mapping(&store, &claims);
                    match store.retract(sequence, "ada", "a test", Cause::default()) {
                        Ok(retraction) if !retraction.is_new => {
                            assert_eq!(mapping(&store, &claims), before);
                            assert!(retraction.changes().is_empty());
                            repeats += 1;
                        }
                        Ok(retraction) => {
                            retractions += 1;
                            assert_eq!(retraction.sequence, store.committed());
                            let mut remapped = before;
                            for change in retraction.changes() {
                                let Change { id, from, to, .. } = change;
                                let was = remapped.insert(id.to_string(), to.to_string());
                                assert_eq!(was, Some(from.to_string()));
                                if E::LINKS_PERCENT < 50 {
                                    // The same ID with the prefix of a device (O-1).
                                    let marked = format!("$device:{id}");
                                    remapped.insert(marked, to.to_string());
                                }
                            }
                            assert_eq!(remapped, mapping(&store, &claims));
                        }
                        Err(error) => {
                            let error = format!("{error:?}");
                            outcomes.insert(error.split(' ').next().unwrap().to_owned());
                        }
                    }
                }
                _ => {}
            }
            if store.committed() > last {
                expected = model(&store, store.committed());
            }
            if store.committed() > last || number.is_multiple_of(10) {
                assert_eq!(
                    mapping(&store, &claims),
                    mapping(&expected, &claims),
                    "{seed}"
                );
                assert_eq!(
                    clusters(&store, &claims),
                    clusters(&expected, &claims),
                    "{seed}"
                );
            }
            digests.insert(store.committed(), Digest::of(&expected).unwrap());
        }
        assert_eq!(
            Digest::of(&store).unwrap(),
            *digests.last_entry().unwrap().get()
        );
        let history = store.history().unwrap();
        for (sequence, digest) in &digests {
            assert_eq!(
                history.digest(*sequence).unwrap(),
                *digest,
                "{seed} {sequence}"
            );
        }
        feed_leads_to_the_last_state(&store, &claims);
        drop(history);
        store.close().unwrap();
        let store = open::<E>(&disk);
        assert_eq!(
            snapshot_of(&store),
            snapshot_of(&model(&store, store.committed()))
        );
    }
    assert!(retractions > 100, "{retractions}");
    assert!(repeats > 5, "{repeats}");
    assert!(outcomes.contains("NotRetractable"), "{outcomes:?}");
}

/// The feed of changes is right across retractions too.
fn feed_leads_to_the_last_state<E: Engine>(store: &Durable<E>, claims: &[OwnedClaim]) {
    let history = store.history().unwrap();
    for yesterday in [0, history.last() / 2] {
        let mut yesterdays = mapping(&history.as_of(yesterday).unwrap(), claims);
        let each = &mut |change: Change| {
            let was = yesterdays.insert(change.id.to_string(), change.to.to_string());
            assert_eq!(was, Some(change.from.to_string()));
            Ok(true)
        };
        history.changes_since(yesterday, each).unwrap();
        for (id, now) in mapping(store, claims) {
            if E::LINKS_PERCENT > 50 || !id.starts_with("$device:") {
                assert_eq!(yesterdays[&id], now, "{id}");
            }
        }
    }
}

#[test]
fn any_entries_of_simplified_can_be_withdrawn() {
    any_entries_can_be_withdrawn::<Simplified>();
}

#[test]
fn any_entries_of_original_can_be_withdrawn() {
    any_entries_can_be_withdrawn::<Original>();
}

#[test]
fn withdrawing_a_retraction_gives_the_same_digest_as_before() {
    let claims = claims::<Original>(3, 300, 40);
    let mut store = open::<Original>(&Disk::default());
    for claim in &claims {
        store.apply(claim.as_claim()).unwrap();
    }
    store.commit().unwrap();
    let digest = Digest::of(&store).unwrap();
    let mut changed = 0;
    for sequence in (1..=store.committed()).step_by(3) {
        let Ok(retraction) = store.retract(sequence, "ada", "wrong", Cause::default()) else {
            continue;
        };
        if !retraction.is_new {
            continue;
        }
        changed += u32::from(Digest::of(&store).unwrap() != digest);
        let again = store.retract(retraction.sequence, "ada", "right", Cause::default());
        let back: Vec<_> = again
            .as_ref()
            .unwrap()
            .changes()
            .iter()
            .map(|change| &change.id)
            .collect();
        assert_eq!(
            back,
            retraction
                .changes()
                .iter()
                .map(|change| &change.id)
                .collect::<Vec<_>>()
        );
        assert_eq!(Digest::of(&store).unwrap(), digest);
    }
    assert!(changed > 10, "{changed}");
}

#[test]
fn a_claim_that_the_withdrawn_entry_had_blocked_is_accepted() {
    let mut store = open::<Simplified>(&Disk::default());
    for user in ["U1", "U2"] {
        let link = Claim::Link {
            device: id("D1"),
            user: id(user),
        };
        store.apply(link).unwrap();
    }
    assert_eq!(store.resolve(device("D1")), *"U1");
    let retraction = store.retract(1, "ada", "a shared tablet", Cause::default());
    let retraction = retraction.unwrap();
    assert_eq!(retraction.sequence, 3);
    let remaps: Vec<_> = retraction
        .changes()
        .iter()
        .map(|change| [&change.id, &change.from, &change.to].map(ToString::to_string))
        .collect();
    assert_eq!(remaps, [["$device:D1", "U1", "U2"]]);

    let history = store.history().unwrap();
    let explanation = history.explain(&store, device("D1"), plain("U2")).unwrap();
    let Explanation::Joined(chain) = explanation else {
        unreachable!("they are one user");
    };
    // It was rejected when it came, and is accepted since the other link is withdrawn.
    assert_eq!(
        serde_json::to_value(chain).unwrap(),
        serde_json::json!([{
            "sequence": 2,
            "claim": "link",
            "device": "D1",
            "user": "U2",
            "answer": "merged",
            "first_answer": "errAnonDistinctIdAssignedAlready",
        }])
    );
    let explanation = history.explain(&store, device("D1"), plain("U1")).unwrap();
    assert_eq!(
        explanation,
        Explanation::Apart(vec![]),
        "its claim is withdrawn"
    );
    let story = history.story(&store, device("D1")).unwrap();
    let story: Vec<_> = story
        .iter()
        .map(|entry| (entry.sequence, entry.answer.unwrap(), entry.withdrawn))
        .collect();
    assert_eq!(story, [(1, "merged", true), (2, "merged", false)]);
}

#[test]
fn lg_2_a_claim_that_is_sent_again_counts_again() {
    let mut store = open::<Simplified>(&Disk::default());
    let link = Claim::Link {
        device: id("D1"),
        user: id("U1"),
    };
    store.apply(link).unwrap();
    store
        .retract(1, "ada", "a mistake", Cause::default())
        .unwrap();
    assert_eq!(store.apply(link).unwrap(), Outcome::Merged);
    assert_eq!(store.commit().unwrap(), 3);
    // The claim counts again, so it can be withdrawn again: with all its entries (LG-2).
    let again = store.retract(1, "ada", "again", Cause::default()).unwrap();
    assert_eq!((again.sequence, again.is_new, again.claims), (4, true, 1));
    assert_eq!(store.resolve(device("D1")), *"$device:D1");
    // Now it is withdrawn already.
    let again = store.retract(3, "ada", "again", Cause::default()).unwrap();
    assert_eq!((again.sequence, again.is_new, again.claims), (4, false, 0));
    assert_eq!(store.committed(), 4);
    let error = store
        .retract(9, "ada", "again", Cause::default())
        .unwrap_err();
    assert!(matches!(
        error,
        StoreError::NoSuchEntry {
            sequence: 9,
            last: 4
        }
    ));
}

#[test]
fn a_loaded_state_cannot_be_withdrawn() {
    let mut elsewhere = Simplified::empty();
    let link = |user| Claim::Link {
        device: id("D1"),
        user: id(user),
    };
    elsewhere.apply(link("U1")).unwrap();
    let mut store = open::<Simplified>(&Disk::default());
    store.read_snapshot(&mut &*snapshot_of(&elsewhere)).unwrap();
    store.apply(link("U2")).unwrap();
    let error = store
        .retract(1, "ada", "why", Cause::default())
        .unwrap_err();
    assert!(
        matches!(error, StoreError::NotRetractable { sequence: 1 }),
        "{error:?}"
    );
    let error = store
        .retract(2, "ada", "why", Cause::default())
        .unwrap_err();
    assert!(
        matches!(error, StoreError::NotFromClaims { sequence: 1 }),
        "{error:?}"
    );
    // A failed retraction leaves nothing behind.
    assert_eq!(store.commit().unwrap(), 2);
    assert_eq!(store.apply(link("U1")).unwrap(), Outcome::AlreadyMerged);
}
