use proptest::prelude::*;

use super::*;
use crate::probe;

/// Keys that are read, and others.
const KEYS: [&str; 18] = [
    "distinct_id",
    "$user_id",
    "$device_id",
    "$distinct_ids",
    "$distinct_id_before_identity",
    "$failure_reason",
    "$idmerge_unweighed",
    "token",
    "time",
    "$idmerge_time_ms",
    "mp_processing_time_ms",
    "$insert_id",
    "$ignore",
    "$mp_metadata",
    "path",
    "",
    "p\\u0061th",
    "é",
];

const VALUES: [&str; 22] = [
    "\"U1\"",
    "\"\"",
    "\"$device:23a198e4-3344-4b56-bbdd-63374d46d88c\"",
    "\"a text of 47 bytes, which is as long as is usual\"",
    "\"a text of 48 bytes, which is longer than is usual\"",
    "\"U\\u0031\"",
    "\"\\ud800\"",
    "\"é😀\"",
    "0",
    "-0",
    "1780000000.019",
    "1e3",
    "12345678901234567890123",
    "1.",
    "01",
    "true",
    "false",
    "null",
    "nul",
    "[\"A\",\"B\"]",
    "{\"$mp_event_id\":\"E\"}",
    "\"\u{1}\"",
];

/// The keys of an event, in order, and how they are written.
#[derive(Clone, Debug)]
struct Form {
    before: Vec<&'static str>,
    properties: Vec<&'static str>,
    after: Vec<&'static str>,
    space: &'static str,
}

fn any_form() -> impl Strategy<Value = Form> {
    let outer = || {
        let keys = vec!["event", "properties", "$mp_metadata", "other"];
        prop::collection::vec(prop::sample::select(keys), 0..2)
    };
    let properties = prop::collection::vec(prop::sample::select(KEYS.to_vec()), 0..8);
    let space = prop::sample::select(vec!["", "", " ", "\t"]);
    (outer(), properties, outer(), space).prop_map(|(before, properties, after, space)| Form {
        before,
        properties,
        after,
        space,
    })
}

impl Form {
    fn text(&self, values: &mut impl Iterator<Item = &'static str>) -> String {
        let Self { space, .. } = self;
        let mut member = |key: &&str| {
            let value = values.next().unwrap_or("1");
            format!("\"{key}\":{space}{value}")
        };
        let name = match member(&"event") {
            // Most events are usable.
            odd if odd.contains('U') => odd,
            _ => "\"event\":\"View\"".to_owned(),
        };
        let before: Vec<_> = self.before.iter().map(&mut member).collect();
        let properties: Vec<_> = self.properties.iter().map(&mut member).collect();
        let after: Vec<_> = self.after.iter().map(&mut member).collect();
        let properties = format!("\"properties\":{{{}}}", properties.join(","));
        let members = [before, vec![name, properties], after].concat();
        format!("{space}{{{}}}{space}", members.join(&format!(",{space}")))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_event_of_a_stream_is_read_as_it_is_alone(
        forms in prop::collection::vec(any_form(), 1..4),
        events in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::collection::vec(prop::sample::select(VALUES.to_vec()), 0..12)),
            1..12,
        ),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..0x80_u8)),
    ) {
        let mut texts: Vec<_> = events
            .into_iter()
            .map(|(form, values)| form.get(&forms).text(&mut values.into_iter()))
            .collect();
        if let Some((text, at, byte)) = damage {
            let text = text.get_mut(&mut texts);
            let mut bytes = text.clone().into_bytes();
            *at.get_mut(&mut bytes) = byte;
            if let Ok(damaged) = String::from_utf8(bytes) {
                *text = damaged;
            }
        }
        let mut shapes = EventShapes::default();
        for text in &texts {
            let alone = JsonEvent::parse_text(text).map_err(|error| error.to_string());
            let read = shapes.parse_text(text).map_err(|error| error.to_string());
            prop_assert_eq!(read, alone, "{}", text);
            let alone = Envelope::parse_text(text).map_err(|error| error.to_string());
            let read = shapes.parse_envelope(text).map_err(|error| error.to_string());
            prop_assert_eq!(read, alone, "{}", text);
        }
    }
}

/// Whether an event is not scanned after one that differs in its values only.
fn is_known(first: &str, next: &str) -> bool {
    let mut shapes = EventShapes::default();
    shapes.parse_text(first).unwrap();
    let before = probe::of_thread();
    shapes.parse_text(next).unwrap();
    shapes.parse_envelope(next).unwrap();
    probe::of_thread() == before
}

#[test]
#[cfg(debug_assertions)]
fn an_event_of_a_known_shape_is_not_scanned() {
    let event = |id: &str, time: &str| {
        format!(
            r#"{{"event":"View","properties":{{"$device_id":{id},"time":{time},"of a name longer than thirty-two bytes":[1,{{"a":{id}}}],"distinct_id":{id}}}}}"#
        )
    };
    let first = event("\"D1\"", "1");
    for (id, time) in [
        ("\"23a198e4-3344-4b56-bbdd-63374d46d88c\"", "1780000000.019"),
        ("\"\"", "null"),
        ("7", "-1e5"),
    ] {
        assert!(is_known(&first, &event(id, time)), "{id} {time}");
    }
    // The text of the ID is not in the event.
    assert!(!is_known(&first, &event("\"\\u0044\"", "1")));
    // The metadata has an ID that an envelope needs.
    let metadata = r#"{"event":"A","properties":{"$mp_metadata":{"$mp_event_id":"E"}}}"#;
    assert!(!is_known(metadata, metadata));
}
