//! The Python package `idmerge`: Arrow tables in, Arrow tables out, and the rules of idmerge between them.
//!
//! ```text
//! stream ──▶ batches ──▶ own IDs and claims ──▶ state ──▶ answers ──▶ stream
//!            arrow/      reading/               state     answers     api/
//! ```
//!
//! No rule is here: `idmerge-engines` reads events and weighs claims, `idmerge-tables` says what the columns of a
//! table of events mean, and `idmerge-ingest` what a store takes of them (`intake.rs`).

mod answers;
mod api;
mod arrow;
mod errors;
mod intake;
mod order;
mod parallel;
mod reading;
mod settings;
mod state;

use pyo3::prelude::*;

#[pymodule]
mod _idmerge {
    use pyo3::pyfunction;

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
        crate::reading::properties().collect()
    }
}
