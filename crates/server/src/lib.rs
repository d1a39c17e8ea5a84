//! ID Merge as a service: what tracking SDKs send is taken, and who is who is answered.
//!
//! [`Config`] says which projects there are, [`run`] serves them until the process is asked to
//! end, and [`Server`] is for who wants to stop it otherwise.
//!
//! What a request looks like is known by `idmerge-wire`, and what becomes of its records by
//! `idmerge-project`; here they meet, with credentials, limits, metrics and a page.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this room faces the world: clocks, files, the network"
)]

mod access;
mod app;
mod body;
mod config;
mod error;
mod ingest;
mod listen;
mod metrics;
mod openapi;
mod projects;
mod quiet;
#[allow(
    unused_qualifications,
    reason = "the macros that describe the endpoints name parameters by their whole path"
)]
mod read;
mod server;

pub use config::{Bounds, Config, EngineName, ProjectConfig, ServiceAccount};
pub use error::{ConfigError, ServeError};
pub use server::{Server, run};
