//! Rule IN-5 and law 10: what was written is read as it was before, and written again the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use idmerge_core::{
    Claim, DistinctId, Id, IdRules, IdentityResolver, IdentityResolverExt, Outcome, Resolve,
};
use idmerge_events::{Failure, JsonEvent, Outline, Resolved};
use idmerge_original::Original;
use idmerge_simplified::Simplified;
use proptest::prelude::*;

const UUID: &str = "a1a1a1a1-0000-4000-8000-000000000001";

fn engines() -> [Box<dyn IdentityResolver>; 2] {
    [
        Box::new(Simplified::default()),
        Box::new(Original::default()),
    ]
}

/// The own distinct_id of an event, in Simplified and in Original.
fn own(line: &str) -> [String; 2] {
    let event = JsonEvent::parse_text(line).unwrap();
    engines().map(|engine| match engine.read(&event.event()) {
        Ok(reading) => reading
            .distinct_id
            .map_or(String::new(), |id| id.to_string()),
        Err(error) => error.rule().to_owned(),
    })
}

fn event(properties: &str) -> String {
    format!(r#"{{"event":"A","properties":{{{properties}}}}}"#)
}

#[test]
fn in_5_the_id_before_identity_is_read_as_the_distinct_id() {
    let exported = event(r#""distinct_id":"U1","$distinct_id_before_identity":"$device:D1""#);
    assert_eq!(own(&exported), ["$device:D1", "D1"]);
    // In any order, and a number, as in a `distinct_id`.
    let number = event(r#""$distinct_id_before_identity":42,"distinct_id":"U1""#);
    assert_eq!(own(&number), ["42", "42"]);
    let escaped = event(r#""$distinct\u005fid_before_identity":"D\u0031","distinct_id":"U1""#);
    assert_eq!(own(&escaped), ["D1", "D1"]);
    // An event may have an invalid `distinct_id`, or none.
    let alone = event(r#""$distinct_id_before_identity":"D1""#);
    assert_eq!(own(&alone), ["D1", "D1"]);
    let beside = event(r#""distinct_id":[],"$distinct_id_before_identity":"D1""#);
    assert_eq!(own(&beside), ["D1", "D1"]);
    // In Simplified, other IDs take precedence over both; in Original, both over other IDs.
    let reserved =
        event(r#""$user_id":"U2","distinct_id":"U1","$distinct_id_before_identity":"D1""#);
    assert_eq!(own(&reserved), ["U2", "D1"]);
}

#[test]
fn in_5_an_invalid_id_before_identity_is_passed_over() {
    let long = format!("\"{}\"", "x".repeat(256));
    for invalid in [
        "null",
        "\"\"",
        "1.5",
        "true",
        "[\"D1\"]",
        "{}",
        "\"null\"",
        "\"Anonymous\"",
        "\"$device:\"",
        "\"$device:undefined\"",
        r#""\ud800""#,
        &long,
    ] {
        let line = event(&format!(
            r#""distinct_id":"U1","$distinct_id_before_identity":{invalid}"#
        ));
        assert_eq!(own(&line), ["U1", "U1"], "{invalid}");
        // It does not count as present, either.
        let alone = event(&format!(r#""$distinct_id_before_identity":{invalid}"#));
        assert_eq!(own(&alone), ["", ""], "{invalid}");
    }
    // O-1 is a rule of Original alone.
    let line = event(r#""distinct_id":"U1","$distinct_id_before_identity":"$device:$device:D""#);
    assert_eq!(own(&line), ["$device:$device:D", "U1"]);
}

#[test]
fn in_5_the_settings_say_which_id_before_identity_is_valid() {
    let line = event(&format!(
        r#""distinct_id":"U1","$distinct_id_before_identity":"{}""#,
        "x".repeat(256)
    ));
    let id_rules = IdRules::new(256, ["no"]);
    let simplified = Simplified::new(idmerge_simplified::Settings {
        id_rules: id_rules.clone(),
    });
    let original = Original::new(idmerge_original::Settings {
        id_rules,
        ..idmerge_original::Settings::default()
    });
    let blocked = event(r#""distinct_id":"U1","$distinct_id_before_identity":"no""#);
    for engine in [&simplified as &dyn IdentityResolver, &original] {
        for (line, own) in [(&line, "x".repeat(256)), (&blocked, "U1".to_owned())] {
            let event = JsonEvent::parse_text(line).unwrap();
            let reading = engine.read(&event.event()).unwrap();
            assert_eq!(reading.distinct_id.unwrap().to_string(), own);
        }
    }
}

#[test]
fn ar_4_a_marked_event_makes_no_claim() {
    let claim = |engine: &dyn IdentityResolver, name: &str, mark: &str| {
        let line = format!(
            r#"{{"event":"{name}","properties":{{"distinct_id":"U1","$user_id":"U1","$device_id":"D1","$anon_id":"D1","alias":"D1","$distinct_ids":["U1","D1"]{mark}}}}}"#
        );
        let event = JsonEvent::parse_text(&line).unwrap();
        let reading = engine.read(&event.event()).unwrap();
        // It belongs to its user with and without the mark.
        assert_eq!(reading.distinct_id.unwrap(), *"U1");
        reading.claim.is_some()
    };
    for engine in engines() {
        let names = match engine.rule_book() {
            idmerge_core::RuleBook::Simplified => &["A"][..],
            _ => &["$identify", "$create_alias", "$merge"],
        };
        for name in names {
            assert!(claim(&*engine, name, ""));
            assert!(claim(&*engine, name, r#","$idmerge_unweighed":false"#));
            assert!(claim(&*engine, name, r#","$idmerge_unweighed":"true""#));
            assert!(!claim(&*engine, name, r#","$idmerge_unweighed":true"#));
            // IN-2
            let twice = r#","$idmerge_unweighed":true,"$idmerge_unweighed":null"#;
            assert!(claim(&*engine, name, twice));
        }
    }
}

/// The event with this answer: by itself, and by its outline if it has one.
fn written(line: &str, resolved: &Resolved<'_>) -> String {
    let event = JsonEvent::parse_text(line).unwrap();
    let mut out = Vec::new();
    event.write_resolved(resolved, &mut out);
    if let Some(outline) = event.outline(resolved.own) {
        let mut packed = Vec::new();
        outline.pack(&mut packed);
        let outlined = Outline::unpack(&mut &packed[..]).unwrap();
        let outlined = outlined.of_text(line).unwrap();
        assert_eq!(outlined.own(), resolved.own);
        let mut by_outline = Vec::new();
        outlined.write_resolved(resolved, &mut by_outline);
        assert_eq!(by_outline, out);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn w_6_six_properties_are_not_carried_on() {
    let id = Id::new("U1").map(DistinctId::plain).ok();
    let resolved = Resolved {
        rule_book: idmerge_core::RuleBook::Original,
        own: id,
        canonical: id,
        failure: None,
    };
    for (properties, left) in [
        (
            r#""distinct_id":"U1","$is_reshuffled":true"#,
            r#""distinct_id":"U1""#,
        ),
        (
            r#""$is_reshuffled":true,"distinct_id":"U1""#,
            r#""distinct_id":"U1""#,
        ),
        (
            r#" "$is_reshuffled" : true , "distinct_id":"U1" "#,
            r#" "distinct_id":"U1" "#,
        ),
        (
            r#""a":1, "$failure_reason":"x", "$failure_description":{"a":[1,","]}, "distinct_id":"U1", "$identity_failure_reason":null }"#,
            r#""a":1, "distinct_id":"U1" }"#,
        ),
        (
            r#""$preshuffle_distinct_id":"a\"b","\u0024failure_reason":"x","distinct_id":"U1""#,
            r#""distinct_id":"U1""#,
        ),
        // It is the event's own ID. Nothing is left, and the answer is added.
        (
            r#""$distinct_id_before_identity":"U1""#,
            r#""distinct_id":"U1""#,
        ),
        (
            r#" "$is_reshuffled":true,"$distinct_id_before_identity":"U1" "#,
            r#" "distinct_id":"U1""#,
        ),
        // IN-2: with the last one gone, another would count.
        (
            r#""$is_reshuffled":1,"distinct_id":"U1","$failure_reason":"a","$is_reshuffled":2,"b":3,"$failure_reason":"c""#,
            r#""distinct_id":"U1","b":3"#,
        ),
        // Two others of one key.
        (
            r#""distinct_id":"U2","distinct_id":"U1","$failure_reason":"a""#,
            r#""distinct_id":"U2","distinct_id":"U1""#,
        ),
    ] {
        let close = |properties: &str| event(properties.trim_end_matches('}'));
        assert_eq!(written(&close(properties), &resolved), close(left));
    }
    // What is written anew keeps its place, and an earlier one of its key goes.
    let failed = Resolved {
        failure: Some(Failure {
            reason: "errSameIDs",
            description: &"new",
        }),
        ..resolved
    };
    assert_eq!(
        written(
            &event(
                r#""$failure_reason":0,"$failure_reason":1,"$is_reshuffled":2,"distinct_id":"U1""#
            ),
            &failed
        ),
        event(r#""$failure_reason":"errSameIDs","distinct_id":"U1","$failure_description":"new""#)
    );
}

/// The engine after all events that it takes, with the answers to them.
fn resolved(mut engine: Box<dyn IdentityResolver>, lines: &[String]) -> (Vec<u8>, Vec<String>) {
    let events: Vec<_> = lines
        .iter()
        .map(|line| JsonEvent::parse_text(line).unwrap())
        .collect();
    let mut failures = Vec::new();
    for event in &events {
        let outcome = engine.apply_event(&event.event());
        failures.push(outcome.ok().map(|(_, outcome)| match outcome {
            Some(Outcome::Rejected(rejection)) => Some((rejection.code(), rejection.to_string())),
            _ => None,
        }));
    }
    let mut answers = Vec::new();
    for (event, failure) in events.iter().zip(&failures) {
        // A refused event is not written.
        let Some(failure) = failure else { continue };
        let own = engine.read(&event.event()).unwrap().distinct_id;
        let answer = Resolved {
            rule_book: engine.rule_book(),
            own,
            canonical: own.map(|id| engine.resolve(id)),
            failure: failure.as_ref().map(|(reason, description)| Failure {
                reason,
                description,
            }),
        };
        answers.push(written(event.text(), &answer));
    }
    let mut snapshot = Vec::new();
    engine.write_snapshot(&mut snapshot).unwrap();
    (snapshot, answers)
}

fn claims(engine: &dyn IdentityResolver, lines: &[String]) -> Vec<String> {
    let show = |line: &String| {
        let event = JsonEvent::parse_text(line).unwrap();
        let reading = engine.read(&event.event()).ok()?;
        let claim: Option<Claim<'_>> = reading.claim;
        Some(format!("{:?} {claim:?}", reading.distinct_id))
    };
    lines.iter().filter_map(show).collect()
}

fn any_value() -> impl Strategy<Value = String> {
    const IDS: [&str; 13] = [
        UUID,
        "b2b2b2b2-0000-4000-8000-000000000002",
        "U1",
        "U2",
        "d",
        "U\u{fc}",
        "",
        "null",
        "$device:U1",
        "$device:d",
        "$device:$device:d",
        "D\\u0031",
        "a\\\"b",
    ];
    prop_oneof![
        8 => prop::sample::select(&IDS).prop_map(|text| format!("\"{text}\"")),
        1 => Just(format!("\"$device:{UUID}\"")),
        1 => prop::sample::select(&["7", "-0", "null", "true", "1.5", "[ ]"]).prop_map(str::to_owned),
    ]
}

fn any_line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(&[
        "distinct_id",
        "distinct_id",
        "$user_id",
        "$device_id",
        "$identified_id",
        "$anon_id",
        "$anon_distinct_id",
        "alias",
        "$is_reshuffled",
        "$distinct_id_before_identity",
        "$preshuffle_distinct_id",
        "$identity_failure_reason",
        "$failure_reason",
        "\\u0024failure_reason",
        "$failure_description",
        "$idmerge_unweighed",
        "x",
    ]);
    let pair =
        (any_value(), any_value()).prop_map(|(a, b)| format!(r#""$distinct_ids":[{a},{b}]"#));
    let name = prop::sample::select(&["A", "$identify", "$create_alias", "$merge"]);
    let space = prop::sample::select(&["", "", " ", "\t\r"]);
    let properties = prop::collection::vec((key, any_value()), 0..7);
    (properties, pair, name, space).prop_map(|(properties, pair, name, space)| {
        let mut members: Vec<_> = properties
            .iter()
            .map(|(key, value)| format!("\"{key}\"{space}:{space}{value}"))
            .collect();
        if name == "$merge" {
            members.insert(members.len() / 2, pair);
        }
        let members = members.join(&format!("{space},{space}"));
        format!("{{\"event\":\"{name}\",\"properties\":{{{space}{members}{space}}}}}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Law 10: what was written makes the same claims for the same owners, and gives the same state.
    /// Written again, it is the same to the byte.
    #[test]
    fn law_10_what_was_written_is_read_as_before(lines in prop::collection::vec(any_line(), 1..12)) {
        for (first, second) in engines().into_iter().zip(engines()) {
            let name = first.rule_book();
            let read = claims(&*first, &lines);
            let (state, once) = resolved(first, &lines);
            prop_assert_eq!(claims(&*second, &once), read, "{}", name);
            let (state_again, twice) = resolved(second, &once);
            prop_assert_eq!(&twice, &once, "{}", name);
            prop_assert_eq!(state_again, state, "{}", name);
            for line in &once {
                let json: serde_json::Value = serde_json::from_str(line).unwrap();
                prop_assert!(json["properties"]["distinct_id"].is_string());
                prop_assert!(json["properties"].get("$preshuffle_distinct_id").is_none());
            }
        }
    }
}
