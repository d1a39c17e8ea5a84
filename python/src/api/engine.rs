//! The engine as a Python object.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arrow_array::builder::{ArrayBuilder as _, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use idmerge_columns::{Outcomes, State, push_id};
use idmerge_engines::Settings;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::events::{Checked, OnInvalid, read_events};
use super::fold::{ClaimTable, Folded};
use super::ids::{BATCH_ROWS, Ids, id_text, mapping_table, read_id};
use super::summary::Summary;
use super::table::Table;
use crate::answers::{Failures, answer, answer_now};
use crate::errors::{broken_stream, engine_failed, failed, snapshot_error};
use crate::order::OrderNames;
use crate::settings::settings;

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

    fn members(&self, text: &str) -> PyResult<Option<Vec<String>>> {
        let id = read_id(&self.settings, text)?;
        let state = self.read();
        let cluster = state.engine.cluster(id);
        Ok(cluster.map(|cluster| cluster.members.iter().map(ToString::to_string).collect()))
    }

    pub(crate) fn mapping_table(&self) -> PyResult<Table> {
        mapping_table(&*self.read().engine)
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
        Ids::new(ids)?.resolve(ids.py(), |ids| ids.of(&self.settings, &*self.read().engine))
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
