//! Changes of canonical IDs as a table.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use idmerge_store::Change;
use pyo3::prelude::*;

use crate::api::table::Table;
use crate::errors::broken_stream;

/// The columns that `idmerge store changes` writes.
pub(super) fn changes_table(changes: &[Change]) -> PyResult<Table> {
    let id = |id: fn(&Change) -> String| {
        let ids = changes.iter().map(id);
        Arc::new(StringArray::from_iter_values(ids)) as ArrayRef
    };
    let text = |text: fn(&Change) -> Option<&str>| {
        Arc::new(StringArray::from_iter(changes.iter().map(text))) as ArrayRef
    };
    let sequences = changes.iter().map(|change| change.sequence);
    let times = changes.iter().map(|change| change.time_ms);
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "sequence",
            Arc::new(UInt64Array::from_iter_values(sequences)),
        ),
        ("id", id(|change| change.id.to_string())),
        ("from", id(|change| change.from.to_string())),
        ("to", id(|change| change.to.to_string())),
        ("insert_id", text(|change| change.insert_id.as_deref())),
        ("time_ms", Arc::new(Int64Array::from_iter(times))),
        ("source", text(|change| change.source.as_deref())),
    ];
    let fields = columns.iter().map(|(name, column)| {
        let kind: DataType = column.data_type().clone();
        Field::new(*name, kind, true)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(schema.clone(), columns);
    let batch = batch.map_err(|error| broken_stream(&error))?;
    Ok(Table::new(schema, vec![batch]))
}
