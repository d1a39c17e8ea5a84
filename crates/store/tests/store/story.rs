//! The members of a cluster and the claims that name them, in parts.

use std::collections::BTreeSet;

use idmerge_core::{Claim, DistinctId, DistinctIdBuf, Id, IdentityResolver, Outcome, Resolve};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use idmerge_store::{Cause, Durable, History, Options, What};

use crate::support::disk::Disk;
use crate::support::workload::{Numbers, claims};
use crate::support::{Engine, snapshot_of};

fn new_store<E: Engine>() -> Durable<E> {
    Durable::open_backend(Disk::default(), E::empty, Options::default()).unwrap()
}

/// The entries whose claims name one of these IDs.
fn naming<E: Engine>(history: &History<E>, members: &[DistinctId<'_>]) -> Vec<u64> {
    let mut found = Vec::new();
    let each = &mut |entry: idmerge_store::Entry<'_>| {
        if let What::Claim { claim, outcome } = entry.what
            && outcome != Outcome::Ignored
            && claim.ids().iter().any(|id| members.contains(id))
        {
            found.push(entry.sequence);
        }
        Ok(true)
    };
    history.entries(1, each).unwrap();
    found
}

fn members_and_claims_come_in_parts<E: Engine>() {
    for seed in 0..8 {
        let claims = claims::<E>(seed, 200, 14 + seed);
        let mut numbers = Numbers::new(seed);
        let mut store = new_store::<E>();
        for claim in &claims {
            store.apply(claim.as_claim()).unwrap();
            store.commit().unwrap();
            if seed.is_multiple_of(2) && numbers.below(40) == 0 {
                let sequence = 1 + numbers.below(store.committed());
                // Claims of the other model cannot be withdrawn.
                let _result = store.retract(sequence, "ada", "a test", Cause::default());
            }
        }
        let history = store.history().unwrap();
        let clusters: Vec<_> = store.clusters().collect();
        assert!(clusters.len() > 3, "seed {seed}");
        for cluster in clusters {
            let canonical = cluster.canonical;
            let is_of_user = |id: DistinctId<'_>| store.resolve(id) == canonical;
            let wanted = naming(&history, &cluster.members);
            for limit in 1..4 {
                let (mut members, mut told) = (Vec::new(), Vec::new());
                while let after = members.last().copied()
                    && let part = store.members_after(canonical, after, limit).unwrap()
                    && !part.is_empty()
                {
                    assert!(part.len() <= limit);
                    let owned: Vec<_> = part.iter().map(DistinctId::to_buf).collect();
                    let story = history.story_part(&owned, 0, &is_of_user).unwrap();
                    assert_eq!(story.complete, owned.len());
                    assert!(story.claims.is_sorted_by_key(|claim| claim.sequence));
                    told.extend(story.claims.iter().map(|claim| claim.sequence));
                    members.extend(part);
                }
                assert_eq!(members, cluster.members, "seed {seed}, limit {limit}");
                told.sort_unstable();
                assert_eq!(told, wanted, "seed {seed}, limit {limit}: {cluster:?}");
            }
            let story = history.story(&store, canonical).unwrap();
            let story: Vec<_> = story.iter().map(|claim| claim.sequence).collect();
            assert_eq!(story, wanted, "seed {seed}");
        }
    }
}

#[test]
fn members_and_claims_of_simplified_come_in_parts() {
    members_and_claims_come_in_parts::<Simplified>();
}

#[test]
fn members_and_claims_of_original_come_in_parts() {
    members_and_claims_come_in_parts::<Original>();
}

#[test]
fn a_part_about_an_id_with_many_claims_is_bounded_and_continues() {
    const DEVICES: usize = 4_500;
    let mut store = new_store::<Simplified>();
    for number in 0..DEVICES {
        let device = format!("D{number}");
        let [device, user] = [&*device, "hub"].map(|text| Id::new(text).unwrap());
        store.apply(Claim::Link { device, user }).unwrap();
    }
    store.commit().unwrap();
    let hub = DistinctId::plain(Id::new("hub").unwrap());
    let history = store.history().unwrap();
    let is_of_user = |id: DistinctId<'_>| store.resolve(id) == hub;
    let mut rest: Vec<DistinctIdBuf> = store
        .members_after(hub, None, DEVICES + 9)
        .unwrap()
        .into_iter()
        .map(DistinctIdBuf::from)
        .collect();
    assert_eq!(rest.len(), DEVICES + 1);
    let mut told = BTreeSet::new();
    let (mut after, mut parts) = (0, 0);
    while !rest.is_empty() {
        let part = history
            .story_part(&rest[..rest.len().min(100)], after, &is_of_user)
            .unwrap();
        assert!(part.claims.len() <= 2_000);
        for claim in &part.claims {
            assert!(told.insert(claim.sequence), "{claim:?} is told twice");
        }
        rest.drain(..part.complete);
        after = part.read_until;
        parts += 1;
    }
    assert_eq!(told.len(), DEVICES);
    assert!(parts < 3 + DEVICES / 90, "{parts}");
}

#[test]
fn a_link_is_told_with_its_user_with_whom_a_cluster_begins() {
    let mut store = new_store::<Simplified>();
    for device in ["D1", "D2", "D3"] {
        let [device, user] = [device, "U"].map(|text| Id::new(text).unwrap());
        store.apply(Claim::Link { device, user }).unwrap();
    }
    store.commit().unwrap();
    let user = DistinctId::plain(Id::new("U").unwrap());
    let history = store.history().unwrap();
    let is_of_user = |id: DistinctId<'_>| store.resolve(id) == user;
    let told = |after: Option<DistinctId<'_>>, limit: usize| {
        let members = store.members_after(user, after, limit).unwrap();
        let owned: Vec<_> = members.iter().map(DistinctId::to_buf).collect();
        let part = history.story_part(&owned, 0, &is_of_user).unwrap();
        let told: Vec<_> = part.claims.iter().map(|claim| claim.sequence).collect();
        (members.len(), told)
    };
    assert_eq!(told(None, 1), (1, vec![1, 2, 3]));
    assert_eq!(told(Some(user), 9), (3, vec![]));
}

#[test]
fn s_5_a_claim_after_a_loaded_state_is_told_with_the_answer_that_it_got_there() {
    let link = |engine: &mut dyn IdentityResolver, user: &str| {
        let [device, user] = ["D", user].map(|text| Id::new(text).unwrap());
        let answer = engine.apply(Claim::Link { device, user }).unwrap();
        matches!(answer, Outcome::Merged)
    };
    let mut loaded = Simplified::empty();
    assert!(link(&mut loaded, "U1"));
    let mut store = new_store::<Simplified>();
    store.read_snapshot(&mut &*snapshot_of(&loaded)).unwrap();
    // The device has a user in the state that was loaded.
    assert!(!link(&mut store, "U2"));
    store.commit().unwrap();
    let user = DistinctId::plain(Id::new("U2").unwrap());
    let story = store.history().unwrap().story(&store, user).unwrap();
    let answers: Vec<_> = story.iter().map(|claim| claim.answer).collect();
    assert_eq!(answers, [Some("errAnonDistinctIdAssignedAlready")]);
}
