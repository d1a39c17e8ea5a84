//! Tables that other libraries take.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchIterator};
use arrow_schema::SchemaRef;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use super::engine::Engine;
use super::summary::Summary;
use crate::arrow::capsule;

/// A table in memory. DuckDB, Polars, pandas 3 and pyarrow take it as it is:
///
/// >>> mapping = idmerge.mapping(events, engine="simplified")
/// >>> pa.table(mapping).to_pylist()
/// [{'distinct_id': '$device:D1', 'resolved_distinct_id': 'ben'}]
/// >>> duckdb.sql("SELECT resolved_distinct_id FROM mapping").fetchall()
/// [('ben',)]
/// >>> len(pl.DataFrame(mapping)), len(pd.DataFrame.from_arrow(mapping))
/// (1, 1)
#[pyclass(module = "idmerge", frozen, subclass)]
pub(crate) struct Table {
    schema: SchemaRef,
    batches: Arc<[RecordBatch]>,
}

impl Table {
    pub(crate) fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let batches = batches.into();
        Self { schema, batches }
    }

    pub(crate) fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    fn described(&self, name: &str) -> String {
        let columns = self.columns().join(", ");
        format!("<idmerge.{name}: {} rows; {columns}>", self.rows())
    }
}

#[pymethods]
impl Table {
    /// The names of the columns.
    #[getter]
    fn columns(&self) -> Vec<&str> {
        let fields = self.schema.fields().iter();
        fields.map(|field| field.name().as_str()).collect()
    }

    fn __len__(&self) -> usize {
        self.rows()
    }

    /// The rows as an Arrow stream, for other libraries. It can be taken any number of times. A schema that is
    /// requested is not followed, which the interface allows.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let batches = self.batches.clone();
        let batches = (0..batches.len()).map(move |batch| Ok(batches[batch].clone()));
        let reader = RecordBatchIterator::new(batches, self.schema.clone());
        capsule::of_stream(py, Box::new(reader))
    }

    /// The names and types of the columns, for other libraries.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::of_schema(py, &self.schema)
    }

    fn __repr__(&self) -> String {
        self.described("Table")
    }
}

/// The events with the distinct_id of the person who did each: the table that :func:`resolve` gives.
///
/// >>> resolved = idmerge.resolve(events, engine="simplified")
/// >>> resolved
/// <idmerge.Resolved: 3 rows; event, $device_id, $user_id, distinct_id, $distinct_id_before_identity, $is_reshuffled, $identity_failure_reason, $failure_reason, $failure_description>
/// >>> resolved.engine.resolve("$device:D1")
/// 'ben'
#[pyclass(module = "idmerge", frozen, extends = Table)]
pub(crate) struct Resolved {
    /// The figures of the run.
    #[pyo3(get)]
    summary: Py<Summary>,
    /// The rows that are no valid events, with the columns ``row`` (counted from 0), ``rule`` and ``error``.
    #[pyo3(get)]
    refused: Py<Table>,
    /// The engine after all events: for more events, or for its mapping and clusters.
    #[pyo3(get)]
    engine: Py<Engine>,
}

impl Resolved {
    pub(crate) fn new(
        py: Python<'_>,
        table: Table,
        summary: Summary,
        refused: Table,
        engine: Engine,
    ) -> PyResult<Py<Self>> {
        let resolved = Self {
            summary: Py::new(py, summary)?,
            refused: Py::new(py, refused)?,
            engine: Py::new(py, engine)?,
        };
        Py::new(py, PyClassInitializer::from(table).add_subclass(resolved))
    }
}

#[pymethods]
impl Resolved {
    fn __repr__(slf: PyRef<'_, Self>) -> String {
        slf.as_super().described("Resolved")
    }
}

/// The claims that :func:`claims` gives.
///
/// >>> idmerge.claims(events, engine="simplified").summary
/// Summary(events=3, events_without_id=0, merges=0, rejections=0, refused=0)
#[pyclass(module = "idmerge", frozen, extends = Table)]
pub(crate) struct Claims {
    /// The figures of the events. No claim was weighed yet.
    #[pyo3(get)]
    summary: Py<Summary>,
}

impl Claims {
    pub(crate) fn new(py: Python<'_>, table: Table, summary: Summary) -> PyResult<Py<Self>> {
        let summary = Py::new(py, summary)?;
        Py::new(
            py,
            PyClassInitializer::from(table).add_subclass(Self { summary }),
        )
    }
}

#[pymethods]
impl Claims {
    fn __repr__(slf: PyRef<'_, Self>) -> String {
        slf.as_super().described("Claims")
    }
}
