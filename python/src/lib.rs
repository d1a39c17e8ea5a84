//! The Python package `idmerge`: Arrow tables in, Arrow tables out, and the rules of idmerge between them.
//!
//! ```text
//! stream ──▶ batches ──▶ own IDs and claims ──▶ state ──▶ answers ──▶ stream
//!            arrow/      reading                          answers     api/
//! ```
//!
//! No rule is here: `idmerge-columns` reads batches, weighs their claims and answers them, and `idmerge-ingest` says
//! what a store takes of them (`intake.rs`). `idmerge-analysis` counts users (`analyses.rs`).
//! The feature `command` adds the command line, which does its own reading and
//! writing.

mod analyses;
mod answers;
mod api;
mod arrow;
mod claims;
mod errors;
mod intake;
mod lints;
mod order;
mod reading;
mod settings;

use pyo3::prelude::*;

#[pymodule]
mod _idmerge {
    use pyo3::pyfunction;

    #[pymodule_export]
    use crate::api::analyses::{funnel, lint, retention, uniques};
    #[cfg(feature = "command")]
    #[pymodule_export]
    use crate::api::command::run_command;
    #[pymodule_export]
    use crate::api::engine::Engine;
    #[pymodule_export]
    use crate::api::fold::Folded;
    #[pymodule_export]
    use crate::api::functions::{claims, mapping, own_ids, resolve};
    #[pymodule_export]
    use crate::api::store::Store;
    #[pymodule_export]
    use crate::api::summary::Summary;
    #[pymodule_export]
    use crate::api::table::{Claims, Resolved, Table};
    #[pymodule_export]
    use crate::errors::{ColumnError, IdmergeError, InvalidEventError, SnapshotError, StoreError};

    #[expect(non_upper_case_globals, reason = "Python's name")]
    #[pymodule_export]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// The columns that are read of events.
    #[pyfunction]
    fn event_columns() -> Vec<&'static str> {
        idmerge_columns::properties().collect()
    }
}
