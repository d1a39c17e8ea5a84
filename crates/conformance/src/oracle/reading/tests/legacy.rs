//! L-1, L-2, L-4 and L-11.

use super::*;

/// The reading of an event that Legacy and Original read alike.
fn same(event: Event<'static>) -> String {
    assert_eq!(l(event), o(event));
    l(event)
}

#[test]
fn l_1_ids_are_read_as_in_original() {
    assert_eq!(same(ordinary("$device:D1", "", "")), "D1");
    assert_eq!(
        same(ordinary("$device:$device:D1", "", "")),
        "distinct_id O-1"
    );
    assert_eq!(same(ordinary("$device:", "", "")), "distinct_id ID-5");
    assert_eq!(same(ordinary("$device:NULL", "", "")), "distinct_id ID-4");
    assert_eq!(
        same(create_alias("$device:D1", "$device:U1")),
        "D1 alias(D1, U1)"
    );
    let longer: &str = &"a".repeat(256);
    let event = Event {
        distinct_id: longer.into(),
        ..Event::named("E")
    };
    assert_eq!(l(event), "distinct_id ID-2");
}

#[test]
fn l_2_only_the_first_present_property_is_read() {
    assert_eq!(same(ordinary("x", "U1", "D1")), "x");
    assert_eq!(same(ordinary("x", "null", "null")), "x");
    assert_eq!(same(ordinary("", "U1", "D1")), "U1");
    assert_eq!(same(ordinary("", "", "D1")), "D1");
    assert_eq!(same(ordinary("", "", "")), "no user");
    assert_eq!(same(ordinary("", "null", "D1")), "$user_id ID-4");
}

#[test]
fn l_4_create_alias_needs_both() {
    assert_eq!(same(create_alias("X", "A")), "X alias(X, A)");
    assert_eq!(same(create_alias("X", "X")), "X alias(X, X)");
    assert_eq!(same(create_alias("", "A")), "distinct_id O-4");
    assert_eq!(same(create_alias("X", "")), "alias O-4");
    assert_eq!(same(create_alias("", "null")), "distinct_id O-4");
    assert_eq!(same(create_alias("X", "null")), "alias ID-4");
}

#[test]
fn l_11_identify_is_read_without_the_anonymous_id() {
    let anon = |anon_id: Value<'static>, anon_distinct_id: Value<'static>| {
        l(Event {
            anon_id,
            anon_distinct_id,
            ..identify("U1", "")
        })
    };
    assert_eq!(anon("A1".into(), "A2".into()), "U1");
    assert_eq!(anon(Value::Absent, Value::Absent), "U1");
    assert_eq!(anon(FALSE, "null".into()), "U1");
    // The identified ID has two spellings.
    let spelled = |identified_id: &'static str, distinct_id: &'static str| {
        l(Event {
            distinct_id: distinct_id.into(),
            ..identify(identified_id, "A1")
        })
    };
    assert_eq!(spelled("U1", "U2"), "U1");
    assert_eq!(spelled("", "$device:U2"), "U2");
    assert_eq!(spelled("", ""), "$identified_id O-3");
    assert_eq!(spelled("null", "U2"), "$identified_id ID-4");
    assert_eq!(spelled("", "null"), "distinct_id ID-4");
    // `$user_id` is not read.
    let user_id_only = Event {
        user_id: "U1".into(),
        ..identify("", "A1")
    };
    assert_eq!(l(user_id_only), "$identified_id O-3");
}

#[test]
fn l_11_merge_is_read_as_in_original_and_claims_nothing() {
    assert_eq!(l(merge("a".into(), "$device:b".into())), "a");
    assert_eq!(l(merge("$device:a".into(), "a".into())), "a");
    assert_eq!(same(merge("a".into(), "null".into())), "$distinct_ids ID-4");
    assert_eq!(same(merge(Value::Absent, "b".into())), "$distinct_ids O-5");
    assert_eq!(same(Event::named("$merge")), "$distinct_ids O-5");
    let not_two = Event {
        distinct_ids: DistinctIds::NotTwo("[\"a\"]"),
        ..ordinary("x", "", "")
    };
    assert_eq!(
        same(Event {
            name: "$merge",
            ..not_two
        }),
        "$distinct_ids O-5"
    );
}

#[test]
fn in_5_before_identity_is_read_instead_of_distinct_id() {
    let before = |event: Event<'static>, before: &'static str| {
        l(Event {
            distinct_id_before_identity: before.into(),
            ..event
        })
    };
    assert_eq!(before(ordinary("x", "U1", ""), "own"), "own");
    assert_eq!(before(ordinary("", "U1", ""), "own"), "own");
    assert_eq!(before(create_alias("A", "A"), "X"), "X alias(X, A)");
    assert_eq!(before(create_alias("", "A"), "X"), "X alias(X, A)");
    let by_distinct_id = Event {
        distinct_id: "d1".into(),
        ..identify("", "A1")
    };
    assert_eq!(before(by_distinct_id, "U1"), "U1");
    assert_eq!(before(identify("U1", "A1"), "x"), "U1");
    assert_eq!(before(merge("a".into(), "b".into()), "x"), "a");
    // An invalid one is passed over.
    for invalid in ["null", "$device:", "$device:$device:x"] {
        assert_eq!(before(ordinary("x", "", ""), invalid), "x");
    }
}

#[test]
fn ar_4_a_marked_event_makes_no_claim_and_may_be_refused() {
    let marked = |event: Event<'static>| {
        l(Event {
            is_unweighed: true,
            ..event
        })
    };
    assert_eq!(marked(create_alias("X", "A")), "X");
    assert_eq!(marked(create_alias("X", "")), "alias O-4");
    assert_eq!(marked(identify("U1", "")), "U1");
}
