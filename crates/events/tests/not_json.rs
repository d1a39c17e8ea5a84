//! What is not JSON is refused: a text with one byte more, less or changed is JSON if `serde_json` reads
//! it, and not otherwise.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use idmerge_events::{Values, visit_members, visit_pairs};

const TEXTS: [&str; 12] = [
    "true",
    "false",
    "null",
    "0",
    "-12.50e+3",
    "\"\\u00e9\\n\"",
    "\"\\u12AB and \\\"\"",
    "[]",
    "[true, false,null ,1]",
    r#"{"a":true,"b":[false,{"c":null}]}"#,
    r#"{"k\u0041\\":"v\t","n":[0,-1.5E-7]}"#,
    r#" { "long" : "a string of more than sixteen bytes \u00dc and so on" } "#,
];

const BYTES: &[u8] = b"tfnulrsea\"\\{}[],: 0189-+.eEgx\x01\x7f\t\n/b";

/// Each text that differs from this one in one byte.
fn changed(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned()];
    for at in 0..=text.len() {
        all.push(text[..at].to_owned());
        for &byte in BYTES {
            let (before, after) = text.split_at(at);
            let byte = char::from(byte);
            all.push(format!("{before}{byte}{after}"));
            if !after.is_empty() {
                all.push(format!("{before}{byte}{}", &after[1..]));
            }
        }
        if at < text.len() {
            all.push(format!("{}{}", &text[..at], &text[at + 1..]));
        }
    }
    all
}

fn is_value(text: &str) -> bool {
    let mut values = Values::in_row(text);
    matches!(values.next_value(), Ok(Some(_))) && values.is_at_end()
}

/// Whether a text is an array whose elements are values, with nothing behind it.
fn is_array(text: &str) -> bool {
    let Some(mut values) = Values::of_array(text) else {
        return false;
    };
    loop {
        match values.next_value() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fn parsed(text: &str) -> Option<serde_json::Value> {
    serde_json::from_str(text).ok()
}

#[test]
fn in_1_a_text_with_one_byte_changed_is_json_or_not() {
    let (mut valid, mut invalid) = (0, 0);
    for text in TEXTS {
        for text in changed(text) {
            let wanted = parsed(&text).is_some();
            assert_eq!(is_value(&text), wanted, "{text:?}");
            *(if wanted { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert!(valid > 5_000 && invalid > 9_000, "{valid} {invalid}");
}

#[test]
fn in_1_an_array_with_one_byte_changed_is_json_or_not() {
    for text in ["[]", "[true,0]", " [ \"a\" , [null], {} ] "] {
        for text in changed(text) {
            let wanted = parsed(&text).is_some_and(|value| value.is_array());
            assert_eq!(is_array(&text), wanted, "{text:?}");
        }
    }
}

#[test]
fn the_members_of_an_object_are_visited_if_it_is_one() {
    for text in TEXTS {
        for text in changed(text) {
            let object = parsed(&text).filter(serde_json::Value::is_object);
            let mut pairs = Vec::new();
            let visited = visit_pairs(&text, |pair| {
                let (key, value) = (pair.key().as_str(), pair.value().as_str());
                if let Some(plain) = pair.plain_key() {
                    assert_eq!(
                        parsed(key).unwrap(),
                        String::from_utf8_lossy(plain).into_owned(),
                        "{text:?}"
                    );
                }
                if let Some(compact) = pair.compact() {
                    assert_eq!(compact, format!("{key}:{value}"), "{text:?}");
                }
                pairs.push((parsed(key).unwrap(), parsed(value).unwrap()));
            });
            assert_eq!(visited.is_some(), object.is_some(), "{text:?}");
            let mut members = 0;
            let visited = visit_members(&text, |_, _| members += 1);
            assert_eq!(visited.is_some(), object.is_some(), "{text:?}");
            assert_eq!(members, pairs.len(), "{text:?}");
            // Of a key that is there twice, the last one counts (IN-2).
            let Some(object) = object else { continue };
            let last: serde_json::Map<_, _> = pairs
                .into_iter()
                .map(|(key, value)| (key.as_str().unwrap().to_owned(), value))
                .collect();
            assert_eq!(Some(&last), object.as_object(), "{text:?}");
        }
    }
}

/// The values of a text, one after another, up to the first error.
fn row(text: &str) -> (Vec<serde_json::Value>, bool) {
    let (mut values, mut row) = (Values::in_row(text), Vec::new());
    loop {
        match values.next_value() {
            Ok(Some(value)) => row.push(parsed(value.as_str()).unwrap()),
            end => return (row, end.is_ok()),
        }
    }
}

#[test]
fn in_6_values_in_a_row_end_where_serde_json_ends_them() {
    for text in [
        "1 true null",
        "\"a\"1 [2]{} -3",
        "false\n[]\n{\"a\":0}\"b\"",
    ] {
        for text in changed(text) {
            let mut wanted = (Vec::new(), true);
            for value in serde_json::Deserializer::from_str(&text).into_iter() {
                match value {
                    Ok(value) => wanted.0.push(value),
                    Err(_) => {
                        wanted.1 = false;
                        break;
                    }
                }
            }
            assert_eq!(row(&text), wanted, "{text:?}");
        }
    }
}
