//! Reads the rows of a table as events.

use idmerge_columns::{ColumnsError, Lines, Names, Read, Reader, parallel};
use idmerge_engines::Settings;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrow::input::{Input, first_rows};
use crate::errors::unreadable;

/// How a caller says which columns have other names.
const NAME_COLUMNS: &str = "name the columns as in columns={\"$user_id\": \"email\", \"$device_id\": \"cookie\", \
                            \"event\": \"action\"}";

/// `columns` of a caller.
pub(crate) fn names(columns: Option<&Bound<'_, PyDict>>) -> PyResult<Names> {
    let given = columns.map(|columns| columns.items().extract());
    let given = given.transpose()?.unwrap_or_default();
    Names::new(given).map_err(|error| unreadable(&error))
}

/// Reads all batches of a table, and says what is odd about it. Nothing has changed if there is an error.
pub(crate) fn read_all(
    input: &Input,
    settings: &Settings,
    names: &Names,
) -> PyResult<(Vec<Read>, Vec<String>)> {
    let batches = &input.batches[..];
    let read = || {
        let reader = Reader::new(&input.schema, batches, settings, names, NAME_COLUMNS)?;
        let firsts = first_rows(batches, 0);
        let read = parallel::map(batches.len(), |number| {
            reader.read(&batches[number], firsts[number])
        });
        let read = read.into_iter().collect::<Result<_, ColumnsError>>()?;
        Ok((read, reader.warnings().to_vec()))
    };
    read().map_err(|error| unreadable(&error))
}

/// What makes lines of the rows of a table: those that the command makes of the same rows in Parquet.
pub(crate) fn lines_of(input: &Input, settings: &Settings, names: &Names) -> PyResult<Lines> {
    let lines = Lines::new(
        &input.schema,
        &input.batches[..],
        settings,
        names,
        NAME_COLUMNS,
    );
    lines.map_err(|error| unreadable(&error))
}
