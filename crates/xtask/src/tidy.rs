//! Checks of the repository's structure that the compiler does not make.
//!
//! Each check looks at a tree and returns complaints: one sentence each, with the file and what to
//! do. A check passes if there are none, and is an error if it cannot read a file that it needs.
//! The tables that the checks use are in `tests/tidy.rs`, with the tests that run them on this
//! repository.

mod circles;
mod citations;
mod functions;
mod manifests;
mod modules;
mod picture;
mod publishing;
mod rules;
mod sources;

pub use circles::circles;
pub use citations::{missing_files, unknown_rules};
pub use functions::long_functions;
pub use manifests::{inheritance, package_names};
pub use picture::{MayName, architecture, siblings};
pub use publishing::publishing;
pub use rules::{rules_and_vectors, untested_rules};
pub use sources::{flat_folders, long_files, undocumented, words};
