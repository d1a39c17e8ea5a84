//! The laws of the rule book (section 7), on every short stream of claims.
//!
//! This tests the rules as well as the oracles: a law that fails here contradicts a rule.

use idmerge_core::{Claim, Cluster, DistinctId, Id, IdentityResolver, Outcome};

use super::{LegacyOracle, OriginalOracle, SimplifiedOracle};
use crate::settings::{AnonIdFormat, EngineSettings};

fn snapshot_of(engine: &impl IdentityResolver) -> Vec<u8> {
    let mut bytes = Vec::new();
    engine.write_snapshot(&mut bytes).unwrap();
    bytes
}

/// The answers of a state for each ID, and all its clusters.
fn answers(engine: &impl IdentityResolver, ids: &[DistinctId<'_>]) -> Vec<String> {
    let mut answers = vec![format!("{:?}", engine.clusters().collect::<Vec<_>>())];
    for id in ids {
        answers.push(format!(
            "{:?} {:?}",
            engine.resolve(*id),
            engine.cluster(*id)
        ));
    }
    answers
}

/// The canonical ID of each ID.
fn canonicals<'a>(
    engine: &'a impl IdentityResolver,
    ids: &[DistinctId<'a>],
) -> Vec<DistinctId<'a>> {
    ids.iter().map(|id| engine.resolve(*id)).collect()
}

/// Tries all streams of at most `more` claims after a state, and checks every cluster on the way.
fn every_stream<E: IdentityResolver + Clone>(
    engine: &E,
    empty: &E,
    claims: &[Claim<'_>],
    ids: &[DistinctId<'_>],
    check: fn(&Cluster<'_>),
    more: usize,
) {
    if more == 0 {
        return;
    }
    let before = (snapshot_of(engine), answers(engine, ids));
    let canonicals_before = canonicals(engine, ids);
    for claim in claims {
        let mut next = engine.clone();
        let outcome = format!("{:?}", next.apply(*claim).unwrap());
        let rejected = outcome.starts_with("Rejected");
        let after = (snapshot_of(&next), answers(&next, ids));

        // Law 7: rejected leaves no trace.
        if rejected || outcome == "Ignored" {
            assert_eq!(after, before, "{claim:?}");
        }

        // A merge changes the state.
        if outcome == "Merged" {
            assert_ne!(after, before, "{claim:?}");
        }

        // Law 2: the second time changes nothing, and rejects nothing that was accepted.
        let mut twice = next.clone();
        let again = twice.apply(*claim).unwrap();
        assert_eq!(matches!(again, Outcome::Rejected(_)), rejected, "{claim:?}");
        assert_eq!(snapshot_of(&twice), after.0, "{claim:?}");

        // Law 3: two IDs that resolve to one ID do so for ever.
        let canonicals_after = canonicals(&next, ids);
        for a in 0..ids.len() {
            for b in 0..a {
                if canonicals_before[a] == canonicals_before[b] {
                    assert_eq!(canonicals_after[a], canonicals_after[b], "{claim:?}");
                }
            }
        }

        // Law 4: the canonical ID resolves to itself, and is in the cluster.
        for canonical in &canonicals_after {
            assert_eq!(next.resolve(*canonical), *canonical);
        }
        for cluster in next.clusters() {
            assert!(cluster.members.contains(&cluster.canonical));
            check(&cluster);
        }

        // A claim that changes nothing leads to no new stream.
        if after == before {
            continue;
        }

        // Law 1: a snapshot in the middle changes nothing. Each stream reads one.
        let mut loaded = empty.clone();
        loaded.read_snapshot(&mut &*after.0).unwrap();
        assert_eq!((snapshot_of(&loaded), answers(&loaded, ids)), after);
        let next = if more == 2 { loaded } else { next };
        every_stream(&next, empty, claims, ids, check, more - 1);
    }
}

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

#[test]
fn laws_1_to_7_hold_on_every_short_simplified_stream() {
    let texts = ["a", "b", "c"];
    let mut claims = Vec::new();
    let mut ids = Vec::new();
    for a in texts {
        ids.extend([DistinctId::plain(id(a)), DistinctId::device(id(a))]);
        for b in texts {
            let (user, device) = (id(a), id(b));
            claims.push(Claim::Link { device, user });
        }
    }
    let empty = SimplifiedOracle::default();
    // Law 6: a cluster has one user ID, whatever the order of events.
    let one_user = |cluster: &Cluster<'_>| {
        let users = cluster.members.iter().filter(|id| !id.is_device());
        assert_eq!(users.count(), 1);
    };
    every_stream(&empty, &empty, &claims, &ids, one_user, 4);
}

#[test]
fn laws_1_to_7_hold_on_every_short_original_stream() {
    // Two anonymous IDs and two others, and a limit that three merges reach.
    let texts = ["U1", "U2", "1-0-0-0-a", "2-0-0-0-a"];
    let empty = OriginalOracle::new(EngineSettings {
        max_cluster_ids: 3,
        anon_id_format: AnonIdFormat::Sdk,
        ..EngineSettings::default()
    });
    let mut claims = Vec::new();
    // With the second anonymous ID in the first place, the claims would only be renamed.
    for a in &texts[..3] {
        for b in &texts {
            let (a, b) = (id(a), id(b));
            if a != b {
                claims.push(Claim::Identify {
                    identified: a,
                    anon: b,
                });
                claims.push(Claim::Alias {
                    distinct_id: a,
                    alias: b,
                });
                claims.push(Claim::Merge {
                    first: a,
                    second: b,
                });
            }
        }
    }
    let ids: Vec<DistinctId<'_>> = texts.map(|text| DistinctId::plain(id(text))).to_vec();
    // Law 5: no cluster exceeds the limit; and none has one member.
    let bounded = |cluster: &Cluster<'_>| assert!((2..=3).contains(&cluster.members.len()));
    every_stream(&empty, &empty, &claims, &ids, bounded, 3);
}

#[test]
fn laws_1_to_4_and_7_hold_on_every_short_legacy_stream() {
    let texts = ["a", "b", "c", "d"];
    let mut claims = Vec::new();
    let mut ids = Vec::new();
    for a in texts {
        ids.extend([DistinctId::plain(id(a)), DistinctId::device(id(a))]);
        for b in texts {
            let (a, b) = (id(a), id(b));
            claims.push(Claim::Alias {
                distinct_id: a,
                alias: b,
            });
        }
    }
    // One of each kind that Legacy ignores, whatever its IDs (L-11).
    let (a, b) = (id("a"), id("b"));
    claims.push(Claim::Link { device: a, user: b });
    claims.push(Claim::Identify {
        identified: a,
        anon: b,
    });
    claims.push(Claim::Merge {
        first: a,
        second: b,
    });
    let empty = LegacyOracle::default();
    // L-10: no limit but the number of IDs; and no cluster has one member.
    let has_an_alias = |cluster: &Cluster<'_>| assert!((2..=4).contains(&cluster.members.len()));
    every_stream(&empty, &empty, &claims, &ids, has_an_alias, 4);
}
