//! Funnels, unique users, retention, and mistakes of tracking code.

use std::time::Duration;

use idmerge_analysis::{
    Analysis, Breakdown, Count, Exclusion, FunnelQuery, Period, Reentry, RetentionQuery, Step,
    Touch, UniquesBy, UniquesQuery, day_ms, days_ms,
};
use idmerge_engines::Settings;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;

use super::events::{Checked, OnInvalid, read_events};
use super::python::{of_json, warn};
use crate::analyses::{Folded, fold};
use crate::errors::idmerge_error;
use crate::lints;
use crate::reading::{lines_of, names};
use crate::settings::settings;

/// A table of events, and how its users are told apart.
struct Asked<'a, 'py> {
    events: &'a Bound<'py, PyAny>,
    columns: Option<&'a Bound<'py, PyDict>>,
    on_invalid: &'a str,
    settings: Settings,
}

impl Asked<'_, '_> {
    fn fold<A: Analysis>(&self, analysis: &A) -> PyResult<Folded<A::Fold>> {
        let on_invalid = OnInvalid::new(self.on_invalid)?;
        let checked = read_events(self.events, &self.settings, self.columns, on_invalid)?;
        let Checked { input, read } = &checked;
        let lines = lines_of(input, &self.settings, &names(self.columns)?)?;
        let (py, settings) = (self.events.py(), &self.settings);
        py.detach(|| fold(input, read, &lines, settings, analysis))
    }
}

/// Counts the users who do some events in order, with ID merge and without it.
///
/// A step is the name of an event, or ``'Name[property == "x", other > 2]'`` with conditions on its properties.
/// ``window`` is the longest time from the first step to any other (7 days), and steps at most ``grace`` apart (2
/// seconds) count in either order; both are a ``timedelta``. ``reentry`` is ``"first"`` or ``"optimized"``, ``count``
/// ``"uniques"`` or ``"totals"``. ``hold`` names up to 3 properties that are the same at every step. ``exclude`` has
/// steps that end an entry, or pairs of a step and of the numbers of the two steps between which it does. ``by`` is
/// the property of a breakdown, and ``touch`` the step whose value counts: ``"first"``, ``"last"`` or ``"each"``.
/// Entries open from ``from_date`` to ``to_date``, dates of UTC. The other arguments are those of :func:`resolve`.
///
/// The dict has the figures of ``idmerge funnel --json``: for each step ``users``, ``conversion``,
/// ``users_without_merge`` and more. The times are those of the column ``time``, in seconds or milliseconds since 1970
/// or as a timestamp.
///
/// >>> found = idmerge.funnel(events, ["Page View", "Purchase"], engine="simplified")
/// >>> found["events_without_time"]
/// 2
#[pyfunction]
#[pyo3(signature = (
    events, steps, *, engine, window=None, grace=None, reentry="first", count="uniques", hold=Vec::new(),
    exclude=Vec::new(), by=None, touch="first", from_date=None, to_date=None, columns=None, on_invalid="keep",
    settings=None
))]
#[expect(
    clippy::too_many_arguments,
    reason = "Python has keywords for them, and most have defaults"
)]
pub(crate) fn funnel<'py>(
    py: Python<'py>,
    events: &Bound<'py, PyAny>,
    steps: Vec<String>,
    engine: &str,
    window: Option<Duration>,
    grace: Option<Duration>,
    reentry: &str,
    count: &str,
    hold: Vec<String>,
    exclude: Vec<Bound<'py, PyAny>>,
    by: Option<String>,
    touch: &str,
    from_date: Option<&Bound<'py, PyAny>>,
    to_date: Option<&Bound<'py, PyAny>>,
    columns: Option<&Bound<'py, PyDict>>,
    on_invalid: &str,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let asked = Asked {
        events,
        columns,
        on_invalid,
        settings: self::settings(engine, settings)?,
    };
    let (from_ms, until_ms) = range_ms(from_date, to_date)?;
    let mut query = FunnelQuery::new(steps.iter().map(|step| Step::parse(step)).collect());
    query.window_ms = window.map_or(query.window_ms, whole_ms);
    query.grace_ms = grace.map_or(query.grace_ms, whole_ms);
    query.reentry = one_of(
        "reentry",
        reentry,
        [("first", Reentry::First), ("optimized", Reentry::Optimized)],
    )?;
    query.count = one_of(
        "count",
        count,
        [("uniques", Count::Uniques), ("totals", Count::Totals)],
    )?;
    query.hold = hold;
    query.exclude = exclude.iter().map(exclusion).collect::<PyResult<_>>()?;
    (query.from_ms, query.until_ms) = (from_ms, until_ms);
    let touch = one_of(
        "touch",
        touch,
        [
            ("first", Touch::First),
            ("last", Touch::Last),
            ("each", Touch::Each),
        ],
    )?;
    query.by = by.clone().map(|property| Breakdown { property, touch });
    let funnel = query.funnel().map_err(idmerge_error)?;
    let folded = asked.fold(&funnel)?;
    for (at, step) in funnel.query().steps.iter().enumerate() {
        if !folded.fold.occurs(at) {
            warn(py, &format!("no event is the step {:?}", step.text()))?;
        }
    }
    let report = funnel.report(folded.fold);
    of_json(py, &report.json(by.as_deref(), folded.events_without_id))
}

/// Counts the users of each event, or of each day of UTC, with ID merge and without it.
///
/// ``by`` is ``"event"`` or ``"day"``. The dict has the figures of ``idmerge uniques --json``. The other arguments are
/// those of :func:`funnel`.
///
/// >>> found = idmerge.uniques(events, engine="simplified")
/// >>> found["total"]["users"], found["total"]["users_without_merge"]
/// (1, 2)
#[pyfunction]
#[pyo3(signature = (
    events, *, engine, by="event", from_date=None, to_date=None, columns=None, on_invalid="keep", settings=None
))]
#[expect(
    clippy::too_many_arguments,
    reason = "Python has keywords for them, and most have defaults"
)]
pub(crate) fn uniques<'py>(
    py: Python<'py>,
    events: &Bound<'py, PyAny>,
    engine: &str,
    by: &str,
    from_date: Option<&Bound<'py, PyAny>>,
    to_date: Option<&Bound<'py, PyAny>>,
    columns: Option<&Bound<'py, PyDict>>,
    on_invalid: &str,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let asked = Asked {
        events,
        columns,
        on_invalid,
        settings: self::settings(engine, settings)?,
    };
    let by = one_of(
        "by",
        by,
        [UniquesBy::Event, UniquesBy::Day].map(|by| (by.name(), by)),
    )?;
    let (from_ms, until_ms) = range_ms(from_date, to_date)?;
    let query = UniquesQuery {
        by,
        from_ms,
        until_ms,
    };
    let folded = asked.fold(&query)?;
    let report = query.report(folded.fold);
    of_json(py, &report.json(by, folded.events_without_id))
}

/// Counts the users who come back, by the day or week of UTC in which they first came, with ID merge and without it.
///
/// ``first`` and ``then`` are steps as of :func:`funnel`, and any event by default. ``period`` is ``"day"`` or
/// ``"week"``, and ``periods`` how many follow the first one. The dict has the figures of
/// ``idmerge retention --json``. The other arguments are those of :func:`funnel`.
///
/// >>> idmerge.retention(events, engine="simplified")["events_without_time"]
/// 3
#[pyfunction]
#[pyo3(signature = (
    events, *, engine, first=None, then=None, period="day", periods=7, from_date=None, to_date=None, columns=None,
    on_invalid="keep", settings=None
))]
#[expect(
    clippy::too_many_arguments,
    reason = "Python has keywords for them, and most have defaults"
)]
pub(crate) fn retention<'py>(
    py: Python<'py>,
    events: &Bound<'py, PyAny>,
    engine: &str,
    first: Option<&str>,
    then: Option<&str>,
    period: &str,
    periods: usize,
    from_date: Option<&Bound<'py, PyAny>>,
    to_date: Option<&Bound<'py, PyAny>>,
    columns: Option<&Bound<'py, PyDict>>,
    on_invalid: &str,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let asked = Asked {
        events,
        columns,
        on_invalid,
        settings: self::settings(engine, settings)?,
    };
    let period = one_of(
        "period",
        period,
        [Period::Day, Period::Week].map(|it| (it.name(), it)),
    )?;
    if !(1..=RetentionQuery::MAX_PERIODS).contains(&periods) {
        return Err(idmerge_error(format!(
            "periods is {periods}, but it must be from 1 to {}",
            RetentionQuery::MAX_PERIODS
        )));
    }
    let (from_ms, until_ms) = range_ms(from_date, to_date)?;
    let query = RetentionQuery {
        first: first.map(Step::parse),
        then: then.map(Step::parse),
        period,
        periods,
        from_ms,
        until_ms,
    };
    let retention = query.retention();
    let folded = asked.fold(&retention)?;
    let report = retention.report(folded.fold);
    of_json(py, &report.json(period, folded.events_without_id))
}

/// Finds mistakes in the tracking code that made the events: a logout without a reset, IDs that many people share, and
/// others.
///
/// The dict has what ``idmerge lint --json`` has. Each of ``findings`` has its ``severity``, the rule, what to change
/// (``fix``), and at most ``examples`` examples, whose evidence are rows, counted from 0. Events that the rules refuse
/// are findings, too. The other arguments are those of :func:`resolve`.
///
/// >>> idmerge.lint(events, engine="simplified")["claims"]["merged"]
/// 1
#[pyfunction]
#[pyo3(signature = (events, *, engine, examples=10, columns=None, settings=None))]
pub(crate) fn lint<'py>(
    py: Python<'py>,
    events: &Bound<'py, PyAny>,
    engine: &str,
    examples: usize,
    columns: Option<&Bound<'py, PyDict>>,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let settings = self::settings(engine, settings)?;
    let Checked { input, read } = read_events(events, &settings, columns, OnInvalid::Keep)?;
    let lines = lines_of(&input, &settings, &names(columns)?)?;
    let found = py.detach(|| lints::lint(&input, &read, &lines, &settings))?;
    let report = found.finish(examples);
    let refused = read.iter().map(|read| read.refused.len() as u64).sum();
    let mut report = report.json(refused, &|evidence| {
        let mut place = json!({ "row": evidence.at.line });
        if let Some(time_ms) = evidence.time_ms {
            place["time_ms"] = time_ms.into();
        }
        place
    });
    report["engine"] = settings.model().name().into();
    of_json(py, &report.to_string())
}

/// The value of an argument that is one of some names.
fn one_of<T, const N: usize>(argument: &str, given: &str, values: [(&str, T); N]) -> PyResult<T> {
    let names = values.each_ref().map(|(name, _)| format!("{name:?}"));
    let value = values.into_iter().find(|(name, _)| *name == given);
    value.map(|(_, value)| value).ok_or_else(|| {
        idmerge_error(format!(
            "{argument} is {given:?}, but it must be {}",
            names.join(" or ")
        ))
    })
}

/// A time that is too long for any limit is an error of the query.
fn whole_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A step, or a pair of a step and of the numbers of two steps.
fn exclusion(given: &Bound<'_, PyAny>) -> PyResult<Exclusion> {
    let (event, between): (String, _) = match given.extract() {
        Ok(event) => (event, None),
        Err(_) => {
            let pair: PyResult<(String, (usize, usize))> = given.extract();
            let (event, between) = pair.map_err(|_| {
                idmerge_error("exclude has steps, or pairs such as (\"Refund\", (1, 2))")
            })?;
            (event, Some(between))
        }
    };
    Ok(Exclusion {
        event: Step::parse(&event),
        between,
    })
}

/// Dates, or their texts.
fn range_ms(
    from: Option<&Bound<'_, PyAny>>,
    to: Option<&Bound<'_, PyAny>>,
) -> PyResult<(Option<i64>, Option<i64>)> {
    let day = |argument: &str, date: Option<&Bound<'_, PyAny>>| {
        let Some(date) = date else {
            return Ok(None);
        };
        let text = date.str()?.to_string();
        day_ms(&text).map(Some).ok_or_else(|| {
            idmerge_error(format!(
                "{argument} is {text:?}, but it must be a date, such as \"2026-01-31\""
            ))
        })
    };
    let range = days_ms(day("from_date", from)?, day("to_date", to)?);
    range.ok_or_else(|| idmerge_error("to_date is before from_date"))
}
