//! The project's chores as cargo commands, and the house rules as tests.
//!
//! `cargo xtask --help` lists the commands. Each is a short list of programs to start, in
//! [`tasks`], [`fuzz`], [`mod@bench`] and [`mod@e2e`]; it prints what it starts and stops at the first failure. The checks in
//! [`tidy`] hold what no compiler sees, such as which crate may name which; `tests/tidy.rs` runs
//! them on this tree.
//!
//! Every function takes the root of the tree, so that its tests can make a small one.
//!
//! The design that was not taken: shell scripts, or a task runner to install. Who can build the
//! project has cargo, and needs nothing else to test it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "chores start programs, read files and talk to whoever started them"
)]

pub mod bench;
pub mod e2e;
pub mod failure;
pub mod fuzz;
mod program;
mod rooms;
pub mod tasks;
pub mod tidy;
