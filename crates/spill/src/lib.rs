//! A set of fingerprints in bounded memory.
//!
//! A command that reads any number of events must find the duplicates among them (AR-2). [`Seen`] holds the last
//! fingerprints in memory, and the rest in temporary files. This crate is internal to idmerge: any release
//! may change its functions. The files have no name and end with the process.

#![allow(
    clippy::disallowed_types,
    reason = "the files are temporary, and have no name that another process could know"
)]

mod seen;

pub use seen::Seen;
