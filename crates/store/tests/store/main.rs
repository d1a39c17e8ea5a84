//! Durable engines: their log, their snapshots, and what is left of them after damage.
//!
//! One program for most tests, which takes a fraction of the time and the disk of one for each file. A test that
//! reads or changes something of its process, such as its memory, is a program of its own beside this folder.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and looks at what users get: files, sockets and printed figures"
)]

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod cancelled;
mod crash;
mod crash_erasure;
mod damage;
mod difference;
mod engine;
mod erasure;
mod erasure_steps;
mod failed_sync;
mod feed;
mod format;
mod history;
mod image;
mod intake;
mod joins;
mod journal;
mod journal_damage;
mod long_rows;
mod preview;
mod printed;
mod reader;
mod reopened;
mod repair;
mod repair_parts;
mod repair_service;
mod retract;
mod runs;
mod scratch;
mod state_copy;
mod store;
mod story;
mod version_1;
mod withdrawal;
