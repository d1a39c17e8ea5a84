//! O-1 to O-6.

use super::*;

#[test]
fn o_1_one_leading_prefix_is_removed_from_every_id() {
    assert_eq!(o(ordinary("$device:D1", "", "")), "D1");
    assert_eq!(o(ordinary("", "$device:D1", "")), "D1");
    assert_eq!(
        o(identify("$device:U1", "$device:A1")),
        "U1 identify(U1, A1)"
    );
    assert_eq!(
        o(create_alias("$device:U1", "$device:A1")),
        "U1 alias(U1, A1)"
    );
    assert_eq!(
        o(merge("$device:a".into(), "$device:b".into())),
        "a merge(a, b)"
    );
    assert_eq!(o(ordinary("$device:", "", "")), "distinct_id ID-5");
    assert_eq!(o(ordinary("$device:NULL", "", "")), "distinct_id ID-4");
}

#[test]
fn o_1_two_prefixes_are_refused() {
    for text in [
        "$device:$device:",
        "$device:$device:x",
        "$device:$device:null",
    ] {
        assert_eq!(o(ordinary(text, "", "")), "distinct_id O-1");
        assert_eq!(o(identify("U1", text)), "$anon_id O-1");
        assert_eq!(o(merge("a".into(), text.into())), "$distinct_ids O-1");
    }
    for text in ["$device:$device", "$device:x$device:", "$device: $device:"] {
        assert_eq!(o(ordinary(text, "", "")), text["$device:".len()..]);
    }
}

#[test]
fn o_2_an_ordinary_event_is_attributed_to_the_first_present_id_and_never_merges() {
    assert_eq!(o(ordinary("x", "U1", "D1")), "x");
    assert_eq!(o(ordinary("", "U1", "D1")), "U1");
    assert_eq!(o(ordinary("", "", "D1")), "D1");
    assert_eq!(o(ordinary("", "", "")), "no user");
    assert_eq!(o(ordinary("", "null", "D1")), "$user_id ID-4");
    assert_eq!(
        o(Event {
            device_id: FALSE,
            ..ordinary("", "", "")
        }),
        "$device_id ID-3"
    );
    assert_eq!(
        o(Event {
            anon_id: "A1".into(),
            identified_id: "U1".into(),
            ..ordinary("x", "", "")
        }),
        "x"
    );
}

#[test]
fn o_3_identify_has_two_spellings_of_each_id() {
    let mixed =
        |identified_id: &'static str, distinct_id: &'static str, anon_id, anon_distinct_id| {
            let event = identify(identified_id, anon_id);
            o(Event {
                distinct_id: distinct_id.into(),
                anon_distinct_id: Value::from(anon_distinct_id),
                ..event
            })
        };
    assert_eq!(mixed("U1", "U2", "A1", "A2"), "U1 identify(U1, A1)");
    assert_eq!(mixed("", "U2", "", "$device:A2"), "U2 identify(U2, A2)");
    assert_eq!(mixed("U1", "U2", "", "A2"), "U1 identify(U1, A2)");
    assert_eq!(mixed("", "U2", "A1", "A2"), "U2 identify(U2, A1)");
    assert_eq!(mixed("", "", "A1", "A2"), "$identified_id O-3");
    assert_eq!(mixed("U1", "U2", "", ""), "$anon_id O-3");
    assert_eq!(mixed("", "", "", ""), "$identified_id O-3");
    // An invalid value is refused, not skipped.
    assert_eq!(mixed("null", "U2", "A1", "A2"), "$identified_id ID-4");
    assert_eq!(mixed("", "null", "A1", "A2"), "distinct_id ID-4");
    assert_eq!(mixed("U1", "U2", "null", "A2"), "$anon_id ID-4");
    assert_eq!(mixed("U1", "U2", "", "null"), "$anon_distinct_id ID-4");
    // The identified ID is read first.
    assert_eq!(mixed("null", "", "", ""), "$identified_id ID-4");
    assert_eq!(mixed("", "", "null", ""), "$identified_id O-3");
}

#[test]
fn o_4_create_alias_needs_both() {
    assert_eq!(o(create_alias("U1", "A1")), "U1 alias(U1, A1)");
    assert_eq!(o(create_alias("", "A1")), "distinct_id O-4");
    assert_eq!(o(create_alias("U1", "")), "alias O-4");
    assert_eq!(o(create_alias("", "")), "distinct_id O-4");
    assert_eq!(o(create_alias("null", "null")), "distinct_id ID-4");
    assert_eq!(o(create_alias("U1", "null")), "alias ID-4");
    let user_id_only = Event {
        user_id: "U1".into(),
        ..create_alias("", "A1")
    };
    assert_eq!(o(user_id_only), "distinct_id O-4");
}

#[test]
fn o_5_merge_needs_an_array_of_two() {
    let other = |distinct_ids| {
        o(Event {
            distinct_ids,
            ..Event::named("$merge")
        })
    };
    assert_eq!(o(merge("a".into(), "b".into())), "a merge(a, b)");
    assert_eq!(other(DistinctIds::Absent), "$distinct_ids O-5");
    assert_eq!(other(DistinctIds::NotTwo("[\"a\"]")), "$distinct_ids O-5");
    assert_eq!(o(merge(Value::Absent, "b".into())), "$distinct_ids O-5");
    assert_eq!(o(merge("a".into(), Value::Text(""))), "$distinct_ids O-5");
    assert_eq!(o(merge("a".into(), FALSE)), "$distinct_ids ID-3");
    assert_eq!(o(merge("a".into(), "null".into())), "$distinct_ids ID-4");
    // The first ID is read first.
    assert_eq!(o(merge(FALSE, Value::Absent)), "$distinct_ids ID-3");
    assert_eq!(o(merge(Value::Absent, FALSE)), "$distinct_ids O-5");
}

#[test]
fn o_6_an_identity_event_is_attributed_to_its_first_id() {
    let also = |event: Event<'static>| {
        o(Event {
            user_id: "x".into(),
            device_id: "y".into(),
            ..event
        })
    };
    assert_eq!(
        also(Event {
            distinct_id: "z".into(),
            ..identify("U1", "A1")
        }),
        "U1 identify(U1, A1)"
    );
    assert_eq!(also(create_alias("U1", "A1")), "U1 alias(U1, A1)");
    assert_eq!(
        also(Event {
            distinct_id: "z".into(),
            ..merge("a".into(), "b".into())
        }),
        "a merge(a, b)"
    );
    // Also if the claim will be rejected.
    assert_eq!(also(identify("U1", "U1")), "U1 identify(U1, U1)");
    assert_eq!(also(merge("a".into(), "$device:a".into())), "a merge(a, a)");
}
