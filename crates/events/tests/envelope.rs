//! The envelope of an event: what is read of it besides the identity properties.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use idmerge_core::IdProperty;
use idmerge_events::{
    ContainerLimits, Envelope, Excess, JsonEvent, MalformedEvent, NotJson, RawJson, Time,
    TimeRange, Values, probe,
};
use proptest::prelude::*;
use serde_json::Value;

const LIMITS: ContainerLimits = ContainerLimits {
    max_members: 2,
    max_depth: 3,
};

fn parsed(text: &str) -> Envelope<'_> {
    Envelope::parse_text(text).unwrap()
}

/// The event of a text, read under limits.
fn limited(text: &str) -> Envelope<'_> {
    let mut values = Values::in_row(text);
    let (json, event) = values.next_envelope(LIMITS).unwrap().unwrap();
    assert_eq!(json.as_str(), text);
    assert!(values.next_envelope(LIMITS).unwrap().is_none());
    event.unwrap()
}

#[test]
fn all_fields_are_read() {
    let text = r#" {"$mp_metadata":{"x":1},"properties":{"token":"T\u0031","time":1.5,
        "$insert_id":"i","a":[],"$ignore":true,"$user_id":"U1"},"event":"A\n"} "#;
    let event = parsed(text);
    assert_eq!(event.text(), text);
    assert_eq!((event.name(), &*event.to_name()), ("A\n", "A\n"));
    assert_eq!(
        event.token().unwrap().string_or_number().as_deref(),
        Some("T1")
    );
    assert_eq!(event.time(TimeRange::Year9999), Time::Ms(1_500));
    assert_eq!(event.insert_id().unwrap().as_str(), "\"i\"");
    assert_eq!(event.ignore().unwrap().as_str(), "true");
    assert_eq!(event.mp_event_id(), None);
    assert_eq!(event.excess(), None);
    let same = JsonEvent::parse_text(text).unwrap();
    assert_eq!(event.json_event(), &same);
    assert_eq!(event.into_json_event(), same);

    let bare = parsed(r#"{"event":"","properties":{}}"#);
    assert_eq!(
        (bare.token(), bare.insert_id(), bare.ignore()),
        (None, None, None)
    );
    assert_eq!(bare.time(TimeRange::Exact), Time::Absent);
}

#[test]
fn the_metadata_of_phones_is_inside_or_outside_of_the_properties() {
    for (text, wanted) in [
        (
            r#"{"event":"A","properties":{},"$mp_metadata":{"$mp_event_id":"m"}}"#,
            Some("\"m\""),
        ),
        (
            r#"{"event":"A","properties":{"$mp_metadata":{"a":{},"$mp\u005fevent_id":7}}}"#,
            Some("7"),
        ),
        (
            r#"{"$mp_metadata":{"$mp_event_id":"out"},"event":"A","properties":{"$mp_metadata":{"$mp_event_id":"in"}}}"#,
            Some("\"in\""),
        ),
        // The last one of a key counts, also if it has no ID or is not an object (IN-2).
        (
            r#"{"event":"A","properties":{"$mp_metadata":"m"},"$mp_metadata":{"$mp_event_id":"m"}}"#,
            None,
        ),
        (
            r#"{"event":"A","$mp_metadata":{"$mp_event_id":"m"},"$mp_metadata":{},"properties":{}}"#,
            None,
        ),
        (
            r#"{"event":"A","properties":{"$mp_metadata":{"$mp_event_id":1}},"properties":{},"$mp_metadata":{"$mp_event_id":2}}"#,
            Some("2"),
        ),
    ] {
        let event_id = parsed(text).mp_event_id();
        assert_eq!(event_id.map(RawJson::as_str), wanted, "{text}");
        assert_eq!(limited(text).mp_event_id(), event_id, "{text}");
    }
}

#[test]
fn in_2_of_a_key_that_occurs_twice_the_last_one_counts() {
    let event = parsed(
        r#"{"event":"A","properties":{"time":1,"$insert_id":"a"},"properties":{"token":1,"t\u006fken":"2"}}"#,
    );
    assert_eq!(event.token().unwrap().as_str(), "\"2\"");
    assert_eq!(event.time(TimeRange::Exact), Time::Absent);
    assert_eq!(event.insert_id(), None);
}

/// AR-2: an ID that is missing, `null` or empty is none, and any other value is its text.
#[test]
fn ar_2_the_text_of_the_ids_that_duplicates_share() {
    for (json, wanted) in [
        (r#""i\u0031""#, Some("i1")),
        ("7", Some("7")),
        ("[1]", Some("[1]")),
        (r#""null""#, Some("null")),
        ("null", None),
        (r#""""#, None),
    ] {
        let text = format!(r#"{{"event":"A","properties":{{"$insert_id":{json}}}}}"#);
        let event = parsed(&text);
        assert_eq!(event.insert_id_text().as_deref(), wanted, "{json}");
        assert_eq!(event.dedup_id().as_deref(), wanted, "{json}");
        let phone = format!(
            r#"{{"event":"A","properties":{{"$insert_id":{json},"$mp_metadata":{{"$mp_event_id":"m"}}}}}}"#
        );
        let event = parsed(&phone);
        assert_eq!(event.dedup_id().as_deref(), wanted.or(Some("m")), "{json}");
    }
    for (json, wanted) in [(r#""m""#, Some("m")), ("7", Some("7")), (r#""""#, None)] {
        let text = format!(
            r#"{{"event":"A","properties":{{}},"$mp_metadata":{{"$mp_event_id":{json}}}}}"#
        );
        let event = parsed(&text);
        assert_eq!(event.mp_event_id_text().as_deref(), wanted, "{json}");
        assert_eq!(event.dedup_id().as_deref(), wanted, "{json}");
    }
    assert_eq!(parsed(r#"{"event":"A","properties":{}}"#).dedup_id(), None);
}

/// AR-2: the fingerprint depends on the name, the time, the own distinct_id and the insert ID.
#[test]
fn ar_2_events_with_an_insert_id_have_a_fingerprint() {
    let of = |name: &str, properties: &str, own: &str| {
        let text = format!(r#"{{"event":"{name}","properties":{{{properties}}}}}"#);
        let own = idmerge_core::Id::new(own).map(idmerge_core::DistinctId::plain);
        let repeatable = parsed(&text).repeatable(own.ok(), &mut Vec::new());
        repeatable.map(|repeatable| (repeatable.fingerprint, repeatable.time_ms))
    };
    let first = of("A", r#""time":2,"$insert_id":"i""#, "U").unwrap();
    assert_eq!(first.1, 2_000);
    assert_eq!(
        of("A", r#""x":1,"$insert_id":"i","time":2"#, "U"),
        Some(first)
    );
    for (name, properties, own) in [
        ("B", r#""time":2,"$insert_id":"i""#, "U"),
        ("A", r#""time":3,"$insert_id":"i""#, "U"),
        ("A", r#""time":2,"$insert_id":"j""#, "U"),
        ("A", r#""time":2,"$insert_id":"i""#, "V"),
        ("A", r#""$insert_id":"i""#, "U"),
    ] {
        let other = of(name, properties, own).unwrap();
        assert_ne!(other.0, first.0, "{name} {properties} {own}");
    }
    assert_eq!(of("A", r#""time":2"#, "U"), None);
}

/// AR-4: a server adds `mp_processing_time_ms` to what it exports, and `$idmerge_time_ms` where `time`
/// lacks the milliseconds.
#[test]
fn ar_4_what_an_export_adds_is_read() {
    for (properties, wanted) in [
        (r#""mp_processing_time_ms":1"#, true),
        (r#""mp_processing_time_ms":null"#, false),
        ("", false),
    ] {
        let text = format!(r#"{{"event":"A","properties":{{{properties}}}}}"#);
        assert_eq!(parsed(&text).is_exported(), wanted, "{text}");
    }
    for (properties, wanted) in [
        (r#""time":1,"$idmerge_time_ms":1500"#, Some(1_500)),
        // The time was changed since the export.
        (r#""time":2,"$idmerge_time_ms":1500"#, Some(2_000)),
        (r#""$idmerge_time_ms":1500"#, None),
        (r#""time":"never""#, None),
    ] {
        let text = format!(r#"{{"event":"A","properties":{{{properties}}}}}"#);
        let time = parsed(&text).time(TimeRange::Exact);
        assert_eq!(time.ms(), wanted, "{text}");
    }
}

#[test]
fn in_2_metadata_outside_of_repeated_properties_stays() {
    let event = parsed(
        r#"{"$mp_metadata":{"$mp_event_id":"m"},"event":"A","properties":{},"properties":{}}"#,
    );
    assert_eq!(event.mp_event_id().map(RawJson::as_str), Some("\"m\""));
}

#[test]
fn values_end_where_only_white_space_is_left() {
    for (text, wanted) in [("", true), (" \r\n\t", true), (" 1", false), ("]", false)] {
        assert_eq!(Values::in_row(text).is_at_end(), wanted, "{text:?}");
    }
    let mut values = Values::in_row("1 2 ");
    values.next_value().unwrap();
    assert!(!values.is_at_end());
    values.next_value().unwrap();
    assert!(values.is_at_end());
    assert_eq!(NotJson.to_string(), "the text is not JSON");
}

#[test]
fn limits_hold_on_both_sides() {
    let too_deep = Some(Excess::TooDeep);
    let too_many = Some(Excess::TooManyMembers);
    for (json, wanted) in [
        ("[[[]]]", None),
        ("[[[1]]]", None),
        ("[[[[]]]]", too_deep),
        (r#"{"a":{"a":{"a":"x"}}}"#, None),
        (r#"{"a":{"a":{"a":{}}}}"#, too_deep),
        (r#"{"a":[{"a":[]}]}"#, too_deep),
        (r#"{"a":[{"a":1}]}"#, None),
        ("[1.5,null]", None),
        ("[true,-1,[]]", too_many),
        (r#"{"a":1,"b":2}"#, None),
        (r#"{"a":1,"b":2,"c":3}"#, too_many),
        (r#"{"a":[[],[1,2,3]]}"#, too_many),
        ("[[[1,2],[1,2]],[[],{}]]", None),
        // The first one in reading order counts. An element counts once it was read, a key at once.
        ("[1,2,[[]]]", too_many),
        ("[1,2,[[[]]]]", too_deep),
        (r#"{"a":1,"b":2,"c":[[[[]]]]}"#, too_many),
    ] {
        for key in ["x", "time", "$mp_metadata"] {
            let text = format!(r#"{{"event":"A","properties":{{"{key}":{json}}}}}"#);
            assert_eq!(limited(&text).excess(), wanted, "{text}");
            assert_eq!(parsed(&text).excess(), None);
        }
        let outside =
            format!(r#"{{"event":"A","properties":{{}},"x":{json},"$mp_metadata":{json}}}"#);
        assert_eq!(limited(&outside).excess(), None);
    }
    let event = |properties| format!(r#"{{"event":"A","properties":{{{properties}}}}}"#);
    assert_eq!(limited(&event(r#""a":1,"a":2"#)).excess(), None);
    assert_eq!(
        limited(&event(r#""a":[[[[]]]],"b":2,"c":1"#)).excess(),
        too_many
    );
    assert_eq!(
        limited(&event(r#""a":[[[[]]]],"b":[1,2,3]"#)).excess(),
        too_deep
    );
    let twice = r#"{"event":"A","properties":{"a":[[[[]]]]},"properties":{"a":[]}}"#;
    assert_eq!(limited(twice).excess(), None);
}

#[test]
fn a_value_that_is_not_an_event_costs_no_other() {
    let body = r#" [ {"event":"A","properties":{}} , "x\n", {"event":1}, {"event":"B","properties":[]},
        {"event":"C","properties":{"$user_id":"\u0055"}} ] "#;
    let mut values = Values::of_array(body).unwrap();
    let mut read = Vec::new();
    while let Some((json, event)) = values.next_envelope(LIMITS).unwrap() {
        if let Ok(event) = &event {
            assert_eq!(event, &limited(json.as_str()));
        }
        read.push(event.map(|event| event.name().to_owned()));
    }
    assert!(matches!(
        &read[..],
        [
            Ok(a),
            Err(MalformedEvent::NotAnObject { .. }),
            Err(MalformedEvent::NoName { .. }),
            Err(MalformedEvent::NoProperties { .. }),
            Ok(c),
        ] if a == "A" && c == "C"
    ));
    let mut broken = Values::of_array(r#"[{"event":"A","properties":{}},{"event":]"#).unwrap();
    assert!(broken.next_envelope(LIMITS).unwrap().is_some());
    assert!(matches!(broken.next_envelope(LIMITS), Err(NotJson)));
}

#[test]
fn an_event_is_scanned_once() {
    let Some(before) = probe::of_thread() else {
        return;
    };
    let texts = [r#"{"event":"A","properties":{"$user_id":"\u0055"}}"#; 3];
    let body = format!("[{}]", texts.join(","));
    let mut values = Values::of_array(&body).unwrap();
    while let Some((_, event)) = values.next_envelope(LIMITS).unwrap() {
        let event = event.unwrap();
        let text = event.text();
        let layout = event.into_json_event().into_layout();
        assert_eq!(layout.of_text(text).unwrap().event().user_id, "U".into());
    }
    let after = probe::of_thread().unwrap();
    assert_eq!(after.events - before.events, 3);
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    assert_eq!(after.bytes - before.bytes, bytes as u64);
}

#[test]
fn a_layout_fits_its_text() {
    let text = "{\"event\":\"\u{fc}\",\"properties\":{\"$user_id\":\"U1\",\"a\":\"\u{fc}\"}}";
    let layout = || JsonEvent::parse_text(text).unwrap().into_layout();
    assert_eq!(
        layout().of_text(text),
        Some(JsonEvent::parse_text(text).unwrap())
    );
    for other in [
        String::new(),
        format!("{text} "),
        text.replace('}', "]"),
        "\u{fc}".repeat(text.len() / 2),
    ] {
        assert_eq!(layout().of_text(&other), None, "{other}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,20}|[\"\\\\\n\u{1}]{1,3}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-c\"]{0,2}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Members of an object with keys that are read and others.
fn any_members(keys: &'static [&'static str]) -> impl Strategy<Value = Vec<(String, Value)>> {
    let key = prop::sample::select(keys).prop_map(str::to_owned);
    prop::collection::vec((key, any_json()), 0..8)
}

/// An object, in which keys may occur twice, with white space and escapes here and there.
fn object(members: &[(String, String)], is_escaped: bool, space: &str) -> String {
    let member = |(key, value): &(String, String)| {
        let key = serde_json::to_string(key).unwrap();
        let key = if is_escaped {
            key.replace('e', r"\u0065")
        } else {
            key
        };
        format!("{space}{key}{space}:{space}{value}")
    };
    let members: Vec<_> = members.iter().map(member).collect();
    format!("{{{}{space}}}", members.join(","))
}

/// The first limit that a value exceeds, by recursion.
fn excess(value: &Value, depth: usize) -> Option<Excess> {
    let is_too_deep = depth == LIMITS.max_depth && (value.is_array() || value.is_object());
    if is_too_deep {
        return Some(Excess::TooDeep);
    }
    let too_many = |at: usize| (at == LIMITS.max_members).then_some(Excess::TooManyMembers);
    match value {
        Value::Array(array) => array
            .iter()
            .enumerate()
            .find_map(|(at, element)| excess(element, depth + 1).or(too_many(at))),
        Value::Object(object) => object
            .values()
            .enumerate()
            .find_map(|(at, value)| too_many(at).or(excess(value, depth + 1))),
        _ => None,
    }
}

/// Whether a JSON text has the value that `serde_json` has for it.
fn is_same(json: Option<RawJson<'_>>, value: Option<&Value>) -> bool {
    let json = json.map(|json| serde_json::from_str::<Value>(json.as_str()).unwrap());
    json.as_ref() == value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn an_event_is_read_as_serde_json_reads_it(
        properties in any_members(&[
            "distinct_id", "$user_id", "$device_id", "$distinct_ids", "token", "time", "$insert_id",
            "$ignore", "$mp_metadata", "other", "",
        ]),
        outer in any_members(&["event", "$mp_metadata", "other"]),
        metadata in any_members(&["$mp_event_id", "other"]),
        is_escaped in any::<bool>(),
        space in prop::sample::select(&["", " ", "\n\t"]),
    ) {
        let texts = |members: Vec<(String, Value)>| -> Vec<_> {
            let text = |(key, value): (String, Value)| (key, value.to_string());
            members.into_iter().map(text).collect()
        };
        let mut outer = texts(outer);
        let metadata = object(&texts(metadata), is_escaped, space);
        outer.insert(outer.len() / 2, ("$mp_metadata".to_owned(), metadata));
        let properties = object(&texts(properties), is_escaped, space);
        outer.insert(outer.len() / 2, ("properties".to_owned(), properties));
        let text = object(&outer, is_escaped, space);

        let value: Value = serde_json::from_str(&text).unwrap();
        let one = Envelope::parse_text(&text);
        let many = format!("[{space}{text}{space},{text}]");
        let mut values = Values::of_array(&many).unwrap();
        for _ in 0..2 {
            let (json, of_many) = values.next_envelope(LIMITS).unwrap().unwrap();
            prop_assert_eq!(json.as_str(), &text);
            match (&one, of_many) {
                (Ok(one), Ok(of_many)) => {
                    prop_assert_eq!(one.json_event(), of_many.json_event());
                    prop_assert_eq!(one.token(), of_many.token());
                    prop_assert_eq!(one.mp_event_id(), of_many.mp_event_id());
                }
                (Err(one), Err(of_many)) => prop_assert_eq!(one.to_string(), of_many.to_string()),
                _ => prop_assert!(false, "one of two readings fails: {}", text),
            }
        }
        prop_assert!(values.next_envelope(LIMITS).unwrap().is_none());

        let (Some(name), Ok(event)) = (value["event"].as_str(), &one) else {
            prop_assert!(!value["event"].is_string() && one.is_err());
            return Ok(());
        };
        let properties = &value["properties"];
        prop_assert_eq!(event.name(), name);
        prop_assert!(is_same(event.token(), properties.get("token")));
        prop_assert!(is_same(event.insert_id(), properties.get("$insert_id")));
        prop_assert!(is_same(event.ignore(), properties.get("$ignore")));
        let metadata = properties.get("$mp_metadata").unwrap_or(&value["$mp_metadata"]);
        prop_assert!(is_same(event.mp_event_id(), metadata.get("$mp_event_id")));
        for property in IdProperty::ALL {
            let json = event.json_event().property(property);
            prop_assert!(is_same(json, properties.get(property.key())));
        }
        let has_time = properties["time"].as_f64().is_some_and(|time| time.abs() < 1e11);
        let time = event.time(TimeRange::Exact);
        prop_assert!(!has_time || matches!(time, Time::Ms(_)));
        prop_assert_eq!(time == Time::Absent, properties["time"].is_null());
    }

    #[test]
    fn the_first_excess_is_found(a in any_json(), b in any_json()) {
        let text = format!(r#"{{"event":"A","properties":{{"a":{a},"b":{b}}}}}"#);
        let wanted = excess(&a, 0).or(excess(&b, 0));
        prop_assert_eq!(limited(&text).excess(), wanted, "{}", text);
    }
}
