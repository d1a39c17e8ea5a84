//! The smallest vectors of the specification, and what is written onto events (L-1 to L-4, L-9,
//! L-11, L-13).

use super::*;

#[test]
fn smallest_vector_1_an_alias_continues_its_device() {
    let (oracle, answers) = after(&["View d1", "alias U->d1", "View U"]);
    assert_eq!(answers, ["d1", "d1", "U => d1"]);
    assert_eq!(clusters(&oracle), ["d1 = d1 U"]);
}

#[test]
fn smallest_vector_2_what_came_before_the_alias_stays() {
    let (_, answers) = after(&["View U", "alias U->d1", "View U"]);
    assert_eq!(answers, ["U", "d1", "U => d1"]);
}

#[test]
fn smallest_vector_3_identify_leaves_a_second_device_alone() {
    let (oracle, answers) = after(&["alias U->d1", "View d2", "$identify U/d2", "View U"]);
    assert_eq!(answers, ["d1", "d2", "U => d1", "U => d1"]);
    assert_eq!(oracle.cluster(plain("d2")), None);
}

#[test]
fn smallest_vector_4_an_alias_points_to_one_id() {
    let (_, answers) = after(&["alias U->d1", "alias U->d2", "View U"]);
    let rejected = "d2 errAliasAlreadyExists: the alias \"U\" is already in use";
    assert_eq!(answers, ["d1", rejected, "U => d1"]);
}

#[test]
fn smallest_vector_5_the_parts_of_a_chain_come_in_any_order() {
    let (_, answers) = after(&["alias V->U", "alias U->d1", "View V"]);
    assert_eq!(answers, ["U", "d1", "V => d1"]);
}

#[test]
fn smallest_vector_6_a_circle_is_already_merged() {
    let mut oracle = LegacyOracle::default();
    assert_eq!(outcome(&mut oracle, "alias B->A"), "Merged");
    assert_eq!(outcome(&mut oracle, "alias A->B"), "AlreadyMerged");
    for id in ["A", "B"] {
        assert_eq!(oracle.resolve(plain(id)), plain("A"));
    }
}

#[test]
fn l_1_the_device_prefix_has_no_meaning() {
    let (oracle, answers) = after(&["alias U->$device:D", "View D", "View $device:D", "View U"]);
    assert_eq!(answers, ["D", "D", "D", "U => D"]);
    for d in [plain("D"), DistinctId::device(id("D"))] {
        assert_eq!(oracle.resolve(d), plain("D"));
        assert_eq!(oracle.cluster(d).unwrap().members, [plain("D"), plain("U")]);
    }
    let alias = DistinctId::device(id("U"));
    assert_eq!(oracle.resolve(alias), plain("D"));
    let stranger = DistinctId::device(id("x"));
    assert_eq!(oracle.resolve(stranger), plain("x"));
}

#[test]
fn l_1_invalid_ids_are_refused_and_change_nothing() {
    let (oracle, answers) = after(&[
        "alias null->d1",
        "alias U->$device:$device:d1",
        "View $device:",
        "$merge a+none",
    ]);
    let refused = [
        "alias ID-4",
        "distinct_id O-1",
        "distinct_id ID-5",
        "$distinct_ids ID-4",
    ];
    assert_eq!(answers, refused);
    assert_eq!(snapshot_of(&oracle), snapshot_of(&LegacyOracle::default()));
}

#[test]
fn l_2_user_id_and_device_id_are_read_only_without_distinct_id() {
    let (mut oracle, _) = after(&["alias U->d1"]);
    let mut under = |distinct_id: &str, user_id: &str, device_id: &str| {
        let event = Event {
            distinct_id: distinct_id.into(),
            user_id: user_id.into(),
            device_id: device_id.into(),
            ..Event::named("View")
        };
        shown(&oracle.arrive(&event).unwrap())
    };
    assert_eq!(under("x", "U", "d1"), "x");
    assert_eq!(under("x", "null", "none"), "x");
    assert_eq!(under("", "U", "d9"), "U => d1");
    assert_eq!(under("", "", "$device:d9"), "d9");
    // W-7: an event without a user.
    assert_eq!(under("", "", ""), "");
    // An event with both IDs links nothing.
    assert_eq!(clusters(&oracle), ["d1 = d1 U"]);
}

#[test]
fn l_3_an_event_keeps_the_root_of_its_arrival() {
    let (oracle, answers) = after(&[
        "View U",
        "alias U->d1",
        "View U",
        "alias d1->e",
        "View U",
        "View d1",
        "View e",
    ]);
    let expected = ["U", "d1", "U => d1", "e", "U => e", "d1 => e", "e"];
    assert_eq!(answers, expected);
    assert_eq!(oracle.attribution(), Attribution::AtArrival);
    // Asked now, the answer is the root of now.
    assert_eq!(oracle.resolve(plain("U")), plain("e"));
}

#[test]
fn l_4_create_alias_is_attributed_to_what_its_distinct_id_stands_for() {
    let (_, answers) = after(&["alias U->d1", "alias V->U", "alias V->d2", "alias d2->d2"]);
    let expected = [
        "d1",
        "U => d1",
        // Also if it is rejected.
        "d2 errAliasAlreadyExists: the alias \"V\" is already in use",
        "d2 errSameIDs: both IDs are \"d2\"",
    ];
    assert_eq!(answers, expected);
}

#[test]
fn l_4_create_alias_without_one_of_its_ids_is_refused() {
    let (_, answers) = after(&["alias U->", "alias ->d1", "alias ->"]);
    assert_eq!(answers, ["distinct_id O-4", "alias O-4", "distinct_id O-4"]);
    // `$user_id` does not take the place of `distinct_id`.
    let event = Event {
        user_id: "d1".into(),
        ..event("alias U->")
    };
    assert!(LegacyOracle::default().arrive(&event).is_err());
}

#[test]
fn l_9_the_earlier_events_of_an_alias_stay_its_own() {
    let (_, answers) = after(&[
        "View U",
        "alias V->U",
        "View V",
        "alias U->d1",
        "View U",
        "View V",
        "View d1",
    ]);
    let expected = ["U", "U", "V => U", "d1", "U => d1", "V => d1", "d1"];
    assert_eq!(answers, expected);
    // After the alias nothing new is put under it.
    assert!(answers[4..].iter().all(|answer| answer.ends_with("d1")));
}

#[test]
fn l_11_identify_is_attributed_to_the_identified_id_and_links_nothing() {
    let (mut oracle, _) = after(&["alias U->d1"]);
    let before = snapshot_of(&oracle);
    let events = [
        "$identify U/d2",
        "$identify W/d1",
        // The anonymous ID is not read: it may be missing or invalid.
        "$identify U/",
        "$identify U/null",
        "$identify U/U",
        "$identify /d1",
        "$identify null/d1",
    ];
    let expected = [
        "U => d1",
        "W",
        "U => d1",
        "U => d1",
        "U => d1",
        "$identified_id O-3",
        "distinct_id ID-4",
    ];
    assert_eq!(arrivals(&mut oracle, &events), expected);
    let identified = Event {
        identified_id: "U".into(),
        ..event("$identify x/d2")
    };
    assert_eq!(shown(&oracle.arrive(&identified).unwrap()), "U => d1");
    assert_eq!(snapshot_of(&oracle), before);
}

#[test]
fn l_11_merge_is_attributed_to_the_first_id_and_links_nothing() {
    let (mut oracle, _) = after(&["alias U->d1"]);
    let before = snapshot_of(&oracle);
    let events = [
        "$merge U+x",
        "$merge x+U",
        "$merge x+x",
        "$merge U+",
        "$merge +U",
    ];
    let expected = [
        "U => d1",
        "x",
        "x",
        "$distinct_ids O-5",
        "$distinct_ids O-5",
    ];
    assert_eq!(arrivals(&mut oracle, &events), expected);
    assert_eq!(snapshot_of(&oracle), before);
}

#[test]
fn l_13_a_rejection_is_written_as_w_4() {
    let (mut oracle, _) = after(&["alias U->d1", "alias e->d2"]);
    let rejected = oracle.arrive(&event("alias U->e")).unwrap();
    let written = [
        ("distinct_id", "d2"),
        ("$distinct_id_before_identity", "e"),
        ("$failure_reason", "errAliasAlreadyExists"),
        ("$failure_description", "the alias \"U\" is already in use"),
    ];
    assert_eq!(
        rejected.written(),
        written.map(|(key, text)| (key, text.to_owned()))
    );
    // Already merged is no rejection, and neither is ignored.
    for text in [
        "alias U->d1",
        "alias d1->U",
        "$identify d2/d1",
        "$merge d2+d1",
    ] {
        assert_eq!(oracle.arrive(&event(text)).unwrap().failure, None, "{text}");
    }
}

#[test]
fn w_1_and_w_2_no_event_is_marked_as_moved() {
    let (mut oracle, _) = after(&["alias U->d1"]);
    let mut keys = |text| {
        let written = oracle.arrive(&event(text)).unwrap().written();
        written.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(keys("View d1"), ["distinct_id"]);
    assert_eq!(keys("View $device:d1"), ["distinct_id"]);
    assert_eq!(
        keys("View U"),
        ["distinct_id", "$distinct_id_before_identity"]
    );
    assert_eq!(keys("View "), ["distinct_id"]);
}

#[test]
fn in_5_and_ar_4_the_events_of_an_export_say_what_they_said() {
    let exported = Event {
        distinct_id: "d1".into(),
        distinct_id_before_identity: "U".into(),
        ..event("alias V->x")
    };
    let mut oracle = LegacyOracle::default();
    assert_eq!(shown(&oracle.arrive(&exported).unwrap()), "U");
    assert_eq!(clusters(&oracle), ["U = U V"]);
    // A marked event makes no claim, and is attributed as without the mark.
    let unweighed = Event {
        is_unweighed: true,
        ..event("alias W->V")
    };
    assert_eq!(shown(&oracle.arrive(&unweighed).unwrap()), "V => U");
    assert_eq!(clusters(&oracle), ["U = U V"]);
}
