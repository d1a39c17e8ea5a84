//! The tables of files: Parquet, CSV, and lines of JSON.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use idmerge_events::visit_members;
use pyo3::PyErr;

use crate::errors::idmerge_error;

/// A batch of texts has at most so many rows, and is ended when it has so many bytes.
const BATCH_ROWS_MAX: usize = 1 << 16;
const BATCH_BYTES: usize = 64 << 20;

/// A longer line is an error, as for the command.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Why a file cannot be read.
pub(crate) enum FileError {
    /// What Python calls an `OSError`.
    Io(io::Error),
    Content(String),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl FileError {
    pub(crate) fn of(self, path: &Path) -> PyErr {
        let path = path.display();
        match self {
            Self::Io(error) if error.raw_os_error().is_some() => error.into(),
            Self::Io(error) => idmerge_error(format!("cannot read {path}: {error}")),
            Self::Content(problem) => idmerge_error(format!("cannot read {path}: {problem}")),
        }
    }
}

/// The columns and the rows of a file: Parquet by its first bytes, CSV by its name, and else lines of JSON.
pub(crate) fn read_file(path: &Path) -> Result<(SchemaRef, Vec<RecordBatch>), FileError> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(4).read_to_end(&mut start)?;
    file.rewind()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    if start == b"PAR1" {
        return parquet(file, path);
    }
    if start.starts_with(&[0x1f, 0x8b]) || start == [0x28, 0xb5, 0x2f, 0xfd] {
        return Err(FileError::Content(
            "it is compressed; decompress it, or give it to `python -m idmerge`, which reads it as it is".to_owned(),
        ));
    }
    match name.ends_with(".csv") {
        true => csv(file),
        false => lines(BufReader::new(file)),
    }
}

#[cfg(feature = "command")]
fn parquet(file: File, path: &Path) -> Result<(SchemaRef, Vec<RecordBatch>), FileError> {
    let table = idmerge_tables::TableFile::open(file)?;
    let groups = table.group_rows().count();
    let read = idmerge_columns::parallel::map(groups, |group| {
        let batches = table.batches(File::open(path)?, group, None)?;
        batches.collect::<io::Result<Vec<_>>>()
    });
    let mut batches = Vec::new();
    for group in read {
        batches.extend(group?);
    }
    Ok((table.schema().clone(), batches))
}

#[cfg(feature = "command")]
fn csv(file: File) -> Result<(SchemaRef, Vec<RecordBatch>), FileError> {
    let content = |error: csv::Error| FileError::Content(format!("its CSV is broken: {error}"));
    let mut reader = csv::Reader::from_reader(file);
    let header = reader.headers().map_err(content)?;
    let mut texts = Texts::new(
        header
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}')),
    );
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(content)? {
        // Absent and empty are the same (ID-3).
        texts.push(
            row.iter()
                .map(|cell| Some(cell).filter(|cell| !cell.is_empty())),
        );
    }
    Ok(texts.finish())
}

#[cfg(not(feature = "command"))]
fn parquet(_: File, _: &Path) -> Result<(SchemaRef, Vec<RecordBatch>), FileError> {
    Err(FileError::Content(not_built_in("Parquet")))
}

#[cfg(not(feature = "command"))]
fn csv(_: File) -> Result<(SchemaRef, Vec<RecordBatch>), FileError> {
    Err(FileError::Content(not_built_in("CSV")))
}

#[cfg(not(feature = "command"))]
fn not_built_in(format: &str) -> String {
    format!(
        "it is {format}, which this build of the package does not read: open it with your library, or build the \
             package with its Cargo feature \"command\""
    )
}

/// The events of lines of JSON: the column `event`, and the column `properties` with JSON.
fn lines(mut file: impl BufRead) -> Result<(SchemaRef, Vec<RecordBatch>), FileError> {
    let mut texts = Texts::new(["event", "properties"].into_iter());
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        if file.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let wrong = |what: &str| FileError::Content(format!("line {number} {what}"));
        if line.len() > LINE_BYTES_MAX {
            return Err(wrong("is longer than 16777216 bytes"));
        }
        let text = str::from_utf8(&line).map_err(|_| wrong("is not UTF-8"))?;
        let text = text.trim_start_matches('\u{feff}').trim_ascii();
        if text.is_empty() {
            continue;
        }
        let (mut event, mut properties) = (None, None);
        let visited = visit_members(text, |key, value| match key {
            b"event" => event = value.string(),
            b"properties" => properties = Some(value.as_str()),
            _ => {}
        });
        if visited.is_none() {
            return Err(wrong(
                "is no JSON object. Lines of JSON have an event each; `python -m idmerge` reads other forms",
            ));
        }
        texts.push([event.as_deref(), properties].into_iter());
    }
    Ok(texts.finish())
}

/// Columns of texts that are being read.
struct Texts {
    schema: SchemaRef,
    columns: Vec<StringBuilder>,
    rows: usize,
    bytes: usize,
    batches: Vec<RecordBatch>,
}

impl Texts {
    fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let fields: Vec<_> = names
            .map(|name| Field::new(name, DataType::Utf8, true))
            .collect();
        Self {
            columns: fields.iter().map(|_| StringBuilder::new()).collect(),
            schema: Arc::new(Schema::new(fields)),
            rows: 0,
            bytes: 0,
            batches: Vec::new(),
        }
    }

    fn push<'c>(&mut self, cells: impl Iterator<Item = Option<&'c str>>) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.append_option(cell);
            self.bytes += cell.map_or(0, str::len);
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES {
            self.end_batch();
        }
    }

    fn end_batch(&mut self) {
        let columns = self.columns.iter_mut();
        let columns: Vec<ArrayRef> = columns
            .map(|column| Arc::new(column.finish()) as _)
            .collect();
        // Each row has pushed a cell to each column.
        self.batches
            .extend(RecordBatch::try_new(self.schema.clone(), columns));
        (self.rows, self.bytes) = (0, 0);
    }

    fn finish(mut self) -> (SchemaRef, Vec<RecordBatch>) {
        if self.rows > 0 {
            self.end_batch();
        }
        (self.schema, self.batches)
    }
}
