//! Which aliases are made, and what they stand for (L-5 to L-8, L-10 to L-12).

use super::*;

#[test]
fn l_5_two_same_ids_are_rejected() {
    let rejected = "errSameIDs: both IDs are \"x\"";
    let mut oracle = LegacyOracle::default();
    assert_eq!(outcome(&mut oracle, "alias x->x"), rejected);
    assert_eq!(outcome(&mut oracle, "alias $device:x->x"), rejected);
    // L-5 comes before L-6 and L-7, whether x is an alias, a root or both.
    for text in ["alias x->y", "alias v->x"] {
        assert_eq!(outcome(&mut oracle, text), "Merged");
        assert_eq!(outcome(&mut oracle, "alias x->x"), rejected);
    }
    assert_eq!(
        outcome(&mut oracle, "alias x->X"),
        "errAliasAlreadyExists: the alias \"x\" is already in use"
    );
    assert_eq!(outcome(&mut oracle, "alias X->x"), "Merged");
}

#[test]
fn l_6_an_alias_is_made_once() {
    let (mut oracle, _) = after(&["alias U->d1"]);
    let before = snapshot_of(&oracle);
    let rejected = "errAliasAlreadyExists: the alias \"U\" is already in use";
    assert_eq!(outcome(&mut oracle, "alias U->d2"), rejected);
    assert_eq!(outcome(&mut oracle, "alias U->d2"), rejected);
    // The same one again is no error.
    assert_eq!(outcome(&mut oracle, "alias U->d1"), "AlreadyMerged");
    assert_eq!(snapshot_of(&oracle), before);
}

#[test]
fn l_6_the_roots_are_compared_not_the_ids() {
    // Another ID that stands for the same root.
    let (mut oracle, _) = after(&["alias U->d1", "alias V->d1", "alias W->V"]);
    let before = snapshot_of(&oracle);
    for text in ["alias U->V", "alias U->W", "alias V->W", "alias W->d1"] {
        assert_eq!(outcome(&mut oracle, text), "AlreadyMerged", "{text}");
    }
    assert_eq!(snapshot_of(&oracle), before);
    // d2 is another root, and so it is after it has an alias.
    let (mut oracle, _) = after(&["alias U->d1", "alias V->d2"]);
    for text in ["alias U->V", "alias U->d2", "alias V->U"] {
        assert!(
            outcome(&mut oracle, text).starts_with("errAliasAlreadyExists"),
            "{text}"
        );
    }
    // Now the roots are the same.
    assert_eq!(outcome(&mut oracle, "alias d2->d1"), "Merged");
    assert_eq!(outcome(&mut oracle, "alias U->V"), "AlreadyMerged");
}

#[test]
fn l_7_a_circle_of_any_length_changes_nothing() {
    let (mut oracle, _) = after(&["alias B->A", "alias C->B", "alias D->C"]);
    let before = snapshot_of(&oracle);
    for text in ["alias A->B", "alias A->C", "alias A->D"] {
        assert_eq!(outcome(&mut oracle, text), "AlreadyMerged", "{text}");
    }
    assert_eq!(snapshot_of(&oracle), before);
    // A is still no alias, so it can become one.
    assert_eq!(outcome(&mut oracle, "alias A->E"), "Merged");
    assert_eq!(clusters(&oracle), ["E = E B C D A"]);
}

#[test]
fn l_8_an_alias_stands_for_the_id_that_it_names() {
    // X is an alias: A stands for X, and so for all that X stands for.
    let (mut oracle, _) = after(&["alias U->d1", "alias V->U"]);
    assert_eq!(oracle.resolve(plain("V")), plain("d1"));
    // X becomes an alias later.
    assert_eq!(outcome(&mut oracle, "alias d1->e"), "Merged");
    for id in ["V", "U", "d1", "e"] {
        assert_eq!(oracle.resolve(plain(id)), plain("e"));
    }
    // Case matters, and other IDs stay as they are.
    for id in ["v", "D1", "x"] {
        assert_eq!(oracle.resolve(plain(id)), plain(id));
    }
}

#[test]
fn l_8_every_order_of_a_chain_gives_the_same_root() {
    let parts = ["alias V->U", "alias U->d1", "alias d1->e"];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let (oracle, _) = after(&order.map(|part| parts[part]));
        for id in ["V", "U", "d1", "e"] {
            assert_eq!(oracle.resolve(plain(id)), plain("e"), "{order:?}");
        }
    }
}

#[test]
fn l_10_more_than_500_aliases_of_one_id() {
    let settings = EngineSettings {
        // The limit of Original.
        max_cluster_ids: 3,
        ..EngineSettings::default()
    };
    let mut oracle = LegacyOracle::new(settings);
    for n in 0..600 {
        assert_eq!(outcome(&mut oracle, &format!("alias a{n}->d1")), "Merged");
    }
    assert_eq!(oracle.cluster(plain("a7")).unwrap().members.len(), 601);
}

#[test]
fn l_10_a_chain_of_more_than_500() {
    let mut oracle = LegacyOracle::default();
    for n in 0..600 {
        let link = format!("alias a{}->a{n}", n + 1);
        assert_eq!(outcome(&mut oracle, &link), "Merged");
    }
    assert_eq!(root(&oracle.log, "a600"), "a0");
    assert_eq!(outcome(&mut oracle, "alias a0->a600"), "AlreadyMerged");
}

#[test]
fn l_11_the_other_claims_are_ignored() {
    let (mut oracle, _) = after(&["alias U->d1"]);
    let before = snapshot_of(&oracle);
    let (a, b) = (id("U"), id("x"));
    for claim in [
        Claim::Link { device: a, user: b },
        Claim::Identify {
            identified: a,
            anon: b,
        },
        Claim::Identify {
            identified: b,
            anon: b,
        },
        Claim::Merge {
            first: a,
            second: b,
        },
    ] {
        assert_eq!(oracle.apply(claim).unwrap(), Outcome::Ignored);
    }
    for text in ["$identify U/x", "$merge U+x", "View U"] {
        assert_eq!(outcome(&mut oracle, text), "no claim");
    }
    assert_eq!(snapshot_of(&oracle), before);
}

#[test]
fn l_12_a_cluster_is_the_root_and_its_aliases_in_the_order_in_which_they_were_made() {
    let (oracle, _) = after(&["alias Z->d1", "alias C->c", "alias B->Z", "alias A->d1"]);
    assert_eq!(clusters(&oracle), ["d1 = d1 Z B A", "c = c C"]);
    let of_d1 = oracle.cluster(plain("d1")).unwrap();
    assert_eq!(of_d1.canonical, plain("d1"));
    for member in &of_d1.members {
        assert_eq!(oracle.cluster(*member).as_ref(), Some(&of_d1));
    }
}

#[test]
fn l_12_the_order_stays_when_clusters_join() {
    let (mut oracle, _) = after(&["alias B->b", "alias A->a", "alias C->b", "alias D->a"]);
    assert_eq!(clusters(&oracle), ["b = b B C", "a = a A D"]);
    assert_eq!(outcome(&mut oracle, "alias b->D"), "Merged");
    assert_eq!(clusters(&oracle), ["a = a B A C D b"]);
}

#[test]
fn l_12_an_id_that_is_no_alias_and_has_none_is_in_no_cluster() {
    let (oracle, _) = after(&["alias U->d1", "alias x->x", "alias U->d2", "View d3"]);
    for id in ["x", "d2", "d3", "u"] {
        assert_eq!(oracle.cluster(plain(id)), None);
        assert_eq!(oracle.resolve(plain(id)), plain(id));
    }
    assert!(clusters(&LegacyOracle::default()).is_empty());
}
