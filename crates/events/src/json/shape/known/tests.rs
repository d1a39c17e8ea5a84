use proptest::prelude::*;
use serde_json::{Map, Value};

use super::{Found, Shapes};
use crate::json::reader::{JsonReader, ReadJson};
use crate::json::shape::ShapedReader;

/// Everything that a reader finds, in order: keys, values, pairs and containers.
fn walked<'t>(reader: &mut impl ReadJson<'t>) -> Option<Vec<String>> {
    let mut found = Vec::new();
    walk(reader, &mut found)?;
    reader.end()?;
    Some(found)
}

fn walk<'t>(reader: &mut impl ReadJson<'t>, found: &mut Vec<String>) -> Option<()> {
    if reader.is_at_object() {
        let mut count = 0;
        let whole = reader.within(|reader| {
            reader.members(|reader, key| {
                found.push(format!("key {}", key.json().as_str()));
                // By turns as a pair and as what is in it.
                count += 1;
                match count % 3 {
                    0 => found.push(format!("{:?}", reader.pair(key)?.compact())),
                    _ => walk(reader, found)?,
                }
                Some(())
            })
        })?;
        found.push(format!("object {}", whole.as_str()));
    } else if reader.is_at_array() {
        let whole = reader.within(|reader| reader.elements(|reader| walk(reader, found)))?;
        found.push(format!("array {}", whole.as_str()));
    } else {
        found.push(format!("value {}", reader.value()?.as_str()));
    }
    Some(())
}

fn scanned(text: &str) -> Option<Vec<String>> {
    walked(&mut JsonReader::new(text))
}

fn by_shape(reader: Option<ShapedReader<'_, '_>>) -> Option<Option<Vec<String>>> {
    reader.map(|mut reader| walked(&mut reader))
}

/// Scalars as records have them, and odd ones.
fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..2_000_000_000_000_000_u64).prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[a-z0-9-]{0,80}".prop_map(Value::from),
        prop::sample::select(vec![
            "\"",
            "\\",
            "\n",
            "{",
            "},\"a\":{",
            "é",
            "😀",
            "\u{0}",
            ""
        ])
        .prop_map(Value::from),
    ]
}

fn any_record() -> impl Strategy<Value = Value> {
    any_scalar().prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            2 => prop::collection::vec(("[a-zA-Z_$ é]{0,20}", inner.clone()), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

/// The record with these scalars in turn.
fn with_scalars(record: &Value, scalars: &mut impl Iterator<Item = Value>) -> Value {
    match record {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), with_scalars(value, scalars)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(elements) => elements
            .iter()
            .map(|value| with_scalars(value, scalars))
            .collect(),
        scalar => scalars.next().unwrap_or_else(|| scalar.clone()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_text_of_a_known_shape_is_read_as_a_scan_reads_it(
        record in any_record(),
        scalars in prop::collection::vec(any_scalar(), 0..30),
        is_pretty in any::<bool>(),
    ) {
        let text = |value: &Value| match is_pretty {
            true => serde_json::to_string_pretty(value).unwrap(),
            false => value.to_string(),
        };
        let first = text(&record);
        let mut shapes: Shapes = Shapes::default();
        shapes.learn(&first);
        let next = text(&with_scalars(&record, &mut scalars.into_iter()));
        for text in [&first, &next] {
            // Whatever the scalars are, the shape is known.
            let read = by_shape(shapes.read(text));
            prop_assert_eq!(read, Some(scanned(text)), "{}", text);
        }
    }

    /// Several shapes that begin alike, in any order, and texts that are cut off or damaged.
    #[test]
    fn a_text_is_of_a_known_shape_only_if_it_is_json(
        records in prop::collection::vec(any_record(), 1..5),
        texts in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..0x80_u8, 0..3), 1..30,
        ),
    ) {
        let mut shapes: Shapes = Shapes::default();
        for (which, at, byte, damage) in texts {
            // All have a beginning in common.
            let record = which.get(&records);
            let mut bytes = format!(r#"{{"a":"b","c":{record},"d":1}}"#).into_bytes();
            let at = at.index(bytes.len());
            match damage {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                _ => {}
            }
            let Ok(text) = String::from_utf8(bytes) else {
                continue;
            };
            let read = shapes.read_or_learn(&text).map(|mut reader| walked(&mut reader));
            if let Some(read) = read {
                prop_assert!(read.is_some());
                prop_assert_eq!(read, scanned(&text), "{}", text);
            }
        }
    }
}

#[test]
fn a_text_that_goes_on_like_another_shape_is_of_that_shape() {
    let mut shapes: Shapes = Shapes::default();
    let texts = [
        r#"{"a":"x","b":1}"#,
        r#"{"a":"x","b":{"c":1}}"#,
        r#"{"a":"x","b":[1,2]}"#,
        r#"{"a":"x","b":[1,2,3]}"#,
        r#"{"a":"x"}"#,
        r#"{"a":"x","c":1}"#,
        r#"{"a":{},"c":1}"#,
    ];
    for text in texts {
        assert!(shapes.read_or_learn(text).is_none(), "{text}");
    }
    for text in texts.iter().chain(texts.iter().rev()) {
        assert_eq!(by_shape(shapes.read(text)), Some(scanned(text)), "{text}");
    }
    assert!(shapes.read(r#"{"a":"x"}"#).is_some());
    for other in [
        r#"{"a":"x"}}"#,
        r#"{"a":"x"} {}"#,
        r#"{"a":"x","b":[1]}"#,
        r#"{"a":"x","d":1}"#,
        r#"{"a":"x""#,
        "",
    ] {
        assert!(shapes.read(other).is_none(), "{other}");
    }
}

#[test]
fn texts_that_are_all_different_are_not_learned_from_for_ever() {
    let mut shapes: Shapes = Shapes::default();
    for number in 0..10_000 {
        let text = format!(r#"{{"key {number}":1}}"#);
        assert!(shapes.read_or_learn(&text).is_none());
    }
    assert!(shapes.lessons < 200, "{}", shapes.lessons);
    // Few of them are even looked at.
    let texts = (0..1_600).map(|number| format!(r#"{{"another key {number}":1}}"#));
    let tried = texts.filter(|text| shapes.find(text) != Found::NotTried);
    assert_eq!(tried.count(), 100);
    // If the texts after them are of one shape, it is learned nevertheless.
    let texts = (0..10_000).map(|number| format!(r#"{{"a":{number}}}"#));
    let known = texts.filter(|text| shapes.read_or_learn(text).is_some());
    assert!(known.count() > 9_000);
}

#[test]
fn the_number_of_shapes_is_limited() {
    let mut shapes: Shapes = Shapes::default();
    let mut most = 0;
    for number in 0..400 {
        let text = format!(r#"{{"a{}":1,"b{}":2}}"#, number / 20, number % 20);
        // What was known often allows lessons.
        for _ in 0..200 {
            if let Some(mut reader) = shapes.read_or_learn(&text) {
                assert_eq!(walked(&mut reader), scanned(&text));
            }
        }
        most = most.max(shapes.shapes.len());
    }
    assert!((200..=256).contains(&most), "{most}");
}

#[test]
fn nesting_length_and_number_of_values_are_limited() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(100_000));
    let many = format!("[{}0]", "0,".repeat(3_000));
    let keys = format!(r#"{{"{}":1}}"#, "k".repeat(20_000));
    for text in [nested, long, many, keys] {
        let mut shapes: Shapes = Shapes::default();
        shapes.learn(&text);
        assert!(shapes.shapes.is_empty());
        assert!(shapes.read(&text).is_none());
    }
}

#[test]
fn a_reader_that_is_not_told_to_read_a_value_says_so() {
    let mut shapes: Shapes = Shapes::default();
    shapes.learn(r#"{"a":1,"b":2}"#);
    let mut reader = shapes.read(r#"{"a":3,"b":4}"#).unwrap();
    assert_eq!(reader.members(|_, _| Some(())), None);
}
