//! An object that has the records in an array, as the body of a request has them (IN-6).

use idmerge_events::visit_members;

/// The key of the array, and its text as far as it is known. `None` if the text does not begin with
/// such an object.
pub(super) fn array_of_records(object: &str) -> Option<(String, &str)> {
    let mut end = 1;
    let mut is_event = false;
    let mut found = None;
    visit_members(object, |key, value| {
        let value = value.as_str();
        let start = value.as_ptr() as usize - object.as_ptr() as usize;
        end = start + value.len();
        is_event |= key == b"event";
        if found.is_none() && has_objects(value) {
            found = Some((String::from_utf8_lossy(key).into_owned(), value));
        }
    });
    // The bytes that were read may end within the array.
    let found = found.or_else(|| unfinished_array(object.get(end..)?));
    found.filter(|_| !is_event)
}

/// The member that a text ends with, if it is such an array.
fn unfinished_array(rest: &str) -> Option<(String, &str)> {
    let rest = rest.trim_start();
    let rest = rest.strip_prefix(',').unwrap_or(rest);
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    let key = values.next()?.ok()?;
    let value = rest[values.byte_offset()..]
        .trim_start()
        .strip_prefix(':')?;
    has_objects(value.trim_start()).then_some((key, value))
}

fn has_objects(value: &str) -> bool {
    let elements = value.strip_prefix('[');
    elements.is_some_and(|elements| elements.trim_start().starts_with('{'))
}

/// The filter of jq that takes the records out.
pub(super) fn jq_filter(key: &str) -> String {
    let is_word = |key: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        key.bytes().next().is_some_and(is_letter)
            && key
                .bytes()
                .all(|byte| is_letter(byte) || byte.is_ascii_digit())
    };
    match is_word(key) {
        true => format!(".{key}[]"),
        false => format!(".[{}][]", serde_json::Value::from(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_6_an_array_of_records_in_an_object_is_found_also_if_it_is_cut_off() {
        for (text, key) in [
            (r#"{"batch":[{"event":"A"}]}"#, Some("batch")),
            (r#"{ "a": 1, "d\u0061ta" : [ {"x":1}, {"#, Some("data")),
            (
                r#"{"batch":[{"event":"A"}],"sentAt":"x"} {"a"#,
                Some("batch"),
            ),
            (r#"{"a":1,"batch":[{"event":"A"}"#, Some("batch")),
            (r#"{"event":"A","properties":{},"items":[{"a":1}]}"#, None),
            (r#"{"batch":[1,2]}"#, None),
            (r#"{"batch":[]}"#, None),
            (r#"{"batch"#, None),
            ("{", None),
            ("{}", None),
            ("x", None),
        ] {
            let found = array_of_records(text).map(|(key, _)| key);
            assert_eq!(found.as_deref(), key, "{text}");
        }
        assert_eq!(jq_filter("batch"), ".batch[]");
        assert_eq!(jq_filter("a b"), ".[\"a b\"][]");
    }
}
