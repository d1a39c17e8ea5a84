//! The house rules that no compiler sees.
//!
//! Each check looks at a tree and returns its complaints: one sentence each, which says where
//! and what to do. No complaint is a pass. A file that a check needs and cannot read is a
//! [`Failure`](crate::failure::Failure). The tables that the checks go by are in
//! `tests/tidy.rs`, beside the tests that hold this tree to them.

mod manifests;
mod rules;
mod sources;

pub use manifests::{MayName, architecture, inheritance, package_names, siblings};
pub use rules::{rules_and_vectors, untested_rules};
pub use sources::{long_files, undocumented, words};
