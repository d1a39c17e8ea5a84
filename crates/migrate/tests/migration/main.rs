//! Migrations of small inputs. The expected output is worked out by hand from rules M-1 to M-23, or by a
//! plain model of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod again;
mod cases;
mod compared;
mod from_legacy;
mod live;
mod memory;
mod model;
mod rows;
mod run;
mod streams;
mod to_original;
