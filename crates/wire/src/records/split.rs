//! Splits a text into records.

use idmerge_events::{NotJson, RawJson, Values};
use serde_json::value::RawValue;

use crate::limits::Limits;
use crate::problem::Problem;
use crate::records::fault::Fault;

/// How the records are laid out in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// An array, an object, or several objects in a row.
    Json,
    /// One object per line. Some clients send an array anyway.
    Lines,
}

/// A record: its JSON text, and what the same scan read from it.
pub(crate) type Record<'t, T> = (RawJson<'t>, Result<T, Fault>);

/// Splits a text into records. `next` reads one record and moves past it, in one scan. In
/// [`Layout::Lines`], a line that is not JSON is a fault at its position, and the other lines are
/// still read.
pub(crate) fn split<'t, T>(
    text: &'t str,
    layout: Layout,
    limits: &Limits,
    mut next: impl FnMut(&mut Values<'t>) -> Result<Option<Record<'t, T>>, NotJson>,
) -> Result<Vec<Result<T, Fault>>, Problem> {
    let max_record_bytes = limits.max_record_bytes;
    let next = |values: &mut Values<'t>| {
        let record = next(values)?;
        Ok(record.map(|(json, record)| {
            if json.as_str().len() <= max_record_bytes {
                record
            } else {
                Err(Fault::TooLarge { max_record_bytes })
            }
        }))
    };
    let text = text.trim_start_matches('\u{feff}').trim_ascii();
    match (Values::of_array(text), layout) {
        (Some(values), _) => array(text, values, limits.max_records, next),
        (None, Layout::Json) => objects(text, limits.max_records, next),
        (None, Layout::Lines) => lines(text, limits.max_records, next),
    }
}

type Records<T> = Result<Vec<Result<T, Fault>>, Problem>;

type Next<T> = Result<Option<Result<T, Fault>>, NotJson>;

fn array<'t, T>(
    text: &str,
    mut values: Values<'t>,
    max_records: usize,
    mut next: impl FnMut(&mut Values<'t>) -> Next<T>,
) -> Records<T> {
    let mut records = Vec::new();
    while let Some(record) = next(&mut values).map_err(|NotJson| Problem::NotJson {
        reason: reason(serde_json::from_str::<Vec<&RawValue>>(text).err()),
    })? {
        if records.len() == max_records {
            return Err(Problem::TooManyRecords { max_records });
        }
        records.push(record);
    }
    Ok(records)
}

fn objects<'t, T>(
    text: &'t str,
    max_records: usize,
    mut next: impl FnMut(&mut Values<'t>) -> Next<T>,
) -> Records<T> {
    let mut records = Vec::new();
    let mut values = Values::in_row(text);
    while !values.is_at_end() {
        if records.len() == max_records {
            return Err(Problem::TooManyRecords { max_records });
        }
        let record = next(&mut values).map_err(|NotJson| Problem::NotJson {
            reason: reason(
                serde_json::Deserializer::from_str(text)
                    .into_iter::<&RawValue>()
                    .find_map(Result::err),
            ),
        })?;
        records.extend(record);
    }
    Ok(records)
}

fn lines<'t, T>(
    text: &'t str,
    max_records: usize,
    mut next: impl FnMut(&mut Values<'t>) -> Next<T>,
) -> Records<T> {
    let mut records = Vec::new();
    // IN-4: files of Windows that were joined have a byte order mark in the middle.
    let lines = text
        .lines()
        .map(|line| line.trim_start_matches('\u{feff}').trim());
    for line in lines.filter(|line| !line.is_empty()) {
        if records.len() == max_records {
            return Err(Problem::TooManyRecords { max_records });
        }
        let mut values = Values::in_row(line);
        records.push(match next(&mut values) {
            Ok(Some(record)) if values.is_at_end() => record,
            _ => Err(Fault::NotJson {
                reason: reason(serde_json::from_str::<&RawValue>(line).err()),
            }),
        });
    }
    Ok(records)
}

/// The error in a text that is not JSON. The scan does not describe errors, so `serde_json` parses
/// the text again.
fn reason(error: Option<serde_json::Error>) -> String {
    error.map_or_else(|| NotJson.to_string(), |error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_records: 3,
        max_record_bytes: 9,
        ..Limits::DOCUMENTED
    };

    fn texts(text: &str, layout: Layout) -> Result<Vec<&str>, Problem> {
        let records = split(text, layout, &LIMITS, |values| {
            let value = values.next_value()?;
            Ok(value.map(|value| (value, Ok(value.as_str()))))
        })?;
        Ok(records
            .into_iter()
            .map(|record| record.unwrap_or("?"))
            .collect())
    }

    #[test]
    fn records_are_in_an_array_or_in_lines_or_alone() {
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
    fn in_4_a_byte_order_mark_is_passed_over_at_the_start_of_any_line() {
        let text = "\u{feff}{}\n\u{feff}\r\n\u{feff}{ }\n";
        assert_eq!(texts(text, Layout::Lines).unwrap(), ["{}", "{ }"]);
    }

    #[test]
    fn a_bad_line_does_not_affect_other_lines() {
        assert_eq!(
            texts("{}\n{]\n{}", Layout::Lines).unwrap(),
            ["{}", "?", "{}"]
        );
        assert_eq!(texts("{}x\n{}", Layout::Lines).unwrap(), ["?", "{}"]);
        for text in ["[{},]", "[{}", "[{}] x", "{}\n{]", "{}x"] {
            let problem = texts(text, Layout::Json).unwrap_err();
            assert!(matches!(problem, Problem::NotJson { .. }), "{text}");
        }
    }

    #[test]
    fn a_text_at_a_limit_is_taken_and_one_above_it_is_not() {
        let too_many = Err(Problem::TooManyRecords { max_records: 3 });
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
    fn nesting_needs_no_stack() {
        let deep = format!("[{}1{}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(texts(&deep, Layout::Json).unwrap(), ["?"]);
    }
}
