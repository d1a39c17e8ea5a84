//! The checks O-7 to O-12, and the state after a rejection.

use super::*;

#[test]
fn o_7_two_same_ids_are_rejected_by_all_three() {
    let mut oracle = oracle();
    for claim in [identify, alias, merge] {
        // Before O-8: `x` is not a UUID. Whether it is known makes no difference (O-10).
        assert_eq!(
            claim(&mut oracle, "x", "x"),
            "errSameIDs: both IDs are \"x\""
        );
    }
    merge(&mut oracle, "x", "y");
    for claim in [identify, alias, merge] {
        assert_eq!(
            claim(&mut oracle, "x", "x"),
            "errSameIDs: both IDs are \"x\""
        );
    }
    assert_eq!(merge(&mut oracle, "x", "X"), "Merged");
}

#[test]
fn o_7_the_two_spellings_of_a_device_are_the_same_id() {
    let mut oracle = OriginalOracle::default();
    let event = Event {
        distinct_id: "D1".into(),
        anon_distinct_id: "$device:D1".into(),
        ..Event::named("$identify")
    };
    let (_, outcome) = oracle.apply_event(&event).unwrap();
    assert_eq!(
        outcome,
        Some(Outcome::Rejected(Rejection::SameIds { id: id("D1") }))
    );
}

#[test]
fn o_8_the_anonymous_id_must_have_the_form() {
    let guid = "8c14f0f8-2a2d-1b6e-1b1c-0123456789ab";
    let groups = "1a208d979df0-05585c45d5bb8f-17462c6f-1fa400-1a208d979e0368";
    let formats = [
        (AnonIdFormat::UuidV4, [true, false, false, false]),
        (AnonIdFormat::Guid, [true, true, false, false]),
        (AnonIdFormat::Sdk, [true, true, true, false]),
    ];
    for (anon_id_format, allowed) in formats {
        for (anon, allowed) in [&*uuid(1), guid, groups, "A1"].into_iter().zip(allowed) {
            let settings = EngineSettings {
                anon_id_format,
                ..EngineSettings::default()
            };
            let mut oracle = OriginalOracle::new(settings);
            let expected = if allowed {
                "Merged".to_owned()
            } else {
                format!(
                    "errAnonDistinctIdNonGUIDForm: \
                     the anonymous ID {anon:?} does not have the form of a GUID"
                )
            };
            // The identified ID may have any form.
            assert_eq!(
                identify(&mut oracle, "U1", anon),
                expected,
                "{anon_id_format:?}"
            );
        }
    }
}

#[test]
fn o_8_comes_before_o_10_and_o_18_does_not_bind_the_others() {
    let mut oracle = oracle();
    assert_eq!(merge(&mut oracle, "U1", "A1"), "Merged");
    assert!(identify(&mut oracle, "U1", "A1").starts_with("errAnonDistinctIdNonGUIDForm"));
    assert_eq!(alias(&mut oracle, "U1", "A2"), "Merged");
    assert_eq!(clusters(&oracle), ["U1 = U1 A1 A2"]);
}

#[test]
fn o_9_an_alias_is_used_once() {
    let mut oracle = oracle();
    assert_eq!(alias(&mut oracle, "U1", "A"), "Merged");
    let rejected = "errAliasAlreadyExists: the alias \"A\" is already in use";
    assert_eq!(alias(&mut oracle, "U2", "A"), rejected);
    // In the cluster of `distinct_id`, O-10 applies.
    assert_eq!(alias(&mut oracle, "U1", "A"), "AlreadyMerged");
    assert_eq!(merge(&mut oracle, "U1", "U3"), "Merged");
    assert_eq!(alias(&mut oracle, "U3", "A"), "AlreadyMerged");
    // The mark is on the alias: the other ID can still become an alias.
    assert_eq!(alias(&mut oracle, "A", "B"), "Merged");
    assert_eq!(clusters(&oracle), ["U1 = U1 A U3 B"]);
}

#[test]
fn o_9_only_an_accepted_alias_event_uses_an_alias() {
    let mut oracle = oracle();
    // In a cluster, but never an alias.
    assert_eq!(merge(&mut oracle, "U1", "A"), "Merged");
    assert_eq!(identify(&mut oracle, "U1", &anon(1)), "Merged");
    assert_eq!(alias(&mut oracle, "U2", "A"), "Merged");
    assert_eq!(alias(&mut oracle, "U4", &anon(1)), "Merged");
    assert_eq!(clusters(&oracle), [format!("U1 = U1 A {} U2 U4", anon(1))]);
    // An event answered with `already merged` makes the mark too (O-10, O-13).
    let mut oracle = super::oracle();
    assert_eq!(merge(&mut oracle, "U1", "A"), "Merged");
    assert_eq!(alias(&mut oracle, "U1", "A"), "AlreadyMerged");
    assert!(alias(&mut oracle, "U2", "A").starts_with("errAliasAlreadyExists"));
    // A rejected event does not (O-13).
    assert_eq!(
        alias(&mut oracle, "U2", "U2"),
        "errSameIDs: both IDs are \"U2\""
    );
    assert_eq!(alias(&mut oracle, "U1", "U2"), "Merged");
}

#[test]
fn o_10_ids_in_one_cluster_stay_as_they_are() {
    let mut oracle = oracle();
    assert_eq!(identify(&mut oracle, "U1", &anon(1)), "Merged");
    assert_eq!(identify(&mut oracle, "U1", &anon(2)), "Merged");
    let before = clusters(&oracle);
    for _ in 0..2 {
        assert_eq!(identify(&mut oracle, "U1", &anon(1)), "AlreadyMerged");
        assert_eq!(merge(&mut oracle, &anon(1), &anon(2)), "AlreadyMerged");
        assert_eq!(merge(&mut oracle, &anon(2), &anon(1)), "AlreadyMerged");
        assert_eq!(alias(&mut oracle, &anon(2), "U1"), "AlreadyMerged");
    }
    assert_eq!(clusters(&oracle), before);
}

#[test]
fn o_11_the_anonymous_ids_cluster_must_not_be_identified() {
    let mut oracle = oracle();
    identify(&mut oracle, "U1", &anon(1));
    let rejected = format!(
        "errAnonDistinctIdAssignedAlready: the anonymous ID {:?} already belongs to \"U1\"",
        anon(1),
    );
    assert_eq!(identify(&mut oracle, "U2", &anon(1)), rejected);
    // The cluster of the anonymous ID counts, not that of the identified ID.
    assert_eq!(identify(&mut oracle, "U1", &anon(2)), "Merged");
    assert_eq!(identify(&mut oracle, &anon(1), &anon(3)), "Merged");
    // The anonymous ID itself may be identified.
    identify(&mut oracle, &anon(8), &anon(9));
    assert!(identify(&mut oracle, "U2", &anon(8)).ends_with(&format!("belongs to {:?}", anon(8))));
}

#[test]
fn o_11_does_not_apply_to_clusters_without_an_identified_id() {
    let mut oracle = oracle();
    merge(&mut oracle, &anon(1), "x");
    alias(&mut oracle, &anon(2), "y");
    assert_eq!(identify(&mut oracle, "U1", &anon(1)), "Merged");
    assert_eq!(identify(&mut oracle, "U1", &anon(2)), "Merged");
    assert_eq!(clusters(&oracle).len(), 1);
    // O-18: `$merge` and `$create_alias` join IDs that `$identify` may not.
    identify(&mut oracle, "U2", &anon(3));
    identify(&mut oracle, "U3", &anon(4));
    assert_eq!(merge(&mut oracle, "U1", &anon(3)), "Merged");
    assert_eq!(alias(&mut oracle, "U1", &anon(4)), "Merged");
    assert_eq!(clusters(&oracle).len(), 1);
}

#[test]
fn o_11_the_holder_is_the_oldest_identified_id() {
    let mut oracle = oracle();
    merge(&mut oracle, "old", &anon(1));
    identify(&mut oracle, "U1", &anon(2));
    identify(&mut oracle, "U2", &anon(3));
    merge(&mut oracle, "U2", &anon(2));
    merge(&mut oracle, "old", "U2");
    for n in 1..=3 {
        assert!(identify(&mut oracle, "U9", &anon(n)).ends_with("belongs to \"U1\""));
    }
}

#[test]
fn o_12_and_o_18_500_members_and_not_501() {
    let mut oracle = oracle();
    for n in 1..500 {
        assert_eq!(merge(&mut oracle, "m", &format!("m{n}")), "Merged");
    }
    assert_eq!(oracle.cluster(plain("m")).unwrap().members.len(), 500);
    let rejected = "errManyIDs: the merged cluster would have 501 IDs; at most 500 are allowed";
    let before = snapshot_of(&oracle);
    assert_eq!(merge(&mut oracle, "m", "one more"), rejected);
    assert_eq!(alias(&mut oracle, "one more", "m7"), rejected);
    assert_eq!(identify(&mut oracle, "m", &anon(1)), rejected);
    // O-10 comes first.
    assert_eq!(merge(&mut oracle, "m1", "m2"), "AlreadyMerged");
    assert_eq!(snapshot_of(&oracle), before);
}

#[test]
fn o_12_both_clusters_count() {
    let mut oracle = OriginalOracle::new(EngineSettings {
        max_cluster_ids: 5,
        ..any_form()
    });
    for (a, b) in [
        ("a1", "a2"),
        ("a1", "a3"),
        ("b1", "b2"),
        ("b1", "b3"),
        ("c1", "c2"),
    ] {
        assert_eq!(merge(&mut oracle, a, b), "Merged");
    }
    let rejected = "errManyIDs: the merged cluster would have 6 IDs; at most 5 are allowed";
    assert_eq!(merge(&mut oracle, "a2", "b2"), rejected);
    assert_eq!(merge(&mut oracle, "a2", "c2"), "Merged");
    assert_eq!(merge(&mut oracle, "d", "c2"), rejected);
}

#[test]
fn o_11_comes_before_o_12_and_o_9_before_o_10() {
    let mut oracle = OriginalOracle::new(EngineSettings {
        max_cluster_ids: 2,
        ..any_form()
    });
    identify(&mut oracle, "U1", &anon(1));
    assert!(identify(&mut oracle, "U2", &anon(1)).starts_with("errAnonDistinctIdAssignedAlready"));
    assert!(identify(&mut oracle, "U1", &anon(2)).starts_with("errManyIDs"));
    alias(&mut oracle, "x", "y");
    // The cluster is too large as well, but O-9 comes first.
    assert!(alias(&mut oracle, "U1", "y").starts_with("errAliasAlreadyExists"));
}

#[test]
fn o_13_a_rejected_event_leaves_no_trace() {
    let mut oracle = OriginalOracle::new(EngineSettings {
        max_cluster_ids: 3,
        ..any_form()
    });
    identify(&mut oracle, "U1", &anon(1));
    alias(&mut oracle, "U1", "A");
    let before = snapshot_of(&oracle);
    for rejected in [
        merge(&mut oracle, "new", "new"),
        identify(&mut oracle, "new", "no uuid"),
        alias(&mut oracle, "new", "A"),
        identify(&mut oracle, "new", &anon(1)),
        merge(&mut oracle, "new", "U1"),
        alias(&mut oracle, "U1", "new"),
        identify(&mut oracle, "A", &anon(7)),
    ] {
        assert!(rejected.starts_with("err"), "{rejected}");
    }
    let (device, user) = (id("new"), id("U1"));
    assert_eq!(
        oracle.apply(Claim::Link { device, user }).unwrap(),
        Outcome::Ignored
    );
    assert_eq!(snapshot_of(&oracle), before);
    // A rejected event gives no age: `late` is older than `new`, although `new` was seen first.
    merge(&mut oracle, "late", "new");
    assert_eq!(clusters(&oracle)[1], "late = late new");
}
