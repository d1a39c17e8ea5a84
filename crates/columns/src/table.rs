//! The columns of a table, and what can be wrong with them.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, Schema};
use thiserror::Error;

/// Why a table cannot be read.
#[derive(Debug, Error)]
pub enum ColumnsError {
    /// A column cannot have the IDs that the engine reads, is missing, or is named wrongly. The text names it and says
    /// what to do.
    #[error("{0}")]
    Column(String),
    /// A batch breaks the format of Arrow.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// Says which columns of a table have no values.
pub trait Values {
    /// Whether a column is null in every row.
    fn is_empty(&self, column: usize) -> bool;

    /// Whether a member of a column of structs is null in every row.
    fn is_member_empty(&self, column: usize, member: &str) -> bool;
}

impl Values for [RecordBatch] {
    fn is_empty(&self, column: usize) -> bool {
        self.iter().all(|batch| is_null(batch.column(column)))
    }

    fn is_member_empty(&self, column: usize, member: &str) -> bool {
        self.iter()
            .all(|batch| match batch.column(column).data_type() {
                DataType::Struct(_) => {
                    let members = batch.column(column).as_struct();
                    members
                        .column_by_name(member)
                        .is_none_or(|array| is_null(array))
                }
                _ => true,
            })
    }
}

fn is_null(array: &dyn Array) -> bool {
    array.logical_null_count() == array.len()
}

/// The place of the first column with this name.
pub fn place_of(schema: &Schema, name: &str) -> Option<usize> {
    let mut fields = schema.fields().iter();
    fields.position(|field| field.name() == name)
}
