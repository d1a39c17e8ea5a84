//! The values of each type as JSON.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, LargeStringArray, NullArray,
    StringArray, StringViewArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampSecondArray, UInt64Array,
};

use crate::files::{column, records};

fn value(array: ArrayRef) -> String {
    let line = records(vec![("v", array)]);
    let line = line
        .strip_suffix("}\n")
        .and_then(|line| line.strip_prefix('{'))
        .unwrap()
        .to_owned();
    line.strip_prefix("\"v\":").unwrap_or(&line).to_owned()
}

#[test]
fn id_3_texts_and_integers_are_exact_whatever_their_type() {
    let odd = "$device:\u{1f600}Aa";
    let dictionary: DictionaryArray<Int32Type> = [odd].into_iter().collect();
    let arrays = [
        column(StringArray::from(vec![odd])),
        column(LargeStringArray::from(vec![odd])),
        column(StringViewArray::from(vec![odd])),
        column(dictionary),
        column(BinaryArray::from(vec![odd.as_bytes()])),
    ];
    for array in arrays {
        assert_eq!(value(array), format!("\"{odd}\""));
    }
    assert_eq!(
        value(column(UInt64Array::from(vec![u64::MAX]))),
        "18446744073709551615"
    );
    assert_eq!(value(column(Int8Array::from(vec![-128]))), "-128");
    let digits = Decimal128Array::from(vec![12_345_678_901_234_567_890_i128]);
    let digits = |precision, scale| {
        digits
            .clone()
            .with_precision_and_scale(precision, scale)
            .unwrap()
    };
    assert_eq!(value(column(digits(38, 0))), "12345678901234567890");
    assert_eq!(value(column(digits(38, 2))), "123456789012345678.90");
    let uuid = FixedSizeBinaryArray::try_from_iter([[0x0a_u8; 16]].into_iter()).unwrap();
    assert_eq!(
        value(column(uuid)),
        "\"0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a\""
    );
}

#[test]
fn other_values_are_as_json_has_them() {
    assert_eq!(value(column(BooleanArray::from(vec![true]))), "true");
    // Never an integer, which could be an ID.
    assert_eq!(value(column(Float64Array::from(vec![5.0]))), "5.0");
    assert_eq!(value(column(Float32Array::from(vec![0.1]))), "0.1");
    assert_eq!(value(column(Float64Array::from(vec![f64::NAN]))), "");
    assert_eq!(value(column(NullArray::new(1))), "");
    assert_eq!(
        value(column(Date32Array::from(vec![19_844]))),
        "\"2024-05-01\""
    );
    assert_eq!(
        value(column(Time64MicrosecondArray::from(vec![3_723_000_004]))),
        "\"01:02:03.000004\""
    );
    let zoned = TimestampMicrosecondArray::from(vec![1]).with_timezone("Europe/Berlin");
    assert_eq!(value(column(zoned)), "\"1970-01-01T00:00:00.000001Z\"");
    // Parquet has no unit of seconds: they are written as integers.
    let seconds = TimestampSecondArray::from(vec![1_714_521_600]);
    assert_eq!(value(column(seconds)), "1714521600");
    let beyond = TimestampMicrosecondArray::from(vec![i64::MAX]);
    assert_eq!(value(column(beyond)), i64::MAX.to_string());
}

#[test]
fn in_7_bytes_that_are_not_text_are_not_made_text() {
    use std::io::Read;

    let file = crate::files::file(vec![(
        "v",
        column(BinaryArray::from(vec![&b"a\xff\"\n"[..]])),
    )]);
    let mut line = Vec::new();
    let shape = idmerge_tables::Shape::Records(Vec::new());
    let mut rows = idmerge_tables::Rows::new(std::io::Cursor::new(file), &shape).unwrap();
    rows.read_to_end(&mut line).unwrap();
    // The reader of lines refuses this one, and no other.
    assert_eq!(line, b"{\"v\":\"a\xff??\"}\n");
}

#[test]
fn rows_come_in_order_through_all_row_groups() {
    let numbers: Vec<_> = (0..50_000_u64).collect();
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_max_row_group_row_count(Some(7_001))
        .build();
    let array: ArrayRef = Arc::new(UInt64Array::from(numbers.clone()));
    let file = crate::files::file_with(vec![("v", array)], properties);
    let lines = crate::files::lines(file, &idmerge_tables::Shape::Records(Vec::new())).unwrap();
    let wanted: String = numbers
        .iter()
        .map(|number| format!("{{\"v\":{number}}}\n"))
        .collect();
    assert!(lines == wanted);
}
