//! Files as other programs write them, and files that are damaged.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod damaged;
mod events;
mod files;
mod ids;
mod types;
mod written;
