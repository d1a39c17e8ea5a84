//! Claims that were made elsewhere.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use idmerge_columns::{Claims, Outcomes, Plain, Rejected, chosen};
use idmerge_engines::Settings;
use pyo3::prelude::*;

use super::summary::Summary;
use super::table::Table;
use crate::arrow::input::Input;
use crate::claims::{COLUMNS, read_table};
use crate::errors::broken_stream;
use crate::order::Order;

/// What :meth:`Engine.fold` did.
#[pyclass(module = "idmerge", frozen, get_all)]
pub(crate) struct Folded {
    /// The figures; ``events`` is the number of claims.
    summary: Py<Summary>,
    /// The claims that a guardrail turned down: the columns of ``order`` (or ``row``, counted from 0), ``kind``,
    /// ``first``, ``second``, ``code`` and ``description``. Joined to the events by the order, they give what
    /// :func:`resolve` writes as ``$failure_reason`` and ``$failure_description``.
    failures: Py<Table>,
}

/// A table of claims, in order.
pub(super) struct ClaimTable {
    input: Input,
    order: Option<Order>,
    pub(super) claims: Vec<Claims>,
}

impl ClaimTable {
    /// Reads a table, and checks that it is sorted. An error leaves no trace.
    pub(super) fn read(
        table: &Bound<'_, PyAny>,
        settings: &Settings,
        order: Option<Vec<String>>,
        after: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let input = Input::read(table, settings)?;
        let before = after.map(|after| Input::read(after, settings));
        let before = before.transpose()?;
        table.py().detach(|| {
            let order = order.map(|names| Order::new(names, &input)).transpose()?;
            if let Some(order) = &order {
                order.check(&input, before.as_ref())?;
            }
            let claims = read_table(&input, settings)?;
            Ok(Self {
                input,
                order,
                claims,
            })
        })
    }

    pub(super) fn folded(
        &self,
        py: Python<'_>,
        outcomes: Outcomes,
        rejected: &[Vec<Rejected>],
    ) -> PyResult<Folded> {
        let summary = Summary::of_claims(self.input.rows() as u64, outcomes);
        let schema = self.failures_schema();
        let mut first = 0;
        let batches = self.input.batches.iter().zip(&self.claims).zip(rejected);
        let batches = batches.map(|((batch, claims), rejected)| {
            let failures = self.failures(batch, first, claims, rejected, &schema);
            first += batch.num_rows();
            failures
        });
        let batches = batches.collect::<Result<_, _>>();
        let batches = batches.map_err(|error| broken_stream(&error))?;
        Ok(Folded {
            summary: Py::new(py, summary)?,
            failures: Py::new(py, Table::new(schema, batches))?,
        })
    }

    fn failures_schema(&self) -> SchemaRef {
        let mut fields: Vec<_> = match &self.order {
            Some(order) => {
                let places = order.places().iter();
                let fields = places.map(|place| &self.input.schema.fields()[*place]);
                fields.map(|field| Plain::Output.field(field)).collect()
            }
            None => vec![Arc::new(Field::new("row", DataType::Int64, false))],
        };
        let texts = COLUMNS[..3].iter().chain(&["code", "description"]);
        fields.extend(texts.map(|name| Arc::new(Field::new(*name, DataType::Utf8, false))));
        Arc::new(Schema::new(fields))
    }

    fn failures(
        &self,
        batch: &RecordBatch,
        first: usize,
        claims: &Claims,
        rejected: &[Rejected],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, ArrowError> {
        let rows = || rejected.iter().map(|rejected| rejected.claim);
        let mut columns: Vec<ArrayRef> = match &self.order {
            Some(order) => {
                let columns = order.places().iter().map(|place| {
                    let column = chosen(batch.column(*place), rows().map(Some))?;
                    Plain::Output.array(&column)
                });
                columns.collect::<Result<_, _>>()?
            }
            None => {
                let rows = rows().map(|row| i64::try_from(first + row).unwrap_or(i64::MAX));
                vec![Arc::new(Int64Array::from_iter_values(rows))]
            }
        };
        let kinds = rows().map(|row| claims.kinds[row].name());
        columns.push(Arc::new(StringArray::from_iter_values(kinds)));
        for ids in &claims.ids {
            let ids = rows().map(|row| ids.value(row));
            columns.push(Arc::new(StringArray::from_iter_values(ids)));
        }
        let codes = rejected.iter().map(|rejected| &*rejected.code);
        columns.push(Arc::new(StringArray::from_iter_values(codes)));
        let descriptions = rejected.iter().map(|rejected| &rejected.description);
        columns.push(Arc::new(StringArray::from_iter_values(descriptions)));
        RecordBatch::try_new(schema.clone(), columns)
    }
}

#[pymethods]
impl Folded {
    fn __repr__(&self) -> String {
        let claims = self.summary.get().events();
        let failures = self.failures.get().rows();
        format!("<idmerge.Folded: {claims} claims, {failures} failures>")
    }
}
