//! Reads the rows of a table as events: the own ID of each, and the claims that some make.

mod columns;
mod quick;

use arrow_array::builder::StringBuilder;
use arrow_array::{RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use idmerge_core::{DEVICE_PREFIX, DistinctId, IdBuffer, Reading};
use idmerge_engines::Settings;
use idmerge_events::{Envelope, JsonEvent};
use idmerge_tables::{BatchRows, RowWriter, Shape};

use crate::claims::{Claims, ClaimsBuilder};
use crate::table::{ColumnsError, Values};
use columns::Columns;
pub use columns::{Names, properties};
use quick::{Quick, QuickBatch};

/// Reads the batches of one table.
#[derive(Debug)]
pub struct Reader<'s> {
    settings: &'s Settings,
    columns: Columns,
    writer: RowWriter,
    /// If the IDs are in columns of texts and integers, most events are read without making JSON of them.
    quick: Option<Quick>,
    warnings: Vec<String>,
}

/// What was read of a batch.
pub struct Read {
    /// The own distinct_id of each event; null if it has none or is refused.
    pub own: StringArray,
    /// The claims that its events make.
    pub claims: Claims,
    /// The rows that are no valid events.
    pub refused: Vec<Refused>,
}

/// A row that is no valid event.
pub struct Refused {
    /// In its batch.
    pub row: usize,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// What is wrong with it.
    pub error: String,
}

/// The rows of a table as lines of JSON, with all columns: the lines that the command makes of the same rows in Parquet.
pub struct Lines {
    columns: Columns,
    writer: RowWriter,
}

impl Lines {
    /// The arguments are those of [`Reader::new`].
    ///
    /// # Errors
    ///
    /// As of [`Reader::new`].
    pub fn new(
        schema: &SchemaRef,
        values: &(impl Values + ?Sized),
        settings: &Settings,
        names: &Names,
        remedy: &str,
    ) -> Result<Self, ColumnsError> {
        let columns = Columns::all(schema, names)?;
        let (writer, _) = row_writer(&columns, values, settings, remedy)?;
        Ok(Self { columns, writer })
    }

    /// The lines of a batch.
    ///
    /// # Errors
    ///
    /// A claim would be lost, which [`Reader::read`] finds, too.
    pub fn of(&self, batch: &RecordBatch) -> Result<Vec<u8>, String> {
        self.of_rows(batch, 0..batch.num_rows())
    }

    /// The lines of some rows of a batch.
    ///
    /// # Errors
    ///
    /// As of [`of`](Self::of).
    pub fn of_rows(
        &self,
        batch: &RecordBatch,
        rows: impl IntoIterator<Item = usize>,
    ) -> Result<Vec<u8>, String> {
        let batch = self.columns.batch(batch);
        let batch = batch.map_err(|error| error.to_string())?;
        let of_batch = self.writer.batch(&batch);
        let mut lines = Vec::new();
        for row in rows {
            of_batch.write(row, &mut lines)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }
}

/// What makes lines of the rows of these columns, and what is odd about the columns.
fn row_writer(
    columns: &Columns,
    values: &(impl Values + ?Sized),
    settings: &Settings,
    remedy: &str,
) -> Result<(RowWriter, Vec<String>), ColumnsError> {
    let described = idmerge_tables::Columns {
        schema: &columns.schema,
        is_empty: &|name| columns.is_empty(values, name),
        name_columns: remedy,
    };
    let shape = Shape::Events(vec![settings.rule_book()]);
    RowWriter::new(described, &shape).map_err(|error| ColumnsError::Column(error.to_string()))
}

impl<'s> Reader<'s> {
    /// Reads tables of this schema. `remedy` says how the caller names columns that are called otherwise.
    ///
    /// # Errors
    ///
    /// A column is missing without which every row would be refused, or an ID has a type that no ID has.
    pub fn new(
        schema: &SchemaRef,
        values: &(impl Values + ?Sized),
        settings: &'s Settings,
        names: &Names,
        remedy: &str,
    ) -> Result<Self, ColumnsError> {
        let columns = Columns::new(schema, names)?;
        let (writer, warnings) = row_writer(&columns, values, settings, remedy)?;
        let is_empty = |name: &str| columns.is_empty(values, name);
        let quick = Quick::new(&columns.schema, &is_empty);
        Ok(Self {
            settings,
            columns,
            writer,
            quick,
            warnings,
        })
    }

    /// What is odd about the columns, and why it may matter.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Reads a batch whose first row has this number.
    ///
    /// # Errors
    ///
    /// A row is an identity event that names an ID in a column that is not there: a claim would be lost.
    pub fn read(&self, batch: &RecordBatch, first: usize) -> Result<Read, ColumnsError> {
        let batch = self.columns.batch(batch)?;
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
                .map_err(|lost| ColumnsError::Column(format!("row {}: {lost}", first + row)))?;
        }
        Ok(rows.found.finish())
    }
}

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
pub fn push_id(texts: &mut StringBuilder, id: DistinctId<'_>) {
    use std::fmt::Write as _;
    if id.is_device() {
        let _infallible = texts.write_str(DEVICE_PREFIX);
    }
    texts.append_value(id.id().text_in(&mut IdBuffer::new()));
}
