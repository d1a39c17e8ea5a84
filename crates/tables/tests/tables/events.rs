//! Rows as events: nested properties, flat columns, and both.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder};
use arrow_array::{
    Int64Array, StringArray, StructArray, TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field};

use crate::files::{column, events, records};

fn texts(values: &[Option<&str>]) -> arrow_array::ArrayRef {
    column(StringArray::from(values.to_vec()))
}

#[test]
fn columns_are_properties_and_null_is_left_out() {
    let columns = vec![
        ("event", texts(&[Some("A"), None])),
        ("$user_id", texts(&[None, Some("u\"1\n")])),
        (
            "n",
            column(Int64Array::from(vec![9_007_199_254_740_993, -1])),
        ),
    ];
    assert_eq!(
        events(columns),
        "{\"event\":\"A\",\"properties\":{\"n\":9007199254740993}}\n\
         {\"properties\":{\"$user_id\":\"u\\\"1\\n\",\"n\":-1}}\n"
    );
}

#[test]
fn properties_are_a_struct_a_map_or_json_and_a_column_comes_after_them() {
    let plan: Arc<Field> = Field::new("plan", DataType::Utf8, true).into();
    let nested = StructArray::from(vec![(plan, texts(&[Some("x"), None]))]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("plan");
    map.values().append_value("x");
    map.keys().append_value("none");
    map.values().append_null();
    map.append(true).unwrap();
    map.append(true).unwrap();
    let json = texts(&[Some(" {\n\"plan\" : \"x\" }\n"), Some("{ }")]);
    let shapes = [
        (column(nested), "\"plan\":\"x\""),
        (column(map.finish()), "\"plan\":\"x\""),
        (json, " \"plan\" : \"x\" "),
    ];
    for (properties, plan) in shapes {
        let columns = vec![
            ("distinct_id", texts(&[Some("u"), Some("v")])),
            ("properties", properties),
            ("event", texts(&[Some("A"), Some("B")])),
        ];
        assert_eq!(
            events(columns),
            format!(
                "{{\"event\":\"A\",\"properties\":{{{plan},\"distinct_id\":\"u\"}}}}\n\
                 {{\"event\":\"B\",\"properties\":{{\"distinct_id\":\"v\"}}}}\n"
            )
        );
    }
}

#[test]
fn in_1_text_that_is_not_one_object_cannot_become_another_event() {
    let texts_of_rows = [
        r#"{"a":1},"event":"B""#,
        r#"{"a":1}}{"event":"B","properties":{}"#,
        "[1]",
        "{",
        "text",
    ];
    for text in texts_of_rows {
        let columns = vec![
            ("event", texts(&[Some("A")])),
            ("distinct_id", texts(&[Some("u")])),
            ("properties", texts(&[Some(text)])),
        ];
        let line = events(columns);
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["event"], "A", "{line}");
        // The reader of events refuses the row.
        assert_eq!(event["properties"], text, "{line}");
    }
}

#[test]
fn a_list_of_ids_can_be_text() {
    let mut list = ListBuilder::new(StringBuilder::new());
    list.values().append_value("a");
    list.values().append_value("b");
    list.append(true);
    for ids in [column(list.finish()), texts(&[Some("[\"a\",\"b\"]")])] {
        let columns = vec![("event", texts(&[Some("$merge")])), ("$distinct_ids", ids)];
        let line = "{\"event\":\"$merge\",\"properties\":{\"$distinct_ids\":[\"a\",\"b\"]}}\n";
        assert_eq!(events(columns), line);
    }
}

#[test]
fn the_time_of_an_event_is_in_milliseconds_and_that_of_a_record_is_text() {
    let columns = || {
        let ms = TimestampMillisecondArray::from(vec![1_714_521_600_123]).with_timezone("UTC");
        vec![
            ("event", texts(&[Some("A")])),
            ("time", column(ms)),
            (
                "at",
                column(TimestampNanosecondArray::from(vec![-1_500_000_000])),
            ),
        ]
    };
    let line = "{\"event\":\"A\",\"properties\":{\"time\":1714521600123,\"at\":\"1969-12-31T23:59:58.5\"}}\n";
    assert_eq!(events(columns()), line);
    let line = "{\"event\":\"A\",\"time\":\"2024-05-01T00:00:00.123Z\",\"at\":\"1969-12-31T23:59:58.5\"}\n";
    assert_eq!(records(columns()), line);
}
