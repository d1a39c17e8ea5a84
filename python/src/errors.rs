//! The exceptions.

use std::error::Error;
use std::fmt::Display;

use idmerge_columns::ColumnsError;
use idmerge_core::{EngineError, SnapshotError as EngineSnapshotError};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::{PyErr, create_exception};

use crate::answers::Failed;

create_exception!(
    idmerge,
    IdmergeError,
    PyValueError,
    "What was given cannot be used. The message says why, and what to do."
);
create_exception!(
    idmerge,
    ColumnError,
    IdmergeError,
    "A column cannot have the IDs that the engine reads, or is missing."
);
create_exception!(
    idmerge,
    InvalidEventError,
    IdmergeError,
    "An event or an ID is invalid (rule ID-7)."
);
create_exception!(
    idmerge,
    SnapshotError,
    IdmergeError,
    "The bytes are no snapshot that this engine can read."
);

create_exception!(
    idmerge,
    StoreError,
    IdmergeError,
    "A store cannot be opened, or cannot do what it was asked to do."
);

pub(crate) fn store_error(error: impl Display) -> PyErr {
    StoreError::new_err(error.to_string())
}

/// With the causes, such as what the system says of a file.
pub(crate) fn store_failed(error: &dyn Error) -> PyErr {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    store_error(message)
}

pub(crate) fn idmerge_error(error: impl Display) -> PyErr {
    IdmergeError::new_err(error.to_string())
}

pub(crate) fn column_error(error: impl Display) -> PyErr {
    ColumnError::new_err(error.to_string())
}

pub(crate) fn unreadable(error: &ColumnsError) -> PyErr {
    match error {
        ColumnsError::Column(problem) => column_error(problem),
        ColumnsError::Arrow(error) => broken_stream(error),
    }
}

/// A library gave a stream that breaks Arrow's format, or its computation failed.
pub(crate) fn broken_stream(error: &dyn Display) -> PyErr {
    PyRuntimeError::new_err(format!("the Arrow stream cannot be read: {error}"))
}

pub(crate) fn engine_failed(error: &EngineError) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

pub(crate) fn failed(error: &Failed) -> PyErr {
    match error {
        Failed::Engine(error) => engine_failed(error),
        Failed::Arrow(error) => broken_stream(error),
    }
}

pub(crate) fn snapshot_error(error: &EngineSnapshotError) -> PyErr {
    let remedy = match error {
        EngineSnapshotError::OtherRuleBook { found, .. } => {
            format!("; read it with Engine.from_snapshot(snapshot, {found:?})")
        }
        EngineSnapshotError::OverLimit { cluster_ids, .. } => {
            format!("; give max_cluster_ids={cluster_ids}, or what the snapshot was made with")
        }
        _ => String::new(),
    };
    SnapshotError::new_err(format!("{error}{remedy}"))
}
