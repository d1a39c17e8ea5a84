//! Marks, age, canonical IDs and clusters (O-13 to O-17), and snapshots.

use super::*;

#[test]
fn o_13_identify_marks_only_its_identified_id() {
    let mut oracle = oracle();
    merge(&mut oracle, &anon(1), &anon(2));
    identify(&mut oracle, "U1", &anon(1));
    // U1 is the youngest and still canonical: neither of the others is marked.
    assert_eq!(
        clusters(&oracle),
        [format!("U1 = {} {} U1", anon(1), anon(2))]
    );
}

#[test]
fn o_13_an_already_merged_identify_marks_too() {
    let mut oracle = oracle();
    merge(&mut oracle, &anon(1), "U1");
    assert_eq!(oracle.resolve(plain("U1")), plain(&anon(1)));
    assert_eq!(identify(&mut oracle, "U1", &anon(1)), "AlreadyMerged");
    assert_eq!(oracle.resolve(plain(&anon(1))), plain("U1"));
    assert!(identify(&mut oracle, "U2", &anon(1)).ends_with("belongs to \"U1\""));
    // The canonical ID can change without a merge: an older member may be marked later.
    merge(&mut oracle, &anon(5), "U1");
    identify(&mut oracle, &anon(1), &anon(5));
    assert_eq!(oracle.resolve(plain("U1")), plain(&anon(1)));
}

#[test]
fn o_13_alias_and_merge_identify_no_id() {
    let mut oracle = oracle();
    alias(&mut oracle, "U1", "A");
    merge(&mut oracle, "B", "U1");
    assert_eq!(clusters(&oracle), ["U1 = U1 A B"]);
    identify(&mut oracle, "B", &anon(1));
    assert_eq!(clusters(&oracle), [format!("B = U1 A B {}", anon(1))]);
}

#[test]
fn o_14_ids_enter_in_the_order_of_the_rule() {
    let mut oracle = oracle();
    identify(&mut oracle, "z", &anon(1));
    alias(&mut oracle, "y", "b");
    merge(&mut oracle, "x", "a");
    let expected = [
        format!("z = z {}", anon(1)),
        "y = y b".to_owned(),
        "x = x a".to_owned(),
    ];
    assert_eq!(clusters(&oracle), expected);
}

#[test]
fn o_14_age_counts_across_clusters() {
    let mut oracle = oracle();
    for (a, b) in [
        ("a1", "a2"),
        ("b1", "b2"),
        ("a3", "a1"),
        ("b1", "b3"),
        ("b3", "a3"),
    ] {
        assert_eq!(merge(&mut oracle, a, b), "Merged");
    }
    assert_eq!(clusters(&oracle), ["a1 = a1 a2 b1 b2 a3 b3"]);
}

#[test]
fn o_15_the_oldest_identified_member_else_the_oldest() {
    let mut oracle = oracle();
    merge(&mut oracle, "a", "b");
    assert_eq!(oracle.resolve(plain("b")), plain("a"));
    identify(&mut oracle, "U1", &anon(1));
    identify(&mut oracle, "U2", &anon(2));
    merge(&mut oracle, "U2", "b");
    assert_eq!(oracle.resolve(plain("a")), plain("U2"));
    // It is older, although it joined the cluster later.
    merge(&mut oracle, "a", &anon(1));
    for member in ["a", "b", "U1", "U2"] {
        assert_eq!(oracle.resolve(plain(member)), plain("U1"));
    }
}

#[test]
fn o_16_an_id_in_no_cluster_resolves_to_itself_and_the_prefix_has_no_meaning() {
    let mut oracle = oracle();
    assert_eq!(oracle.resolve(plain("x")), plain("x"));
    assert_eq!(oracle.resolve(DistinctId::device(id("x"))), plain("x"));
    assert_eq!(oracle.cluster(plain("x")), None);
    merge(&mut oracle, "y", "x");
    for x in [plain("x"), DistinctId::device(id("x"))] {
        assert_eq!(oracle.resolve(x), plain("y"));
        assert_eq!(oracle.cluster(x).unwrap().members, [plain("y"), plain("x")]);
    }
}

#[test]
fn o_17_clusters_are_listed_by_oldest_member() {
    let mut oracle = oracle();
    for (a, b) in [("c", "d"), ("a", "b"), ("e", "f"), ("f", "c")] {
        merge(&mut oracle, a, b);
    }
    assert_eq!(clusters(&oracle), ["c = c d e f", "a = a b"]);
    assert!(clusters(&super::oracle()).is_empty());
}

#[test]
fn a_snapshot_is_readable_and_reads_back() {
    let mut oracle = oracle();
    merge(&mut oracle, "a", "b\n");
    identify(&mut oracle, "U1", &anon(1));
    alias(&mut oracle, "U1", "A");
    alias(&mut oracle, "A", "U1");
    merge(&mut oracle, "c", "b\n");
    let bytes = snapshot_of(&oracle);
    let text = String::from_utf8(bytes.clone()).unwrap();
    let expected = "idmerge-oracle 1 original\nid 1:a 0 --\nid 2:b\n 0 --\nid 2:U1 2 ia\n\
                    id 9:1-0-0-0-a 2 --\nid 1:A 2 -a\nid 1:c 0 --\nend ";
    assert!(text.starts_with(expected), "{text}");

    let mut other = super::oracle();
    merge(&mut other, "x", "y");
    let mut source = bytes.clone();
    source.extend(b"more");
    let mut rest = &*source;
    other.read_snapshot(&mut rest).unwrap();
    assert_eq!(rest, b"more");
    assert_eq!(snapshot_of(&other), bytes);
    // Later claims have the same outcomes.
    for oracle in [&mut oracle, &mut other] {
        assert!(alias(oracle, "c", "A").starts_with("errAliasAlreadyExists"));
        assert!(identify(oracle, "U2", "1-0-0-0-a").ends_with("belongs to \"U1\""));
        assert_eq!(merge(oracle, "new", "U1"), "Merged");
        assert_eq!(merge(oracle, "new", "c"), "Merged");
    }
    assert_eq!(clusters(&other), ["U1 = a b\n U1 1-0-0-0-a A c new"]);
    assert_eq!(snapshot_of(&other), snapshot_of(&oracle));
}

#[test]
fn equal_states_give_equal_snapshots_whatever_claims_led_there() {
    let mut one = oracle();
    merge(&mut one, "a", "b");
    merge(&mut one, "a", "c");
    let mut other = oracle();
    merge(&mut other, "a", "b");
    merge(&mut other, "b", "c");
    merge(&mut other, "c", "a");
    merge(&mut other, "c", "c");
    assert_eq!(snapshot_of(&one), snapshot_of(&other));
    // A mark is part of the state.
    alias(&mut other, "a", "c");
    assert_ne!(snapshot_of(&one), snapshot_of(&other));
}

#[test]
fn wrong_bytes_give_an_error_and_leave_the_state() {
    let mut oracle = oracle();
    identify(&mut oracle, "U1", &anon(1));
    alias(&mut oracle, "U1", "A");
    let good = snapshot_of(&oracle);
    merge(&mut oracle, "x", "y");
    let before = snapshot_of(&oracle);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(oracle.read_snapshot(&mut &*bad).is_err(), "byte {at}");
        assert!(
            oracle.read_snapshot(&mut &good[..at]).is_err(),
            "cut at {at}"
        );
    }
    let facts = [
        vec!["id 1:a 0 --"],
        vec!["id 1:a 1 --", "id 1:b 1 --"],
        vec!["id 1:a 0 --", "id 1:b 0 --", "id 1:c 1 --"],
        vec!["id 1:a 0 --", "id 1:b 0 --", "id 1:a 0 --"],
        vec!["id 1:a 0 --", "id 1:b 00 --"],
        vec!["id 1:a 0 --", "id 1:b -1 --"],
        vec!["id 1:a 0 --", "id 1:b 0 -i"],
        vec!["id 1:a 0 --", "id 99999:b 0 --"],
        vec!["user 1:a"],
    ];
    for lines in facts {
        let lines: Vec<String> = lines.into_iter().map(String::from).collect();
        let bytes = snapshot::bytes_of(RuleBook::Original, &lines);
        let error = oracle.read_snapshot(&mut &*bytes).unwrap_err();
        assert!(
            matches!(error, SnapshotError::Damaged { .. }),
            "{lines:?}: {error}"
        );
    }
    let simplified = snapshot::bytes_of(RuleBook::Simplified, &[]);
    let error = oracle.read_snapshot(&mut &*simplified).unwrap_err();
    assert!(matches!(
        error,
        SnapshotError::OtherRuleBook {
            ref found,
            ..
        } if found == "simplified"
    ));
    assert_eq!(snapshot_of(&oracle), before);
}

#[test]
fn a_snapshot_over_the_limit_is_refused() {
    let mut large = oracle();
    for member in ["b", "c", "d"] {
        merge(&mut large, "a", member);
    }
    let bytes = snapshot_of(&large);
    for (max_cluster_ids, taken) in [(4, true), (3, false)] {
        let mut oracle = OriginalOracle::new(EngineSettings {
            max_cluster_ids,
            ..any_form()
        });
        match oracle.read_snapshot(&mut &*bytes) {
            Ok(()) => assert!(taken),
            Err(SnapshotError::OverLimit {
                cluster_ids: 4,
                max_cluster_ids: 3,
            }) => assert!(!taken),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(clusters(&oracle).len(), usize::from(taken));
    }
}
