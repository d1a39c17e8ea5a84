//! A text of JSON into its records.

use idmerge_events::{NotJson, RawJson, Values};
use serde_json::value::RawValue;

use crate::{Fault, Limits, Problem};

/// How the records are laid out in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// An array, an object, or several objects in a row.
    Json,
    /// One object in each line; or an array after all.
    Lines,
}

/// A record: its JSON text, and what was read of it in the scan that found its end.
pub(crate) type Record<'t, T> = (RawJson<'t>, Result<T, Fault>);

/// Splits a text into its records. `next` passes and reads the next one. A line that is not JSON is
/// a fault in its place, and the other lines are read.
pub(crate) fn split<'t, T>(
    text: &'t str,
    layout: Layout,
    limits: &Limits,
    mut next: impl FnMut(&mut Values<'t>) -> Result<Option<Record<'t, T>>, NotJson>,
) -> Result<Vec<Result<T, Fault>>, Problem> {
    let record_bytes_max = limits.record_bytes_max;
    let next = |values: &mut Values<'t>| {
        let record = next(values)?;
        Ok(record.map(|(json, record)| {
            if json.as_str().len() <= record_bytes_max {
                record
            } else {
                Err(Fault::TooLarge { record_bytes_max })
            }
        }))
    };
    let text = text.trim_start_matches('\u{feff}').trim_ascii();
    match (Values::of_array(text), layout) {
        (Some(values), _) => array(text, values, limits.records_max, next),
        (None, Layout::Json) => objects(text, limits.records_max, next),
        (None, Layout::Lines) => lines(text, limits.records_max, next),
    }
}

type Records<T> = Result<Vec<Result<T, Fault>>, Problem>;

type Next<T> = Result<Option<Result<T, Fault>>, NotJson>;

fn array<'t, T>(
    text: &str,
    mut values: Values<'t>,
    records_max: usize,
    mut next: impl FnMut(&mut Values<'t>) -> Next<T>,
) -> Records<T> {
    let mut records = Vec::new();
    while let Some(record) = next(&mut values).map_err(|NotJson| Problem::NotJson {
        reason: reason(serde_json::from_str::<Vec<&RawValue>>(text).err()),
    })? {
        if records.len() == records_max {
            return Err(Problem::TooManyRecords { records_max });
        }
        records.push(record);
    }
    Ok(records)
}

fn objects<'t, T>(
    text: &'t str,
    records_max: usize,
    mut next: impl FnMut(&mut Values<'t>) -> Next<T>,
) -> Records<T> {
    let mut records = Vec::new();
    let mut values = Values::in_row(text);
    while !values.is_at_end() {
        if records.len() == records_max {
            return Err(Problem::TooManyRecords { records_max });
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
    records_max: usize,
    mut next: impl FnMut(&mut Values<'t>) -> Next<T>,
) -> Records<T> {
    let mut records = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if records.len() == records_max {
            return Err(Problem::TooManyRecords { records_max });
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

/// What is wrong with a text that is not JSON. `serde_json` reads it again to say so.
fn reason(error: Option<serde_json::Error>) -> String {
    error.map_or_else(|| NotJson.to_string(), |error| error.to_string())
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
