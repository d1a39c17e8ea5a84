//! The properties that tell a person what an event is about.

use idmerge_events::{RawJson, visit_pairs};

/// The most characters of the name of an event.
pub(super) const MAX_NAME_CHARS: usize = 255;

/// The most bytes of the properties of an event.
const MAX_BYTES: usize = 2 << 10;

/// A longer value is left out: it tells nothing at a glance.
const MAX_VALUE_BYTES: usize = 512;

/// Of the properties that SDKs add, those that say what the event is about.
const TELLING: [&str; 6] = [
    "\"$current_url\"",
    "\"$referrer\"",
    "\"$screen_name\"",
    "\"$identified_id\"",
    "\"$anon_id\"",
    "\"$distinct_ids\"",
];

/// What senders add for the protocol.
const PROTOCOL: [&str; 4] = ["\"token\"", "\"distinct_id\"", "\"time\"", "\"ip\""];

/// A JSON object with the telling properties, as they are in the event: the sender's own first.
pub(super) fn properties(all: RawJson<'_>) -> String {
    let mut own = Vec::new();
    let mut added = Vec::new();
    // The properties of an event are an object.
    let _visited = visit_pairs(all.as_str(), |pair| {
        let (key, value) = (pair.key().as_str(), pair.value().as_str());
        if key.len() + value.len() > MAX_VALUE_BYTES || PROTOCOL.contains(&key) {
            return;
        }
        let is_added = key.starts_with("\"$") || key.starts_with("\"mp_");
        match is_added {
            false => own.push((key, value)),
            true if TELLING.contains(&key) => added.push((key, value)),
            true => {}
        }
    });
    let mut json = String::from("{");
    for (key, value) in own.into_iter().chain(added) {
        if json.len() + key.len() + value.len() + ",:}".len() > MAX_BYTES {
            continue;
        }
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(key);
        json.push(':');
        json.push_str(value);
    }
    json.push('}');
    json
}

#[cfg(test)]
mod tests {
    use idmerge_events::JsonEvent;

    use super::*;

    fn of(properties_text: &str) -> String {
        let text = format!(r#"{{"event":"A","properties":{properties_text}}}"#);
        let event = JsonEvent::parse(text.as_bytes()).unwrap();
        properties(event.properties())
    }

    #[test]
    fn the_senders_own_properties_come_first_and_those_of_the_protocol_not_at_all() {
        let sent = r#"{"token":"T","$os":"iOS","$current_url":"/a","mp_lib":"web","item":"Lamp","n":[1,{"x":null}],"time":1}"#;
        assert_eq!(
            of(sent),
            r#"{"item":"Lamp","n":[1,{"x":null}],"$current_url":"/a"}"#
        );
        assert_eq!(of("{}"), "{}");
    }

    #[test]
    fn they_have_at_most_two_kib_whatever_was_sent() {
        let many: Vec<_> = (0..10_000).map(|at| format!(r#""k{at}":"é""#)).collect();
        let many = of(&format!("{{{}}}", many.join(",")));
        assert!(many.len() <= MAX_BYTES && many.len() > MAX_BYTES - 20);
        serde_json::from_str::<serde_json::Value>(&many).unwrap();
        let long = of(&format!(
            r#"{{"long":"{}","short":1}}"#,
            "x".repeat(100_000)
        ));
        assert_eq!(long, r#"{"short":1}"#);
    }
}
