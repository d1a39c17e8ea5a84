//! The command line, which `python -m idmerge` runs.

use std::ffi::OsString;
use std::panic::catch_unwind;

use pyo3::prelude::*;

/// The exit code of a program of Rust that panics.
const PANICKED: u8 = 101;

/// Runs the command with these arguments, and gives its exit code. It has the process for itself: a signal ends it.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    // Not the name in `sys.argv`, which is the path of a file of Python.
    let arguments = [OsString::from("idmerge")]
        .into_iter()
        .chain(arguments)
        .collect();
    py.detach(|| catch_unwind(|| idmerge::run_program(arguments)).unwrap_or(PANICKED))
}
