//! The columns of a table that are read, under the names of the properties that they are.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use idmerge_core::IdProperty;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrow::input::{Input, place_of};
use crate::arrow::plain::Plain;
use crate::errors::column_error;

/// What is read besides the identity properties. The last five say which events are duplicates (AR-2).
const OTHERS: [&str; 8] = [
    "event",
    "properties",
    "$distinct_id_before_identity",
    "$idmerge_unweighed",
    "time",
    "$idmerge_time_ms",
    "$insert_id",
    "$mp_metadata",
];

/// The parts of `--map` of the command, and the properties that they are.
const PARTS: [(&str, &str); 3] = [
    ("user", "$user_id"),
    ("device", "$device_id"),
    ("id", "$insert_id"),
];

/// The columns that have other names than the properties that they are.
#[derive(Default)]
pub(crate) struct Names(Vec<(String, String)>);

impl Names {
    /// `columns` of a caller.
    pub(crate) fn given(columns: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let given = columns.map(|columns| columns.items().extract());
        Self::new(given.transpose()?)
    }

    /// `given` has the names of properties, and of their columns.
    fn new(given: Option<Vec<(String, String)>>) -> PyResult<Self> {
        let given = given.unwrap_or_default().into_iter();
        let named = given.map(|(property, column)| {
            let part = PARTS.iter().find(|(part, _)| *part == property);
            let property = part.map_or(property, |(_, property)| (*property).to_owned());
            if properties().any(|known| known == property) {
                return Ok((property, column));
            }
            let known: Vec<_> = properties().collect();
            Err(column_error(format!(
                "columns has {property:?}, which no engine reads; they read {}, and user, device and id are short \
                 names",
                known.join(", ")
            )))
        });
        let named: Vec<_> = named.collect::<PyResult<_>>()?;
        for (place, (property, column)) in named.iter().enumerate() {
            if let Some((_, other)) = named[..place].iter().find(|(known, _)| known == property) {
                return Err(column_error(format!(
                    "columns names {property} twice: {other} and {column}"
                )));
            }
        }
        Ok(Self(named))
    }

    fn column<'n>(&'n self, property: &'n str) -> (&'n str, bool) {
        let named = self.0.iter().find(|(name, _)| name == property);
        named.map_or((property, false), |(_, column)| (column, true))
    }
}

/// The names of the properties that are read, by which their columns are called.
pub(crate) fn properties() -> impl Iterator<Item = &'static str> {
    let ids = IdProperty::ALL.into_iter().map(IdProperty::key);
    OTHERS.into_iter().chain(ids)
}

/// The columns that are read, by their places in the table.
pub(super) struct Columns {
    places: Vec<usize>,
    /// Plain types, and the names of properties.
    pub(super) schema: SchemaRef,
}

impl Columns {
    pub(super) fn new(input: &Input, names: &Names) -> PyResult<Self> {
        let (mut places, mut fields) = (Vec::new(), Vec::new());
        for property in properties() {
            let (name, is_named) = names.column(property);
            let Some(place) = place_of(&input.schema, name) else {
                if !is_named {
                    continue;
                }
                let fields = input.schema.fields().iter();
                let there: Vec<_> = fields.map(|field| field.name().as_str()).collect();
                return Err(column_error(format!(
                    "columns says that {property} is the column {name}, which is not there. There are {}",
                    there.join(", ")
                )));
            };
            let field = Plain::Input.field(&input.schema.fields()[place]);
            places.push(place);
            fields.push(Arc::new(Field::clone(&field).with_name(property)));
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { places, schema })
    }

    /// All columns of the table. Those that are read have the names of properties.
    pub(super) fn all(input: &Input, names: &Names) -> PyResult<Self> {
        let read = Self::new(input, names)?;
        let (mut places, mut fields) = (Vec::new(), Vec::new());
        for (place, field) in input.schema.fields().iter().enumerate() {
            let is_read = |name: &str| place_of(&read.schema, name).is_some();
            let property = read.places.iter().position(|read| *read == place);
            match property {
                Some(property) => fields.push(read.schema.fields()[property].clone()),
                // Another column is this property.
                None if is_read(field.name()) => continue,
                None => fields.push(Plain::Input.field(field)),
            }
            places.push(place);
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { places, schema })
    }

    pub(super) fn batch(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let columns = self.places.iter().map(|place| batch.column(*place));
        let columns = columns.map(|column| Plain::Input.array(column));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(
            self.schema.clone(),
            columns.collect::<Result<_, _>>()?,
            &options,
        )
    }

    /// Whether a column and the member of `properties` with its name have no values.
    pub(super) fn is_empty(&self, input: &Input, name: &str) -> bool {
        let place = |name: &str| Some(self.places[place_of(&self.schema, name)?]);
        let is_null = |array: &dyn Array| array.logical_null_count() == array.len();
        let mut batches = input.batches.iter();
        batches.all(|batch| {
            let column = place(name).map(|place| batch.column(place));
            let properties = place("properties").map(|place| batch.column(place));
            let member = properties.and_then(|array| match array.data_type() {
                DataType::Struct(_) => array.as_struct().column_by_name(name),
                _ => None,
            });
            let found = [column, member];
            found.into_iter().flatten().all(|array| is_null(array))
        })
    }
}
