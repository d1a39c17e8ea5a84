//! Decides which analytics events belong to one person: *ID Merge*, as Mixpanel defines it.
//!
//! Products track people before and after they log in. This crate joins the anonymous events and the
//! logged-in events of a person. It is a facade: one dependency for the types, the engines, the JSON
//! of events and the store. The same package has the command line `idmerge`.
//!
//! - The types and traits of [`idmerge_core`] are in the root: [`Event`], [`Claim`], [`DistinctId`],
//!   [`Resolve`], [`IdentityResolver`].
//! - [`Settings`] chooses an engine at run time; [`simplified`], [`original`] and [`legacy`]
//!   are the engines.
//! - [`events`] reads the JSON that SDKs send, and writes the canonical distinct_id back into it.
//! - [`store`] keeps an engine on disk, with the log of its claims (feature `store`).
//!
//! # Example
//!
//! A visit on a device, and then a login on the same device: both are events of the user.
//!
//! ```
//! use idmerge::events::JsonEvent;
//! use idmerge::{Model, Settings};
//!
//! let visit = r#"{"event":"Visit","properties":{"$device_id":"D1"}}"#;
//! let login = r#"{"event":"Log In","properties":{"$device_id":"D1","$user_id":"ada"}}"#;
//!
//! let settings = Settings::of(Model::Simplified);
//! let mut engine = settings.engine();
//! for line in [visit, login] {
//!     let event = JsonEvent::parse_text(line)?;
//!     if let Some(claim) = settings.read(&event.event())?.claim {
//!         engine.apply(claim)?;
//!     }
//! }
//!
//! let device = settings.read_id("$device:D1")?;
//! assert_eq!(engine.resolve(device), "ada");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! - `store` (default): the module [`store`], and the commands `ingest` and `store`.
//! - `serve` (default, includes `store`): the commands `serve` and `demo`.
//! - `tables`: the commands read and write Parquet.
//!
//! Without default features the command line lacks `ingest`, `store`, `serve` and `demo`, and a dependency on
//! this package compiles no database and no server.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the command line reads files and the environment"
)]

mod args;
mod commands;
mod environment;
mod output;
mod report;
mod spill;
mod startup;
mod stream;

/// The command line, for its binary and for the command of the package of Python.
#[doc(hidden)]
pub use commands::run_program;
pub use idmerge_core::*;
pub use idmerge_engines as engines;
pub use idmerge_engines::{AnonIdFormat, Engine, Model, Overrides, Settings};
pub use idmerge_events as events;
pub use idmerge_legacy as legacy;
pub use idmerge_original as original;
pub use idmerge_simplified as simplified;
#[cfg(feature = "store")]
pub use idmerge_store as store;
