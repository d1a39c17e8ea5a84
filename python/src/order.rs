//! The order in which claims are weighed.

use std::cmp::Ordering;
use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal128Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, TimeUnit};
use idmerge_columns::Plain;
use pyo3::prelude::*;

use crate::arrow::input::Input;
use crate::errors::{broken_stream, column_error};

/// The names of the columns that rows are sorted by.
#[derive(FromPyObject)]
pub(crate) enum OrderNames {
    One(String),
    Several(Vec<String>),
}

impl OrderNames {
    pub(crate) fn into_list(self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name],
            Self::Several(names) => names,
        }
    }
}

/// The columns that rows are sorted by, in a table.
pub(crate) struct Order {
    names: Vec<String>,
    places: Vec<usize>,
}

impl Order {
    pub(crate) fn new(names: Vec<String>, input: &Input) -> PyResult<Self> {
        if names.is_empty() {
            return Err(column_error(
                "order names no column; None stands for the order of the rows",
            ));
        }
        let places = names.iter().map(|name| {
            input.column(name).ok_or_else(|| {
                column_error(format!(
                    "order names the column {name}, which is not there: idmerge.claims(events, keep=[{name:?}]) keeps it"
                ))
            })
        });
        let places = places.collect::<PyResult<_>>()?;
        Ok(Self { names, places })
    }

    pub(crate) fn places(&self) -> &[usize] {
        &self.places
    }

    /// An error unless each row comes after the one before it. The last row of `before` is before the first one.
    pub(crate) fn check(&self, input: &Input, before: Option<&Input>) -> PyResult<()> {
        let mut last = match before {
            Some(before) => Self::new(self.names.clone(), before)?.last_row(before)?,
            None => None,
        };
        let mut first = 0;
        for batch in input.batches.iter().filter(|batch| batch.num_rows() > 0) {
            let values = self.values(batch, first)?;
            for row in 0..batch.num_rows() {
                let earlier = match row.checked_sub(1) {
                    Some(row) => Some(Row(&values, row)),
                    None => last.as_ref().map(|(values, row)| Row(values, *row)),
                };
                let later = Row(&values, row);
                if let Some(earlier) = earlier
                    && earlier.cmp(&later)? != Ordering::Less
                {
                    return Err(self.does_not_rise(first + row, &earlier, &later));
                }
            }
            first += batch.num_rows();
            last = Some((values, batch.num_rows() - 1));
        }
        Ok(())
    }

    fn last_row(&self, input: &Input) -> PyResult<Option<(Vec<Values>, usize)>> {
        let last = input
            .batches
            .iter()
            .rev()
            .find(|batch| batch.num_rows() > 0);
        let last = last.map(|batch| {
            let row = batch.slice(batch.num_rows() - 1, 1);
            Ok((self.values(&row, input.rows() - 1)?, 0))
        });
        last.transpose()
    }

    /// The values of a batch whose first row has this number.
    fn values(&self, batch: &RecordBatch, first: usize) -> PyResult<Vec<Values>> {
        let columns = self.places.iter().zip(&self.names).map(|(place, name)| {
            let column = batch.column(*place);
            let nulls = column.logical_nulls();
            if let Some(row) = (0..column.len())
                .find(|row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(*row)))
            {
                return Err(column_error(format!(
                    "the column {name} is null in row {}: it must say of each claim when it came",
                    first + row
                )));
            }
            Values::new(column, name)
        });
        columns.collect()
    }

    fn does_not_rise(&self, row: usize, earlier: &Row<'_>, later: &Row<'_>) -> PyErr {
        let names = self.names.join(", ");
        let remedy = match earlier.cmp(later) {
            Ok(Ordering::Equal) => {
                format!(
                    "which of them came first is not known, and can decide who is joined to whom: add a column to \
                     order that differs, such as order=[{:?}, \"row\"]",
                    self.names[0]
                )
            }
            _ => format!(
                "sort the claims by {names}, since their order decides who is joined to whom"
            ),
        };
        column_error(format!(
            "the column {names} does not rise: row {row} has {later} after {earlier}; {remedy}"
        ))
    }
}

/// The values of a column, without nulls.
enum Values {
    Integers(Vec<i128>),
    Texts(StringArray),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Value<'v> {
    Integer(i128),
    Text(&'v str),
}

impl Values {
    fn new(column: &ArrayRef, name: &str) -> PyResult<Self> {
        let column = Plain::Input
            .array(column)
            .map_err(|error| broken_stream(&error))?;
        Ok(match column.data_type() {
            DataType::Utf8 => Self::Texts(column.as_string().clone()),
            DataType::Int8 => integers::<Int8Type>(&column),
            DataType::Int16 => integers::<Int16Type>(&column),
            DataType::Int32 => integers::<Int32Type>(&column),
            DataType::Int64 => integers::<Int64Type>(&column),
            DataType::UInt8 => integers::<UInt8Type>(&column),
            DataType::UInt16 => integers::<UInt16Type>(&column),
            DataType::UInt32 => integers::<UInt32Type>(&column),
            DataType::UInt64 => integers::<UInt64Type>(&column),
            DataType::Decimal128(..) => integers::<Decimal128Type>(&column),
            DataType::Date32 => integers::<Date32Type>(&column),
            DataType::Date64 => integers::<Date64Type>(&column),
            DataType::Timestamp(unit, _) => match unit {
                TimeUnit::Second => integers::<TimestampSecondType>(&column),
                TimeUnit::Millisecond => integers::<TimestampMillisecondType>(&column),
                TimeUnit::Microsecond => integers::<TimestampMicrosecondType>(&column),
                TimeUnit::Nanosecond => integers::<TimestampNanosecondType>(&column),
            },
            kind => {
                return Err(column_error(format!(
                    "the column {name} is {kind}, but an order is of integers, decimals, dates, times or texts: cast it"
                )));
            }
        })
    }

    fn get(&self, row: usize) -> Value<'_> {
        match self {
            Self::Integers(integers) => Value::Integer(integers[row]),
            Self::Texts(texts) => Value::Text(texts.value(row)),
        }
    }
}

fn integers<T: ArrowPrimitiveType<Native: Into<i128>>>(column: &ArrayRef) -> Values {
    let values = column.as_primitive::<T>().values();
    Values::Integers(values.iter().map(|value| (*value).into()).collect())
}

/// A row, by its values in the columns of an order.
struct Row<'v>(&'v [Values], usize);

impl Row<'_> {
    fn values(&self) -> impl Iterator<Item = Value<'_>> {
        self.0.iter().map(|column| column.get(self.1))
    }

    /// An error if the tables have columns of different types.
    fn cmp(&self, other: &Self) -> PyResult<Ordering> {
        let mut pairs = self.0.iter().zip(other.0);
        let is_one_kind = |(one, other): (&Values, &Values)| {
            matches!(one, Values::Integers(_)) == matches!(other, Values::Integers(_))
        };
        if !pairs.all(is_one_kind) {
            return Err(column_error(
                "the columns of the order have other types in the table `after`: give the claims before these",
            ));
        }
        Ok(self.values().cmp(other.values()))
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, value) in self.values().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            match value {
                Value::Integer(integer) => write!(f, "{integer}")?,
                Value::Text(text) => write!(f, "{text:?}")?,
            }
        }
        Ok(())
    }
}
