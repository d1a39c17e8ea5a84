//! The functions of the module.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array as _, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use idmerge_columns::{Outcomes, Plain, Read, State, chosen};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::engine::Engine;
use super::events::{Checked, OnInvalid, read_events};
use super::summary::{Summary, refused_rows};
use super::table::{Claims, Resolved, Table};
use crate::answers::answer;
use crate::claims::COLUMNS;
use crate::errors::{broken_stream, column_error, engine_failed, failed};
use crate::settings::settings;

/// Gives each event the distinct_id of the person who did it.
///
/// ``events`` is a table of DuckDB, Polars, pandas or pyarrow, in arrival order. The engines read the column ``event``,
/// and the properties ``$user_id``, ``$device_id``, ``distinct_id`` and those of identity events from columns of these
/// names or from a column ``properties`` (a struct, a map, or JSON). ``columns`` names columns that are called
/// otherwise: ``columns={"$user_id": "email"}``.
///
/// ``engine`` is ``"simplified"``, ``"original"`` or ``"legacy"``, and ``settings`` a dict of its settings (see
/// :class:`Engine`).
///
/// All columns are kept. ``distinct_id`` is the canonical ID (null if the event has none),
/// ``$distinct_id_before_identity`` the event's own ID if it is another one. Rows that are no valid events are kept
/// without a ``distinct_id`` and listed in ``refused``, or with ``on_invalid="raise"`` an :class:`InvalidEventError`.
///
/// >>> resolved = idmerge.resolve(events, engine="simplified")
/// >>> pa.table(resolved).select(["event", "distinct_id"]).to_pylist()
/// [{'event': 'Page View', 'distinct_id': 'ben'}, {'event': 'Log In', 'distinct_id': 'ben'}, {'event': 'Purchase', 'distinct_id': 'ben'}]
#[pyfunction]
#[pyo3(signature = (events, *, engine, columns=None, on_invalid="keep", settings=None))]
pub(crate) fn resolve(
    py: Python<'_>,
    events: &Bound<'_, PyAny>,
    engine: &str,
    columns: Option<&Bound<'_, PyDict>>,
    on_invalid: &str,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<Resolved>> {
    let settings = Arc::new(self::settings(engine, settings)?);
    let checked = read_events(events, &settings, columns, OnInvalid::new(on_invalid)?)?;
    let Checked { input, read } = &checked;
    let mut state = State::new(&settings);
    let mut outcomes = Outcomes::default();
    let answered = py.detach(|| answer(input, read, &settings, &mut state, &mut outcomes));
    let answered = answered.map_err(|error| failed(&error))?;
    Resolved::new(
        py,
        Table::new(answered.schema, answered.batches),
        Summary::new(read, outcomes, Some(answered.users)),
        refused(read)?,
        Engine::of(settings, state),
    )
}

/// The rows that are no valid events.
fn refused(read: &[Read]) -> PyResult<Table> {
    let schema = Schema::new(vec![
        Field::new("row", DataType::Int64, false),
        Field::new("rule", DataType::Utf8, false),
        Field::new("error", DataType::Utf8, false),
    ]);
    let rows = refused_rows(read).map(|(row, _)| i64::try_from(row).unwrap_or(i64::MAX));
    let rules = refused_rows(read).map(|(_, refused)| refused.rule);
    let errors = refused_rows(read).map(|(_, refused)| refused.error.as_str());
    one_batch(
        schema,
        vec![
            Arc::new(Int64Array::from_iter_values(rows)),
            Arc::new(StringArray::from_iter_values(rules)),
            Arc::new(StringArray::from_iter_values(errors)),
        ],
    )
}

fn one_batch(schema: Schema, columns: Vec<ArrayRef>) -> PyResult<Table> {
    let schema = Arc::new(schema);
    let batch = RecordBatch::try_new(schema.clone(), columns);
    let batch = batch.map_err(|error| broken_stream(&error))?;
    Ok(Table::new(schema, vec![batch]))
}

/// The canonical ID of each other ID that the events join: a table of ``distinct_id`` and ``resolved_distinct_id``.
///
/// It is the table of the command ``idmerge mappings``, for a join in a warehouse. An ID without a row is its own
/// canonical ID. The arguments are those of :func:`resolve`.
///
/// >>> pa.table(idmerge.mapping(events, engine="simplified")).to_pylist()
/// [{'distinct_id': '$device:D1', 'resolved_distinct_id': 'ben'}]
#[pyfunction]
#[pyo3(signature = (events, *, engine, columns=None, on_invalid="keep", settings=None))]
pub(crate) fn mapping(
    py: Python<'_>,
    events: &Bound<'_, PyAny>,
    engine: &str,
    columns: Option<&Bound<'_, PyDict>>,
    on_invalid: &str,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Table> {
    let settings = Arc::new(self::settings(engine, settings)?);
    let checked = read_events(events, &settings, columns, OnInvalid::new(on_invalid)?)?;
    let mut state = State::new(&settings);
    py.detach(|| {
        for read in &checked.read {
            let folded = state.fold(&read.claims, &mut Outcomes::default());
            folded.map_err(|error| engine_failed(&error))?;
        }
        Engine::of(settings, state).mapping_table()
    })
}

/// The own ID of each event, before any merge: a table with the one column ``distinct_id`` and a row for each event.
///
/// It depends on the event alone, so it can be computed in parallel, and joined with a :func:`mapping`. The arguments
/// are those of :func:`resolve`.
///
/// >>> pa.table(idmerge.own_ids(events, engine="simplified"))["distinct_id"].to_pylist()
/// ['$device:D1', 'ben', 'ben']
///
/// ``claims=True`` adds the columns ``kind``, ``first`` and ``second`` of the claim that each event makes; null if it
/// makes none.
#[pyfunction]
#[pyo3(signature = (events, *, engine, claims=false, columns=None, on_invalid="keep", settings=None))]
pub(crate) fn own_ids(
    events: &Bound<'_, PyAny>,
    engine: &str,
    claims: bool,
    columns: Option<&Bound<'_, PyDict>>,
    on_invalid: &str,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Table> {
    let settings = self::settings(engine, settings)?;
    let checked = read_events(events, &settings, columns, OnInvalid::new(on_invalid)?)?;
    let names = ["distinct_id"].into_iter();
    let names = names.chain(COLUMNS[..3].iter().copied().filter(|_| claims));
    let fields = names.map(|name| Field::new(name, DataType::Utf8, true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batches = checked.read.into_iter().map(|read| {
        let rows = read.own.len();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(read.own)];
        if claims {
            let kinds = read.claims.kinds.iter().map(|kind| kind.name());
            let kinds = StringArray::from_iter_values(kinds);
            for texts in [&kinds].into_iter().chain(&read.claims.ids) {
                columns.push(Arc::new(spread(texts, &read.claims.rows, rows)));
            }
        }
        RecordBatch::try_new(schema.clone(), columns)
    });
    let batches = batches.collect::<Result<_, _>>();
    let batches = batches.map_err(|error| broken_stream(&error))?;
    Ok(Table::new(schema, batches))
}

/// A column with these texts in these rows, which rise, and null in all others.
fn spread(texts: &StringArray, places: &[usize], rows: usize) -> StringArray {
    let mut claims = places.iter().enumerate().peekable();
    let text = |row| {
        let claim = claims.next_if(|(_, place)| **place == row);
        claim.map(|(claim, _)| texts.value(claim))
    };
    (0..rows).map(text).collect()
}

/// The claims that the events make: the few rows that can join IDs.
///
/// ``kind`` is ``link`` (of a device, ``first``, to a user, ``second``), ``identify``, ``alias`` or ``merge``. The IDs
/// have no prefix ``$device:``. Events with one ``fingerprint`` are duplicates (AR-2). ``keep`` names columns of the
/// events to keep, such as a sequence number. The other arguments are those of :func:`resolve`.
///
/// Claims of many tables can be computed in parallel. :meth:`Engine.fold` weighs them.
///
/// >>> pa.table(idmerge.claims(events, engine="simplified", keep=["event"])).to_pylist()
/// [{'kind': 'link', 'first': 'D1', 'second': 'ben', 'fingerprint': None, 'event': 'Log In'}]
#[pyfunction]
#[pyo3(signature = (events, *, engine, keep=Vec::new(), columns=None, on_invalid="keep", settings=None))]
pub(crate) fn claims(
    py: Python<'_>,
    events: &Bound<'_, PyAny>,
    engine: &str,
    keep: Vec<String>,
    columns: Option<&Bound<'_, PyDict>>,
    on_invalid: &str,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<Claims>> {
    let settings = self::settings(engine, settings)?;
    let checked = read_events(events, &settings, columns, OnInvalid::new(on_invalid)?)?;
    let Checked { input, read } = &checked;
    let kept = keep.iter().map(|name| {
        input.column(name).ok_or_else(|| {
            column_error(format!("keep names the column {name}, which is not there"))
        })
    });
    let kept = kept.collect::<PyResult<Vec<_>>>()?;
    let text = |name| Arc::new(Field::new(name, DataType::Utf8, name == "fingerprint"));
    let fields = COLUMNS.map(text).into_iter();
    let fields = fields.chain(
        kept.iter()
            .map(|place| Plain::Output.field(&input.schema.fields()[*place])),
    );
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batches = py.detach(|| {
        let batches = input.batches.iter().zip(read);
        let batches = batches.map(|(batch, read)| {
            let claims = &read.claims;
            let kinds = claims.kinds.iter().map(|kind| kind.name());
            let mut fingerprints = StringBuilder::new();
            for fingerprint in &claims.fingerprints {
                let hexadecimal = fingerprint.map(|fingerprint| format!("{fingerprint:032x}"));
                fingerprints.append_option(hexadecimal);
            }
            let mut columns: Vec<ArrayRef> = vec![
                Arc::new(StringArray::from_iter_values(kinds)),
                Arc::new(claims.ids[0].clone()),
                Arc::new(claims.ids[1].clone()),
                Arc::new(fingerprints.finish()),
            ];
            for place in &kept {
                let rows = claims.rows.iter().map(|row| Some(*row));
                let column = chosen(batch.column(*place), rows)?;
                columns.push(Plain::Output.array(&column)?);
            }
            RecordBatch::try_new(schema.clone(), columns)
        });
        batches.collect::<Result<_, _>>()
    });
    let batches = batches.map_err(|error: arrow_schema::ArrowError| broken_stream(&error))?;
    let summary = Summary::new(read, Outcomes::default(), None);
    Claims::new(py, Table::new(schema, batches), summary)
}
