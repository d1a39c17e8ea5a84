//! The idmerge server: it takes events and profile updates from tracking SDKs over HTTP, and
//! answers queries about identities, events and profiles.
//!
//! [`Config`] describes the server and its projects. [`run`] serves them until the process gets
//! SIGTERM or SIGINT; use [`Server`] to stop a server in another way.
//!
//! The crate `idmerge-wire` decodes requests, and `idmerge-project` stores their records. This
//! crate connects the two and adds access control, limits, metrics and a web page.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a server needs clocks, files and the network"
)]

mod app;
mod clock;
mod config;
mod error;
mod http;
mod ingest;
mod page;
mod permits;
#[allow(
    unused_qualifications,
    reason = "the macros that describe the endpoints name parameters by their whole path"
)]
mod privacy;
mod projects;
#[allow(
    unused_qualifications,
    reason = "the macros that describe the endpoints name parameters by their whole path"
)]
mod read;
mod routes;
mod server;
mod store;

pub use config::{
    Bounds, Config, Listen, ListenError, ProjectConfig, SecretFile, SecretFileError, ServiceAccount,
};
pub use error::{ConfigError, ServeError};
pub use idmerge_adapters::Output;
pub use idmerge_project::{ProfileCheck, ProfileMerge, ProjectErasure};
pub use server::{OnHangup, Prepared, Server, run};
