//! The engine as a Python object.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arrow_array::builder::{ArrayBuilder as _, ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array as _, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use idmerge_core::{DistinctId, Resolve};
use idmerge_engines::Settings;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString};

use super::events::{Checked, OnInvalid, read_events};
use super::fold::{ClaimTable, Folded};
use super::summary::Summary;
use super::table::Table;
use crate::answers::{Failures, answer, answer_now, canonical};
use crate::arrow::input::{has_stream, read_column};
use crate::arrow::plain::Plain;
use crate::errors::{
    InvalidEventError, broken_stream, column_error, engine_failed, failed, snapshot_error,
};
use crate::order::OrderNames;
use crate::reading::push_id;
use crate::settings::settings;
use crate::state::{Outcomes, State};

/// Decides which IDs belong to one person, event by event. ``engine`` is ``"simplified"``, ``"original"`` or
/// ``"legacy"``; the settings are ``max_cluster_ids`` and ``anon_id_format`` (Original), ``max_id_bytes`` and
/// ``blocked_ids``.
///
/// It keeps the IDs, not the events: give it each day's events, and keep a snapshot until the next day.
///
/// >>> engine = idmerge.Engine("simplified")
/// >>> engine.apply(events).merges
/// 1
/// >>> engine.resolve(["$device:D1", "ada"])
/// ['ben', 'ada']
/// >>> tomorrow = idmerge.Engine.from_snapshot(engine.snapshot(), "simplified")
/// >>> tomorrow.cluster("ben")
/// ['ben', '$device:D1']
#[pyclass(module = "idmerge", frozen)]
pub(crate) struct Engine {
    settings: Arc<Settings>,
    state: RwLock<State>,
}

impl Engine {
    pub(crate) fn of(settings: Arc<Settings>, state: State) -> Self {
        let state = RwLock::new(state);
        Self { settings, state }
    }

    /// A lock is poisoned if a thread has panicked while it weighed claims. The engines do not panic.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn id<'i>(&self, text: &'i str) -> PyResult<DistinctId<'i>> {
        let id = self.settings.read_id(text);
        id.map_err(|error| InvalidEventError::new_err(error.to_string()))
    }

    fn resolve_texts(&self, texts: &[Option<String>]) -> PyResult<Vec<Option<String>>> {
        let state = self.read();
        let resolved = texts.iter().map(|text| {
            let own = text.as_deref().map(|text| self.id(text)).transpose()?;
            Ok(own.map(|own| state.engine.resolve(own).to_string()))
        });
        resolved.collect()
    }

    fn members(&self, text: &str) -> PyResult<Option<Vec<String>>> {
        let id = self.id(text)?;
        let state = self.read();
        let cluster = state.engine.cluster(id);
        Ok(cluster.map(|cluster| cluster.members.iter().map(ToString::to_string).collect()))
    }

    /// The rows of a column with the IDs that they resolve to.
    fn resolve_column(&self, column: &[ArrayRef]) -> PyResult<Table> {
        let schema = Schema::new(vec![
            Field::new("distinct_id", DataType::Utf8, true),
            Field::new("resolved_distinct_id", DataType::Utf8, true),
        ]);
        let schema = Arc::new(schema);
        let state = self.read();
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
                    Some(text) => push_id(&mut own, self.id(text)?),
                    None => own.append_null(),
                }
            }
            let resolved = canonical(&own.finish(), &*state.engine);
            let columns: Vec<ArrayRef> = vec![part, Arc::new(resolved)];
            let batch = RecordBatch::try_new(schema.clone(), columns);
            batches.push(batch.map_err(|error| broken_stream(&error))?);
        }
        Ok(Table::new(schema, batches))
    }

    /// As the command `idmerge mappings` writes it.
    pub(crate) fn mapping_table(&self) -> PyResult<Table> {
        let names = ["distinct_id", "resolved_distinct_id"];
        let fields = names.map(|name| Field::new(name, DataType::Utf8, false));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let state = self.read();
        let mut batches = Vec::new();
        let mut columns = names.map(|_| StringBuilder::new());
        let take = |columns: &mut [StringBuilder; 2]| {
            let columns = columns
                .each_mut()
                .map(|column| Arc::new(column.finish()) as ArrayRef);
            RecordBatch::try_new(schema.clone(), columns.to_vec())
        };
        for cluster in state.engine.cluster_parts(BATCH_ROWS) {
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

    fn clusters_table(&self) -> PyResult<Table> {
        let element = Arc::new(Field::new_list_field(DataType::Utf8, true));
        let schema = Schema::new(vec![
            Field::new("canonical", DataType::Utf8, false),
            Field::new("members", DataType::List(element), false),
        ]);
        let schema = Arc::new(schema);
        let state = self.read();
        let mut batches = Vec::new();
        let mut canonical = StringBuilder::new();
        let mut members = ListBuilder::new(StringBuilder::new());
        let take = |canonical: &mut StringBuilder, members: &mut ListBuilder<StringBuilder>| {
            let columns: Vec<ArrayRef> =
                vec![Arc::new(canonical.finish()), Arc::new(members.finish())];
            RecordBatch::try_new(schema.clone(), columns)
        };
        for cluster in state.engine.clusters() {
            push_id(&mut canonical, cluster.canonical);
            for member in &cluster.members {
                push_id(members.values(), *member);
            }
            members.append(true);
            if members.values().len() >= BATCH_ROWS {
                let batch = take(&mut canonical, &mut members);
                batches.push(batch.map_err(|error| broken_stream(&error))?);
            }
        }
        let batch = take(&mut canonical, &mut members);
        batches.push(batch.map_err(|error| broken_stream(&error))?);
        Ok(Table::new(schema, batches))
    }
}

/// Tables of IDs come in batches of about so many rows.
const BATCH_ROWS: usize = 1 << 16;

/// The text of an ID that is given alone: text, or an integer (ID-3). `None` stays so.
fn id_text(id: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
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

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (engine, **settings), text_signature = "(engine, **settings)")]
    fn new(engine: &str, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let settings = self::settings(engine, settings)?;
        let state = State::new(&settings);
        Ok(Self::of(Arc::new(settings), state))
    }

    /// An engine with the state of a snapshot, which :meth:`snapshot` gave. The settings are not part of a snapshot:
    /// give those that it was made with.
    #[staticmethod]
    #[pyo3(signature = (snapshot, engine, **settings))]
    fn from_snapshot(
        snapshot: &[u8],
        engine: &str,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let settings = self::settings(engine, settings)?;
        let mut engine = settings.engine();
        let mut rest = snapshot;
        engine
            .read_snapshot(&mut rest)
            .map_err(|error| snapshot_error(&error))?;
        if !rest.is_empty() {
            return Err(crate::errors::SnapshotError::new_err(format!(
                "{} bytes follow the snapshot; give the bytes of one snapshot",
                rest.len()
            )));
        }
        Ok(Self::of(Arc::new(settings), State::of(engine)))
    }

    /// Which rules the engine follows: ``"simplified"``, ``"original"`` or ``"legacy"``.
    #[getter]
    fn name(&self) -> &'static str {
        self.settings.model().name()
    }

    /// Weighs the claims of these events, in the order of the rows. If there is an error, nothing has changed.
    ///
    /// An identity event that came before with the same ``$insert_id`` is not weighed again (AR-2). The engine knows
    /// those of its life; a snapshot does not have them.
    #[pyo3(signature = (events, *, columns=None, on_invalid="keep"))]
    fn apply(
        &self,
        events: &Bound<'_, PyAny>,
        columns: Option<&Bound<'_, PyDict>>,
        on_invalid: &str,
    ) -> PyResult<Summary> {
        let on_invalid = OnInvalid::new(on_invalid)?;
        let Checked { read, .. } = read_events(events, &self.settings, columns, on_invalid)?;
        let mut outcomes = Outcomes::default();
        events
            .py()
            .detach(|| {
                let mut state = self.write();
                let folded = read
                    .iter()
                    .map(|read| state.fold(&read.claims, &mut outcomes));
                folded.collect::<Result<Vec<_>, _>>()
            })
            .map_err(|error| engine_failed(&error))?;
        Ok(Summary::new(&read, outcomes, None))
    }

    /// Weighs claims that :func:`claims` gave, which may be those of many tables. If there is an error, nothing has
    /// changed.
    ///
    /// ``order`` names the column, or the columns, that the claims are sorted by: integers, dates, times or texts
    /// that rise from each row to the next. Claims that are not sorted are a :class:`ColumnError`, since the order
    /// decides who is joined to whom. ``None`` stands for the order of the rows. To give a long table in parts, name
    /// the part before as ``after``: its last row must be before the first one.
    ///
    /// >>> numbered = events.append_column("seq", [[1, 2, 3]])
    /// >>> engine = idmerge.Engine("simplified")
    /// >>> folded = engine.fold(idmerge.claims(numbered, engine="simplified", keep=["seq"]), order="seq")
    /// >>> folded.summary.merges, len(folded.failures)
    /// (1, 0)
    #[pyo3(signature = (claims, order=None, *, after=None))]
    fn fold(
        &self,
        claims: &Bound<'_, PyAny>,
        order: Option<OrderNames>,
        after: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Folded> {
        let py = claims.py();
        let order = order.map(OrderNames::into_list);
        let table = ClaimTable::read(claims, &self.settings, order, after)?;
        let mut outcomes = Outcomes::default();
        let rejected = py.detach(|| {
            let mut state = self.write();
            let folded = table.claims.iter();
            let folded = folded.map(|claims| state.fold(claims, &mut outcomes));
            folded.collect::<Result<Vec<_>, _>>()
        });
        let rejected = rejected.map_err(|error| engine_failed(&error))?;
        table.folded(py, outcomes, &rejected)
    }

    /// The events, each with the ``distinct_id`` of its person, as of now. Their claims are not weighed, and the engine
    /// stays as it is: :meth:`apply` or :meth:`fold` has weighed them before. It writes what :func:`resolve` writes.
    ///
    /// In Simplified the state tells which claims were rejected. In Original and Legacy it does not: ``failures`` names
    /// two columns of the events, the ``code`` and the ``description`` of :attr:`Folded.failures`, which were joined to
    /// them.
    ///
    /// With ``weigh=True`` the claims are weighed first, in the order of the rows. In Legacy, where an event stays with
    /// the person of its arrival (L-3), this is the only way to what :func:`resolve` writes.
    ///
    /// >>> engine = idmerge.Engine("simplified")
    /// >>> summary = engine.apply(events)
    /// >>> pa.table(engine.resolve_events(events))["distinct_id"].to_pylist()
    /// ['ben', 'ben', 'ben']
    #[pyo3(signature = (events, *, columns=None, on_invalid="keep", failures=None, weigh=false))]
    fn resolve_events(
        &self,
        events: &Bound<'_, PyAny>,
        columns: Option<&Bound<'_, PyDict>>,
        on_invalid: &str,
        failures: Option<(String, String)>,
        weigh: bool,
    ) -> PyResult<Table> {
        let on_invalid = OnInvalid::new(on_invalid)?;
        let Checked { input, read } = read_events(events, &self.settings, columns, on_invalid)?;
        let failures = failures.map(|names| Failures::new(&names, &input));
        let failures = failures.transpose()?;
        let mut outcomes = Outcomes::default();
        events.py().detach(|| {
            let answered = match weigh {
                true => answer(
                    &input,
                    &read,
                    &self.settings,
                    &mut self.write(),
                    &mut outcomes,
                ),
                false => {
                    let state = self.read();
                    answer_now(
                        &input,
                        &read,
                        &self.settings,
                        &*state.engine,
                        failures.as_ref(),
                    )?
                }
            };
            let answered = answered.map_err(|error| failed(&error))?;
            Ok(Table::new(answered.schema, answered.batches))
        })
    }

    /// The canonical ID of an ID, now. Takes one ID, a list of IDs, or a column of texts of any Arrow library; a column
    /// gives a table of ``distinct_id`` and ``resolved_distinct_id``. ``None`` stays ``None``.
    ///
    /// An ID that the engine does not know is its own canonical ID; one that is invalid is an
    /// :class:`InvalidEventError`.
    fn resolve<'py>(&self, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = ids.py();
        if has_stream(ids)? {
            let column = read_column(ids)?;
            let table = py.detach(|| self.resolve_column(&column))?;
            return Ok(Bound::new(py, table)?.into_any());
        }
        // Bytes are a sequence of integers too, but they are meant as one ID.
        let is_one = ids.is_none()
            || ids.is_instance_of::<PyString>()
            || ids.is_instance_of::<PyInt>()
            || ids.is_instance_of::<PyBytes>();
        let texts = match is_one {
            true => vec![id_text(ids)?],
            false => {
                let texts = ids.try_iter()?.map(|id| id_text(&id?));
                texts.collect::<PyResult<_>>()?
            }
        };
        // Another thread may hold the engine, and must not hold Python up too.
        let resolved = py.detach(|| self.resolve_texts(&texts))?;
        if is_one {
            let one = resolved.into_iter().next().flatten();
            return Ok(one.into_pyobject(py)?.into_any());
        }
        Ok(PyList::new(py, resolved)?.into_any())
    }

    /// The IDs of the person with this ID, in the order in which they were joined; ``None`` if it is in no cluster.
    fn cluster(&self, id: &Bound<'_, PyAny>) -> PyResult<Option<Vec<String>>> {
        let text = id_text(id)?.unwrap_or_default();
        id.py().detach(|| self.members(&text))
    }

    /// The people who have several IDs: a table of ``canonical`` and ``members``.
    ///
    /// >>> engine = idmerge.Engine("simplified")
    /// >>> summary = engine.apply(events)
    /// >>> pa.table(engine.clusters()).to_pylist()
    /// [{'canonical': 'ben', 'members': ['ben', '$device:D1']}]
    fn clusters(&self, py: Python<'_>) -> PyResult<Table> {
        py.detach(|| self.clusters_table())
    }

    /// The canonical ID of each other ID: a table of ``distinct_id`` and ``resolved_distinct_id`` to join, with the
    /// rows and the order of the command ``idmerge mappings``.
    fn mapping(&self, py: Python<'_>) -> PyResult<Table> {
        py.detach(|| self.mapping_table())
    }

    /// The state as bytes: equal states have equal bytes. :meth:`from_snapshot` reads them.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| {
            let mut bytes = Vec::new();
            self.read()
                .engine
                .write_snapshot(&mut bytes)
                .map(|()| bytes)
        })?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// How many IDs are in clusters.
    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.read().engine.clustered_ids())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!(
            "<idmerge.Engine {}: {} IDs in clusters>",
            self.name(),
            self.__len__(py)
        )
    }

    fn __bool__(&self) -> bool {
        true
    }
}
