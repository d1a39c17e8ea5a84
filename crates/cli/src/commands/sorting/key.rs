//! What a record is sorted by.

use idmerge_adapters::time_of_text;
use idmerge_events::{RawJson, visit_pairs};

/// What a record is sorted by: numbers come first, then times, then other text. Keys are compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

/// Why a record has no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable<'f> {
    /// It is no JSON object.
    Record,
    /// It does not have this field.
    Missing(&'f str),
    /// This field is `true`, `false`, an object or an array.
    Value(&'f str, String),
}

const NUMBER: u8 = 1;
const TIME: u8 = 2;
const TEXT: u8 = 3;

impl Key {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key of a record: that of its first field, and of those with equal first fields that of the second one, and
    /// so on. A field is a member of the record, or of its `properties`, or a path of members with dots between
    /// them.
    pub(super) fn of_record<'f>(record: &str, fields: &'f [String]) -> Result<Self, Unusable<'f>> {
        let mut all = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            let key = Self::of_field(record, field)?;
            match index + 1 == fields.len() {
                true => all.extend(key),
                false => push_ended(&key, &mut all),
            }
        }
        Ok(Self(all))
    }

    fn of_field<'f>(record: &str, field: &'f str) -> Result<Vec<u8>, Unusable<'f>> {
        let (own, properties, first) = members(record, field).ok_or(Unusable::Record)?;
        let value = match (own, properties, first) {
            (Some(value), ..) => Some(value),
            (None, properties, first) => first
                .and_then(|first| at_path(first, field.split_once('.')?.1))
                .or_else(|| at_path(properties?, field)),
        };
        let value = value.filter(|value| !matches!(value.as_str(), "null" | "\"\""));
        let value = value.ok_or(Unusable::Missing(field))?;
        match value.string_or_number() {
            Some(text) => Ok(Self::of_text(&text)),
            None => Err(Unusable::Value(field, value.as_str().to_owned())),
        }
    }

    fn of_text(text: &str) -> Vec<u8> {
        let mut key = Vec::new();
        if let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite()) {
            key.push(NUMBER);
            key.extend_from_slice(&ordered(number).to_be_bytes());
            // Integers are longer than a double is exact.
            if let Ok(integer) = text.parse::<i128>() {
                key.extend_from_slice(&(integer.cast_unsigned() ^ 1 << 127).to_be_bytes());
            }
        } else if let Some(ms) = time_of_text(text) {
            key.push(TIME);
            key.extend_from_slice(&(ms.cast_unsigned() ^ 1 << 63).to_be_bytes());
            let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
            let digits = fraction.bytes().take_while(u8::is_ascii_digit);
            let below_ms = digits.skip(3).chain(std::iter::repeat(b'0'));
            key.extend(below_ms.take(6));
        } else {
            key.push(TEXT);
            key.extend_from_slice(text.as_bytes());
        }
        key
    }
}

/// Adds a key that another one follows. It ends with two zeros, which it has nowhere else: so a key that another one
/// begins with is the smaller one, whatever follows.
fn push_ended(key: &[u8], all: &mut Vec<u8>) {
    for &byte in key {
        all.push(byte);
        if byte == 0 {
            all.push(u8::MAX);
        }
    }
    all.extend([0, 0]);
}

/// The bits of a number, such that they are in the order of the numbers.
fn ordered(number: f64) -> u64 {
    // Both zeros are one number.
    let bits = (number + 0.0).to_bits();
    match number.is_sign_negative() && number != 0.0 {
        true => !bits,
        false => bits ^ 1 << 63,
    }
}

type Found<'r> = Option<RawJson<'r>>;

/// The members of a record with these names: the field itself, `properties`, and the first part of the
/// field as a path. Of several the last one counts (IN-2).
fn members<'r>(record: &'r str, field: &str) -> Option<(Found<'r>, Found<'r>, Found<'r>)> {
    let first_name = field.split_once('.').map(|(first, _)| first);
    let (mut own, mut properties, mut first) = (None, None, None);
    visit_pairs(record, |pair| {
        let Some(name) = pair.key().string() else {
            return;
        };
        let value = pair.value();
        if name == field {
            own = Some(value);
        }
        if name == "properties" {
            properties = Some(value);
        }
        if Some(&*name) == first_name {
            first = Some(value);
        }
    })?;
    Some((own, properties, first))
}

/// The value at a path in an object.
fn at_path<'r>(object: RawJson<'r>, path: &str) -> Found<'r> {
    let (own, _, first) = members(object.as_str(), path)?;
    own.or_else(|| at_path(first?, path.split_once('.')?.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(record: &str, field: &str) -> Option<Key> {
        match Key::of_record(record, &[field.to_owned()]) {
            Err(Unusable::Missing(missing)) if missing == field => None,
            key => Some(key.unwrap()),
        }
    }

    #[test]
    fn a_6_equal_first_fields_are_in_the_order_of_the_second_one() {
        let fields = ["a", "b"].map(str::to_owned);
        let values = [
            "0",
            "1.0",
            "1",
            "256",
            "\"\\u0000\"",
            "\"\\u0000a\"",
            "\"a\"",
            "\"a\\u0000\"",
            "\"ab\"",
        ];
        let mut keys = Vec::new();
        for a in values {
            for b in values {
                let record = format!(r#"{{"a":{a},"b":{b}}}"#);
                keys.push(Key::of_record(&record, &fields).unwrap());
            }
        }
        assert!(keys.is_sorted_by(|one, other| one < other), "{keys:?}");
        let missing = Key::of_record(r#"{"a":1}"#, &fields);
        assert_eq!(missing, Err(Unusable::Missing("b")));
    }

    #[test]
    fn a_6_values_are_in_the_order_of_numbers_times_and_text() {
        let in_order = [
            "-1e300",
            "-2",
            "-1.5",
            "0",
            "0.25",
            "1",
            "\"2\"",
            "10",
            "9007199254740993",
            "9007199254740995",
            "\"2024-05-01T12:30:00.250Z\"",
            "\"2024-05-01 12:30:00.250001\"",
            "\"2024-05-01T14:30:00.2505+02:00\"",
            "\"2024-05-01T12:30:01Z\"",
            "\"a\"",
            "\"b\"",
        ];
        let keys = in_order.map(|value| key(&format!(r#"{{"a":{value}}}"#), "a").unwrap());
        assert!(keys.is_sorted_by(|one, other| one < other), "{keys:?}");
        assert_eq!(key(r#"{"a":1}"#, "a"), key(r#"{"a":"1"}"#, "a"));
        assert_eq!(key(r#"{"a":-0.0}"#, "a"), key(r#"{"a":0.0}"#, "a"));
    }

    #[test]
    fn a_6_a_field_is_a_member_or_a_property_or_a_path() {
        let record =
            r#"{"a":1,"b.c":2,"b":{"c":3,"d":{"e":4}},"properties":{"a":5,"time":6,"x":{"y":7}}}"#;
        for (field, value) in [
            ("a", 1),
            ("b.c", 2),
            ("b.d.e", 4),
            ("properties.a", 5),
            ("time", 6),
            ("properties.x.y", 7),
            ("x.y", 7),
        ] {
            let wanted = key(&format!(r#"{{"v":{value}}}"#), "v");
            assert_eq!(key(record, field), wanted, "{field}");
        }
        for field in ["z", "a.b", "b.z", "b.d.e.f", ""] {
            assert_eq!(key(record, field), None, "{field}");
        }
        for absent in [r#"{"a":null}"#, r#"{"a":""}"#, "{}"] {
            assert_eq!(key(absent, "a"), None);
        }
        let fields = ["a".to_owned()];
        let value = Unusable::Value("a", "true".to_owned());
        assert_eq!(Key::of_record(r#"{"a":true}"#, &fields), Err(value));
        assert_eq!(Key::of_record("7", &fields), Err(Unusable::Record));
    }
}
