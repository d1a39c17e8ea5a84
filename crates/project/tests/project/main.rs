//! A project, asked as the server asks it.
//!
//! One program for most tests, which takes a fraction of the time and the disk of one for each file. A test that
//! reads or changes something of its process, such as its memory, is a program of its own beside this folder.

#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and looks at what users get: files, sockets and printed figures"
)]

#[path = "../support/batches.rs"]
mod batches;
#[path = "../support/event_list.rs"]
mod event_list;
#[path = "../support/imported.rs"]
mod imported;
#[path = "../../../store/tests/support/traces.rs"]
mod traces;

mod answers;
mod cancelled;
mod changes;
mod damaged_profiles;
mod damaged_rows;
mod erasing;
mod erasure;
mod exported_identity;
mod figures;
mod fill_turns;
mod large_pages;
mod left;
mod legacy;
mod long_profiles;
mod longest_event;
mod many_members;
mod mappings;
mod members;
mod merged_profiles;
mod model;
mod near_cap;
mod order;
mod paging;
mod profile_merge;
mod profile_reads;
mod project;
mod reopened;
mod replaced;
mod retraction;
mod revised;
#[cfg(unix)]
mod room;
mod seen_runs;
mod stopping;
mod stored_settings;
mod threads;
mod turns;
mod unreadable_index;
mod unweighed_alias;
mod withdrawal_bytes;
mod zero_bounds;
