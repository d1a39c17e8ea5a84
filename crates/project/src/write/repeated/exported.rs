//! Whether an event is the export of another one (AR-4).

use idmerge_events::is_answer;
use serde_json::{Map, Value};

/// Properties that an export sets, besides answers (IN-5). The first four need no comparison, because their
/// content is in the fingerprint.
const SET_BY_EXPORTS: [&str; 9] = [
    "time",
    "$idmerge_time_ms",
    "$insert_id",
    "distinct_id",
    "$idmerge_unweighed",
    "$import",
    "$mp_api_endpoint",
    "$mp_api_timestamp_ms",
    "mp_processing_time_ms",
];

/// Whether `new` is `stored` as an export writes it, maybe by way of a program that has parsed it and
/// written it anew. The two have one fingerprint.
///
/// An export that is imported into its own project then consists of duplicates. If each of
/// its events took the place of the stored one, they would move to the end, and the next export would
/// have another order than that in which the claims were weighed.
pub(super) fn is_export_of(new: &str, stored: &str) -> bool {
    // Trees, unlike everywhere else: few events get here. One that nests too deeply counts as
    // different.
    let properties = |text| {
        let mut event: Value = serde_json::from_str(text).ok()?;
        match event.get_mut("properties")?.take() {
            Value::Object(properties) => Some(properties),
            _ => None,
        }
    };
    let (Some(mut new), Some(mut stored)) = (properties(new), properties(stored)) else {
        return false;
    };
    if new.get("mp_processing_time_ms").is_none_or(Value::is_null) {
        return false;
    }
    let is_absent = |value: Option<&Value>| {
        value.is_none_or(|value| value.is_null() || value.as_str() == Some(""))
    };
    // W-5: the one that `distinct_id` implies is filled in.
    let reserved = ["$user_id", "$device_id"];
    if reserved.iter().all(|key| is_absent(stored.get(*key))) {
        remove(&mut new, &reserved);
        remove(&mut stored, &reserved);
    }
    for properties in [&mut new, &mut stored] {
        remove(properties, &SET_BY_EXPORTS);
        properties.retain(|key, _| !is_answer(key.as_bytes()));
    }
    new == stored
}

fn remove(properties: &mut Map<String, Value>, keys: &[&str]) {
    for key in keys {
        properties.remove(*key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_and_its_export_are_told_from_two_events() {
        let event = |properties: &str| format!(r#"{{"event":"A","properties":{{{properties}}}}}"#);
        let stored = r#""distinct_id":"$device:D","time":1.5,"a":"\u00fc","b":[1.0, {}]"#;
        let exported = r#""time":1,"distinct_id":"U","a":"ü","b":[1.0,{}],"$distinct_id_before_identity":"$device:D","$is_reshuffled":true,"$device_id":"D","$insert_id":"i","$idmerge_time_ms":1500,"$mp_api_endpoint":"/track","mp_processing_time_ms":7"#;
        assert!(is_export_of(&event(exported), &event(stored)));
        for (from, to) in [
            (r#""a":"ü""#, r#""a":"u""#),
            (r#""b":[1.0,{}],"#, ""),
            (r#""time":1,"#, r#""time":1,"c":null,"#),
            // It does not come from an export.
            (r#","mp_processing_time_ms":7"#, ""),
            (
                r#""mp_processing_time_ms":7"#,
                r#""mp_processing_time_ms":null"#,
            ),
        ] {
            let other = exported.replace(from, to);
            assert_ne!(other, exported);
            assert!(!is_export_of(&event(&other), &event(stored)), "{other}");
        }
        // Nothing is filled in if the event has a reserved ID.
        let with_user = format!(r#"{stored},"$user_id":"U""#);
        assert!(!is_export_of(&event(exported), &event(&with_user)));
        let exported = exported.replace(r#""$device_id":"D""#, r#""$user_id":"U""#);
        assert!(is_export_of(&event(&exported), &event(&with_user)));
        assert!(!is_export_of(r#"{"event":"A"}"#, &event(stored)));
    }
}
