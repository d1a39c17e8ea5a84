//! The snapshots of the Legacy oracle.

use super::*;

#[test]
fn a_snapshot_is_readable_and_reads_back() {
    let (mut oracle, _) = after(&["alias V->U\n", "alias U\n->d1", "alias W->d2"]);
    let bytes = snapshot_of(&oracle);
    let text = String::from_utf8(bytes.clone()).unwrap();
    let expected =
        "idmerge-oracle 1 legacy\nalias 1:V 2:U\n\nalias 2:U\n 2:d1\nalias 1:W 2:d2\nend ";
    assert!(text.starts_with(expected), "{text}");

    let (mut other, _) = after(&["alias x->y"]);
    let mut source = bytes.clone();
    source.extend(b"more");
    let mut rest = &*source;
    other.read_snapshot(&mut rest).unwrap();
    // It reads no byte past the end.
    assert_eq!(rest, b"more");
    assert_eq!(snapshot_of(&other), bytes);
    assert_eq!(clusters(&other), clusters(&oracle));
    // Later claims have the same outcomes.
    for oracle in [&mut oracle, &mut other] {
        assert!(outcome(oracle, "alias W->d1").starts_with("errAliasAlreadyExists"));
        assert_eq!(outcome(oracle, "alias d1->V"), "AlreadyMerged");
        assert_eq!(outcome(oracle, "alias d2->V"), "Merged");
    }
    assert_eq!(snapshot_of(&other), snapshot_of(&oracle));
}

#[test]
fn equal_states_give_equal_snapshots_whatever_events_led_there() {
    let (one, _) = after(&["alias U->d1", "alias V->U"]);
    let (other, _) = after(&[
        "alias U->d1",
        "alias d1->U",
        "$identify U/d2",
        "alias U->d2",
        "alias V->U",
        "alias V->d1",
        "alias V->V",
    ]);
    assert_eq!(snapshot_of(&one), snapshot_of(&other));
    // The order of aliases is part of the state (L-12), and so is what each of them names.
    let (third, _) = after(&["alias V->U", "alias U->d1"]);
    assert_ne!(snapshot_of(&one), snapshot_of(&third));
    let (fourth, _) = after(&["alias U->d1", "alias V->d1"]);
    assert_ne!(snapshot_of(&one), snapshot_of(&fourth));
}

#[test]
fn wrong_bytes_give_an_error_and_leave_the_state() {
    let (mut oracle, _) = after(&["alias U->d1", "alias V->U"]);
    let good = snapshot_of(&oracle);
    outcome(&mut oracle, "alias x->y");
    let before = snapshot_of(&oracle);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(oracle.read_snapshot(&mut &*bad).is_err(), "byte {at}");
        let cut_off = &good[..at];
        assert!(oracle.read_snapshot(&mut &*cut_off).is_err(), "cut at {at}");
    }
    let facts = [
        // L-5, L-6 and L-7.
        vec!["alias 1:a 1:a"],
        vec!["alias 1:a 1:b", "alias 1:a 1:c"],
        vec!["alias 1:a 1:b", "alias 1:a 1:b"],
        vec!["alias 1:a 1:b", "alias 1:b 1:a"],
        vec!["alias 1:a 1:b", "alias 1:b 1:c", "alias 1:c 1:a"],
        vec!["alias 01:a 1:b"],
        vec!["alias 0: 1:b"],
        vec!["id 1:a 0 --"],
    ];
    for lines in facts {
        let lines: Vec<String> = lines.into_iter().map(String::from).collect();
        let bytes = snapshot::bytes_of(RuleBook::Legacy, &lines);
        let error = oracle.read_snapshot(&mut &*bytes).unwrap_err();
        let is_damaged = matches!(error, SnapshotError::Damaged { .. });
        assert!(is_damaged, "{lines:?}: {error}");
    }
    for other in [RuleBook::Simplified, RuleBook::Original] {
        let bytes = snapshot::bytes_of(other, &[]);
        let error = oracle.read_snapshot(&mut &*bytes).unwrap_err();
        let is_other = matches!(error, SnapshotError::OtherRuleBook { .. });
        assert!(is_other, "{error}");
    }
    assert_eq!(snapshot_of(&oracle), before);
}
