//! Rows of record batches as lines of JSON: events or records.

mod cells;
mod ids;
mod values;

use std::fmt;
use std::io;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, SchemaRef};
use idmerge_core::RuleBook;

use cells::{Cells, Member, is_readable};
use ids::Claims;
pub use ids::Columns;
use values::milliseconds;

/// What a row becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An event, `{"event":…,"properties":{…}}`, that the engines of these models read. Columns that they read must
    /// have a type that an ID can have.
    Events(Vec<RuleBook>),
    /// A JSON object with a member for each column. The columns with these names have IDs.
    Records(Vec<String>),
}

/// Writes the rows of record batches of one schema as JSON. Null values are left out.
///
/// The columns have the types that Parquet's own types are read as: there are no views, no dictionaries, and no
/// offsets of 64 bits.
#[derive(Debug)]
pub struct RowWriter {
    schema: SchemaRef,
    roles: Vec<Role>,
    is_event: bool,
    /// The identity events that name IDs in columns that are not there.
    claims: Claims,
}

/// What a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The name of an event.
    Name,
    /// The properties of an event, or some of them.
    Properties,
    /// A property of an event, or a member of a record.
    Value,
    /// A time in milliseconds, as events have it.
    TimeMs,
    /// A column whose type has no values in JSON, or that has no values.
    Nothing,
}

/// The rows of a batch.
pub struct BatchRows<'b> {
    writer: &'b RowWriter,
    columns: Vec<Column<'b>>,
}

impl BatchRows<'_> {
    /// Writes a row, without a line break.
    ///
    /// # Errors
    ///
    /// The row is an identity event that names an ID in a column that is not there.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.writer.is_event {
            return self.writer.write_event(&self.columns, row, out);
        }
        write_record(&self.columns, row, out);
        Ok(())
    }
}

impl fmt::Debug for BatchRows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchRows").finish_non_exhaustive()
    }
}

impl RowWriter {
    /// Also returns what is odd about the columns, and why it may matter.
    ///
    /// # Errors
    ///
    /// A column is missing without which every row would be refused, or an ID has a type that no ID has.
    pub fn new(columns: Columns<'_>, shape: &Shape) -> io::Result<(Self, Vec<String>)> {
        let schema = columns.schema;
        let checked = match shape {
            Shape::Events(models) => columns.check_events(models),
            Shape::Records(ids) => columns.check_records(ids),
        };
        let (claims, mut warnings) =
            checked.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let is_event = matches!(shape, Shape::Events(_));
        let role = |field: &std::sync::Arc<Field>| match field.data_type() {
            kind if !is_readable(kind) => Role::Nothing,
            _ if is_event && field.name() == "event" => Role::Name,
            kind if is_event && field.name() == "properties" && is_nested(kind) => Role::Properties,
            DataType::Timestamp(..) if is_event && field.name() == "time" => Role::TimeMs,
            _ => Role::Value,
        };
        let roles: Vec<_> = schema.fields().iter().map(role).collect();
        for (field, _) in schema
            .fields()
            .iter()
            .zip(&roles)
            .filter(|(_, role)| **role == Role::Nothing)
        {
            warnings.push(format!(
                "column {} is left out: its type {} has no form in JSON",
                field.name(),
                field.data_type()
            ));
        }
        let writer = Self {
            schema: schema.clone(),
            roles,
            is_event,
            claims,
        };
        Ok((writer, warnings))
    }

    #[cfg(feature = "parquet")]
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of a batch with the schema of this writer.
    pub fn batch<'b>(&'b self, batch: &'b RecordBatch) -> BatchRows<'b> {
        BatchRows {
            writer: self,
            columns: self.columns(batch).collect(),
        }
    }

    fn columns<'b>(&'b self, batch: &'b RecordBatch) -> impl Iterator<Item = Column<'b>> {
        let columns = self
            .schema
            .fields()
            .iter()
            .zip(&self.roles)
            .zip(batch.columns());
        columns.map(|((field, role), array)| Column {
            role: *role,
            array: array.as_ref(),
            member: Member::new(field, array.as_ref()),
        })
    }

    fn write_event(
        &self,
        columns: &[Column<'_>],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let of_role = |role| columns.iter().filter(move |column| column.role == role);
        out.push(b'{');
        let start = out.len();
        if let Some(name) = of_role(Role::Name).next() {
            name.member.write(row, start, out);
            if let Cells::Text(names) = name.member.cells
                && !names.is_null(row)
            {
                let message = self.claims.lost(names.value(row));
                message.map_or(Ok(()), Err)?;
            }
        }
        if out.len() > start {
            out.push(b',');
        }
        out.extend_from_slice(b"\"properties\":");
        let properties = out.len();
        out.push(b'{');
        let start = out.len();
        // A column counts before a property of the same name, because it comes later (IN-2).
        for column in of_role(Role::Properties) {
            if !column.member.cells.write_members(row, start, out) {
                out.truncate(properties);
                column.member.cells.write(row, out);
                out.push(b'}');
                return Ok(());
            }
        }
        for column in columns {
            match column.role {
                Role::Value => column.member.write(row, start, out),
                Role::TimeMs => column.write_time(row, start, out),
                Role::Name | Role::Properties | Role::Nothing => {}
            }
        }
        out.extend_from_slice(b"}}");
        Ok(())
    }
}

fn write_record(columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    let start = out.len();
    for column in columns.iter().filter(|column| column.role != Role::Nothing) {
        column.member.write(row, start, out);
    }
    out.push(b'}');
}

fn is_nested(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Struct(_) | DataType::Map(..) | DataType::Utf8
    )
}

struct Column<'b> {
    role: Role,
    array: &'b dyn Array,
    member: Member<'b>,
}

impl Column<'_> {
    fn write_time(&self, row: usize, object_start: usize, out: &mut Vec<u8>) {
        if self.array.is_null(row) {
            return;
        }
        let Some(ms) = milliseconds(self.array, row) else {
            return self.member.write(row, object_start, out);
        };
        if out.len() > object_start {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"time\":{ms}").as_bytes());
    }
}
