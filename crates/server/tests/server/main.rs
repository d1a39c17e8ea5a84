//! Runs a server on a free port and asks it as clients do.
//!
//! One program for most tests, which takes a fraction of the time and the disk of one for each file. A test that
//! reads or changes something of its process, such as its memory, is a program of its own beside this folder.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and looks at what users get: files, sockets and printed figures"
)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../../../store/tests/support/traces.rs"]
mod traces;

mod alias_permission;
mod backup;
mod body_budget;
mod calls;
mod calls_alias;
mod cdp;
mod compressed;
mod connections;
mod erasing;
mod filter;
mod find;
mod funnel;
mod heads;
mod health;
mod hidden_profiles;
mod imported;
mod left;
mod left_questions;
mod legacy;
mod live;
mod manners;
mod mappings;
mod max_ids;
mod merge_permission;
mod order;
mod pace;
mod pages;
mod people;
mod pixel;
mod privacy_api;
mod reading;
mod retract;
mod round_trip;
mod sdk;
mod secret_file;
mod senders;
mod transport;
mod unread_bodies;
