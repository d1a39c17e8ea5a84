//! Questions to a log: every earlier state, the changes between states, and explanations.

use std::collections::BTreeMap;

use idmerge_core::{Claim, DistinctId, Id, IdentityResolver, Outcome, Resolve};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{
    Cause, Difference, Digest, Durable, Entry, Explanation, History, LogEntry, Options, StoreError,
    What,
};

use crate::support::disk::Disk;
use crate::support::workload::{OwnedClaim, claims};
use crate::support::{Engine, snapshot_of};

const SEEDS: std::ops::Range<u64> = 0..8;

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

fn plain(text: &str) -> DistinctId<'_> {
    DistinctId::plain(id(text))
}

fn new_store<E: Engine>() -> Durable<E> {
    Durable::open_backend(Disk::default(), E::empty, Options::default()).unwrap()
}

/// A store that was given these claims, with some snapshots.
fn store_of<E: Engine>(claims: &[OwnedClaim]) -> Durable<E> {
    let mut store = new_store::<E>();
    for group in claims.chunks(50) {
        for claim in group {
            store.apply(claim.as_claim()).unwrap();
        }
        store.commit().unwrap();
        store.snapshot().unwrap();
    }
    store
}

/// Every entry as text.
fn log<E: Engine>(history: &History<E>) -> Vec<String> {
    let mut log = Vec::new();
    let each = &mut |entry: Entry<'_>| {
        assert_eq!(entry.sequence, log.len() as u64 + 1);
        log.push(format!("{:?} {:?}", entry.what, entry.cause));
        Ok(true)
    };
    history.entries(1, each).unwrap();
    log
}

/// All IDs that the claims name, with and without the prefix of a device.
fn ids(claims: &[OwnedClaim]) -> Vec<DistinctId<'_>> {
    let mut ids: Vec<_> = claims
        .iter()
        .flat_map(|claim| claim.ids().map(id))
        .flat_map(|id| [DistinctId::plain(id), DistinctId::device(id)])
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn every_state_comes_back<E: Engine>() {
    for seed in SEEDS {
        let claims = claims::<E>(seed, 300, 40);
        let store = store_of::<E>(&claims);
        let history = store.history().unwrap();
        // The states, by the number of entries in the log: a claim without an entry must not have
        // changed the state.
        let mut again = new_store::<E>();
        let mut states = BTreeMap::from([(0, snapshot_of(&again))]);
        for claim in &claims {
            again.apply(claim.as_claim()).unwrap();
            let state = snapshot_of(&again);
            let known = states.entry(again.sequence()).or_insert(state.clone());
            assert_eq!(
                *known, state,
                "{claim:?} has no entry and changed the state"
            );
        }
        assert_eq!(history.last(), *states.last_key_value().unwrap().0);
        for (&sequence, state) in &states {
            let engine = history.as_of(sequence).unwrap();
            assert_eq!(snapshot_of(&engine), *state);
            let digest = history.digest(sequence).unwrap();
            assert_eq!(digest, Digest::of(&engine).unwrap());
        }
        let after_last = history.as_of(history.last() + 1);
        assert!(matches!(after_last, Err(StoreError::NoSuchEntry { .. })));
        // Most claims of the workload are repeats, which have no entry.
        assert!(history.last() < claims.len() as u64);
        for claim in &claims {
            again.apply(claim.as_claim()).unwrap();
        }
        let rounds = again.sequence();
        for claim in &claims {
            again.apply(claim.as_claim()).unwrap();
        }
        assert_eq!(again.sequence(), rounds, "a third time says nothing new");
    }
}

#[test]
fn every_state_of_simplified_comes_back() {
    every_state_comes_back::<Simplified>();
}

#[test]
fn every_state_of_original_comes_back() {
    every_state_comes_back::<Original>();
}

fn changes_lead_to_the_last_state<E: Engine>() {
    for seed in SEEDS {
        let claims = claims::<E>(seed, 300, 40);
        let store = store_of::<E>(&claims);
        let history = store.history().unwrap();
        for yesterday in [0, history.last() / 2, history.last()] {
            let engine = history.as_of(yesterday).unwrap();
            let mut mapping: BTreeMap<String, String> = ids(&claims)
                .into_iter()
                .map(|id| (id.to_string(), engine.resolve(id).to_string()))
                .collect();
            let mut before = yesterday;
            history
                .changes_since(yesterday, &mut |change| {
                    assert!(change.sequence > yesterday && change.sequence >= before);
                    before = change.sequence;
                    assert_ne!(change.from, change.to);
                    let was = mapping.insert(change.id.to_string(), change.to.to_string());
                    assert_eq!(was, Some(change.from.to_string()));
                    Ok(true)
                })
                .unwrap();
            for id in ids(&claims) {
                // In Original an ID with the mark is the same ID (O-1), and has no change of its own.
                if E::LINKS_PERCENT > 50 || !id.is_device() {
                    assert_eq!(mapping[&id.to_string()], store.resolve(id).to_string());
                }
            }
        }
    }
}

#[test]
fn changes_of_simplified_lead_from_an_earlier_state_to_the_last() {
    changes_lead_to_the_last_state::<Simplified>();
}

#[test]
fn changes_of_original_lead_from_an_earlier_state_to_the_last() {
    changes_lead_to_the_last_state::<Original>();
}

#[test]
fn changes_can_be_read_a_few_at_a_time() {
    let claims = claims::<Original>(3, 300, 40);
    let store = store_of::<Original>(&claims);
    let history = store.history().unwrap();
    let feed = |from: u64, at_most: usize| {
        let mut changes = Vec::new();
        let each = &mut |change: idmerge_store::Change| {
            changes.push((
                change.sequence,
                change.id.to_string(),
                change.to.to_string(),
            ));
            Ok(changes.len() < at_most)
        };
        history.changes_since(from, each).unwrap();
        changes
    };
    let all = feed(0, usize::MAX);
    let first = feed(0, 10);
    assert_eq!(first, all[..10]);
    let complete = first.last().unwrap().0 - 1;
    let mut both: Vec<_> = first.into_iter().filter(|c| c.0 <= complete).collect();
    both.extend(feed(complete, usize::MAX));
    assert_eq!(both, all);
}

/// The entries of the chain join the two IDs; without any one of them they do not.
fn chains_join<E: Engine>() {
    let mut chains = 0;
    for seed in SEEDS {
        let claims = claims::<E>(seed, 200, 30);
        let store = store_of::<E>(&claims);
        let history = store.history().unwrap();
        for cluster in store.clusters() {
            let [first, .., last] = cluster.members[..] else {
                continue;
            };
            let Explanation::Joined(chain) = history.explain(&store, first, last).unwrap() else {
                unreachable!("all came by claims");
            };
            let chain: Vec<u64> = chain.iter().map(|entry| entry.sequence).collect();
            assert!(joins(&history, &chain, first, last), "{chain:?}");
            for left_out in 0..chain.len() {
                let mut less = chain.clone();
                less.remove(left_out);
                assert!(!joins(&history, &less, first, last), "{chain:?}");
            }
            chains += 1;
        }
    }
    assert!(chains > 10);
}

/// Whether these entries alone join two IDs. Only the IDs of the claims count here, so guardrails are
/// left out.
fn joins<E: Engine>(
    history: &History<E>,
    entries: &[u64],
    first: DistinctId<'_>,
    last: DistinctId<'_>,
) -> bool {
    let mut engine = Original::new(idmerge_original::Settings::default());
    for &sequence in entries {
        let each = &mut |entry: Entry<'_>| {
            let What::Claim { claim, outcome } = entry.what else {
                unreachable!("nothing was replaced");
            };
            assert!(matches!(outcome, Outcome::Merged | Outcome::AlreadyMerged));
            let [first, second] = match claim {
                Claim::Link { device, user } => [device, user],
                Claim::Identify { identified, anon } => [identified, anon],
                Claim::Alias { distinct_id, alias } => [distinct_id, alias],
                Claim::Merge { first, second } => [first, second],
                _ => unreachable!("there are four"),
            };
            engine.apply(Claim::Merge { first, second }).unwrap();
            Ok(false)
        };
        history.entries(sequence, each).unwrap();
    }
    engine.resolve(first) == engine.resolve(last)
}

#[test]
fn the_chain_of_an_explanation_joins_in_simplified() {
    chains_join::<Simplified>();
}

#[test]
fn the_chain_of_an_explanation_joins_in_original() {
    chains_join::<Original>();
}

#[test]
fn an_explanation_is_the_shortest_chain_or_what_was_rejected() {
    let mut store = new_store::<Original>();
    for (first, second) in [("A", "B"), ("B", "C"), ("C", "D"), ("X", "Y"), ("A", "X")] {
        let [first, second] = [id(first), id(second)];
        store.apply(Claim::Merge { first, second }).unwrap();
    }
    store.commit().unwrap();
    let history = store.history().unwrap();
    let explain = |a, b| match history.explain(&store, plain(a), plain(b)).unwrap() {
        Explanation::Joined(chain) => (true, chain),
        Explanation::Apart(rejected) => (false, rejected),
        Explanation::ApartThroughOthers(_) => unreachable!("one claim is between any two"),
        Explanation::JoinedElsewhere => unreachable!("nothing was replaced"),
    };
    let sequences = |(is_joined, entries): (bool, Vec<LogEntry>)| {
        let sequences = entries.iter().map(|entry| entry.sequence);
        (is_joined, sequences.collect::<Vec<_>>())
    };
    assert_eq!(sequences(explain("A", "A")), (true, vec![]));
    assert_eq!(sequences(explain("A", "C")), (true, vec![1, 2]));
    assert_eq!(sequences(explain("C", "A")), (true, vec![2, 1]));
    // The tests allow five IDs in a cluster.
    for (first, second) in [("D", "Y"), ("Y", "D")] {
        let (is_joined, rejected) = explain(first, second);
        assert!(!is_joined);
        assert_eq!(
            serde_json::to_value(rejected).unwrap(),
            serde_json::json!([{
                "sequence": 5,
                "claim": "merge",
                "first": "A",
                "second": "X",
                "answer": "errManyIDs",
                "description": "the merged cluster would have 6 IDs; at most 5 are allowed",
                "rule": "O-12",
            }])
        );
    }
    assert_eq!(sequences(explain("D", "Z")), (false, vec![]));
    let story = |id| {
        let story = history.story(&store, plain(id)).unwrap();
        story.iter().map(|entry| entry.sequence).collect::<Vec<_>>()
    };
    assert_eq!(story("Y"), [4, 5]);
    assert_eq!(story("D"), [1, 2, 3, 5]);
}

/// D1 is U1's and D2 is U2's. U3 tried to get both, so two rejected claims connect U1 with U2.
#[test]
fn what_would_have_joined_two_users_through_a_third_is_named() {
    let mut store = new_store::<Simplified>();
    for (device, user) in [
        ("D1", "U1"),
        ("D2", "U2"),
        ("D1", "U3"),
        ("D2", "U3"),
        ("D4", "U4"),
    ] {
        let [device, user] = [id(device), id(user)];
        store.apply(Claim::Link { device, user }).unwrap();
    }
    store.commit().unwrap();
    let history = store.history().unwrap();
    let explain = |first, second| history.explain(&store, first, second).unwrap();
    let device = |text| DistinctId::device(id(text));
    for (first, second, sequences) in [
        (plain("U1"), plain("U2"), [3, 4]),
        (device("D2"), plain("U1"), [4, 3]),
    ] {
        let Explanation::ApartThroughOthers(chain) = explain(first, second) else {
            panic!("the chain is not found");
        };
        assert_eq!(
            chain.iter().map(|entry| entry.sequence).collect::<Vec<_>>(),
            sequences
        );
        let rules: Vec<_> = chain.iter().map(|entry| entry.rule).collect();
        assert_eq!(rules, [Some("S-7"); 2]);
    }
    // One claim is enough for these two, and none connects the last ones.
    let Explanation::Apart(rejected) = explain(plain("U1"), plain("U3")) else {
        panic!("one claim is between them");
    };
    assert_eq!(
        rejected[0].description.as_deref(),
        Some("the anonymous ID \"D1\" already belongs to \"U1\"")
    );
    assert_eq!(
        explain(plain("U4"), plain("U1")),
        Explanation::Apart(vec![])
    );
    assert_eq!(
        explain(plain("nobody"), plain("U1")),
        Explanation::Apart(vec![])
    );
}

#[test]
fn ids_joined_by_a_loaded_state_are_explained_as_such() {
    let mut elsewhere = Original::empty();
    let merge = Claim::Merge {
        first: id("A"),
        second: id("B"),
    };
    elsewhere.apply(merge).unwrap();
    let mut store = new_store::<Original>();
    let bytes = snapshot_of(&elsewhere);
    store.read_snapshot(&mut &*bytes).unwrap();
    let history = store.history().unwrap();
    assert_eq!(
        history.explain(&store, plain("A"), plain("B")).unwrap(),
        Explanation::JoinedElsewhere
    );
    assert!(matches!(
        history.simulate(1, Original::empty()),
        Err(StoreError::NotFromClaims { sequence: 1 })
    ));
    let mut changes = Vec::new();
    history
        .changes_since(0, &mut |change| {
            changes.push(format!("{} {} {}", change.id, change.from, change.to));
            Ok(true)
        })
        .unwrap();
    assert_eq!(changes, ["B B A"]);

    // What comes later joins IDs of the loaded state, from any position of the feed.
    for pair in [["X", "Y"], ["B", "C"]] {
        let [first, second] = pair.map(id);
        store.apply(Claim::Merge { first, second }).unwrap();
    }
    store.commit().unwrap();
    let history = store.history().unwrap();
    for since in [1, 2] {
        let mut changes = Vec::new();
        history
            .changes_since(since, &mut |change| {
                changes.push(format!("{} {} {}", change.id, change.from, change.to));
                Ok(true)
            })
            .unwrap();
        let wanted = ["Y Y X", "C C A"];
        assert_eq!(changes, wanted[usize::try_from(since).unwrap() - 1..]);
    }
}

#[test]
fn simulating_the_same_engine_differs_in_nothing() {
    for seed in SEEDS {
        let store = store_of::<Original>(&claims::<Original>(seed, 300, 40));
        let history = store.history().unwrap();
        let same = history.simulate(history.last(), Original::empty()).unwrap();
        assert_eq!(snapshot_of(&same), snapshot_of(&store));
        assert!(Difference::between(&store, &same, 3).is_none());
    }
}

#[test]
fn simulating_another_engine_counts_the_users_that_differ() {
    let mut store = new_store::<Simplified>();
    let device = id("5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e");
    for (device, user) in [(device, id("U1")), (id("D2"), id("U2"))] {
        store.apply(Claim::Link { device, user }).unwrap();
    }
    for (first, second) in [(device, id("U1")), (id("U2"), id("U3"))] {
        store.apply(Claim::Merge { first, second }).unwrap();
    }
    store.commit().unwrap();
    let history = store.history().unwrap();
    let original = history.simulate(4, Original::empty()).unwrap();
    let difference = Difference::between(&store, &original, 3);
    // U2 keeps its device only in Simplified, and is U3 only in Original.
    assert_eq!(
        difference,
        Difference {
            clusters: 2,
            other_clusters: 2,
            split: 1,
            joined: 1,
            split_examples: vec!["U2".to_owned()],
            joined_examples: vec!["U2".to_owned()],
        }
    );
    assert!(history.simulate(5, Original::empty()).is_err());
}

#[test]
fn the_log_has_claims_of_both_rule_books_and_their_causes() {
    let mut store = new_store::<Simplified>();
    let [device, user] = [id("D1"), id("U1")];
    let causes = [
        Cause {
            insert_id: Some("5c7f0e7c-6a52-4b26-9fb8-6c5a9f0f4c1e"),
            time_ms: Some(1_700_000_000_000),
            source: Some("web"),
        },
        Cause {
            insert_id: Some(""),
            time_ms: Some(-5),
            source: Some("web"),
        },
        Cause {
            time_ms: Some(i64::MIN),
            ..Cause::default()
        },
    ];
    let identify = Claim::Identify {
        identified: user,
        anon: device,
    };
    let other = Claim::Link {
        device,
        user: id("U2"),
    };
    let claims = [Claim::Link { device, user }, identify, other];
    let mut outcomes = Vec::new();
    let each = &mut |outcome: Outcome<'_>| outcomes.push(format!("{outcome:?}"));
    store.apply_batch_caused(&claims, &causes, each).unwrap();
    assert_eq!(outcomes.len(), claims.len());
    store.commit().unwrap();
    let wanted: Vec<_> = (claims.iter().zip(outcomes).zip(causes))
        .map(|((claim, outcome), cause)| {
            format!("Claim {{ claim: {claim:?}, outcome: {outcome} }} {cause:?}")
        })
        .collect();
    assert_eq!(log(&store.history().unwrap()), wanted);
}
