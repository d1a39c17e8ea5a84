//! Reading events: rules ID-3, IN-1 and IN-2.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use idmerge_core::{DistinctIds, Event, IdProperty, Value};
use idmerge_events::{JsonEvent, MalformedEvent, RawJson};

fn parsed(line: &str) -> JsonEvent<'_> {
    JsonEvent::parse(line.as_bytes()).unwrap()
}

fn malformed(line: &[u8]) -> String {
    let error = JsonEvent::parse(line).unwrap_err();
    assert_eq!(error.rule(), "IN-1");
    error.to_string()
}

fn value_of(json: &str) -> String {
    let line = format!(r#"{{"event":"A","properties":{{"$user_id":{json}}}}}"#);
    format!("{:?}", parsed(&line).event().user_id)
}

#[test]
fn all_identity_properties_are_read() {
    let line = r#"{"event":"A","properties":{"distinct_id":"1","$user_id":"2","$device_id":"3",
        "$identified_id":"4","$anon_id":"5","$anon_distinct_id":"6","alias":"7",
        "$distinct_ids":["8",9],"$distinct_id_before_identity":"10",
        "$idmerge_unweighed":true,"other":"11"},"$mp_metadata":{"properties":{}}}"#;
    let text = Value::Text;
    assert_eq!(
        parsed(line).event(),
        Event {
            name: "A",
            distinct_id: text("1"),
            distinct_id_before_identity: text("10"),
            user_id: text("2"),
            device_id: text("3"),
            identified_id: text("4"),
            anon_id: text("5"),
            anon_distinct_id: text("6"),
            alias: text("7"),
            distinct_ids: DistinctIds::Two([text("8"), text("9")]),
            is_unweighed: true,
        }
    );
    let bare = r#" {"properties" : { } , "event" : ""} "#;
    assert_eq!(parsed(bare).event(), Event::named(""));
}

#[test]
fn id_3_strings_and_integers_are_text() {
    for (json, text) in [
        (r#""U1""#, "U1"),
        (r#"" ""#, " "),
        (r#""\u00dc\n\"\\\ud83d\ude00""#, "Ü\n\"\\😀"),
        ("42", "42"),
        ("0", "0"),
        ("-1", "-1"),
        ("-0", "0"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        assert_eq!(value_of(json), format!("{:?}", Value::Text(text)));
    }
}

#[test]
fn id_3_null_missing_and_empty_are_absent() {
    for json in ["null", r#""""#] {
        assert_eq!(value_of(json), "Absent");
    }
    let missing = r#"{"event":"A","properties":{"user_id":"U","$User_id":"U"}}"#;
    assert_eq!(parsed(missing).event(), Event::named("A"));
}

#[test]
fn id_3_anything_else_is_not_an_id() {
    for json in [
        "1.0",
        "1e3",
        "-0.0",
        "18446744073709551616",
        "-9223372036854775809",
        "true",
        "false",
        "[]",
        r#"["U1"]"#,
        "{}",
        r#"{"$user_id":"U1"}"#,
        r#""half a character: \ud800""#,
    ] {
        assert_eq!(value_of(json), format!("{:?}", Value::NotAnId(json)));
    }
}

#[test]
fn o_5_distinct_ids_are_two_or_not() {
    let value_of = |json: &str| {
        let line = format!(r#"{{"event":"$merge","properties":{{"$distinct_ids":{json}}}}}"#);
        format!("{:?}", parsed(&line).event().distinct_ids)
    };
    for (json, value) in [
        ("null", DistinctIds::Absent),
        (
            r#"[ "a" , 1 ]"#,
            DistinctIds::Two([Value::Text("a"), Value::Text("1")]),
        ),
        (r#"["",null]"#, DistinctIds::Two([Value::Absent; 2])),
        (
            r#"[["a"],true]"#,
            DistinctIds::Two([Value::NotAnId(r#"["a"]"#), Value::NotAnId("true")]),
        ),
        ("[]", DistinctIds::NotTwo("[]")),
        (r#"["a"]"#, DistinctIds::NotTwo(r#"["a"]"#)),
        (r#"["a","b","c"]"#, DistinctIds::NotTwo(r#"["a","b","c"]"#)),
        (r#""ab""#, DistinctIds::NotTwo(r#""ab""#)),
        (
            r#"{"0":"a","1":"b"}"#,
            DistinctIds::NotTwo(r#"{"0":"a","1":"b"}"#),
        ),
    ] {
        assert_eq!(value_of(json), format!("{value:?}"));
    }
}

#[test]
fn in_1_an_event_is_an_object_with_a_name_and_properties() {
    for (line, what) in [
        ("", "not JSON"),
        (
            "{",
            "not JSON: EOF while parsing an object at column 1 (IN-1)",
        ),
        ("nonsense", "not JSON"),
        (r#"{"event":"A","properties":{}} {}"#, "not JSON"),
        (r#"{"event":"A","properties":{"a":1,}}"#, "not JSON"),
        ("{\"event\":\"A\u{0}\",\"properties\":{}}", "not JSON"),
        (r#"{"event":"\ud800","properties":{}}"#, "not JSON"),
        ("[]", "\"[]\" is not a JSON object"),
        ("1", "\"1\" is not a JSON object"),
        (
            r#"{"properties":{}}"#,
            "\"event\" must be a string, but is missing",
        ),
        (
            r#"{"event":null,"properties":{}}"#,
            "\"event\" must be a string, but is \"null\"",
        ),
        (
            r#"{"event":1,"properties":{}}"#,
            "\"event\" must be a string, but is \"1\"",
        ),
        (
            r#"{"event":"A"}"#,
            "\"properties\" must be an object, but is missing",
        ),
        (
            r#"{"event":"A","properties":null}"#,
            "\"properties\" must be an object, but is \"null\"",
        ),
        (
            r#"{"event":"A","properties":[]}"#,
            "\"properties\" must be an object, but is \"[]\"",
        ),
    ] {
        let error = malformed(line.as_bytes());
        assert!(error.starts_with(what), "{line}: {error}");
        assert!(error.ends_with("(IN-1)"), "{line}: {error}");
    }
    let mut latin_1 = br#"{"event":"A","properties":{"name":"J"#.to_vec();
    let valid_bytes = latin_1.len();
    latin_1.extend_from_slice(b"\xf6rg\"}}");
    assert!(matches!(
        JsonEvent::parse(&latin_1),
        Err(MalformedEvent::NotUtf8 { valid_bytes: n }) if n == valid_bytes
    ));
}

#[test]
fn in_2_of_a_key_that_occurs_twice_the_last_one_counts() {
    let line = r#"{"event":1,"properties":[],"event":"A","properties":{"$user_id":true,
        "$user_id":"U1","$user\u005fid":"U2"},"event":"B"}"#;
    assert_eq!(
        parsed(line).event(),
        Event {
            user_id: "U2".into(),
            ..Event::named("B")
        }
    );
    // This also holds if the last one is invalid or absent.
    assert!(malformed(br#"{"event":"A","properties":{},"event":1}"#).contains("\"event\""));
    let line = r#"{"event":"A","properties":{"$user_id":"U1","$user_id":null}}"#;
    assert_eq!(parsed(line).event(), Event::named("A"));
}

#[test]
fn nesting_costs_no_stack() {
    let depth = 100_000;
    let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for property in ["x", "$user_id", "$distinct_ids"] {
        let line =
            format!(r#"{{"event":"A","properties":{{"{property}":{nested}}},"y":{nested}}}"#);
        assert_eq!(parsed(&line).event().name, "A");
    }
    assert!(malformed(nested.as_bytes()).contains("is not a JSON object"));
    assert!(malformed("[".repeat(depth).as_bytes()).starts_with("not JSON"));
}

/// The properties of an event that is borrowed from its text, and those that are read one by one.
#[test]
fn parts_of_an_event_can_be_read_alone() {
    let text =
        r#"{"event":"A","properties":{"$user_id":"U1","$distinct_id_before_identity":7,"x":"\n"}}"#;
    let event = JsonEvent::parse_text(text).unwrap();
    assert_eq!(event.text(), text);
    let property = |property| event.property(property).map(RawJson::as_str);
    assert_eq!(property(IdProperty::UserId), Some("\"U1\""));
    assert_eq!(property(IdProperty::DeviceId), None);
    let before = event.id_before_identity().map(RawJson::as_str);
    assert_eq!(before, Some("7"));
    assert_eq!(event.event_in_text(), Some(event.event()));
    assert!(!event.event().user_id.is_absent());
    for text in [
        r#"{"event":"\u0041","properties":{"$user_id":"U1"}}"#,
        r#"{"event":"A","properties":{"$user_id":"U\u0031"}}"#,
    ] {
        let event = JsonEvent::parse_text(text).unwrap();
        assert_eq!(event.event_in_text(), None, "{text}");
    }
}

#[test]
fn in_2_later_properties_take_the_place_of_all_earlier_ones() {
    let text = r#"{"event":"A","properties":{"$user_id":"U1"},"properties":{"$device_id":"D1"}}"#;
    let event = JsonEvent::parse_text(text).unwrap();
    assert_eq!(event.property(IdProperty::UserId), None);
    assert!(event.property(IdProperty::DeviceId).is_some());
}
