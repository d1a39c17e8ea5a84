//! Bodies of real senders that are not UTF-8, or not encoded as a form should be: rules IN-7 to IN-9.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use idmerge_core::{Event, IdProperty, InvalidEvent, InvalidEventReason, Value};
use idmerge_wire::{
    Dialect, Endpoint, Fault, Head, Limits, Message, Problem, RequestParts, Requirements,
};

const LIMITS: &Limits = &Limits::DOCUMENTED;
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

/// 🍔 as browser SDKs write it: each half of the UTF-16 pair in three bytes.
const BURGER: &[u8] = b"\xed\xa0\xbc\xed\xbd\x94";

const STRICT: Requirements = Requirements {
    is_strict: true,
    waives_distinct_id: false,
    now_ms: 1_700_000_000_000,
};

/// A request: a query, a content type and a body.
type Sent = (String, &'static str, Vec<u8>);

fn head(endpoint: Endpoint, query: &str, content_type: &str) -> Head {
    Head::read(RequestParts {
        endpoint,
        query,
        content_type: Some(content_type),
        content_encoding: None,
        authorization: None,
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn escaped(bytes: &[u8]) -> String {
    percent_encoding::percent_encode(bytes, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The JSON in every encoding that SDKs use.
fn encodings(json: &[u8]) -> Vec<Sent> {
    let base64 = STANDARD.encode(json);
    let coded = escaped(base64.as_bytes());
    let percent = escaped(json);
    let query = |data: &str| (format!("ip=1&data={data}&verbose=1"), "", Vec::new());
    let form = |data: &str| (String::new(), FORM, format!("data={data}").into_bytes());
    vec![
        (String::new(), JSON, json.to_vec()),
        (String::new(), "text/plain", gzip(json)),
        form(&base64),
        form(&coded),
        form(&format!("{coded}&verbose=1")),
        form(&percent),
        (
            String::new(),
            FORM,
            gzip(format!("data={percent}").as_bytes()),
        ),
        (String::new(), FORM, [b"data=", json].concat()),
        query(&coded),
        query(&percent),
    ]
}

/// The text of each record, or why it fails.
fn records(message: &Message<'_>) -> Vec<Result<String, String>> {
    let fault = |fault: Fault| format!("{}: {fault}", fault.field());
    if matches!(message.endpoint, Endpoint::Engage | Endpoint::Groups) {
        let updates = message.updates(LIMITS).unwrap().into_iter();
        return updates
            .map(|update| update.map(|update| update.text.to_owned()).map_err(fault))
            .collect();
    }
    let events = message.events(LIMITS).unwrap().into_iter();
    events
        .map(|event| {
            let event = event.map_err(fault)?;
            if message.endpoint == Endpoint::Import {
                event.check(&STRICT, LIMITS).map_err(fault)?;
            }
            Ok(event.text.to_owned())
        })
        .collect()
}

#[track_caller]
fn decoded(endpoint: Endpoint, (query, content_type, body): &Sent) -> Vec<Result<String, String>> {
    let message = head(endpoint, query, content_type).decode(&body[..], LIMITS);
    records(&message.unwrap())
}

/// JSON with these bytes in place of each `@`.
fn with(json: &str, bytes: &[u8]) -> Vec<u8> {
    let parts: Vec<_> = json.split('@').map(str::as_bytes).collect();
    parts.join(bytes)
}

const TRACKED: &str =
    r#"{"event":"A @ B","properties":{"token":"TOK","distinct_id":"U@1","k@":["@",{"@":"@x"}]}}"#;
const ENGAGED: &str = r#"{"$token":"TOK","$distinct_id":"U1@","$set":{"k@":"@","b":["a@"]}}"#;
const GROUPED: &str = r#"{"$token":"TOK","$group_key":"c","$group_id":"@","$set":{"k@":"@"}}"#;

#[test]
fn in_8_two_halves_are_one_character_in_every_encoding() {
    for (endpoint, json) in [
        (Endpoint::Track, TRACKED),
        (Endpoint::Engage, ENGAGED),
        (Endpoint::Groups, GROUPED),
    ] {
        for (array, wanted) in [
            (format!("[{json}]"), vec![Ok(json.replace('@', "🍔"))]),
            (json.to_owned(), vec![Ok(json.replace('@', "🍔"))]),
        ] {
            for sent in encodings(&with(&array, BURGER)) {
                assert_eq!(decoded(endpoint, &sent), wanted, "{endpoint:?} {sent:?}");
            }
        }
    }
}

#[test]
fn in_8_what_is_not_utf_8_becomes_a_replacement_character() {
    let event = r#"{"event":"A@","properties":{"token":"TOK","distinct_id":"U1","k@":"@"}}"#;
    let other = r#"{"event":"B","properties":{"token":"TOK","title":"é 🍔 �"}}"#;
    for (bytes, wanted) in [
        // A half alone, at the start, between others and at the end.
        (&b"\xed\xa0\xbc"[..], "\u{fffd}"),
        (b"\xed\xbd\x94", "\u{fffd}"),
        (b"a\xed\xbd\x94\xed\xa0\xbcb", "a\u{fffd}\u{fffd}b"),
        (b"\xed\xa0\xbc\xed\xa0\xbc\xed\xbd\x94", "\u{fffd}🍔"),
        (b"\xed\xa0\xbc\xed\xbd\x94\xed\xbd\x94", "🍔\u{fffd}"),
        (b"\xed\xa0\xbc-\xed\xbd\x94", "\u{fffd}-\u{fffd}"),
        // The first and the last pair.
        (
            b"\xed\xa0\x80\xed\xb0\x80\xed\xaf\xbf\xed\xbf\xbf",
            "\u{10000}\u{10ffff}",
        ),
        // Latin-1, also with a text of the same bytes in UTF-8.
        (b"caf\xe9", "caf\u{fffd}"),
        ("éü".as_bytes(), "éü"),
        (b"\xc3\xa9\xe9\xed\x9f\xbf", "é\u{fffd}\u{d7ff}"),
        // Characters that were cut off.
        (b"\xc3", "\u{fffd}"),
        (b"\xf0\x9f\x8d", "\u{fffd}"),
        (b"\xed\xa0", "\u{fffd}\u{fffd}"),
        // Bytes that UTF-8 never has.
        (b"\xff\xc0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
    ] {
        let wanted = [Ok(event.replace('@', wanted)), Ok(other.to_owned())];
        let array = format!("[{event},{other}]");
        for sent in encodings(&with(&array, bytes)) {
            assert_eq!(
                decoded(Endpoint::Track, &sent),
                wanted,
                "{bytes:?} {sent:?}"
            );
        }
        let lines = format!("{event}\n{other}\n");
        let sent = (String::new(), NDJSON, with(&lines, bytes));
        assert_eq!(decoded(Endpoint::Track, &sent), wanted, "{bytes:?}");
    }
}

#[test]
fn in_8_an_update_whose_id_has_lost_bytes_is_refused_alone() {
    for (endpoint, bad, field) in [
        (
            Endpoint::Engage,
            r#"{"$token":"TOK","$set":{"a":1},"$distinct_id":"U@"}"#,
            "$distinct_id",
        ),
        (
            Endpoint::Groups,
            r#"{"$token":"TOK","$group_key":"c","$group_id":"@"}"#,
            "$group_id",
        ),
        (
            Endpoint::Groups,
            r#"{"$token":"TOK","$group_key":"@","$group_id":"c"}"#,
            "$group_key",
        ),
    ] {
        let good = if endpoint == Endpoint::Engage {
            r#"{"$token":"TOK","$distinct_id":"�","$set":{"a":"é"}}"#
        } else {
            r#"{"$token":"TOK","$group_key":"é","$group_id":"�"}"#
        };
        for bytes in [&b"\xed\xa0\xbc"[..], b"\xed\xbd\x94x", b"\xe9", b"\xf0\x9f"] {
            for sent in encodings(&with(&format!("[{good},{bad},{good}]"), bytes)) {
                let found = decoded(endpoint, &sent);
                let fault = found[1].clone().unwrap_err();
                assert!(
                    fault.starts_with(&format!("{field}: ")) && fault.contains("utf8"),
                    "{fault}"
                );
                for index in [0, 2] {
                    assert_eq!(found[index].as_deref(), Ok(good));
                }
            }
        }
    }
}

/// An event for `/import`.
fn imported(name: &str, insert_id: &str, rest: &str) -> String {
    format!(
        r#"{{"event":"{name}","properties":{{"distinct_id":"u1","time":1600000000,"$insert_id":"{insert_id}"{rest}}}}}"#
    )
}

#[test]
fn in_7_an_imported_record_fails_alone_and_its_property_is_named() {
    let good = imported("A", "a", r#","title":"é 🍔 �""#);
    for bytes in [
        &b"\xe9"[..],
        b"caf\xc3",
        b"\xed\xa0\xbc",
        b"\xff\xfe",
        BURGER,
    ] {
        for (bad, field) in [
            (
                imported("A", "b", r#","utm_source":"x@""#),
                "properties.utm_source",
            ),
            (imported("A", "b", r#","a":"é","k@":1"#), "properties.k"),
            (
                imported("A", "b", r#","a":1,"list":[{"x":"@"}]"#),
                "properties.list",
            ),
            (imported("A@", "b", ""), "event"),
            (imported("A", "@", ""), "properties.$insert_id"),
            (
                r#"{"event":"$merge","properties":{"$distinct_ids":["a@","b"]}}"#.to_owned(),
                "properties.$distinct_ids",
            ),
            (
                r#"{"x@":1,"event":"$merge","properties":{}}"#.to_owned(),
                "x",
            ),
        ] {
            let array = with(&format!("[{good},{bad},{good},{bad},{good}]"), bytes);
            let lines = with(&format!("{good}\r\n{bad}\r\n{good}\n{bad}\n{good}"), bytes);
            let mut all = encodings(&array);
            all.push((String::new(), NDJSON, gzip(&lines)));
            all.push((String::new(), NDJSON, lines));
            for sent in all {
                let found = decoded(Endpoint::Import, &sent);
                let message = "is invalid: string should be valid utf8";
                for (index, record) in found.iter().enumerate() {
                    match record {
                        Ok(text) => assert!(index % 2 == 0 && *text == good, "{sent:?}"),
                        Err(fault) => assert!(
                            index % 2 == 1 && fault.starts_with(field) && fault.ends_with(message),
                            "{fault} {field}"
                        ),
                    }
                }
                assert_eq!(found.len(), 5);
            }
        }
    }
}

#[test]
fn in_7_the_first_property_that_is_not_utf_8_is_named() {
    let rest = r#","$insert_id":"i1","time":1600000000,"distinct_id":"U","b":"@","c":"@""#;
    let json = format!(r#"[{{"event":"A","properties":{{"a":1{rest}}}}}]"#);
    let sent = (String::new(), JSON, with(&json, b"\xe9"));
    assert_eq!(
        decoded(Endpoint::Import, &sent),
        [Err(
            "properties.b: 'properties.b' is invalid: string should be valid utf8".to_owned()
        )]
    );
}

/// The error of an event whose `$user_id` is not an ID, as the rules give it (ID-3).
fn not_an_id(event: &Event<'_>) -> Result<(), InvalidEvent> {
    assert_eq!(event.name, "A");
    let Value::NotAnId(json) = event.user_id else {
        return Ok(());
    };
    let json = json.to_owned();
    let reason = InvalidEventReason::NotAnId { json };
    Err(InvalidEvent::new(IdProperty::UserId, reason))
}

#[test]
fn id_3_an_id_that_is_read_and_is_not_utf_8_is_refused() {
    let check = |properties: &str| {
        let json = format!(r#"{{"event":"A","properties":{{{properties}}}}}"#);
        let sent = with(&json, b"\xe9");
        let message = head(Endpoint::Track, "", JSON).decode(&sent[..], LIMITS);
        let message = message.unwrap();
        let events = message.events(LIMITS).unwrap();
        let event = events[0].as_ref().unwrap();
        event.check_ids(not_an_id)
    };
    assert_eq!(
        check(r#""$user_id":"@","$device_id":"D""#),
        Err(Fault::NotUtf8 {
            field: "properties.$user_id".to_owned()
        })
    );
    assert_eq!(check(r#""$user_id":"U","$device_id":"D","k":"@""#), Ok(()));
    // The rules do not read the alias of this event, and another error is reported by the project.
    assert_eq!(check(r#""$user_id":"U","alias":"@""#), Ok(()));
    assert_eq!(check(r#""$user_id":[],"alias":"@""#), Ok(()));
}

#[test]
fn in_7_bytes_outside_of_a_string_are_not_json() {
    let good = imported("A", "a", "");
    let lines = [
        good.as_bytes(),
        b"\n\xff",
        good.as_bytes(),
        b"\n",
        good.as_bytes(),
        b"\n{\"event\":\"caf\xc3",
    ];
    let sent = (String::new(), NDJSON, lines.concat());
    let found = decoded(Endpoint::Import, &sent);
    let is_taken: Vec<_> = found.iter().map(Result::is_ok).collect();
    assert_eq!(is_taken, [true, false, true, false]);
    for endpoint in [Endpoint::Track, Endpoint::Import] {
        let body = [b"[", good.as_bytes(), b"]\xff"].concat();
        let message = head(endpoint, "", JSON).decode(body, LIMITS).unwrap();
        let problem = message.events(LIMITS).unwrap_err();
        assert!(matches!(problem, Problem::NotJson { .. }), "{problem}");
    }
}

#[test]
fn in_8_replacement_characters_count_against_the_size_of_a_body() {
    let limits = Limits {
        max_body_bytes: 1_000,
        ..Limits::DOCUMENTED
    };
    let body = |bytes: usize| [b"[\"", &*vec![0xff; bytes], b"\"]"].concat();
    let decode = |bytes| {
        head(Endpoint::Track, "", JSON)
            .decode(body(bytes), &limits)
            .err()
    };
    assert_eq!(decode(332), None);
    assert_eq!(
        decode(333),
        Some(Problem::TooLarge {
            max_body_bytes: 1_000
        })
    );
}

#[test]
fn a_body_in_utf_8_is_not_copied() {
    let body = format!("[{}]", TRACKED.replace('@', "🍔"));
    let message = head(Endpoint::Track, "", JSON)
        .decode(body.as_bytes(), LIMITS)
        .unwrap();
    let events = message.events(LIMITS).unwrap();
    assert_eq!(
        events[0].as_ref().unwrap().text.as_ptr(),
        body[1..].as_ptr()
    );
}

const UNESCAPED: &str = r#"{"event":"A & B","properties":{"token":"TOK","url":"/?a=1&verbose=1&api_key=x+y%20z","off":"50%"}}"#;

#[test]
fn in_9_unescaped_json_in_a_form_is_taken_as_it_is() {
    for (before, json, after) in [
        ("", UNESCAPED.to_owned(), ""),
        ("", format!("[{UNESCAPED},{UNESCAPED}]"), "\r\n"),
        ("", format!(" [{UNESCAPED}]"), " "),
        ("ip=1&img=0&", UNESCAPED.to_owned(), ""),
    ] {
        let body = format!("{before}data={json}{after}");
        for body in [body.clone().into_bytes(), gzip(body.as_bytes())] {
            for content_type in [FORM, "text/plain", ""] {
                let sent = (String::new(), content_type, body.clone());
                let found = decoded(Endpoint::Track, &sent);
                assert!(!found.is_empty());
                assert!(
                    found.iter().all(|text| text.as_deref() == Ok(UNESCAPED)),
                    "{found:?}"
                );
                let head = head(Endpoint::Track, "", content_type);
                let message = head.decode(&body[..], LIMITS).unwrap();
                // Text in the JSON that looks like a parameter is not one.
                assert_eq!(message.dialect, Dialect::Plain);
                assert_eq!(message.credentials, idmerge_wire::Credentials::None);
            }
        }
    }
    let head = head(Endpoint::Track, "", FORM);
    let body = format!("verbose=1&data={UNESCAPED}");
    let message = head.decode(body.as_bytes(), LIMITS).unwrap();
    assert_eq!(message.dialect, Dialect::Verbose);
}

#[test]
fn in_9_holds_at_each_endpoint() {
    for (endpoint, json) in [
        (
            Endpoint::Import,
            imported("A", "a", r#","url":"/?a=1&b=%20+""#),
        ),
        (Endpoint::Engage, ENGAGED.replace('@', "&x=%40+")),
        (Endpoint::Groups, GROUPED.replace('@', "&x=%40+")),
    ] {
        let sent = (String::new(), FORM, format!("data=[{json}]").into_bytes());
        assert_eq!(decoded(endpoint, &sent), [Ok(json)]);
    }
    // It may also not be UTF-8.
    let json = TRACKED.replace("A @ B", "A & @");
    let sent = (
        String::new(),
        FORM,
        [b"data=", &*with(&json, BURGER)].concat(),
    );
    assert_eq!(
        decoded(Endpoint::Track, &sent),
        [Ok(json.replace('@', "🍔"))]
    );
}

#[test]
fn in_9_only_json_to_the_end_of_the_body_is_unescaped() {
    let text = r#"{"event":"A","properties":{"token":"TOK","a":"x y"}}"#;
    for body in [
        format!("data={}&verbose=1", text.replace("x y", "x+y")),
        format!("data={}&verbose=1", text.replace("x y", "x%20y")),
        format!("data={}%20", text.replace("x y", "x+y")),
        format!("data={}&", text.replace("x y", "x+y")),
        format!("data={}", escaped(text.as_bytes())),
        format!(
            "data={}",
            text.replace("{\"event", "%7B%22event")
                .replace("x y", "x+y")
        ),
    ] {
        let sent = (String::new(), FORM, body.into_bytes());
        assert_eq!(
            decoded(Endpoint::Track, &sent),
            [Ok(text.to_owned())],
            "{sent:?}"
        );
    }
    // The query of an address is always escaped.
    let sent = (
        format!("data={}", text.replace("x y", "x+y")),
        "",
        Vec::new(),
    );
    assert_eq!(decoded(Endpoint::Track, &sent), [Ok(text.to_owned())]);
}
