//! S-0 to S-4, and S-8.

use super::*;

#[test]
fn s_0_a_user_id_with_the_device_prefix_is_not_a_user_id() {
    assert_eq!(s(ordinary("x", "$device:D1", "")), "$device:D1");
    // If D is present, the rest is not read, whatever it is.
    for marked in ["$device:D2", "$device:", "$device:null"] {
        assert_eq!(s(ordinary("x", marked, "D1")), "$device:D1");
    }
    assert_eq!(s(ordinary("x", "$device:null", "none")), "$device_id ID-4");
    // If D is absent, it is read from `$user_id`.
    assert_eq!(s(ordinary("x", "$device:", "")), "$user_id ID-5");
    assert_eq!(s(ordinary("x", "$device:null", "")), "$user_id ID-4");
    assert_eq!(
        s(ordinary("x", "$device:$device:D1", "")),
        "$device:$device:D1"
    );
    // It names a device, so the event links nothing.
    assert_eq!(s(ordinary("U1", "$device:D1", "D1")), "$device:D1");
}

#[test]
fn s_1_and_s_2_user_id_before_device_id() {
    assert_eq!(s(ordinary("x", "U1", "")), "U1");
    assert_eq!(s(ordinary("x", "U1", "D1")), "U1 D1->U1");
    assert_eq!(s(ordinary("x", "U1", "$device:D1")), "U1 D1->U1");
    assert_eq!(s(ordinary("x", "", "D1")), "$device:D1");
}

#[test]
fn s_3_distinct_id_alone_is_a_device_or_a_user() {
    assert_eq!(s(ordinary("$device:D1", "", "")), "$device:D1");
    assert_eq!(s(ordinary("U1", "", "")), "U1");
    assert_eq!(s(ordinary("$device:", "", "")), "distinct_id ID-5");
    assert_eq!(s(ordinary("$device:none", "", "")), "distinct_id ID-4");
    assert_eq!(s(ordinary("none", "", "")), "distinct_id ID-4");
    assert_eq!(
        s(Event {
            distinct_id: FALSE,
            ..Event::named("E")
        }),
        "distinct_id ID-3"
    );
}

#[test]
fn s_4_an_event_without_ids_has_no_user() {
    assert_eq!(s(Event::named("E")), "no user");
    assert_eq!(
        s(Event {
            identified_id: FALSE,
            ..merge(FALSE, FALSE)
        }),
        "no user"
    );
}

#[test]
fn s_8_identity_events_are_attributed_and_never_link() {
    for name in ["$identify", "$create_alias", "$merge"] {
        assert_eq!(
            s(Event {
                name,
                ..ordinary("x", "U1", "D1")
            }),
            "U1"
        );
        assert_eq!(
            s(Event {
                name,
                ..ordinary("x", "", "D1")
            }),
            "$device:D1"
        );
        assert_eq!(
            s(Event {
                name,
                ..ordinary("$device:D1", "", "")
            }),
            "$device:D1"
        );
        assert_eq!(
            s(Event {
                name,
                ..ordinary("x", "U1", "null")
            }),
            "$device_id ID-4"
        );
        assert_eq!(
            s(Event {
                name,
                ..ordinary("x", "null", "D1")
            }),
            "$user_id ID-4"
        );
    }
    for name in ["", "$Identify", "identify", "$merge ", "$signup"] {
        assert_eq!(
            s(Event {
                name,
                ..ordinary("x", "U1", "D1")
            }),
            "U1 D1->U1"
        );
    }
}
