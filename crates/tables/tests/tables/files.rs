//! Makes Parquet files from columns of Arrow.

use std::io::{self, Read};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use idmerge_core::RuleBook;
use idmerge_tables::{Rows, Shape};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// A file with these columns.
pub(crate) fn file(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    file_with(columns, WriterProperties::builder().build())
}

pub(crate) fn file_with(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    file_of(&batch, properties)
}

pub(crate) fn file_of(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

pub(crate) fn column(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}

pub(crate) fn lines(file: Vec<u8>, shape: &Shape) -> io::Result<String> {
    let mut lines = String::new();
    Rows::new(io::Cursor::new(file), shape)?.read_to_string(&mut lines)?;
    Ok(lines)
}

/// The lines of a file of events, for any model.
pub(crate) fn events(columns: Vec<(&str, ArrayRef)>) -> String {
    lines(file(columns), &Shape::Events(Vec::new())).unwrap()
}

/// The lines of a file of records.
pub(crate) fn records(columns: Vec<(&str, ArrayRef)>) -> String {
    lines(file(columns), &Shape::Records(Vec::new())).unwrap()
}

/// Why a file of events is refused.
pub(crate) fn refusal(columns: Vec<(&str, ArrayRef)>, model: RuleBook) -> String {
    let lines = lines(file(columns), &Shape::Events(vec![model]));
    lines.unwrap_err().to_string()
}
