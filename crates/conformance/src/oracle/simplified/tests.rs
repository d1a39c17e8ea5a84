use idmerge_core::IdentityResolverExt;

use super::*;

fn device(text: &str) -> DistinctId<'_> {
    DistinctId::device(id(text))
}

fn user(text: &str) -> DistinctId<'_> {
    DistinctId::plain(id(text))
}

/// The outcome of one event with both IDs, in short form.
fn link(oracle: &mut SimplifiedOracle, user: &str, device: &str) -> String {
    let event = Event {
        user_id: user.into(),
        device_id: device.into(),
        ..Event::named("E")
    };
    match oracle.apply_event(&event) {
        Ok((_, Some(Outcome::Rejected(rejection)))) => format!("{}: {rejection}", rejection.code()),
        Ok((_, outcome)) => format!("{outcome:?}"),
        Err(error) => error.to_string(),
    }
}

/// An oracle after links of these pairs of user and device.
fn after(pairs: &[(&str, &str)]) -> SimplifiedOracle {
    let mut oracle = SimplifiedOracle::default();
    for (user, device) in pairs {
        link(&mut oracle, user, device);
    }
    oracle
}

/// The clusters as text, the canonical ID first.
fn clusters(oracle: &SimplifiedOracle) -> Vec<String> {
    let text = |cluster: Cluster<'_>| {
        let members: Vec<String> = cluster.members.iter().map(ToString::to_string).collect();
        format!("{} = {}", cluster.canonical, members.join(" "))
    };
    oracle.clusters().map(text).collect()
}

fn snapshot_of(oracle: &SimplifiedOracle) -> Vec<u8> {
    let mut bytes = Vec::new();
    oracle.write_snapshot(&mut bytes).unwrap();
    bytes
}

const FOREIGN: [&str; 3] = ["$identify", "$create_alias", "$merge"];

#[test]
fn s_5_one_event_with_both_links() {
    let mut oracle = SimplifiedOracle::default();
    assert_eq!(oracle.resolve(device("D1")), device("D1"));
    assert_eq!(link(&mut oracle, "U1", "D1"), "Some(Merged)");
    assert_eq!(oracle.resolve(device("D1")), user("U1"));
    assert_eq!(link(&mut oracle, "U1", "$device:D2"), "Some(Merged)");
    assert_eq!(clusters(&oracle), ["U1 = U1 $device:D1 $device:D2"]);
}

#[test]
fn s_6_the_same_link_again_changes_nothing() {
    let mut oracle = after(&[("U1", "D1"), ("U2", "D2"), ("U1", "D3")]);
    let before = snapshot_of(&oracle);
    assert_eq!(link(&mut oracle, "U1", "D1"), "Some(AlreadyMerged)");
    assert_eq!(link(&mut oracle, "U2", "D2"), "Some(AlreadyMerged)");
    assert_eq!(snapshot_of(&oracle), before);
}

#[test]
fn s_7_a_device_of_another_user_is_rejected_and_the_first_link_stays() {
    let mut oracle = after(&[("U1", "D1")]);
    let before = snapshot_of(&oracle);
    assert_eq!(
        link(&mut oracle, "U2", "D1"),
        "errAnonDistinctIdAssignedAlready: the anonymous ID \"D1\" already belongs to \"U1\"",
    );
    assert_eq!(snapshot_of(&oracle), before);
    assert_eq!(oracle.resolve(device("D1")), user("U1"));
    assert_eq!(oracle.resolve(user("U2")), user("U2"));
    // The event is still attributed to its own user.
    let event = Event {
        user_id: "U2".into(),
        device_id: "D1".into(),
        ..Event::named("E")
    };
    assert_eq!(oracle.read(&event).unwrap().distinct_id, Some(user("U2")));
}

#[test]
fn s_7_user_ids_are_compared_byte_for_byte() {
    let mut oracle = after(&[("U1", "D1")]);
    assert!(link(&mut oracle, "u1", "D1").starts_with("errAnonDistinctIdAssignedAlready"));
    assert_eq!(link(&mut oracle, "u1", "d1"), "Some(Merged)");
}

#[test]
fn s_8_identity_events_and_claims_of_the_other_rule_book_do_nothing() {
    let mut oracle = after(&[("U1", "D1")]);
    let before = snapshot_of(&oracle);
    for name in FOREIGN {
        let event = Event {
            user_id: "U1".into(),
            device_id: "D2".into(),
            ..Event::named(name)
        };
        assert!(matches!(oracle.apply_event(&event), Ok((_, None))));
    }
    let (a, b) = (id("a"), id("b"));
    for claim in [
        Claim::Identify {
            identified: a,
            anon: b,
        },
        Claim::Alias {
            distinct_id: a,
            alias: b,
        },
        Claim::Merge {
            first: a,
            second: b,
        },
    ] {
        assert_eq!(oracle.apply(claim).unwrap(), Outcome::Ignored);
    }
    assert_eq!(snapshot_of(&oracle), before);
}

#[test]
fn s_9_only_a_linked_device_resolves_to_another_id() {
    let oracle = after(&[("U1", "D1"), ("D1", "U1")]);
    assert_eq!(oracle.resolve(device("D1")), user("U1"));
    assert_eq!(oracle.resolve(device("U1")), user("D1"));
    for own in [user("U1"), user("D1"), user("x"), device("x"), device("d1")] {
        assert_eq!(oracle.resolve(own), own);
    }
}

#[test]
fn s_10_a_cluster_is_the_user_then_the_devices_in_the_order_of_their_links() {
    let oracle = after(&[
        ("U2", "D9"),
        ("U1", "D1"),
        ("U2", "D5"),
        ("U2", "D7"),
        ("U1", "D0"),
    ]);
    let of_u2 = oracle.cluster(user("U2")).unwrap();
    assert_eq!(of_u2.canonical, user("U2"));
    assert_eq!(
        of_u2.members,
        [user("U2"), device("D9"), device("D5"), device("D7")]
    );
    for member in &of_u2.members {
        assert_eq!(oracle.cluster(*member).as_ref(), Some(&of_u2));
    }
    // In the order of their first devices.
    assert_eq!(
        clusters(&oracle),
        [
            "U2 = U2 $device:D9 $device:D5 $device:D7",
            "U1 = U1 $device:D1 $device:D0"
        ],
    );
}

#[test]
fn s_10_an_unlinked_id_has_no_cluster() {
    let oracle = after(&[("U1", "D1")]);
    for unlinked in [user("D1"), device("U1"), user("U2"), device("D2")] {
        assert_eq!(oracle.cluster(unlinked), None);
    }
    assert!(clusters(&SimplifiedOracle::default()).is_empty());
}

#[test]
fn a_snapshot_is_readable_and_reads_back() {
    let oracle = after(&[("U2", "D9"), ("U1", "D\n1"), ("U2", "D5"), ("U3", "D9")]);
    let bytes = snapshot_of(&oracle);
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.starts_with(
        "idmerge-oracle 1 simplified\nuser 2:U2\ndevice 2:D9\ndevice 2:D5\nuser 2:U1\ndevice 3:D\n1\nend "
    ));
    let mut other = after(&[("x", "y")]);
    // It reads no byte past the end.
    let mut source = bytes.clone();
    source.extend(b"more");
    let mut rest = &*source;
    other.read_snapshot(&mut rest).unwrap();
    assert_eq!(rest, b"more");
    assert_eq!(snapshot_of(&other), bytes);
    assert_eq!(clusters(&other), clusters(&oracle));
    assert_eq!(
        link(&mut other, "U1", "D5"),
        link(&mut oracle.clone(), "U1", "D5")
    );
    assert_eq!(link(&mut other, "U1", "D2"), "Some(Merged)");
    assert_eq!(clusters(&other)[1], "U1 = U1 $device:D\n1 $device:D2");
}

#[test]
fn equal_states_give_equal_snapshots_however_the_links_alternate() {
    let one = after(&[("U1", "D1"), ("U2", "D2"), ("U1", "D3"), ("U2", "D1")]);
    let other = after(&[("U1", "D1"), ("U1", "D3"), ("U1", "D3"), ("U2", "D2")]);
    assert_eq!(snapshot_of(&one), snapshot_of(&other));
    let third = after(&[("U2", "D2"), ("U1", "D1"), ("U1", "D3")]);
    assert_ne!(snapshot_of(&one), snapshot_of(&third));
}

#[test]
fn wrong_bytes_give_an_error_and_leave_the_state() {
    let good = snapshot_of(&after(&[("U1", "D1"), ("U1", "D2")]));
    let mut oracle = after(&[("x", "y")]);
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
        vec!["device 2:D1"],
        vec!["user 2:U1"],
        vec!["user 2:U1", "device 2:D1", "device 2:D1"],
        vec!["user 2:U1", "device 2:D1", "user 2:U2", "device 2:D1"],
        vec![
            "user 2:U1",
            "device 2:D1",
            "user 2:U2",
            "device 2:D2",
            "user 2:U1",
            "device 2:D3",
        ],
        vec!["user 02:U1", "device 2:D1"],
        vec!["user 0:", "device 2:D1"],
        vec!["user 65536:U1", "device 2:D1"],
        vec!["user 18446744073709551616:U1", "device 2:D1"],
        vec!["id 2:U1 0 --"],
    ];
    for lines in facts {
        let lines: Vec<String> = lines.into_iter().map(String::from).collect();
        let bytes = snapshot::bytes_of(RuleBook::Simplified, &lines);
        let error = oracle.read_snapshot(&mut &*bytes).unwrap_err();
        assert!(
            matches!(error, SnapshotError::Damaged { .. }),
            "{lines:?}: {error}"
        );
    }
    assert_eq!(snapshot_of(&oracle), before);
}

#[test]
fn a_foreign_snapshot_is_told_from_a_damaged_one() {
    let mut oracle = SimplifiedOracle::default();
    let mut read = |bytes: &[u8]| oracle.read_snapshot(&mut &*bytes).unwrap_err();
    assert!(matches!(read(b"{}"), SnapshotError::NotASnapshot));
    let original = snapshot::bytes_of(RuleBook::Original, &[]);
    assert!(matches!(
        read(&original),
        SnapshotError::OtherRuleBook {
            found,
            expected: RuleBook::Simplified
        } if found == "original"
    ));
    assert!(matches!(
        read(b"idmerge-oracle 2 simplified\n"),
        SnapshotError::UnsupportedVersion {
            found: 2,
            supported: 1
        }
    ));
    for damaged in [
        "",
        "idmerge-oracle 0 simplified\n",
        "idmerge-oracle 1 both\n",
    ] {
        assert!(matches!(
            read(damaged.as_bytes()),
            SnapshotError::Damaged { .. }
        ));
    }
}
