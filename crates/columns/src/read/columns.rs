//! The columns of a table that are read, under the names of the properties that they are.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use idmerge_core::IdProperty;

use crate::plain::Plain;
use crate::table::{ColumnsError, Values, place_of};

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<(String, String)>);

impl Names {
    /// `given` has the names of properties, and of their columns. `user`, `device` and `id` are short for `$user_id`,
    /// `$device_id` and `$insert_id`.
    ///
    /// # Errors
    ///
    /// No engine reads such a property, or it is named twice.
    pub fn new(given: Vec<(String, String)>) -> Result<Self, ColumnsError> {
        let named = given.into_iter().map(|(property, column)| {
            let part = PARTS.iter().find(|(part, _)| *part == property);
            let property = part.map_or(property, |(_, property)| (*property).to_owned());
            if properties().any(|known| known == property) {
                return Ok((property, column));
            }
            let known: Vec<_> = properties().collect();
            Err(ColumnsError::Column(format!(
                "columns has {property:?}, which no engine reads; they read {}, and user, device and id are short \
                 names",
                known.join(", ")
            )))
        });
        let named: Vec<_> = named.collect::<Result<_, _>>()?;
        for (place, (property, column)) in named.iter().enumerate() {
            if let Some((_, other)) = named[..place].iter().find(|(known, _)| known == property) {
                return Err(ColumnsError::Column(format!(
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
pub fn properties() -> impl Iterator<Item = &'static str> {
    let ids = IdProperty::ALL.into_iter().map(IdProperty::key);
    OTHERS.into_iter().chain(ids)
}

/// The columns that are read, by their places in the table.
#[derive(Debug)]
pub(super) struct Columns {
    places: Vec<usize>,
    /// Plain types, and the names of properties.
    pub(super) schema: SchemaRef,
}

impl Columns {
    pub(super) fn new(schema: &SchemaRef, names: &Names) -> Result<Self, ColumnsError> {
        let (mut places, mut fields) = (Vec::new(), Vec::new());
        for property in properties() {
            let (name, is_named) = names.column(property);
            let Some(place) = place_of(schema, name) else {
                if !is_named {
                    continue;
                }
                let fields = schema.fields().iter();
                let there: Vec<_> = fields.map(|field| field.name().as_str()).collect();
                return Err(ColumnsError::Column(format!(
                    "columns says that {property} is the column {name}, which is not there. There are {}",
                    there.join(", ")
                )));
            };
            let field = Plain::Input.field(&schema.fields()[place]);
            places.push(place);
            fields.push(Arc::new(Field::clone(&field).with_name(property)));
        }
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { places, schema })
    }

    /// All columns of the table. Those that are read have the names of properties.
    pub(super) fn all(schema: &SchemaRef, names: &Names) -> Result<Self, ColumnsError> {
        let read = Self::new(schema, names)?;
        let (mut places, mut fields) = (Vec::new(), Vec::new());
        for (place, field) in schema.fields().iter().enumerate() {
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
    pub(super) fn is_empty(&self, values: &(impl Values + ?Sized), name: &str) -> bool {
        let place = |name: &str| Some(self.places[place_of(&self.schema, name)?]);
        place(name).is_none_or(|place| values.is_empty(place))
            && place("properties").is_none_or(|place| values.is_member_empty(place, name))
    }
}
