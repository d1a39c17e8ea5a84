//! Rules O-7 to O-18, one by one, through the public API.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use idmerge_core::{
    Claim, DistinctId, Id, IdentityResolver, IdentityResolverExt, Outcome, Rejection, Resolve,
    RuleBook,
};
use idmerge_original::{AnonIdFormat, Original, Settings};

/// Anonymous IDs of UUIDv4 form.
const A1: &str = "a1a1a1a1-0000-4000-8000-000000000001";
const A2: &str = "a2a2a2a2-0000-4000-8000-000000000002";
const A3: &str = "A3A3A3A3-0000-4000-8000-000000000003";

fn id(text: &str) -> Id<'_> {
    Id::new(text).unwrap()
}

fn identify<'a>(identified: &'a str, anon: &'a str) -> Claim<'a> {
    Claim::Identify {
        identified: id(identified),
        anon: id(anon),
    }
}

fn alias<'a>(distinct_id: &'a str, alias: &'a str) -> Claim<'a> {
    Claim::Alias {
        distinct_id: id(distinct_id),
        alias: id(alias),
    }
}

fn merge<'a>(first: &'a str, second: &'a str) -> Claim<'a> {
    Claim::Merge {
        first: id(first),
        second: id(second),
    }
}

fn engine_with_limit(max_cluster_ids: u32) -> Original {
    Original::new(Settings {
        max_cluster_ids,
        ..Settings::default()
    })
}

/// An engine after claims that are all accepted.
fn engine(claims: &[Claim<'_>]) -> Original {
    let mut engine = Original::default();
    for &claim in claims {
        assert!(accepted(engine.apply(claim).unwrap()), "{claim:?}");
    }
    engine
}

fn accepted(outcome: Outcome<'_>) -> bool {
    matches!(outcome, Outcome::Merged | Outcome::AlreadyMerged)
}

fn outcome<'a>(engine: &'a mut Original, claim: Claim<'a>) -> Outcome<'a> {
    engine.apply(claim).unwrap()
}

/// Applies a claim that must be rejected and leave no trace.
fn code(engine: &mut Original, claim: Claim<'_>) -> &'static str {
    let before = snapshot(engine);
    let Outcome::Rejected(rejection) = engine.apply(claim).unwrap() else {
        panic!("{claim:?} is not rejected");
    };
    let code = rejection.code();
    assert_eq!(snapshot(engine), before);
    code
}

fn snapshot(engine: &Original) -> Vec<u8> {
    let mut bytes = Vec::new();
    engine.write_snapshot(&mut bytes).unwrap();
    bytes
}

fn resolved(engine: &Original, text: &str) -> String {
    engine.resolve(engine.read_id(text).unwrap()).to_string()
}

fn members(engine: &Original, text: &str) -> Option<Vec<String>> {
    let cluster = engine.cluster(engine.read_id(text).unwrap())?;
    assert!(cluster.members.contains(&cluster.canonical));
    Some(cluster.members.iter().map(DistinctId::to_string).collect())
}

#[test]
fn o_7_one_id_given_twice_is_rejected() {
    let mut engine = Original::default();
    for claim in [identify(A1, A1), alias("U", "U"), merge("U", "U")] {
        assert_eq!(code(&mut engine, claim), "errSameIDs");
    }
    // O-7 is checked before the form (O-8).
    assert_eq!(code(&mut engine, identify("U", "U")), "errSameIDs");
    assert_eq!(
        outcome(&mut engine, merge("U", "U")),
        Outcome::Rejected(Rejection::SameIds { id: id("U") }),
    );
    // IDs are compared byte for byte, so upper case is another ID.
    assert!(accepted(outcome(&mut engine, merge("U", "u"))));
}

#[test]
fn o_8_the_anonymous_id_of_identify_must_have_the_form() {
    let mut engine = Original::default();
    let non_guid = "errAnonDistinctIdNonGUIDForm";
    assert_eq!(code(&mut engine, identify("U", "anonymous-1")), non_guid);
    assert_eq!(
        outcome(&mut engine, identify("U", "x")),
        Outcome::Rejected(Rejection::AnonDistinctIdNonGuidForm { anon: id("x") }),
    );
    // The identified ID may have any form, and so may the IDs of the other two events.
    assert!(accepted(outcome(&mut engine, identify("U", A1))));
    assert!(accepted(outcome(&mut engine, alias("U", "anonymous-1"))));
    assert!(accepted(outcome(&mut engine, merge("anonymous-2", "U"))));
    // O-8 is checked before O-10.
    assert_eq!(code(&mut engine, identify("U", "anonymous-1")), non_guid);
}

#[test]
fn o_8_the_form_is_a_setting() {
    let version_1 = "a1a1a1a1-0000-1000-8000-000000000001";
    let five_groups = "18f0a-0b1c-1d2e-1fa400-18f0b";
    for (anon_id_format, accepts) in [
        (AnonIdFormat::UuidV4, [true, false, false, false]),
        (AnonIdFormat::Guid, [true, true, false, false]),
        (AnonIdFormat::Sdk, [true, true, true, false]),
    ] {
        for (anon, accepts) in [A1, version_1, five_groups, "x"].into_iter().zip(accepts) {
            let mut engine = Original::new(Settings {
                anon_id_format,
                ..Settings::default()
            });
            assert_eq!(accepted(outcome(&mut engine, identify("U", anon))), accepts);
        }
    }
}

#[test]
fn o_9_an_alias_is_used_once() {
    let mut engine = engine(&[alias("U", "L")]);
    assert_eq!(code(&mut engine, alias("V", "L")), "errAliasAlreadyExists");
    assert_eq!(
        outcome(&mut engine, alias("V", "L")),
        Outcome::Rejected(Rejection::AliasAlreadyExists { alias: id("L") }),
    );
    // The same alias for the same user is accepted.
    assert_eq!(
        outcome(&mut engine, alias("U", "L")),
        Outcome::AlreadyMerged
    );
    // Any ID that was never an alias may become one, even an ID that has an alias.
    assert_eq!(outcome(&mut engine, alias("V", "U")), Outcome::Merged);
    // The rule does not apply to `$identify` and `$merge`.
    assert_eq!(outcome(&mut engine, merge("W", "L")), Outcome::Merged);
}

#[test]
fn o_9_comes_before_the_size() {
    let mut engine = engine_with_limit(2);
    assert!(accepted(outcome(&mut engine, alias("U", "L"))));
    assert_eq!(code(&mut engine, alias("V", "L")), "errAliasAlreadyExists");
    assert_eq!(code(&mut engine, alias("V", "U")), "errManyIDs");
}

#[test]
fn o_10_ids_in_one_cluster_are_already_merged() {
    let mut engine = engine(&[identify("U", A1), merge("U", "V")]);
    for claim in [
        merge(A1, "V"),
        merge("V", A1),
        alias("V", "U"),
        identify("V", A1),
    ] {
        let before = engine.clusters().next().unwrap().members.len();
        assert_eq!(outcome(&mut engine, claim), Outcome::AlreadyMerged);
        assert_eq!(engine.clusters().next().unwrap().members.len(), before);
    }
}

#[test]
fn o_11_an_anonymous_id_of_an_identified_user_is_taken() {
    let mut engine = engine(&[identify("U", A1)]);
    assert_eq!(
        outcome(&mut engine, identify("V", A1)),
        Outcome::Rejected(Rejection::AnonDistinctIdAssignedAlready {
            anon: id(A1),
            holder: id("U"),
        }),
    );
    let taken = "errAnonDistinctIdAssignedAlready";
    assert_eq!(code(&mut engine, identify("V", A1)), taken);
    // It does not matter how the anonymous ID came into the cluster of the identified one.
    assert!(accepted(outcome(&mut engine, merge("U", A2))));
    assert_eq!(code(&mut engine, identify("V", A2)), taken);
    // An identified ID of UUIDv4 form can be the anonymous ID that is already taken.
    assert!(accepted(outcome(
        &mut engine,
        identify(A3, "b0b0b0b0-0000-4000-8000-00000000000b")
    )));
    assert_eq!(code(&mut engine, identify("V", A3)), taken);
}

#[test]
fn o_11_an_anonymous_id_of_an_unidentified_cluster_is_free() {
    let mut engine = engine(&[merge(A1, "X"), alias(A2, "Y")]);
    assert_eq!(outcome(&mut engine, identify("U", A1)), Outcome::Merged);
    assert_eq!(outcome(&mut engine, identify("U", A2)), Outcome::Merged);
    // The user's own cluster may be identified: that is a second device.
    assert_eq!(outcome(&mut engine, identify("U", A3)), Outcome::Merged);
    assert_eq!(members(&engine, "U").unwrap().len(), 6);
}

#[test]
fn o_12_a_cluster_never_exceeds_the_limit() {
    let mut engine = engine_with_limit(3);
    for claim in [identify("U", A1), identify("U", A2)] {
        assert_eq!(outcome(&mut engine, claim), Outcome::Merged);
    }
    for claim in [identify("U", A3), alias("U", "L"), merge("X", A1)] {
        assert_eq!(code(&mut engine, claim), "errManyIDs");
    }
    assert_eq!(
        outcome(&mut engine, identify("U", A3)),
        Outcome::Rejected(Rejection::ManyIds {
            cluster_ids: 4,
            max_cluster_ids: 3,
        }),
    );
    // Two clusters count together.
    assert!(accepted(outcome(&mut engine, merge("P", "Q"))));
    assert_eq!(
        outcome(&mut engine, merge("P", "U")),
        Outcome::Rejected(Rejection::ManyIds {
            cluster_ids: 5,
            max_cluster_ids: 3,
        }),
    );
    // The limit does not matter if no cluster would grow.
    assert_eq!(outcome(&mut engine, merge(A1, A2)), Outcome::AlreadyMerged);
}

#[test]
fn o_13_an_accepted_identify_marks_also_where_nothing_merges() {
    let mut engine = engine(&[merge("U", A1)]);
    assert_eq!(resolved(&engine, A1), "U");
    // A1 becomes identified. It is already in one cluster with A2.
    assert!(accepted(outcome(&mut engine, merge(A2, "U"))));
    assert_eq!(
        outcome(&mut engine, identify(A1, A2)),
        Outcome::AlreadyMerged
    );
    assert_eq!(resolved(&engine, "U"), A1);
    assert_eq!(
        code(&mut engine, identify("V", A2)),
        "errAnonDistinctIdAssignedAlready",
    );
}

#[test]
fn o_13_an_accepted_alias_marks_also_where_nothing_merges() {
    let mut engine = engine(&[merge("U", "L"), alias("U", "L")]);
    assert_eq!(code(&mut engine, alias("V", "L")), "errAliasAlreadyExists");
    // A rejected claim does not mark.
    assert_eq!(code(&mut engine, alias("L", "L")), "errSameIDs");
    let mut small = engine_with_limit(2);
    assert!(accepted(outcome(&mut small, merge("A", "B"))));
    assert!(accepted(outcome(&mut small, merge("C", "D"))));
    assert_eq!(code(&mut small, alias("A", "C")), "errManyIDs");
    assert_eq!(code(&mut small, alias("B", "C")), "errManyIDs");
}

#[test]
fn o_14_ids_enter_in_the_order_in_which_they_are_named() {
    let engine = engine(&[identify("U", A1), alias("V", "L"), merge("P", "Q")]);
    assert_eq!(members(&engine, "U").unwrap(), ["U", A1]);
    assert_eq!(members(&engine, "V").unwrap(), ["V", "L"]);
    assert_eq!(members(&engine, "P").unwrap(), ["P", "Q"]);
}

#[test]
fn o_14_a_rejected_event_gives_no_age() {
    let mut engine = Original::default();
    assert_eq!(
        code(&mut engine, identify("late", "no guid")),
        "errAnonDistinctIdNonGUIDForm",
    );
    assert!(accepted(outcome(&mut engine, merge("early", "X"))));
    assert!(accepted(outcome(&mut engine, merge("late", "early"))));
    assert_eq!(members(&engine, "late").unwrap(), ["early", "X", "late"]);
}

#[test]
fn o_15_the_oldest_identified_id_is_canonical_or_else_the_oldest() {
    let mut engine = engine(&[merge("old", "older?"), merge("P", "Q")]);
    assert_eq!(resolved(&engine, "older?"), "old");
    assert!(accepted(outcome(&mut engine, merge("P", "old"))));
    assert_eq!(resolved(&engine, "Q"), "old");
    // The identified ID is canonical, although it is younger.
    assert!(accepted(outcome(&mut engine, identify("U", A1))));
    assert!(accepted(outcome(&mut engine, merge("U", "old"))));
    assert_eq!(resolved(&engine, "old"), "U");
    // Of two identified IDs the older one is canonical, whichever was identified first.
    assert!(accepted(outcome(&mut engine, identify("Q", A1))));
    assert_eq!(resolved(&engine, "old"), "Q");
    // It does not matter which cluster is larger.
    assert!(accepted(outcome(&mut engine, identify("V", A2))));
    assert!(accepted(outcome(&mut engine, merge("V", "U"))));
    assert_eq!(resolved(&engine, "V"), "Q");
}

#[test]
fn o_16_an_id_in_no_cluster_resolves_to_itself_and_a_merge_is_retroactive() {
    let mut engine = Original::default();
    assert_eq!(resolved(&engine, A1), A1);
    assert_eq!(resolved(&engine, &format!("$device:{A1}")), A1);
    assert_eq!(members(&engine, A1), None);
    assert!(accepted(outcome(&mut engine, identify("U", A1))));
    assert_eq!(resolved(&engine, A1), "U");
    assert_eq!(resolved(&engine, &format!("$device:{A1}")), "U");
    // O-1 also applies to IDs that no event has named.
    let marked = DistinctId::device(id(A1));
    assert_eq!(engine.resolve(marked), *"U");
    assert_eq!(engine.resolve(DistinctId::device(id("x"))), *"x");
    assert_eq!(engine.cluster(marked).unwrap().members.len(), 2);
}

#[test]
fn o_17_members_and_clusters_are_listed_oldest_first() {
    let engine = engine(&[
        merge("1", "2"),
        merge("3", "4"),
        merge("5", "6"),
        merge("6", "1"),
    ]);
    assert_eq!(members(&engine, "6").unwrap(), ["1", "2", "5", "6"]);
    let canonical: Vec<_> = engine.clusters().map(|c| c.canonical.to_string()).collect();
    assert_eq!(canonical, ["1", "3"]);
}

#[test]
fn o_18_five_hundred_are_allowed_and_five_hundred_and_one_are_not() {
    let mut engine = Original::default();
    let anon = |n: usize| format!("{n:08x}-0000-4000-8000-000000000000");
    for n in 1..500 {
        assert_eq!(
            outcome(&mut engine, identify("U", &anon(n))),
            Outcome::Merged
        );
    }
    assert_eq!(members(&engine, "U").unwrap().len(), 500);
    assert_eq!(code(&mut engine, identify("U", &anon(500))), "errManyIDs");
    assert_eq!(code(&mut engine, alias("U", "L")), "errManyIDs");
    assert_eq!(code(&mut engine, merge("L", "U")), "errManyIDs");
}

#[test]
fn o_18_the_guardrails_of_identify_do_not_bind_alias_and_merge() {
    let mut engine = engine(&[identify("U", A1), identify("V", A2)]);
    // O-8 and O-11 would reject an `$identify` with these IDs.
    assert_eq!(outcome(&mut engine, alias("X", "U")), Outcome::Merged);
    assert_eq!(outcome(&mut engine, merge("V", "U")), Outcome::Merged);
    assert_eq!(members(&engine, "X").unwrap().len(), 5);
}

#[test]
fn claims_of_the_other_rule_book_are_ignored() {
    let mut engine = Original::default();
    assert_eq!(engine.rule_book(), RuleBook::Original);
    let link = Claim::Link {
        device: id("D"),
        user: id("U"),
    };
    assert_eq!(outcome(&mut engine, link), Outcome::Ignored);
    assert_eq!(members(&engine, "U"), None);
}
