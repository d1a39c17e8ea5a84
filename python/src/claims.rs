//! Claims from a table that was made of them.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, StringArray};
use idmerge_columns::{Claims, Plain};
use idmerge_core::{Claim, ClaimKind, Id};
use idmerge_engines::Settings;
use pyo3::prelude::*;

use crate::arrow::input::Input;
use crate::errors::{InvalidEventError, broken_stream, column_error};

/// The columns of a table of claims. The last one can be null.
pub(crate) const COLUMNS: [&str; 4] = ["kind", "first", "second", "fingerprint"];

/// Reads all batches of a table of claims. Nothing has changed if there is an error.
pub(crate) fn read_table(input: &Input, settings: &Settings) -> PyResult<Vec<Claims>> {
    let mut places = [0; COLUMNS.len()];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        *place = input.column(name).ok_or_else(|| {
            column_error(format!(
                "there is no column {name}: give what idmerge.claims(events, engine={:?}) gives",
                settings.model().name()
            ))
        })?;
    }
    let mut first = 0;
    let claims = input.batches.iter().map(|batch| {
        let claims = Columns::new(batch, &places)?.read(first, settings);
        first += batch.num_rows();
        claims
    });
    claims.collect()
}

struct Columns([StringArray; COLUMNS.len()]);

impl Columns {
    fn new(batch: &RecordBatch, places: &[usize; COLUMNS.len()]) -> PyResult<Self> {
        let mut columns = COLUMNS.map(|_| StringArray::new_null(0));
        for (column, (place, name)) in columns.iter_mut().zip(places.iter().zip(COLUMNS)) {
            let given = Plain::Input
                .array(batch.column(*place))
                .map_err(|error| broken_stream(&error))?;
            *column = match given.as_string_opt::<i32>() {
                Some(texts) => texts.clone(),
                // A library that finds nothing but nulls may give the column another type.
                None if given.logical_null_count() == given.len() => {
                    StringArray::new_null(given.len())
                }
                None => {
                    let kind = given.data_type();
                    return Err(column_error(format!(
                        "the column {name} is {kind}, but in claims it is text"
                    )));
                }
            };
        }
        Ok(Self(columns))
    }

    /// `first` is the number of the first row.
    fn read(self, first: usize, settings: &Settings) -> PyResult<Claims> {
        let rows = self.0[0].len();
        let (mut kinds, mut fingerprints) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for row in 0..rows {
            let in_row = |problem: String| {
                InvalidEventError::new_err(format!("row {}: {problem}", first + row))
            };
            kinds.push(self.kind(row, settings).map_err(in_row)?);
            fingerprints.push(self.fingerprint(row).map_err(in_row)?);
        }
        let [_, one, other, _] = self.0;
        Ok(Claims {
            rows: (0..rows).collect(),
            kinds,
            ids: [one, other],
            fingerprints,
        })
    }

    /// The kind of a claim, whose IDs are valid.
    fn kind(&self, row: usize, settings: &Settings) -> Result<ClaimKind, String> {
        let [kinds, one, other, _] = &self.0;
        let kind = text(kinds, row).unwrap_or_default();
        let found = ClaimKind::ALL
            .into_iter()
            .find(|known| known.name() == kind);
        let found = found.filter(|kind| settings.rule_book().weighs(*kind));
        let found = found.ok_or_else(|| {
            let model = settings.model().name();
            format!(
                "the column kind has {kind:?}, which is no claim in {model}: give what \
                 idmerge.claims(events, engine={model:?}) gives"
            )
        })?;
        let id = |column, name: &str| {
            let id = Id::new(text(column, row).unwrap_or_default());
            id.map_err(|error| format!("the column {name}: {error}"))
        };
        let ids = [id(one, COLUMNS[1])?, id(other, COLUMNS[2])?];
        if !settings.accepts(Claim::new(found, ids)) {
            return Err(
                "the column first or second has an ID that the settings of this engine do not allow (ID-2, ID-4): \
                 give claims and Engine the same settings"
                    .to_owned(),
            );
        }
        Ok(found)
    }

    fn fingerprint(&self, row: usize) -> Result<Option<u128>, String> {
        let read = text(&self.0[3], row).map(|text| {
            u128::from_str_radix(text, 16).map_err(|_| {
                format!(
                    "the column fingerprint has {text:?}, which no claim has: give it as it was"
                )
            })
        });
        read.transpose()
    }
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}
