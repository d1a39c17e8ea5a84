//! IDs that a method gets alone, in a list or in a column, and the tables of what they resolve to.

use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder as _, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use idmerge_columns::{Plain, canonical, push_id};
use idmerge_core::{DistinctId, Resolve};
use idmerge_engines::Settings;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList, PyString};

use super::table::Table;
use crate::arrow::input::{has_stream, read_column};
use crate::errors::{InvalidEventError, broken_stream, column_error};

/// Tables of IDs come in batches of about so many rows.
pub(super) const BATCH_ROWS: usize = 1 << 16;

/// The columns of the tables of this module: those of the command `idmerge mappings`.
const COLUMNS: [&str; 2] = ["distinct_id", "resolved_distinct_id"];

/// IDs as they were given.
pub(super) enum Ids {
    One(Option<String>),
    List(Vec<Option<String>>),
    Column(Vec<ArrayRef>),
}

/// What the IDs resolve to, in the same form.
pub(super) enum Resolved {
    One(Option<String>),
    List(Vec<Option<String>>),
    Column(Table),
}

impl Ids {
    pub(super) fn new(ids: &Bound<'_, PyAny>) -> PyResult<Self> {
        if has_stream(ids)? {
            return read_column(ids).map(Self::Column);
        }
        // Bytes are a sequence of integers too, but they are meant as one ID.
        let is_one = ids.is_none()
            || ids.is_instance_of::<PyString>()
            || ids.is_instance_of::<PyInt>()
            || ids.is_instance_of::<PyBytes>();
        if is_one {
            return id_text(ids).map(Self::One);
        }
        let texts = ids.try_iter()?.map(|id| id_text(&id?));
        texts.collect::<PyResult<_>>().map(Self::List)
    }

    /// What `resolve` says of these IDs. Another thread may hold what it needs, and must not hold Python up too.
    pub(super) fn resolve<'py>(
        self,
        py: Python<'py>,
        resolve: impl FnOnce(&Self) -> PyResult<Resolved> + Send,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(match py.detach(|| resolve(&self))? {
            Resolved::One(id) => id.into_pyobject(py)?.into_any(),
            Resolved::List(ids) => PyList::new(py, ids)?.into_any(),
            Resolved::Column(table) => Bound::new(py, table)?.into_any(),
        })
    }

    /// What they resolve to in a state.
    pub(super) fn of(&self, settings: &Settings, engine: &dyn Resolve) -> PyResult<Resolved> {
        let one = |text: &Option<String>| {
            let own = text.as_deref().map(|text| read_id(settings, text));
            Ok(own.transpose()?.map(|own| engine.resolve(own).to_string()))
        };
        Ok(match self {
            Self::One(text) => Resolved::One(one(text)?),
            Self::List(texts) => Resolved::List(texts.iter().map(one).collect::<PyResult<_>>()?),
            Self::Column(column) => Resolved::Column(resolve_column(column, settings, engine)?),
        })
    }
}

pub(super) fn read_id<'i>(settings: &Settings, text: &'i str) -> PyResult<DistinctId<'i>> {
    let id = settings.read_id(text);
    id.map_err(|error| InvalidEventError::new_err(error.to_string()))
}

/// The text of an ID that is given alone: text, or an integer (ID-3). `None` stays so.
pub(super) fn id_text(id: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    if id.is_none() {
        return Ok(None);
    }
    if let Ok(text) = id.cast::<PyString>() {
        return text.extract().map(Some);
    }
    if id.is_exact_instance_of::<PyInt>() {
        return id.str()?.extract().map(Some);
    }
    let kind = id.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "an ID is a text or an integer (ID-3), not {kind}"
    )))
}

/// The rows of a column with the IDs that they resolve to.
fn resolve_column(
    column: &[ArrayRef],
    settings: &Settings,
    engine: &dyn Resolve,
) -> PyResult<Table> {
    let fields = COLUMNS.map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let mut batches = Vec::with_capacity(column.len());
    for part in column {
        let kind = part.data_type();
        let part = Plain::Input
            .array(part)
            .map_err(|error| broken_stream(&error))?;
        let Some(texts) = part.as_string_opt::<i32>() else {
            return Err(column_error(format!(
                "the column is {kind}, but here IDs are text: give a column of texts, not a table"
            )));
        };
        let mut own = StringBuilder::with_capacity(texts.len(), texts.values().len());
        for text in texts {
            match text {
                Some(text) => push_id(&mut own, read_id(settings, text)?),
                None => own.append_null(),
            }
        }
        let resolved = canonical(&own.finish(), engine);
        let columns: Vec<ArrayRef> = vec![part, Arc::new(resolved)];
        let batch = RecordBatch::try_new(schema.clone(), columns);
        batches.push(batch.map_err(|error| broken_stream(&error))?);
    }
    Ok(Table::new(schema, batches))
}

/// The canonical ID of each other ID, as the command `idmerge mappings` writes it.
pub(super) fn mapping_table(engine: &dyn Resolve) -> PyResult<Table> {
    let fields = COLUMNS.map(|name| Field::new(name, DataType::Utf8, false));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let mut batches = Vec::new();
    let mut columns = COLUMNS.map(|_| StringBuilder::new());
    let take = |columns: &mut [StringBuilder; 2]| {
        let columns = columns
            .each_mut()
            .map(|column| Arc::new(column.finish()) as ArrayRef);
        RecordBatch::try_new(schema.clone(), columns.to_vec())
    };
    for cluster in engine.cluster_parts(BATCH_ROWS) {
        let others = cluster
            .members
            .iter()
            .filter(|id| **id != cluster.canonical);
        for member in others {
            push_id(&mut columns[0], *member);
            push_id(&mut columns[1], cluster.canonical);
        }
        if columns[0].len() >= BATCH_ROWS {
            batches.push(take(&mut columns).map_err(|error| broken_stream(&error))?);
        }
    }
    batches.push(take(&mut columns).map_err(|error| broken_stream(&error))?);
    Ok(Table::new(schema, batches))
}
