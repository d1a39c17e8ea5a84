//! A text of JSON into its records.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error, SeqAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::{Fault, Limits, Problem};

/// How the records stand in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// An array, an object, or several objects in a row.
    Json,
    /// An object a line; or an array after all.
    Lines,
}

/// The JSON text of each record. Of lines, one that is not JSON costs no other.
pub(crate) fn split<'t>(
    text: &'t str,
    layout: Layout,
    limits: &Limits,
) -> Result<Vec<Result<&'t str, Fault>>, Problem> {
    let text = text.trim_start_matches('\u{feff}').trim_ascii();
    let records = if text.starts_with('[') {
        array(text, limits.records_max)?
    } else {
        match layout {
            Layout::Json => objects(text, limits.records_max)?,
            Layout::Lines => lines(text, limits.records_max)?,
        }
    };
    let not_too_large = |record: &'t str| {
        let record_bytes_max = limits.record_bytes_max;
        if record.len() <= record_bytes_max {
            Ok(record)
        } else {
            Err(Fault::TooLarge { record_bytes_max })
        }
    };
    Ok(records
        .into_iter()
        .map(|record| record.and_then(not_too_large))
        .collect())
}

type Records<'t> = Result<Vec<Result<&'t str, Fault>>, Problem>;

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::NotJson {
        reason: error.to_string(),
    }
}

fn objects(text: &str, records_max: usize) -> Records<'_> {
    let mut records = Vec::new();
    for record in Deserializer::from_str(text).into_iter::<&RawValue>() {
        if records.len() == records_max {
            return Err(Problem::TooManyRecords { records_max });
        }
        records.push(Ok(record.map_err(|error| not_json(&error))?.get()));
    }
    Ok(records)
}

fn lines(text: &str, records_max: usize) -> Records<'_> {
    let mut records = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if records.len() == records_max {
            return Err(Problem::TooManyRecords { records_max });
        }
        let record = serde_json::from_str::<&RawValue>(line);
        records.push(record.map(RawValue::get).map_err(|error| Fault::NotJson {
            reason: error.to_string(),
        }));
    }
    Ok(records)
}

fn array(text: &str, records_max: usize) -> Records<'_> {
    let mut deserializer = Deserializer::from_str(text);
    let mut has_too_many = false;
    let array = Array {
        records_max,
        has_too_many: &mut has_too_many,
    };
    let records = deserializer
        .deserialize_seq(array)
        .and_then(|records| deserializer.end().map(|()| records));
    match records {
        Ok(records) => Ok(records),
        Err(_) if has_too_many => Err(Problem::TooManyRecords { records_max }),
        Err(error) => Err(not_json(&error)),
    }
}

/// Reads an array no further than its limit.
struct Array<'a> {
    records_max: usize,
    has_too_many: &'a mut bool,
}

impl<'t> Visitor<'t> for Array<'_> {
    type Value = Vec<Result<&'t str, Fault>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = array.next_element::<&RawValue>()? {
            if records.len() == self.records_max {
                *self.has_too_many = true;
                return Err(A::Error::custom("too many records"));
            }
            records.push(Ok(record.get()));
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        records_max: 3,
        record_bytes_max: 9,
        ..Limits::DOCUMENTED
    };

    fn texts(text: &str, layout: Layout) -> Result<Vec<&str>, Problem> {
        let records = split(text, layout, &LIMITS)?;
        Ok(records
            .into_iter()
            .map(|record| record.unwrap_or("?"))
            .collect())
    }

    #[test]
    fn records_stand_in_an_array_alone_or_in_lines() {
        for layout in [Layout::Json, Layout::Lines] {
            assert_eq!(texts("[]", layout).unwrap(), [""; 0]);
            assert_eq!(
                texts(" [ {\"a\":1} , 2]\n", layout).unwrap(),
                ["{\"a\":1}", "2"]
            );
            assert_eq!(texts("\u{feff}{}", layout).unwrap(), ["{}"]);
            assert_eq!(texts("{}\r\n\n{ }\n", layout).unwrap(), ["{}", "{ }"]);
        }
        assert_eq!(texts("{}{}", Layout::Json).unwrap(), ["{}", "{}"]);
    }

    #[test]
    fn one_bad_line_costs_no_other() {
        assert_eq!(
            texts("{}\n{]\n{}", Layout::Lines).unwrap(),
            ["{}", "?", "{}"]
        );
        for text in ["[{},]", "[{}", "[{}] x", "{}\n{]", "{}x"] {
            let problem = texts(text, Layout::Json).unwrap_err();
            assert!(matches!(problem, Problem::NotJson { .. }), "{text}");
        }
    }

    #[test]
    fn limits_hold_on_both_sides() {
        let too_many = Err(Problem::TooManyRecords { records_max: 3 });
        assert_eq!(texts("[1,2,3]", Layout::Json).unwrap().len(), 3);
        assert_eq!(texts("[1,2,3,4]", Layout::Json), too_many);
        for layout in [Layout::Json, Layout::Lines] {
            assert_eq!(texts("{}\n{}\n{}", layout).unwrap().len(), 3);
            assert_eq!(texts("{}\n{}\n{}\n{}", layout), too_many);
        }
        assert_eq!(
            texts("[123456789,1234567890]", Layout::Json).unwrap(),
            ["123456789", "?"]
        );
    }

    #[test]
    fn nesting_costs_no_stack() {
        let deep = format!("[{}1{}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(texts(&deep, Layout::Json).unwrap(), ["?"]);
    }
}
