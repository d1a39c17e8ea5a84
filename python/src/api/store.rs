//! A store on disk as a Python object.

mod changes;
mod open;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock};

use idmerge_core::Resolve;
use idmerge_engines::{Engine, Settings};
use idmerge_store::{Cause, Difference, Durable, History, LogEntry, StoreError, Target};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;

use super::events::{Checked, OnInvalid, read_events};
use super::ids::{Ids, id_text, mapping_table, read_id};
use super::python::of_json;
use super::table::Table;
use crate::errors::{engine_failed, store_error, store_failed};
use crate::intake::{Intake, Stopped, Taking};
use crate::reading::{lines_of, names};
use crate::settings::settings;
use changes::changes_table;
use open::{CLOSED, FAILED, State, open};

/// The folder in which ``idmerge ingest`` and ``idmerge store`` keep the claims of events: the IDs outlive the process,
/// and each entry of the log can be explained and withdrawn. Nothing that a method has returned is lost in a crash.
///
/// ``engine`` and its settings (see :class:`Engine`) make a store where there is none; a store keeps them for ever.
///
/// One process at a time has a store open for writing; another one is a :class:`StoreError`. ``read_only=True`` reads a
/// store beside its writer, in the state of the moment at which it was opened.
///
/// >>> with idmerge.Store(folder, engine="simplified") as store:
/// ...     taken = store.ingest(events)
/// ...     store.resolve("$device:D1"), taken["merges"]
/// ('ben', 1)
/// >>> with idmerge.Store(folder) as store:
/// ...     store.resolve("$device:D1")
/// 'ben'
#[pyclass(module = "idmerge", frozen)]
pub(crate) struct Store {
    folder: PathBuf,
    settings: Settings,
    state: RwLock<State>,
}

impl Store {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(&State) -> PyResult<T> + Send,
    ) -> PyResult<T> {
        py.detach(|| ask(&self.state.read().unwrap_or_else(PoisonError::into_inner)))
    }

    fn with_history<T: Send>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(&History<Engine>, &dyn Resolve) -> Result<T, StoreError> + Send,
    ) -> PyResult<T> {
        self.with(py, |state| {
            let asked = ask(&state.history()?, state.engine()?);
            asked.map_err(|error| store_failed(&error))
        })
    }

    /// Changes the store. If that fails, what is in memory may not be what is on the disk, so the store is closed.
    fn write<T: Send>(
        &self,
        py: Python<'_>,
        write: impl FnOnce(&mut Durable<Engine>) -> Result<T, Stopped> + Send,
    ) -> PyResult<T> {
        py.detach(|| {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            let error = match write(state.writing()?) {
                Ok(written) => return Ok(written),
                Err(error) => error,
            };
            Err(match error {
                // The store has what it should have.
                Stopped::Refused(error) => return Err(store_failed(&error)),
                Stopped::Interrupted => return Err(store_error("the ingest was interrupted")),
                Stopped::Lost(why) => store_error(why),
                Stopped::Store(error) => store_failed(&error),
                Stopped::Engine(error) => engine_failed(&error),
            })
            .inspect_err(|_| *state = State::Closed(FAILED))
        })
    }
}

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (path, *, engine=None, read_only=false, **settings), text_signature = "(path, *, engine=None, read_only=False, **settings)")]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        engine: Option<&str>,
        read_only: bool,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let given = match engine {
            Some(engine) => Some(self::settings(engine, settings)?),
            None if settings.is_some_and(|settings| !settings.is_empty()) => {
                return Err(PyTypeError::new_err(
                    "settings are those of an engine; name it with engine=",
                ));
            }
            None => None,
        };
        let (settings, state) = py.detach(|| open(&path, given, read_only))?;
        Ok(Self {
            folder: path,
            settings,
            state: RwLock::new(state),
        })
    }

    /// Which rules the store follows: ``"simplified"``, ``"original"`` or ``"legacy"``.
    #[getter]
    fn engine(&self) -> &'static str {
        self.settings.model().name()
    }

    /// The folder.
    #[getter]
    fn path(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Takes events: their claims are weighed in the order of the rows, and are on the disk when this returns.
    ///
    /// As ``idmerge ingest``, it passes over what was taken before, in whatever way: a table with the content of an
    /// earlier one, its known beginning (AR-3), and events that come again with their ``$insert_id`` (AR-2). So after a
    /// crash give the same table again. ``again=True`` takes everything anew. ``source`` is kept in the log.
    ///
    /// The result has the figures of ``idmerge ingest --summary json``. With Ctrl-C what was weighed is kept.
    #[pyo3(signature = (events, *, columns=None, on_invalid="keep", source="python", again=false))]
    fn ingest<'py>(
        &self,
        events: &Bound<'py, PyAny>,
        columns: Option<&Bound<'py, PyDict>>,
        on_invalid: &str,
        source: &str,
        again: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = events.py();
        self.with(py, |state| state.engine().map(drop))?;
        let on_invalid = OnInvalid::new(on_invalid)?;
        // It also finds each claim that would be lost, before anything is taken.
        let Checked { input, .. } = read_events(events, &self.settings, columns, on_invalid)?;
        let lines = lines_of(&input, &self.settings, &names(columns)?)?;
        let interrupt = Mutex::new(None);
        let may_go_on = || {
            #[expect(
                clippy::redundant_closure_for_method_calls,
                reason = "the method is of one lifetime, and the closure of all"
            )]
            let signals = Python::attach(|py| py.check_signals());
            let mut interrupt = interrupt.lock().unwrap_or_else(PoisonError::into_inner);
            *interrupt = signals.err();
            interrupt.is_none()
        };
        let taking = Taking {
            lines: &lines,
            settings: &self.settings,
            source,
            again,
            may_go_on: &may_go_on,
        };
        let intake = self.write(py, |store| taking.run(&input, store));
        let interrupt = interrupt.into_inner();
        match interrupt.unwrap_or_else(PoisonError::into_inner) {
            Some(interrupt) => Err(interrupt),
            None => figures(py, &intake?),
        }
    }

    /// The canonical ID of an ID, now: of one ID, a list of IDs, or a column of texts of any Arrow library, which gives
    /// a table, as :meth:`Engine.resolve`.
    fn resolve<'py>(&self, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = ids.py();
        Ids::new(ids)?.resolve(py, |ids| {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            ids.of(&self.settings, state.engine()?)
        })
    }

    /// The same in the state after an entry of the log; 0 is before the first.
    fn as_of<'py>(&self, sequence: u64, ids: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = ids.py();
        Ids::new(ids)?.resolve(py, |ids| {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            let engine = state.history()?.as_of(sequence);
            ids.of(
                &self.settings,
                &*engine.map_err(|error| store_failed(&error))?,
            )
        })
    }

    /// The IDs of the person with this ID; ``None`` if it is in no cluster.
    fn cluster(&self, id: &Bound<'_, PyAny>) -> PyResult<Option<Vec<String>>> {
        let text = id_text(id)?.unwrap_or_default();
        self.with(id.py(), |state| {
            let cluster = state.engine()?.cluster(read_id(&self.settings, &text)?);
            Ok(cluster.map(|cluster| cluster.members.iter().map(ToString::to_string).collect()))
        })
    }

    /// The canonical ID of each other ID: a table of ``distinct_id`` and ``resolved_distinct_id``, as
    /// :meth:`Engine.mapping`.
    fn mapping(&self, py: Python<'_>) -> PyResult<Table> {
        self.with(py, |state| mapping_table(state.engine()?))
    }

    /// Explains why two IDs are one person or two, or lists the claims of one ID's person: ``idmerge store explain``.
    /// ``claims`` has the entries of the log that decide it.
    ///
    /// >>> with idmerge.Store(folder, engine="simplified") as store:
    /// ...     taken = store.ingest(events)
    /// ...     store.explain("$device:D1", "ben")["why"]
    /// 'these claims joined them'
    #[pyo3(signature = (id, other=None))]
    fn explain<'py>(
        &self,
        id: &Bound<'py, PyAny>,
        other: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = id.py();
        let texts = (
            id_text(id)?.unwrap_or_default(),
            other.map(id_text).transpose()?.flatten(),
        );
        let first = read_id(&self.settings, &texts.0)?;
        let second = texts.1.as_deref().map(|text| read_id(&self.settings, text));
        let second = second.transpose()?;
        let explained = self.with_history(py, |history, engine| {
            let claims_of = |claims: &[LogEntry]| json!(claims);
            let Some(second) = second else {
                let members = engine.cluster(first).map(|cluster| cluster.members);
                return Ok(json!({
                    "id": first,
                    "distinct_id": engine.resolve(first),
                    "members": members.unwrap_or_default(),
                    "claims": claims_of(&history.story(engine, first)?),
                }));
            };
            let explanation = history.explain(engine, first, second)?;
            let ids =
                [first, second].map(|id| json!({ "id": id, "distinct_id": engine.resolve(id) }));
            Ok(json!({
                "explanation": explanation.kind(),
                "one_person": explanation.is_one_user(),
                "why": explanation.why(),
                "ids": ids,
                "claims": claims_of(explanation.claims()),
            }))
        })?;
        of_json(py, &explained.to_string())
    }

    /// Withdraws the claim of an entry, or with ``detach`` every claim that names an ID: ``idmerge store retract``. The
    /// state is then exactly as if no event had made it. ``who`` and ``why`` are kept in the log; withdraw the entry
    /// ``sequence`` of the result to undo it. ``changes`` is a table of the IDs that have another canonical ID now.
    #[pyo3(signature = (sequence=None, *, who, why, detach=None))]
    fn retract<'py>(
        &self,
        py: Python<'py>,
        sequence: Option<u64>,
        who: &str,
        why: &str,
        detach: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let named = detach.map(id_text).transpose()?.flatten();
        let target = match (sequence, &named) {
            (Some(sequence), None) => Target::Entry(sequence),
            (None, Some(id)) => Target::Named(read_id(&self.settings, id)?),
            _ => {
                return Err(PyTypeError::new_err(
                    "give the number of an entry, or detach an ID",
                ));
            }
        };
        let retraction = self.write(py, |store| {
            // With the index, the claims that depend on the entry are found without reading the whole log.
            store.index()?;
            let cause = Cause {
                source: Some("idmerge.Store.retract"),
                ..Cause::default()
            };
            let withdrawn = store.withdraw(target, who, why, cause);
            withdrawn.map_err(|error| match error {
                error @ (StoreError::NoSuchEntry { .. }
                | StoreError::NotNamed { .. }
                | StoreError::NotRetractable { .. }
                | StoreError::NotFromClaims { .. }) => Stopped::Refused(error),
                error => Stopped::Store(error),
            })
        })?;
        let result = PyDict::new(py);
        result.set_item("sequence", retraction.sequence)?;
        result.set_item("is_new", retraction.is_new)?;
        result.set_item("claims", retraction.claims)?;
        result.set_item("changes", changes_table(retraction.changes())?)?;
        Ok(result)
    }

    /// Each change of a canonical ID after an entry, in order: a table with the columns of ``idmerge store changes``. To
    /// go on later, give the last ``sequence`` that you have. ``limit`` never cuts between the rows of one entry.
    #[pyo3(signature = (since=0, *, limit=None))]
    fn changes(&self, py: Python<'_>, since: u64, limit: Option<usize>) -> PyResult<Table> {
        let limit = limit.unwrap_or(usize::MAX);
        let changes = self.with_history(py, |history, _| {
            let (mut changes, mut last) = (Vec::new(), 0);
            history.changes_since(since, &mut |change| {
                let goes_on = changes.len() < limit || change.sequence == last;
                last = change.sequence;
                if goes_on {
                    changes.push(change);
                }
                Ok(goes_on)
            })?;
            Ok(changes)
        })?;
        py.detach(|| changes_table(&changes))
    }

    /// Compares with the clusters that another engine or other settings give: ``idmerge store simulate``.
    #[pyo3(signature = (engine, *, as_of=None, examples=5, **settings))]
    fn simulate<'py>(
        &self,
        py: Python<'py>,
        engine: &str,
        as_of: Option<u64>,
        examples: usize,
        settings: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let other = self::settings(engine, settings)?;
        let simulated = self.with_history(py, |history, now| {
            let sequence = as_of.unwrap_or_else(|| history.last());
            let accepts = |claim: idmerge_core::Claim<'_>| other.accepts(claim);
            let theirs = history.simulate_accepted(sequence, other.engine(), accepts)?;
            let earlier = as_of.map(|sequence| history.as_of(sequence)).transpose()?;
            let ours = earlier
                .as_ref()
                .map_or(now, |engine| engine as &dyn Resolve);
            let difference = Difference::between(ours, &theirs, examples);
            let mut figures = json!({
                "as_of": sequence,
                "store": self.settings.arguments(),
                "simulated": other.arguments(),
                "clusters": difference.clusters,
                "simulated_clusters": difference.other_clusters,
                "split": difference.split,
                "joined": difference.joined,
                "split_examples": difference.split_examples,
                "joined_examples": difference.joined_examples,
            });
            if let Some(note) = other.simulation_note(&self.settings) {
                figures["note"] = note.into();
            }
            Ok(figures)
        })?;
        of_json(py, &simulated.to_string())
    }

    /// A hash of the state, or of the state after an entry: equal states have equal hashes, also that of
    /// ``idmerge store digest``.
    #[pyo3(signature = (*, as_of=None))]
    fn digest(&self, py: Python<'_>, as_of: Option<u64>) -> PyResult<String> {
        self.with_history(py, |history, _| {
            let sequence = as_of.unwrap_or_else(|| history.last());
            history.digest(sequence).map(|digest| digest.to_string())
        })
    }

    /// The number of the last entry of the log.
    #[getter]
    fn last(&self, py: Python<'_>) -> PyResult<u64> {
        self.with_history(py, |history, _| Ok(history.last()))
    }

    /// Closes the store, so that another process can write it. ``with`` does it by itself.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            match std::mem::replace(&mut *state, State::Closed(CLOSED)) {
                State::Writing(store) => store.close().map_err(|error| store_failed(&error)),
                State::Reading(_) | State::Closed(_) => Ok(()),
            }
        })
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*exception))]
    fn __exit__(&self, py: Python<'_>, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = exception;
        self.close(py)
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err(format!(
            "a Store cannot be pickled, since one process at a time writes it; open it in the other process with \
             idmerge.Store({:?}, read_only=True)",
            self.folder
        )))
    }

    fn __repr__(&self) -> String {
        let state = self.state.try_read();
        let closed = matches!(state.as_deref(), Ok(State::Closed(_)));
        let closed = if closed { ", closed" } else { "" };
        format!(
            "<idmerge.Store {}: {}{closed}>",
            self.folder.display(),
            self.engine()
        )
    }
}

/// The figures of an ingest, with the names that the command gives them.
fn figures<'py>(py: Python<'py>, intake: &Intake) -> PyResult<Bound<'py, PyDict>> {
    let first = intake.first_refused.as_ref();
    let figures = json!({
        "continues_again": intake.continues_again,
        "events_taken_before": intake.taken_before,
        "events": intake.events,
        "events_erased": intake.erased,
        "events_repeated": intake.repeated,
        "new_entries": intake.new_entries,
        "merges": intake.outcomes.merges,
        "rejections": intake.outcomes.rejections.values().sum::<u64>(),
        "rejections_by_code": intake.outcomes.rejections,
        "refused": intake.refused,
        "first_refused": first.map(|(row, error)| format!("row {row}: {error}")),
    });
    Ok(of_json(py, &figures.to_string())?.cast_into()?)
}
