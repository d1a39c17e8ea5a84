//! Writing the answer onto events: rules W-1 to W-7.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use idmerge_core::{IdentityResolver, IdentityResolverExt, Outcome, Resolve};
use idmerge_events::{Failure, JsonEvent, Outline, Resolved};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use proptest::prelude::*;

/// Applies all events in turn, then writes the last one with its answer after all of them.
fn resolved(engine: &mut dyn IdentityResolver, lines: &[&str]) -> String {
    let events: Vec<_> = lines
        .iter()
        .map(|line| JsonEvent::parse(line.as_bytes()).unwrap())
        .collect();
    let (last, before) = events.split_last().unwrap();
    for event in before {
        engine.apply_event(&event.event()).unwrap();
    }
    let last_event = last.event();
    let rule_book = engine.rule_book();
    let own = engine.read(&last_event).unwrap().distinct_id;
    let (_, outcome) = engine.apply_event(&last_event).unwrap();
    let rejection = match outcome {
        Some(Outcome::Rejected(rejection)) => {
            Some((rejection.code().to_owned(), rejection.to_string()))
        }
        _ => None,
    };
    let resolved = Resolved {
        rule_book,
        own,
        canonical: own.map(|id| engine.resolve(id)),
        failure: rejection.as_ref().map(|(reason, description)| Failure {
            reason,
            description,
        }),
    };
    let mut out = Vec::new();
    last.write_resolved(&resolved, &mut out);
    let out = String::from_utf8(out).unwrap();
    if let Some(outline) = last.outline(own) {
        let last_line = lines[lines.len() - 1];
        assert_eq!(by_outline(&outline, last_line, &resolved), out);
    }
    out
}

/// Writes the event by its outline, which is packed and unpacked.
fn by_outline(outline: &Outline, line: &str, resolved: &Resolved<'_>) -> String {
    let mut packed = Vec::new();
    outline.pack(&mut packed);
    packed.push(7);
    let mut rest = &packed[..];
    let unpacked = Outline::unpack(&mut rest).unwrap();
    assert_eq!((&unpacked, rest), (outline, &[7][..]));
    assert_eq!(unpacked.text_bytes(), line.len());
    let event = unpacked.of_text(line).unwrap();
    assert_eq!(event.own(), resolved.own);
    let mut out = Vec::new();
    event.write_resolved(resolved, &mut out);
    String::from_utf8(out).unwrap()
}

fn simplified(lines: &[&str]) -> String {
    resolved(&mut Simplified::default(), lines)
}

fn original(lines: &[&str]) -> String {
    resolved(&mut Original::default(), lines)
}

const LINK: &str = r#"{"event":"A","properties":{"$device_id":"D1","$user_id":"U1"}}"#;
const IDENTIFY: &str = r#"{"event":"$identify","properties":{"$identified_id":"U1","$anon_id":"a1a1a1a1-0000-4000-8000-000000000001"}}"#;

#[test]
fn w_1_the_canonical_id_is_added_at_the_end() {
    assert_eq!(
        simplified(&[LINK]),
        r#"{"event":"A","properties":{"$device_id":"D1","$user_id":"U1","distinct_id":"U1"}}"#
    );
    assert_eq!(
        original(&[r#"{"event":"A","properties":{"$user_id":"U1"},"x":1}"#]),
        r#"{"event":"A","properties":{"$user_id":"U1","distinct_id":"U1"},"x":1}"#
    );
}

#[test]
fn w_1_the_canonical_id_replaces_another() {
    assert_eq!(
        simplified(&[r#"{"event":"A","properties":{"distinct_id":"x", "$user_id":"U1"}}"#]),
        r#"{"event":"A","properties":{"distinct_id":"U1", "$user_id":"U1"}}"#
    );
    assert_eq!(
        original(&[r#"{"event":"A","properties":{"distinct_id":"$device:D1"}}"#]),
        r#"{"event":"A","properties":{"distinct_id":"D1"}}"#
    );
}

#[test]
fn w_2_the_own_id_is_written_if_it_differs() {
    let view = r#"{"event":"V","properties":{"$device_id":"D1","distinct_id":"$device:D1"}}"#;
    assert_eq!(simplified(&[view]), view);
    assert_eq!(
        simplified(&[LINK, view]),
        r#"{"event":"V","properties":{"$device_id":"D1","distinct_id":"U1","$distinct_id_before_identity":"$device:D1","$is_reshuffled":true}}"#
    );
    let anon = r#"{"event":"V","properties":{"distinct_id":"$device:a1a1a1a1-0000-4000-8000-000000000001"}}"#;
    assert_eq!(
        original(&[IDENTIFY, anon]),
        r#"{"event":"V","properties":{"distinct_id":"U1","$distinct_id_before_identity":"a1a1a1a1-0000-4000-8000-000000000001","$is_reshuffled":true}}"#
    );
    // An earlier answer is replaced in place.
    assert_eq!(
        simplified(&[
            LINK,
            r#"{"event":"V","properties":{"$is_reshuffled":false,"$distinct_id_before_identity":7,"$device_id":"D1"}}"#
        ]),
        r#"{"event":"V","properties":{"$is_reshuffled":true,"$distinct_id_before_identity":"$device:D1","$device_id":"D1","distinct_id":"U1"}}"#
    );
}

#[test]
fn w_3_a_rejected_link_is_written_in_simplified() {
    let other = r#"{"event":"B","properties":{"$device_id":"D1","$user_id":"U2"}}"#;
    assert_eq!(
        simplified(&[LINK, other]),
        r#"{"event":"B","properties":{"$device_id":"D1","$user_id":"U2","distinct_id":"U2","$identity_failure_reason":"errAnonDistinctIdAssignedAlready"}}"#
    );
}

#[test]
fn w_4_a_rejected_identity_event_is_written_in_original() {
    let same = r#"{"event":"$merge","properties":{"$distinct_ids":["U\"1","U\"1"]}}"#;
    assert_eq!(
        original(&[same]),
        r#"{"event":"$merge","properties":{"$distinct_ids":["U\"1","U\"1"],"distinct_id":"U\"1","$failure_reason":"errSameIDs","$failure_description":"both IDs are \"U\\\"1\""}}"#
    );
}

#[test]
fn w_5_simplified_sets_the_reserved_id_that_a_distinct_id_implies() {
    for (event, filled) in [
        (
            r#"{"event":"A","properties":{"distinct_id":"$device:D1"}}"#,
            r#"{"event":"A","properties":{"distinct_id":"$device:D1","$device_id":"D1"}}"#,
        ),
        (
            r#"{"event":"$identify","properties":{"distinct_id":"U1","$user_id":null,"$device_id":""}}"#,
            r#"{"event":"$identify","properties":{"distinct_id":"U1","$user_id":"U1","$device_id":""}}"#,
        ),
        // Two prefixes, so that the next reader finds the same device.
        (
            r#"{"event":"A","properties":{"distinct_id":"$device:$device:D1"}}"#,
            r#"{"event":"A","properties":{"distinct_id":"$device:$device:D1","$device_id":"$device:$device:D1"}}"#,
        ),
        // S-0 decides, since the event has more than a distinct_id.
        (
            r#"{"event":"A","properties":{"$user_id":"$device:D1"}}"#,
            r#"{"event":"A","properties":{"$user_id":"$device:D1","distinct_id":"$device:D1"}}"#,
        ),
    ] {
        assert_eq!(simplified(&[event]), filled);
    }
    let event = r#"{"event":"A","properties":{"distinct_id":"U1"}}"#;
    assert_eq!(original(&[event]), event);
}

#[test]
fn w_6_everything_else_stays_byte_for_byte() {
    let line = "\t{ \"event\" : \"\\u0041\",\"properties\" :{\"price\":1.0e+2 ,\"\\u0024user_id\"\
        : \"U1\",\n\"a\":[1,{ }],\"distinct_id\"  :0.5, \"big\":123456789012345678901234567890 }\
        ,\"properties2\":{}}\r";
    assert_eq!(
        simplified(&[line]),
        line.replace("0.5", "\"U1\""),
        "only the value of distinct_id changes"
    );
    // The value that counts is replaced, not the one before it.
    assert_eq!(
        original(&[r#"{"event":"A","properties":{"distinct_id":"a","distinct_id":42}}"#]),
        r#"{"event":"A","properties":{"distinct_id":"a","distinct_id":"42"}}"#
    );
    // The right text stays with the escapes it has.
    let escaped = r#"{"event":"A","properties":{"distinct_id":"U\u0031"}}"#;
    assert_eq!(original(&[escaped]), escaped);
}

/// The spelling of a `distinct_id` that is right already stays, also that of a device.
#[test]
fn w_6_escapes_in_a_distinct_id_stay() {
    for line in [
        r#"{"event":"A","properties":{"$device_id":"D1","distinct_id":"$device:D\u0031"}}"#,
        r#"{"event":"A","properties":{"$user_id":"U1","distinct_id":"\u00551"}}"#,
    ] {
        assert_eq!(simplified(&[line]), line);
    }
}

/// Of a property of an earlier answer that occurs twice, the last one is replaced in its place (IN-2).
#[test]
fn in_5_an_earlier_answer_that_occurs_twice_is_written_once() {
    let linked = r#"{"event":"A","properties":{"$device_id":"D1","$user_id":"U1"}}"#;
    let line = r#"{"event":"A","properties":{"$is_reshuffled":1,"$device_id":"D1","$is_reshuffled":2,"x":3}}"#;
    assert_eq!(
        simplified(&[linked, line]),
        r#"{"event":"A","properties":{"$device_id":"D1","$is_reshuffled":true,"x":3,"distinct_id":"U1","$distinct_id_before_identity":"$device:D1"}}"#
    );
}

#[test]
fn w_7_an_event_of_no_user_gets_an_empty_distinct_id() {
    for (event, written) in [
        (
            r#"{"event":"A","properties":{}}"#,
            r#"{"event":"A","properties":{"distinct_id":""}}"#,
        ),
        (
            r#"{"event":"A","properties":{ "distinct_id" : null }}"#,
            r#"{"event":"A","properties":{ "distinct_id" : "" }}"#,
        ),
        (
            r#"{"event":"A","properties":{"distinct_id":""}}"#,
            r#"{"event":"A","properties":{"distinct_id":""}}"#,
        ),
    ] {
        assert_eq!(simplified(&[event]), written);
        assert_eq!(original(&[event]), written);
    }
}

#[test]
fn a_failure_is_shown_with_its_code_and_its_description() {
    let failure = Failure {
        reason: "errSameIDs",
        description: &"both IDs are \"U\"",
    };
    assert_eq!(format!("{failure:?}"), r#"errSameIDs: both IDs are "U""#);
}

/// The keys that an answer sets.
const WRITTEN: [&str; 8] = [
    "distinct_id",
    "$distinct_id_before_identity",
    "$is_reshuffled",
    "$identity_failure_reason",
    "$failure_reason",
    "$failure_description",
    "$user_id",
    "$device_id",
];

proptest! {
    /// The written event is JSON, has the answer, and loses nothing.
    #[test]
    fn w_6_any_event_keeps_its_other_properties(
        ids in prop::collection::vec(
            (
                prop::sample::select(&["distinct_id", "$user_id", "$device_id", "$is_reshuffled", "x"]),
                "\"[a-c\\\\\"\n]{0,2}\"|null|7|\\[ \\]",
            ),
            0..6,
        ),
        space in "[ \t]{0,2}",
    ) {
        let properties: Vec<String> = ids.iter().map(|(key, value)| {
            let value = match value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
                Some(text) => serde_json::to_string(text).unwrap(),
                None => value.clone(),
            };
            format!("\"{key}\"{space}:{space}{value}{space}")
        }).collect();
        let line = format!("{{\"properties\":{{{space}{}}},\"event\":\"A\"}}", properties.join(","));
        let event = JsonEvent::parse(line.as_bytes()).unwrap();
        let mut engine = Simplified::default();
        prop_assume!(engine.apply_event(&event.event()).is_ok());
        let out = simplified(&[LINK, &line]);

        let before: serde_json::Value = serde_json::from_str(&line).unwrap();
        let after: serde_json::Value = serde_json::from_str(&out).unwrap();
        let own = engine.read(&event.event()).unwrap().distinct_id;
        prop_assert_eq!(
            after["properties"]["distinct_id"].as_str().unwrap(),
            own.map_or(String::new(), |id| engine.resolve(id).to_string())
        );
        for (key, value) in before["properties"].as_object().unwrap() {
            if !WRITTEN.contains(&key.as_str()) {
                prop_assert_eq!(&after["properties"][key], value);
            }
        }
        // A second answer changes nothing, since the first one is there.
        prop_assert_eq!(simplified(&[LINK, &out]), out);
    }
}
