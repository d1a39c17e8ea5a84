//! The command `idmerge`: ID Merge on files of events, on a store of claims, and as a server.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(idmerge::run_program(std::env::args_os().collect()))
}
