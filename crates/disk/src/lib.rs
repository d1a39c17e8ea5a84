//! The bytes that the crates of idmerge write to disk.
//!
//! This crate has what more than one of them writes: numbers of variable length ([`varint`]), rows
//! with a checksum ([`row`]), an index that a commit only appends to ([`Runs`]), an index of
//! events that detects duplicates ([`Dedup`]), and the name of the file ([`STORE_FILE`]). It is
//! internal to idmerge: any release may change its functions. The bytes are part of the format of a
//! store (`docs/store.md`), and change only with its version.

mod dedup;
pub mod row;
mod runs;
pub mod varint;

pub use dedup::{Dedup, DedupError, DedupTables, LazyRuns, Suspects, VARIANT_SHIFT};
pub use runs::{OpenRuns, Runs, RunsError};

/// The name of the one file of a store, in the store's folder.
pub const STORE_FILE: &str = "store.redb";
