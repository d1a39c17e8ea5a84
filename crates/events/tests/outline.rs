//! Outlines: an outline writes the same as its event.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use idmerge_core::{DistinctId, Id, IdentityResolver, IdentityResolverExt};
use idmerge_events::{Failure, JsonEvent, Outline, Resolved};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use proptest::prelude::*;

const UUID: &str = "a1a1a1a1-0000-4000-8000-000000000001";

/// Engines in which IDs are joined, so that the canonical ID of some events is not their own.
const JOINED: &str = r#"{"event":"$identify","properties":{"$identified_id":"U1","$anon_id":"a1a1a1a1-0000-4000-8000-000000000001"}}"#;
const LINKED: &str = r#"{"event":"A","properties":{"$user_id":"U1","$device_id":"a1a1a1a1-0000-4000-8000-000000000001"}}"#;

fn engines() -> [Box<dyn IdentityResolver>; 2] {
    let mut engines: [Box<dyn IdentityResolver>; 2] = [
        Box::new(Simplified::default()),
        Box::new(Original::default()),
    ];
    for (engine, line) in engines.iter_mut().zip([LINKED, JOINED]) {
        let event = JsonEvent::parse_text(line).unwrap();
        engine.apply_event(&event.event()).unwrap();
    }
    engines
}

fn packed(outline: &Outline) -> Vec<u8> {
    let mut packed = Vec::new();
    outline.pack(&mut packed);
    packed
}

/// What the event and its outline write; `None` for the outline if there is none.
fn written(line: &str, engine: &dyn IdentityResolver, fails: bool) -> Option<[Option<Vec<u8>>; 2]> {
    let event = JsonEvent::parse_text(line).unwrap();
    let read = event.event();
    let own = engine.read(&read).ok()?.distinct_id;
    let resolved = Resolved {
        rule_book: engine.rule_book(),
        own,
        canonical: own.map(|id| engine.resolve(id)),
        failure: fails.then_some(Failure {
            reason: "errSameIDs",
            description: &"both \"\u{fc}\"",
        }),
    };
    let mut by_event = Vec::new();
    event.write_resolved(&resolved, &mut by_event);
    let by_outline = event.outline(own).map(|outline| {
        let bytes = packed(&outline);
        let unpacked = Outline::unpack(&mut &bytes[..]).unwrap();
        assert_eq!(unpacked, outline);
        let outlined = unpacked.of_text(line).unwrap();
        assert_eq!(outlined.own(), own);
        let mut by_outline = Vec::new();
        outlined.write_resolved(&resolved, &mut by_outline);
        by_outline
    });
    Some([Some(by_event), by_outline])
}

fn any_value() -> impl Strategy<Value = String> {
    let text = prop::sample::select(&[
        UUID,
        "U1",
        "U\u{fc}",
        "",
        "$device:U1",
        "$device:$device:U1",
        "7",
        "-0",
        "D\\u0031",
        "a\\n",
    ]);
    prop_oneof![
        4 => text.prop_map(|text| format!("\"{text}\"")),
        1 => Just(format!("\"$device:{UUID}\"")),
        1 => prop::sample::select(&["7", "-0", "null", "true", "1.5", "[ ]", "[\"U1\",\"U2\"]"]).prop_map(str::to_owned),
    ]
}

fn any_line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(&[
        "distinct_id",
        "$user_id",
        "$device_id",
        "$identified_id",
        "$anon_id",
        "alias",
        "$distinct_ids",
        "$is_reshuffled",
        "$distinct_id_before_identity",
        "$identity_failure_reason",
        "$failure_reason",
        "$failure_description",
        "distinct\\u005fid",
        "x",
    ]);
    let name = prop::sample::select(&["A", "$identify", "$create_alias", "$merge", "\\u0041"]);
    let space = prop::sample::select(&["", " ", "\t\r"]);
    // Some lines are longer than two bytes can say.
    let filling = prop_oneof![20 => Just(0), 1 => Just(70_000_usize)];
    (prop::collection::vec((key, any_value()), 0..6), name, space, filling).prop_map(|(properties, name, space, filling)| {
        let properties: Vec<_> = properties.iter().map(|(key, value)| format!("\"{key}\"{space}:{space}{value}")).collect();
        let filling = "x".repeat(filling);
        format!("{space}{{\"f\":\"{filling}\",\"properties\":{{{space}{}{space}}},\"event\":\"{name}\"}}{space}", properties.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_outline_writes_what_its_event_writes(line in any_line(), fails: bool) {
        for engine in engines() {
            if let Some([by_event, Some(by_outline)]) = written(&line, &*engine, fails) {
                prop_assert_eq!(String::from_utf8(by_outline), String::from_utf8(by_event.unwrap()));
            }
        }
    }

    /// Bytes that are not a packed outline give none, or one that writes something without a panic.
    #[test]
    fn unpacking_any_bytes_does_not_panic(
        line in any_line(),
        bytes in prop::collection::vec(any::<u8>(), 0..140),
        small in prop::collection::vec(0..90_u8, 0..140),
    ) {
        for bytes in [bytes, small] {
            let Some(outline) = Outline::unpack(&mut &bytes[..]) else {
                continue;
            };
            let text = line.get(..outline.text_bytes()).unwrap_or(&line);
            if let Some(event) = outline.of_text(text) {
                let own = event.own();
                let canonical = Id::new("U1").map(DistinctId::plain).ok();
                let rule_book = idmerge_core::RuleBook::Simplified;
                event.write_resolved(&Resolved { rule_book, own, canonical, failure: None }, &mut Vec::new());
            }
        }
    }
}

#[test]
fn most_events_have_an_outline_of_a_few_bytes() {
    for (line, own) in [
        (
            r#"{"event":"A","properties":{"$user_id":"U1"}}"#,
            Some("U1"),
        ),
        (r#"{"event":"A","properties":{"distinct_id":7}}"#, Some("7")),
        (
            r#"{"event":"A","properties":{"$device_id":"D","distinct_id":"$device:D"}}"#,
            Some("D"),
        ),
        (r#"{"event":"\u0041","properties":{"x":"\n"}}"#, None),
    ] {
        let own = own.and_then(|own| Id::new(own).map(DistinctId::plain).ok());
        let outline = JsonEvent::parse_text(line).unwrap().outline(own);
        assert!(packed(&outline.unwrap()).len() < 16, "{line}");
    }
    for (line, is_device) in [
        // Only an ID with escapes matters, and only a repeated property of an answer.
        (
            r#"{"event":"A","properties":{"x":"\n","$user_id":"U1"}}"#,
            false,
        ),
        (
            r#"{"event":"A","properties":{"$user_id":"U1","$is_reshuffled":true}}"#,
            false,
        ),
        (
            r#"{"event":"A","properties":{"$user_id":"U2","$user_id":"U1"}}"#,
            false,
        ),
        (
            r#"{"event":"A","properties":{"distinct_id":"$device:U1"}}"#,
            true,
        ),
    ] {
        let id = Id::new("U1").unwrap();
        let own = Some(if is_device {
            DistinctId::device(id)
        } else {
            DistinctId::plain(id)
        });
        let event = JsonEvent::parse_text(line).unwrap();
        assert!(event.outline(own).is_some(), "{line}");
    }
    // An event must be scanned again if an ID has escapes, if a property of an answer occurs twice, or if
    // its own ID is in an unusual property.
    for (line, own) in [
        (
            r#"{"event":"A","properties":{"$user_id":"U","distinct_id":"\u0055"}}"#,
            "U",
        ),
        (
            r#"{"event":"A","properties":{"$user_id":"U","$is_reshuffled":true,"$is_reshuffled":true}}"#,
            "U",
        ),
        (r#"{"event":"A","properties":{"$user_id":"\u0055"}}"#, "U"),
        (r#"{"event":"A","properties":{"distinct_id":-0}}"#, "0"),
        (
            r#"{"event":"$merge","properties":{"$distinct_ids":["a","b"]}}"#,
            "a",
        ),
    ] {
        let own = Id::new(own).map(DistinctId::plain).ok();
        assert_eq!(
            JsonEvent::parse_text(line).unwrap().outline(own),
            None,
            "{line}"
        );
    }
}

#[test]
fn an_outline_fits_one_text() {
    let line = r#"{"event":"A","properties":{"$user_id":"U1"}}"#;
    let own = Id::new("U1").map(DistinctId::plain).ok();
    let outline = JsonEvent::parse_text(line).unwrap().outline(own).unwrap();
    assert_eq!(outline.clone().of_text(line).unwrap().text(), line);
    assert!(outline.clone().of_text(&line[1..]).is_none());
    assert!(outline.clone().of_text(&line.replace('}', "]")).is_none());
    // The own ID would begin in the middle of a character.
    assert!(outline.of_text(&line.replace("\"U1", "\u{fc}1")).is_none());
}

/// Two bytes hold a length up to 65,535.
#[test]
fn the_outline_of_a_long_event_is_packed_too() {
    for bytes in [65_535, 65_536, 131_075] {
        let mut line = r#"{"event":"A","properties":{"$user_id":"U1"},"f":""#.to_owned();
        line.push_str(&"x".repeat(bytes - 2 - line.len()));
        line.push_str("\"}");
        assert_eq!(line.len(), bytes);
        let own = Id::new("U1").map(DistinctId::plain).ok();
        let outline = JsonEvent::parse_text(&line).unwrap().outline(own).unwrap();
        let packed = packed(&outline);
        let unpacked = Outline::unpack(&mut &packed[..]).unwrap();
        assert_eq!(unpacked.text_bytes(), bytes);
        assert_eq!(unpacked.of_text(&line).unwrap().own(), own);
    }
}
