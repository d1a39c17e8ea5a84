//! The tables of other libraries.

use std::path::PathBuf;

use arrow_array::ffi_stream::{ArrayStreamReader, RecordBatchStreamReader};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader as _};
use arrow_schema::{ArrowError, SchemaRef};
use idmerge_columns::{bytes_max, place_of};
use idmerge_engines::Settings;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;

use super::capsule::take_stream;
use super::file::read_file;
use crate::errors::broken_stream;

/// A batch has at most so many rows: an answer about fewer rows stays in the caches of a processor.
const BATCH_ROWS_MAX: usize = 1 << 16;

/// A column of texts has at most so many bytes in one batch, since its offsets have 32 bits.
const TEXT_BYTES_MAX: u64 = i32::MAX as u64;

/// A table that another library gave.
pub(crate) struct Input {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

impl Input {
    /// Reads all batches, cut so that the answers about a batch fit.
    pub(crate) fn read(table: &Bound<'_, PyAny>, settings: &Settings) -> PyResult<Self> {
        let py = table.py();
        // A text of an answer is at most an ID, and the prefix of a device.
        let bytes_per_row = u64::from(settings.id_rules().max_id_bytes()) + 8;
        if !has_stream(table)?
            && let Ok(path) = table.extract::<PathBuf>()
        {
            let (schema, read) = py
                .detach(|| read_file(&path))
                .map_err(|error| error.of(&path))?;
            let mut batches = Vec::new();
            for batch in read {
                cut(batch, bytes_per_row, &mut batches);
            }
            return Ok(Self { schema, batches });
        }
        let table = with_stream(table)?;
        let stream = take_stream(&table)?;
        // The library that made the stream may compute its batches now, and may call Python for it.
        let read = py.detach(|| {
            let reader = RecordBatchStreamReader::try_new(stream)?;
            let schema = reader.schema();
            let mut batches = Vec::new();
            for batch in reader {
                cut(batch?, bytes_per_row, &mut batches);
            }
            Ok(Self { schema, batches })
        });
        read.map_err(|error: ArrowError| broken_stream(&error))
    }

    pub(crate) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The place of the first column with this name.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        place_of(&self.schema, name)
    }
}

/// The numbers of the first rows of batches that follow each other; the first one has this number.
pub(crate) fn first_rows(batches: &[RecordBatch], first: usize) -> Vec<usize> {
    let firsts = batches.iter().scan(first, |next, batch| {
        let first = *next;
        *next += batch.num_rows();
        Some(first)
    });
    firsts.collect()
}

/// One column, such as a Series.
pub(crate) fn read_column(column: &Bound<'_, PyAny>) -> PyResult<Vec<ArrayRef>> {
    let stream = take_stream(column)?;
    let read = || ArrayStreamReader::try_new(stream)?.collect::<Result<Vec<ArrayRef>, _>>();
    let read = column.py().detach(read);
    read.map_err(|error: ArrowError| broken_stream(&error))
}

pub(crate) fn has_stream(table: &Bound<'_, PyAny>) -> PyResult<bool> {
    table.hasattr(intern!(table.py(), "__arrow_c_stream__"))
}

/// The object, or what it computes, if that is a table.
fn with_stream<'py>(table: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if has_stream(table)? {
        return Ok(table.clone());
    }
    let kind = table.get_type();
    // A LazyFrame of Polars has no data until it is collected.
    if kind.name()?.to_str()? == "LazyFrame" {
        let collected = table.call_method0("collect")?;
        if has_stream(&collected)? {
            return Ok(collected);
        }
    }
    let kind = kind.fully_qualified_name()?;
    Err(PyTypeError::new_err(format!(
        "{kind} is no table: give a table that has __arrow_c_stream__: of DuckDB, Polars, pandas 2.2 or later with \
         pyarrow, or pyarrow; pyarrow.Table.from_pylist(rows) makes one of a list of dicts. The path of a file of Parquet, \
         CSV or NDJSON is a table, too"
    )))
}

/// Cuts a batch into batches whose texts fit.
fn cut(batch: RecordBatch, bytes_per_row: u64, parts: &mut Vec<RecordBatch>) {
    let rows = batch.num_rows();
    for start in (0..rows).step_by(BATCH_ROWS_MAX) {
        let length = BATCH_ROWS_MAX.min(rows - start);
        halve(batch.slice(start, length), bytes_per_row, parts);
    }
}

fn halve(batch: RecordBatch, bytes_per_row: u64, parts: &mut Vec<RecordBatch>) {
    let rows = batch.num_rows();
    let columns = batch.columns().iter();
    let bytes = columns.map(|column| bytes_max(column as &dyn Array)).max();
    let bytes = bytes
        .unwrap_or(0)
        .max(bytes_per_row.saturating_mul(rows as u64));
    if bytes <= TEXT_BYTES_MAX || rows <= 1 {
        parts.push(batch);
        return;
    }
    let half = rows / 2;
    halve(batch.slice(0, half), bytes_per_row, parts);
    halve(batch.slice(half, rows - half), bytes_per_row, parts);
}
