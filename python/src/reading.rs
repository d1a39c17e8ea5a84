//! Reads the rows of a table as events: the own ID of each, and the claims that some make.

pub(crate) mod claims;
mod columns;
mod quick;

use arrow_array::builder::StringBuilder;
use arrow_array::{RecordBatch, StringArray};
use idmerge_core::{DEVICE_PREFIX, DistinctId, IdBuffer, Reading};
use idmerge_engines::Settings;
use idmerge_events::{Envelope, JsonEvent};
use idmerge_tables::{BatchRows, RowWriter, Shape};
use pyo3::prelude::*;

use crate::arrow::input::{Input, first_rows};
use crate::errors::{broken_stream, column_error};
use crate::parallel;
use claims::{Claims, ClaimsBuilder};
use columns::Columns;
pub(crate) use columns::{Names, properties};
use quick::{Quick, QuickBatch};

/// Reads the batches of one table.
pub(crate) struct Reader<'s> {
    settings: &'s Settings,
    columns: Columns,
    writer: RowWriter,
    /// If the IDs are in columns of texts and integers, most events are read without making JSON of them.
    quick: Option<Quick>,
    pub(crate) warnings: Vec<String>,
}

/// What was read of a batch.
pub(crate) struct Read {
    /// The own distinct_id of each event; null if it has none or is refused.
    pub(crate) own: StringArray,
    pub(crate) claims: Claims,
    pub(crate) refused: Vec<Refused>,
}

/// A row that is no valid event.
pub(crate) struct Refused {
    /// In its batch.
    pub(crate) row: usize,
    pub(crate) rule: &'static str,
    pub(crate) error: String,
}

/// Reads all batches of a table. Nothing has changed if there is an error.
pub(crate) fn read_all(
    input: &Input,
    settings: &Settings,
    names: &Names,
) -> PyResult<(Vec<Read>, Vec<String>)> {
    let reader = Reader::new(input, settings, names)?;
    let firsts = first_rows(&input.batches, 0);
    let read = parallel::map(input.batches.len(), |number| {
        reader.read(&input.batches[number], firsts[number])
    });
    let read = read.into_iter().collect::<PyResult<_>>()?;
    Ok((read, reader.warnings))
}

/// The rows of a table as lines of JSON, with all columns: the lines that the command makes of the same rows in Parquet.
pub(crate) struct Lines {
    columns: Columns,
    writer: RowWriter,
}

impl Lines {
    pub(crate) fn new(input: &Input, settings: &Settings, names: &Names) -> PyResult<Self> {
        let columns = Columns::all(input, names)?;
        let (writer, _) = row_writer(&columns, input, settings)?;
        Ok(Self { columns, writer })
    }

    /// The lines of a batch. `Err` if a claim would be lost, which [`read_all`] finds, too.
    pub(crate) fn of(&self, batch: &RecordBatch) -> Result<Vec<u8>, String> {
        let batch = self.columns.batch(batch);
        let batch = batch.map_err(|error| error.to_string())?;
        let rows = self.writer.batch(&batch);
        let mut lines = Vec::new();
        for row in 0..batch.num_rows() {
            rows.write(row, &mut lines)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }
}

/// What makes lines of the rows of these columns, and what is odd about the columns.
fn row_writer(
    columns: &Columns,
    input: &Input,
    settings: &Settings,
) -> PyResult<(RowWriter, Vec<String>)> {
    let described = idmerge_tables::Columns {
        schema: &columns.schema,
        is_empty: &|name| columns.is_empty(input, name),
        name_columns: NAME_COLUMNS,
    };
    let shape = Shape::Events(vec![settings.rule_book()]);
    RowWriter::new(described, &shape).map_err(column_error)
}

impl<'s> Reader<'s> {
    fn new(input: &Input, settings: &'s Settings, names: &Names) -> PyResult<Self> {
        let columns = Columns::new(input, names)?;
        let (writer, warnings) = row_writer(&columns, input, settings)?;
        let is_empty = |name: &str| columns.is_empty(input, name);
        let quick = Quick::new(&columns.schema, &is_empty);
        Ok(Self {
            settings,
            columns,
            writer,
            quick,
            warnings,
        })
    }

    /// Reads a batch whose first row has this number.
    fn read(&self, batch: &RecordBatch, first: usize) -> PyResult<Read> {
        let batch = self
            .columns
            .batch(batch)
            .map_err(|error| broken_stream(&error))?;
        let quick = self.quick.as_ref().map(|quick| quick.batch(&batch));
        let mut rows = Rows {
            settings: self.settings,
            lines: self.writer.batch(&batch),
            line: Vec::new(),
            scratch: Vec::new(),
            found: Found::with_rows(batch.num_rows()),
        };
        for row in 0..batch.num_rows() {
            if rows.read_quick(row, quick.as_ref()) {
                continue;
            }
            rows.read_line(row)
                .map_err(|lost| column_error(format!("row {}: {lost}", first + row)))?;
        }
        Ok(rows.found.finish())
    }
}

/// How a caller says which columns have other names.
const NAME_COLUMNS: &str = "name the columns as in columns={\"$user_id\": \"email\", \"$device_id\": \"cookie\", \
                            \"event\": \"action\"}";

/// The rows of a batch, and what was found in them.
struct Rows<'b> {
    settings: &'b Settings,
    lines: BatchRows<'b>,
    line: Vec<u8>,
    scratch: Vec<u8>,
    found: Found,
}

impl Rows<'_> {
    /// Reads a row from its columns. `false` if it must be read as a line: identity events are few, can name IDs in
    /// lists and can have duplicates.
    fn read_quick(&mut self, row: usize, quick: Option<&QuickBatch>) -> bool {
        let Some(event) = quick.and_then(|quick| quick.event(row)) else {
            return false;
        };
        if event.is_identity_event() && self.settings.has_identity_events() {
            return false;
        }
        match self.settings.read(&event) {
            Ok(reading) => self.found.add(row, &reading, None),
            Err(error) => self.found.refuse(row, error.rule(), error.to_string()),
        }
        true
    }

    /// Reads a row as the line of JSON that the command makes of it. `Err` if a claim would be lost.
    fn read_line(&mut self, row: usize) -> Result<(), String> {
        self.line.clear();
        self.lines.write(row, &mut self.line)?;
        let event = match JsonEvent::parse(&self.line) {
            Ok(event) => event,
            Err(error) => {
                self.found.refuse(row, error.rule(), error.to_string());
                return Ok(());
            }
        };
        let event = event.event();
        match self.settings.read(&event) {
            Ok(reading) => {
                // AR-2, as the command does it.
                let can_repeat = reading.claim.is_some() && self.settings.has_identity_events();
                let envelope = can_repeat.then(|| Envelope::parse(&self.line).ok());
                let repeatable = envelope.flatten().and_then(|envelope| {
                    envelope.repeatable(reading.distinct_id, &mut self.scratch)
                });
                let fingerprint = repeatable.map(|repeatable| repeatable.fingerprint);
                self.found.add(row, &reading, fingerprint);
            }
            Err(error) => self.found.refuse(row, error.rule(), error.to_string()),
        }
        Ok(())
    }
}

struct Found {
    own: StringBuilder,
    claims: ClaimsBuilder,
    refused: Vec<Refused>,
}

impl Found {
    fn with_rows(rows: usize) -> Self {
        Self {
            own: StringBuilder::with_capacity(rows, rows * 16),
            claims: ClaimsBuilder::default(),
            refused: Vec::new(),
        }
    }

    fn add(&mut self, row: usize, reading: &Reading<'_>, fingerprint: Option<u128>) {
        match reading.distinct_id {
            Some(own) => push_id(&mut self.own, own),
            None => self.own.append_null(),
        }
        if let Some(claim) = reading.claim {
            self.claims.add(row, claim, fingerprint);
        }
    }

    fn refuse(&mut self, row: usize, rule: &'static str, error: String) {
        self.own.append_null();
        self.refused.push(Refused { row, rule, error });
    }

    fn finish(mut self) -> Read {
        Read {
            own: self.own.finish(),
            claims: self.claims.finish(),
            refused: self.refused,
        }
    }
}

/// Appends the text of an ID. [`DistinctId::try_from`] reads it back.
pub(crate) fn push_id(texts: &mut StringBuilder, id: DistinctId<'_>) {
    use std::fmt::Write as _;
    if id.is_device() {
        let _infallible = texts.write_str(DEVICE_PREFIX);
    }
    texts.append_value(id.id().text_in(&mut IdBuffer::new()));
}
