//! The events that a function of the module gets.

use idmerge_columns::Read;
use idmerge_engines::Settings;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::python::warn;
use super::summary::{refused_rows, said};
use crate::arrow::input::Input;
use crate::errors::InvalidEventError;
use crate::reading::{names, read_all};

/// What to do about rows that are no valid events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnInvalid {
    Keep,
    Raise,
}

impl OnInvalid {
    pub(super) fn new(name: &str) -> PyResult<Self> {
        match name {
            "keep" => Ok(Self::Keep),
            "raise" => Ok(Self::Raise),
            _ => Err(PyValueError::new_err(format!(
                "on_invalid is {name:?}, but it must be \"keep\" or \"raise\""
            ))),
        }
    }
}

/// A table of events, and what was read of it.
pub(super) struct Checked {
    pub(super) input: Input,
    pub(super) read: Vec<Read>,
}

/// Reads a table of events. An error leaves no trace.
pub(super) fn read_events(
    events: &Bound<'_, PyAny>,
    settings: &Settings,
    columns: Option<&Bound<'_, PyDict>>,
    on_invalid: OnInvalid,
) -> PyResult<Checked> {
    let py = events.py();
    let names = names(columns)?;
    let input = Input::read(events, settings)?;
    let (read, warnings) = py.detach(|| read_all(&input, settings, &names))?;
    for warning in warnings {
        warn(py, &warning)?;
    }
    if on_invalid == OnInvalid::Raise
        && let Some((row, refused)) = refused_rows(&read).next()
    {
        let count = refused_rows(&read).count();
        let message = said(row, refused);
        return Err(InvalidEventError::new_err(format!(
            "{count} of {} rows are no valid events. The first is {message}. on_invalid=\"keep\" keeps them, without \
             a distinct_id",
            input.rows()
        )));
    }
    Ok(Checked { input, read })
}
