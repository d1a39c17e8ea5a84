use idmerge_events::Values;

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

const STRICT: Requirements = Requirements {
    is_strict: true,
    waives_distinct_id: false,
    now_ms: NOW_MS,
};
const LENIENT: Requirements = Requirements {
    is_strict: false,
    ..STRICT
};
const SIMPLIFIED: Requirements = Requirements {
    waives_distinct_id: true,
    ..STRICT
};

fn read(text: &str) -> Result<EventRecord<'_>, Fault> {
    let limits = Limits::DOCUMENTED;
    let mut values = Values::in_row(text);
    let (json, event) = values
        .next_envelope(limits.of_containers())
        .unwrap()
        .unwrap();
    let whole = DecodedText::decode(text.as_bytes().into(), true, usize::MAX).unwrap();
    EventRecord::new(json, event, &whole, &limits)
}

/// The fault of an event with these properties.
fn fault(properties: &str, requirements: &Requirements) -> Option<Fault> {
    let text = format!(r#"{{"event":"A","properties":{{{properties}}}}}"#);
    let event = read(&text).unwrap();
    event.check(requirements, &Limits::DOCUMENTED).err()
}

#[test]
fn an_event_has_the_parts_that_a_server_needs() {
    let text = r#"{"$mp_metadata":{"x":1},"properties":{"token":"T\u0031","time":1.5,"$insert_id":"i","a":[]},"event":"A\n"}"#;
    let event = read(text).unwrap();
    assert_eq!(event.text, text);
    assert_eq!(event.name, "A\n");
    assert_eq!(event.token.as_deref(), Some("T1"));
    assert_eq!(event.time, Time::Ms(1_500));
    assert_eq!(event.insert_id.as_deref(), Some("i"));
    assert!(!event.is_ignored && !event.is_identity_event());
    assert!(
        read(r#"{"event":"$merge","properties":{}}"#)
            .unwrap()
            .is_identity_event()
    );
}

#[test]
fn mobile_sdks_send_an_event_id_in_metadata() {
    for (text, wanted) in [
        (
            r#"{"event":"A","properties":{},"$mp_metadata":{"$mp_event_id":"m"}}"#,
            Some("m"),
        ),
        (
            r#"{"event":"A","properties":{"$mp_metadata":{"$mp_event_id":7}}}"#,
            Some("7"),
        ),
        (
            r#"{"event":"A","properties":{"$insert_id":"i"},"$mp_metadata":{"$mp_event_id":"m"}}"#,
            Some("i"),
        ),
        (r#"{"event":"A","properties":{"$mp_metadata":"m"}}"#, None),
        (
            r#"{"event":"A","properties":{},"$mp_metadata":{"$mp_event_id":""}}"#,
            None,
        ),
        (
            r#"{"event":"A","properties":{"$insert_id":""},"$mp_metadata":{"$mp_event_id":"m"}}"#,
            Some("m"),
        ),
    ] {
        assert_eq!(read(text).unwrap().dedup_id(), wanted, "{text}");
    }
}

#[test]
fn in_2_the_last_of_two_equal_keys_counts() {
    let text =
        r#"{"event":1,"event":"A","properties":[],"properties":{"token":"1","t\u006fken":"2"}}"#;
    let event = read(text).unwrap();
    assert_eq!((&*event.name, event.token.as_deref()), ("A", Some("2")));
}

#[test]
fn a_record_that_is_not_an_event_is_a_fault() {
    let no_name = |insert_id: Option<&str>| Fault::NoName {
        insert_id: insert_id.map(str::to_owned),
    };
    for (text, wanted) in [
        ("1", Fault::NotAnObject),
        ("[{}]", Fault::NotAnObject),
        (r#"{"properties":{}}"#, no_name(None)),
        (r#"{"event":" ","properties":{}}"#, no_name(None)),
        (r#"{"event":null,"properties":{}}"#, no_name(None)),
        (r#"{"event":"\ud800","properties":{}}"#, no_name(None)),
        (r#"{"event":" ","properties":[]}"#, no_name(None)),
        (
            r#"{"event":" ","properties":{"$insert_id":"a","\u0024insert_id":"b"}}"#,
            no_name(Some("b")),
        ),
        (
            r#"{"event":7,"properties":{"$insert_id":7}}"#,
            no_name(Some("7")),
        ),
        (r#"{"properties":{"$insert_id":""}}"#, no_name(None)),
        (r#"{"event":"A"}"#, Fault::NoProperties),
        (r#"{"event":"A","properties":[]}"#, Fault::NoProperties),
    ] {
        assert_eq!(read(text), Err(wanted), "{text}");
    }
}

#[test]
fn a_sender_can_have_an_event_ignored() {
    for (value, is_ignored) in [
        ("true", true),
        ("1", true),
        ("false", false),
        ("null", false),
    ] {
        let text = format!(r#"{{"event":"A","properties":{{"$ignore":{value}}}}}"#);
        assert_eq!(read(&text).unwrap().is_ignored, is_ignored, "{value}");
    }
}

#[test]
fn an_imported_event_needs_a_time_an_id_and_an_insert_id() {
    let whole = r#""time":1,"distinct_id":"U1","$insert_id":"a""#.replace('1', "1600000000");
    assert_eq!(fault(&whole, &STRICT), None);
    // An event that belongs to no user is accepted.
    assert_eq!(fault(&whole.replace("U1600000000", ""), &STRICT), None);
    for (properties, wanted) in [
        (r#""distinct_id":"U1","$insert_id":"a""#, Fault::NoTime),
        (
            r#""time":{},"distinct_id":"U1","$insert_id":"a""#,
            Fault::NoTime,
        ),
        (r#""time":1600000000,"$insert_id":"a""#, Fault::NoDistinctId),
        (
            r#""time":1600000000,"distinct_id":null,"$insert_id":"a""#,
            Fault::NoDistinctId,
        ),
    ] {
        assert_eq!(
            fault(properties, &STRICT).as_ref(),
            Some(&wanted),
            "{properties}"
        );
        assert_eq!(fault(properties, &LENIENT), Some(wanted), "{properties}");
    }
}

#[test]
fn simplified_accepts_reserved_ids_instead_of_distinct_id() {
    let event = |ids: &str| format!(r#""time":1600000000,"$insert_id":"a"{ids}"#);
    for ids in [r#","$user_id":"U1""#, r#","$device_id":1"#] {
        assert_eq!(fault(&event(ids), &SIMPLIFIED), None);
        assert_eq!(fault(&event(ids), &STRICT), Some(Fault::NoDistinctId));
    }
    for ids in ["", r#","$user_id":"","$device_id":null"#] {
        assert_eq!(fault(&event(ids), &SIMPLIFIED), Some(Fault::NoDistinctId));
    }
}

#[test]
fn a_strict_request_checks_the_range_of_times() {
    let event = |ms: i64| format!(r#""time":{ms},"distinct_id":"U1","$insert_id":"a""#);
    let latest = NOW_MS + Limits::DOCUMENTED.max_ahead_ms;
    assert_eq!(fault(&event(latest), &STRICT), None);
    assert_eq!(
        fault(&event(latest + 1), &STRICT),
        Some(Fault::TimeInFuture)
    );
    assert_eq!(fault(&event(latest + 1), &LENIENT), None);
    // In seconds, because a number this small is read as seconds.
    assert_eq!(fault(&event(365 * 86_400), &STRICT), None);
    assert_eq!(
        fault(&event(365 * 86_400 - 1), &STRICT),
        Some(Fault::TimeTooEarly)
    );
}

#[test]
fn a_strict_request_checks_the_form_of_insert_ids() {
    let event = |insert_id: &str| {
        format!(r#""time":1600000000,"distinct_id":"U1","$insert_id":{insert_id}"#)
    };
    let longest = "a".repeat(36);
    for (insert_id, wanted) in [
        ("\"a-Z-9\"".to_owned(), None),
        ("17".to_owned(), None),
        (format!("\"{longest}\""), None),
        (
            format!("\"{longest}a\""),
            Some(Fault::InsertIdTooLong {
                max_insert_id_bytes: 36,
            }),
        ),
        ("\"a_b\"".to_owned(), Some(Fault::InsertIdForm)),
        ("\"ü\"".to_owned(), Some(Fault::InsertIdForm)),
        ("{}".to_owned(), Some(Fault::InsertIdForm)),
        ("true".to_owned(), Some(Fault::InsertIdBlocked)),
        ("\"Undefined\"".to_owned(), Some(Fault::InsertIdBlocked)),
        ("\"\"".to_owned(), Some(Fault::NoInsertId)),
        ("null".to_owned(), Some(Fault::NoInsertId)),
    ] {
        assert_eq!(fault(&event(&insert_id), &STRICT), wanted, "{insert_id}");
        assert_eq!(fault(&event(&insert_id), &LENIENT), None, "{insert_id}");
    }
}

#[test]
fn a_strict_request_counts_properties() {
    let event = |others: usize| {
        let others: String = (0..others)
            .map(|other| format!(r#""p{other}":1,"#))
            .collect();
        others + r#""time":1600000000,"distinct_id":"U1","$insert_id":"a""#
    };
    let too_many = Some(Fault::TooManyMembers { max_members: 254 });
    assert_eq!(fault(&event(251), &STRICT), None);
    assert_eq!(fault(&event(252), &STRICT), too_many);
    assert_eq!(fault(&event(252), &LENIENT), None);
    // Also behind values that are valid JSON, but not a number or a text in Rust.
    for before in ["", "1e999,", r#""\ud800","#] {
        let deep = format!(r#""x":[{before}[[[]]]],{}"#, event(0));
        assert_eq!(fault(&deep, &STRICT), Some(Fault::TooDeep { max_depth: 3 }));
    }
}

#[test]
fn identity_events_are_not_checked() {
    for name in ["$identify", "$create_alias", "$merge"] {
        let text = format!(r#"{{"event":"{name}","properties":{{}}}}"#);
        let event = read(&text).unwrap();
        assert_eq!(event.check(&STRICT, &Limits::DOCUMENTED), Ok(()));
    }
}

#[test]
fn ar_4_strict_does_not_check_again_what_an_export_has() {
    let many: String = (0..300)
        .map(|number| format!(r#","p{number}":1"#))
        .collect();
    for properties in [
        // Before 1971, and far in the future.
        r#""time":0,"distinct_id":"U","$insert_id":"i""#,
        r#""time":4102444800,"distinct_id":"U","$insert_id":"i""#,
        r#""time":1,"distinct_id":"U","$insert_id":"a form of its own!""#,
        r#""time":1700000000,"distinct_id":"","$insert_id":"i","deep":[[[[1]]]]"#,
        &format!(r#""time":1700000000,"distinct_id":"U","$insert_id":"i"{many}"#),
    ] {
        assert!(fault(properties, &STRICT).is_some(), "{properties}");
        let exported = format!(r#"{properties},"mp_processing_time_ms":1700000000000"#);
        assert_eq!(fault(&exported, &STRICT), None, "{properties}");
        let not_exported = format!(r#"{properties},"mp_processing_time_ms":null"#);
        assert!(fault(&not_exported, &STRICT).is_some(), "{properties}");
    }
    // An export has these.
    for (properties, wanted) in [
        (r#""distinct_id":"U","$insert_id":"i""#, Fault::NoTime),
        (r#""time":1700000000,"$insert_id":"i""#, Fault::NoDistinctId),
        (r#""time":1700000000,"distinct_id":"U""#, Fault::NoInsertId),
    ] {
        let exported = format!(r#"{properties},"mp_processing_time_ms":1"#);
        assert_eq!(fault(&exported, &STRICT), Some(wanted));
    }
}
