//! The name of an engine and its settings.

use idmerge_core::DEVICE_PREFIX;
use idmerge_engines::{BlockedIds, Model, Overrides, Settings};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::idmerge_error;

/// The settings of an engine that is chosen by its name.
pub(crate) fn settings(engine: &str, given: Option<&Bound<'_, PyDict>>) -> PyResult<Settings> {
    let names = || Model::ALL.map(Model::name).join(", ");
    let model: Model = engine.parse().map_err(|_| {
        idmerge_error(format!(
            "engine is {engine:?}, but it must be one of: {}",
            names()
        ))
    })?;
    let mut overrides = Overrides::default();
    for (name, value) in given.into_iter().flatten() {
        let name: String = name.extract()?;
        let wrong = |wanted: &str| {
            let kind = value.get_type().name().map(|name| name.to_string());
            let kind = kind.unwrap_or_default();
            PyTypeError::new_err(format!("{name} must be {wanted}, not {kind}"))
        };
        match name.as_str() {
            "max_cluster_ids" => {
                let limit = value.extract();
                overrides.max_cluster_ids =
                    limit.map_err(|_| wrong("an integer from 1 to 4294967295"))?;
            }
            "max_id_bytes" => {
                let limit = value.extract();
                overrides.max_id_bytes = limit.map_err(|_| wrong("an integer from 1 to 65535"))?;
            }
            "anon_id_format" => {
                let format: Option<String> = value.extract().map_err(|_| wrong("a text"))?;
                let format = format.map(|format| format.parse()).transpose();
                overrides.anon_id_format =
                    format.map_err(|error| idmerge_error(format!("anon_id_format: {error}")))?;
            }
            "blocked_ids" => {
                let ids: Option<Vec<String>> =
                    value.extract().map_err(|_| wrong("a list of texts"))?;
                let mut given = ids.iter().flatten();
                if let Some(id) = given.find(|id| id.starts_with(DEVICE_PREFIX)) {
                    return Err(idmerge_error(format!(
                        "blocked_ids has {id:?}: leave out the prefix $device:, which is not part of the ID (ID-5)"
                    )));
                }
                overrides.blocked_ids = ids.map(BlockedIds::only);
            }
            _ => {
                return Err(PyTypeError::new_err(format!(
                    "{name} is no setting; there are max_cluster_ids, anon_id_format, max_id_bytes and blocked_ids"
                )));
            }
        }
    }
    Settings::new(model, &overrides).map_err(idmerge_error)
}
