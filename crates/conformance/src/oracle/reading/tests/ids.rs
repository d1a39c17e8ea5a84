//! ID-1 to ID-5 and ID-7.

use super::*;

#[test]
fn id_1_nothing_is_trimmed_or_normalised() {
    for text in [
        "u1",
        "U1",
        " U1",
        "U1 ",
        "\u{dc}",
        "U\u{308}",
        "\0",
        "$Device:x",
    ] {
        assert_eq!(s(user_id(text.into())), text);
        assert_eq!(o(ordinary(text, "", "")), text);
    }
}

#[test]
fn id_2_an_id_has_1_to_255_bytes() {
    let (longest, longer) = ("a".repeat(255), "a".repeat(256));
    assert_eq!(s(user_id(Value::Text(&longest))), longest);
    assert_eq!(s(user_id(Value::Text(&longer))), "$user_id ID-2");
    // Bytes, not characters.
    assert_eq!(
        s(user_id(Value::Text(&"\u{fc}".repeat(128)))),
        "$user_id ID-2"
    );
    // The limit is a setting; with 0 no text is an ID.
    for (max_id_bytes, text, expected) in [
        (3, "abc", "abc"),
        (3, "abcd", "$user_id ID-2"),
        (0, "a", "$user_id ID-2"),
    ] {
        let settings = EngineSettings {
            max_id_bytes,
            ..settings()
        };
        assert_eq!(
            shown(simplified(&settings, &user_id(text.into()))),
            expected
        );
    }
    // An `Id` has its own upper limit, whatever the setting.
    let settings = EngineSettings {
        max_id_bytes: u16::MAX,
        ..settings()
    };
    for (length, refused) in [(65_535, false), (65_536, true)] {
        let text = "a".repeat(length);
        assert_eq!(
            simplified(&settings, &user_id(text.as_str().into())).is_err(),
            refused
        );
    }
}

#[test]
fn id_3_absent_is_not_invalid() {
    assert_eq!(s(user_id(Value::Text(""))), "no user");
    assert_eq!(s(user_id(Value::Absent)), "no user");
    assert_eq!(s(user_id(Value::Text("7"))), "7");
    for json in ["1.5", "false", "[]", "{}"] {
        assert_eq!(s(user_id(Value::NotAnId(json))), "$user_id ID-3");
    }
}

#[test]
fn id_4_values_from_mistakes_are_invalid_in_any_case() {
    for text in [
        "00000000-0000-0000-0000-000000000000",
        "anon",
        "Anonymous",
        "NIL",
        "none",
        "Null",
        "n/A",
        "na",
        "undefined",
        "UnKnown",
        "<nil>",
        "0",
        "-1",
        "True",
        "FALSE",
        "[]",
        "{}",
    ] {
        assert_eq!(s(ordinary("", text, "")), "$user_id ID-4");
        assert_eq!(o(ordinary(text, "", "")), "distinct_id ID-4");
    }
    for text in ["00", "1", "null ", "anonymous1", "\u{274c}", "nan"] {
        assert_eq!(s(ordinary("", text, "")), text);
    }
    // The list is a setting.
    let settings = EngineSettings {
        blocked_values: vec!["Me".to_owned()],
        ..settings()
    };
    assert_eq!(
        shown(simplified(&settings, &ordinary("", "mE", ""))),
        "$user_id ID-4"
    );
    assert_eq!(
        shown(simplified(&settings, &ordinary("", "null", ""))),
        "null"
    );
}

#[test]
fn id_5_the_text_after_the_prefix_must_be_an_id() {
    assert_eq!(s(ordinary("", "", "D1")), "$device:D1");
    assert_eq!(s(ordinary("", "", "$device:D1")), "$device:D1");
    assert_eq!(
        s(ordinary("", "", "$device:$device:D1")),
        "$device:$device:D1"
    );
    assert_eq!(s(ordinary("", "", "$device:")), "$device_id ID-5");
    assert_eq!(s(ordinary("", "", "$device:null")), "$device_id ID-4");
    // The limit applies to that text.
    for (length, expected_ok) in [(255, true), (256, false)] {
        let text = format!("$device:{}", "a".repeat(length));
        let event = Event {
            device_id: text.as_str().into(),
            ..Event::named("E")
        };
        assert_eq!(s(event) == text, expected_ok);
        let event = Event {
            distinct_id: text.as_str().into(),
            ..Event::named("E")
        };
        assert_eq!(o(event) == text["$device:".len()..], expected_ok);
    }
}

#[test]
fn id_7_the_first_wrong_property_is_named_and_unread_ones_are_not_checked() {
    assert_eq!(s(ordinary("null", "nil", "none")), "$user_id ID-4");
    assert_eq!(s(ordinary("null", "U1", "none")), "$device_id ID-4");
    assert_eq!(s(ordinary("null", "U1", "")), "U1");
    assert_eq!(s(ordinary("null", "", "D1")), "$device:D1");
    assert_eq!(
        s(Event {
            distinct_id: FALSE,
            alias: FALSE,
            ..ordinary("", "U1", "D1")
        }),
        "U1 D1->U1"
    );
    assert_eq!(o(ordinary("U1", "null", "null")), "U1");
    let event = Event {
        distinct_id: FALSE,
        anon_distinct_id: FALSE,
        ..identify("U1", "A1")
    };
    assert_eq!(o(event), "U1 identify(U1, A1)");
}
